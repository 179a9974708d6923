// Connections that idle make room when files run short, and otherwise stay for their time.

import Reactor
import Testing

@testable import Server

@Suite("Idle connections and the files of the process")
struct IdleConnectionTests {
  private static func fixture(
    shardCount: Int = 1, fileLimit: Int = Int(Int32.max),
    _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> ShardFixture {
    try ShardFixture(shardCount: shardCount, fileLimit: fileLimit) { configuration in
      configuration.limits.connectRate = .off
      configuration.limits.connectionsPerAddressLimit = 0
      change(&configuration)
    }
  }

  private static func count(_ counter: Counter, _ fixture: ShardFixture) -> Int {
    fixture.core.metrics[0].value(counter)
  }

  private static func ask(
    _ path: String, _ fields: String = "", _ peer: TestPeer, _ fixture: ShardFixture
  ) throws -> String {
    peer.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\(fields)\r\n")
    return try EndpointTests.answer(to: peer, fixture).head
  }

  private static func bearer(_ user: String) -> String {
    "Authorization: Bearer \(ShardFixture.token(user))\r\n"
  }

  // MARK: The budget

  @Test("strangers have half of the files, and the last ones are kept free")
  func shares() throws {
    let budget = FileBudget(Limits(), limit: 1_000, otherCount: 20)
    #expect(budget.strangerLimit == 500 && budget.limit == 1_000 && budget.openCount == 20)
    #expect(!budget.isShort(at: 967) && budget.isShort(at: 968))
    let small = FileBudget(Limits(), limit: 256, otherCount: 0)
    #expect(small.strangerLimit == 128 && !small.isShort(at: 239) && small.isShort(at: 240))
    #expect(FileBudget(Limits(), limit: 1, otherCount: 0).strangerLimit == 1)
    #expect(FileBudget(Limits(), limit: .max, otherCount: 0).strangerLimit > 1 << 60)
    #expect(budget.countsStrangers(isLocal: false) && !budget.countsStrangers(isLocal: true))
    var limits = Limits()
    limits.unauthenticatedLimit = 2
    let given = FileBudget(limits, limit: 1_000, otherCount: 0)
    #expect(given.countsStrangers(isLocal: true) && given.strangerLimit == 2)
    #expect(
      [given.enterStranger(), given.enterStranger(), given.enterStranger()].count { $0 } == 2)
    given.leaveStranger()
    #expect(given.strangerCount == 1 && given.enterStranger())
    limits.unauthenticatedLimit = 0
    #expect(!FileBudget(limits, limit: 1_000, otherCount: 0).countsStrangers(isLocal: false))
  }

  @Test("the counts are those of the connections, and metrics show them with their limits")
  func metrics() throws {
    let fixture = try Self.fixture { $0.limits.unauthenticatedLimit = 10 }
    let peers = try (0..<3).map { _ in try fixture.connect() }
    #expect(fixture.core.fileBudget.openCount == 3 && fixture.core.fileBudget.strangerCount == 3)
    _ = try Self.ask("/api/notifications/stats", Self.bearer("u"), peers[0], fixture)
    peers[1].send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    let text = try EndpointTests.answer(to: peers[1], fixture).body
    for line in [
      "carillon_connections_unauthenticated{shard=\"0\"} 2", "carillon_open_files 3",
      "carillon_connections_unauthenticated_limit 10", "carillon_open_files_limit 2147483647",
    ] { #expect(text.contains("\n" + line + "\n"), "\(line)") }
    for peer in peers { peer.endSending() }
    try fixture.turn(until: { fixture.shard.connectionCount == 0 })
    #expect(fixture.core.fileBudget.openCount == 0 && fixture.core.fileBudget.strangerCount == 0)
  }

  // MARK: Strangers: case 63

  /// Connections without a token that idle in each state.
  enum Idler: String, CaseIterable {
    case silent, head, kept, body, socket, namespaceless, poll
  }

  private static func idle(_ kind: Idler, _ fixture: ShardFixture) throws -> TestPeer {
    let engine = "/socket.io/?EIO=4&transport="
    switch kind {
    case .socket: return try fixture.session(nil, path: "/api/notifications/ws")
    case .namespaceless: return try fixture.session(nil, path: engine + "websocket")
    case .silent, .head, .kept, .body, .poll: break
    }
    let peer = try fixture.connect()
    switch kind {
    case .head: peer.send("GET /healthz HTTP/1.1\r\nX-Half: ")
    case .kept: _ = try ask("/healthz", "", peer, fixture)
    case .body, .poll:
      peer.send("GET \(engine)polling HTTP/1.1\r\nHost: x\r\n\r\n")
      let sid = try PollingClient.sid(in: try EndpointTests.answer(to: peer, fixture).body)
      let method = kind == .body ? "POST" : "GET"
      peer.send(
        "\(method) \(engine)polling&sid=\(sid) HTTP/1.1\r\nHost: x\r\n"
          + (kind == .body ? "Content-Length: 5\r\n\r\n4" : "\r\n"))
    case .silent, .socket, .namespaceless: break
    }
    try fixture.turn(2)
    return peer
  }

  @Test(
    "the stranger that has been idle longest makes room for the next", arguments: Idler.allCases)
  func strangers(kind: Idler) throws {
    let fixture = try Self.fixture { $0.limits.unauthenticatedLimit = 4 }
    let user = try fixture.session("u")
    let idler = try Self.idle(kind, fixture)
    try fixture.pass(milliseconds: 5)
    var others: [TestPeer] = []
    while fixture.core.fileBudget.strangerCount < 4 {
      others.append(try fixture.connect())
      try fixture.pass(milliseconds: 5)
    }
    #expect(!idler.connection.hasEnded)
    let next = try fixture.connect()
    // A polled session is a stranger of its own, as old as the connection of its request.
    let isPolled = kind == .body || kind == .poll
    try fixture.turn(until: {
      idler.connection.hasEnded || isPolled && fixture.shard.engineSessionCount == 0
    })
    #expect(next.connection.state == .http && user.connection.state == .session)
    let answer = try Self.ask("/api/notifications/stats", Self.bearer("v"), next, fixture)
    #expect(answer.hasPrefix("HTTP/1.1 200"))
    #expect(Self.count(.idleClosed, fixture) >= 1 && fixture.core.fileBudget.strangerCount <= 4)
    #expect(Self.count(.refusedUnauthenticated, fixture) == 0)
    withExtendedLifetime(others) {}
  }

  @Test("a stranger that sends is idle later than one that does not")
  func order() throws {
    let fixture = try Self.fixture { $0.limits.unauthenticatedLimit = 3 }
    let peers = try (0..<3).map { _ in
      try fixture.pass(milliseconds: 5)
      return try fixture.connect()
    }
    try fixture.pass(milliseconds: 5)
    _ = try Self.ask("/healthz", "", peers[0], fixture)
    try fixture.pass(milliseconds: 5)
    let fourth = try fixture.connect()
    #expect(peers.map(\.connection.hasEnded) == [false, true, false])
    try fixture.pass(milliseconds: 5)
    let fifth = try fixture.connect()
    #expect(peers.map(\.connection.hasEnded) == [false, true, true])
    withExtendedLifetime((fourth, fifth)) {}
  }

  @Test("a thousand strangers that come one by one end the oldest each time, and a user stays")
  func churn() throws {
    let fixture = try Self.fixture { $0.limits.unauthenticatedLimit = 100 }
    let user = try fixture.session("u")
    var sockets: [VirtualSocket] = []
    for _ in 0..<1_000 {
      sockets.append(try fixture.arrive())
      fixture.script.elapsed += 1
    }
    #expect(fixture.core.fileBudget.strangerCount == 100)
    #expect(Self.count(.idleClosed, fixture) == 900)
    #expect(user.connection.state == .session)
  }

  @Test("a request of a session with a user is no stranger's")
  func polls() throws {
    let fixture = try Self.fixture { $0.limits.unauthenticatedLimit = 100 }
    let client = try PollingClient(fixture, "/socket.io/")
    #expect(fixture.core.fileBudget.strangerCount == 3)
    #expect(try client.post(#"40{"token":"\#(ShardFixture.token("u"))"}"#) == 200)
    #expect(fixture.core.fileBudget.strangerCount == 2)
    try client.begin()
    #expect(fixture.core.fileBudget.strangerCount == 1)
    #expect(try client.post("3") == 200)
    #expect(fixture.core.fileBudget.strangerCount == 0)
  }

  // MARK: Files

  @Test("without a free file the longest idle ends, before accepting pauses")
  func outOfFiles() throws {
    let fixture = try Self.fixture()
    let user = try fixture.connect()
    _ = try Self.ask("/api/notifications/stats", Self.bearer("u"), user, fixture)
    try fixture.pass(milliseconds: 5)
    let stranger = try fixture.connect()
    _ = try Self.ask("/healthz", "", stranger, fixture)
    try fixture.pass(milliseconds: 5)
    fixture.script.failingAccepts = 1
    let next = try fixture.connect()
    // It has been idle for less time, and is kept for less.
    #expect(stranger.connection.hasEnded && !user.connection.hasEnded)
    _ = try Self.ask("/api/notifications/stats", Self.bearer("u"), next, fixture)
    try fixture.pass(milliseconds: 5)
    fixture.script.failingAccepts = 2
    // That of a user ends only after the time that every connection has.
    let waiting = try TestPeer(port: fixture.ports[0])
    try fixture.turn(until: { Self.count(.acceptPauses, fixture) == 1 })
    #expect(!user.connection.hasEnded && !next.connection.hasEnded)
    try fixture.pass(milliseconds: 74_995)
    fixture.script.failingAccepts = 1
    let last = try fixture.connect()
    #expect(user.connection.hasEnded && !next.connection.hasEnded)
    #expect(last.connection.state == .http && Self.count(.acceptPauses, fixture) == 1)
    withExtendedLifetime(waiting) {}
    #expect(Self.count(.idleClosed, fixture) >= 2)
  }

  @Test("sessions and waiting requests are not idle: accepting pauses")
  func busy() throws {
    let fixture = try Self.fixture()
    let session = try fixture.session("u")
    let waiting = try fixture.connect()
    waiting.send("GET /api/v1/notifications HTTP/1.1\r\nHost: x\r\n\(Self.bearer("u"))\r\n")
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.pass(milliseconds: 5)
    fixture.script.failingAccepts = 2
    let next = try TestPeer(port: fixture.ports[0])
    try fixture.turn(until: { Self.count(.acceptPauses, fixture) == 1 })
    #expect(session.connection.state == .session && !waiting.connection.hasEnded)
    try fixture.pass(milliseconds: 10)
    try fixture.turn(until: { fixture.shard.connectionCount == 3 })
    _ = try Self.ask("/healthz", "", next, fixture)
  }

  @Test("near the limit of files each further connection ends the longest idle one")
  func nearLimit() throws {
    // Every descriptor is near it.
    let fixture = try Self.fixture(fileLimit: 1)
    let first = try fixture.connect()
    try fixture.pass(milliseconds: 5)
    let second = try fixture.connect()
    #expect(first.connection.hasEnded && second.connection.state == .http)
  }

  @Test("a shard without idle connections has another shard end one")
  func shards() throws {
    let fixture = try Self.fixture(shardCount: 2)
    let idle = try fixture.connect(to: 0)
    try fixture.pass(milliseconds: 5)
    fixture.script.failingAccepts = 2
    let next = try TestPeer(port: fixture.ports[1])
    try fixture.turn(until: { idle.connection.hasEnded })
    try fixture.pass(milliseconds: 10)
    try fixture.turn(until: { fixture.shards[1].connectionCount == 1 })
    withExtendedLifetime(next) {}
  }

  // MARK: Keep-alive

  @Test("an idle connection stays 75 s, after a request with a token and for a proxy 620 s")
  func keepAlive() throws {
    for proxies in [[], ["127.0.0.1"]] {
      let fixture = try Self.fixture { configuration in
        configuration.trustedProxies = TrustedProxies(proxies.compactMap { AddressRange($0) })
      }
      let anonymous = try fixture.connect()
      _ = try Self.ask("/healthz", "", anonymous, fixture)
      let before = try fixture.connect()
      _ = try Self.ask("/api/notifications/stats", Self.bearer("u"), before, fixture)
      _ = try Self.ask("/healthz", "", before, fixture)
      let user = try fixture.connect()
      _ = try Self.ask("/healthz", "", user, fixture)
      _ = try Self.ask("/api/notifications/stats", Self.bearer("u"), user, fixture)
      try fixture.pass(milliseconds: 74_000)
      #expect(!anonymous.connection.hasEnded && !before.connection.hasEnded)
      try fixture.pass(milliseconds: 2_000)
      let isProxy = !proxies.isEmpty
      #expect(anonymous.connection.hasEnded == !isProxy && before.connection.hasEnded == !isProxy)
      try fixture.pass(milliseconds: 543_000)
      #expect(!user.connection.hasEnded && anonymous.connection.hasEnded == !isProxy)
      try fixture.pass(milliseconds: 2_000)
      #expect(user.connection.hasEnded && anonymous.connection.hasEnded)
    }
  }
}
