// Connections through proxies: the address that they count under, and that they are never local.

import Reactor
import Testing

@testable import Server

@Suite("Clients through proxies")
struct ClientAddressTests {
  private static func fixture(
    trusting list: [String] = [], _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> ShardFixture {
    try ShardFixture { configuration in
      configuration.trustedProxies = TrustedProxies(list.compactMap { AddressRange($0) })
      change(&configuration)
    }
  }

  /// The head of the answer to a request on an open connection.
  private static func ask(
    _ path: String, _ fields: String = "", _ peer: TestPeer, _ fixture: ShardFixture
  ) throws -> String {
    peer.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n")
    return try EndpointTests.answer(to: peer, fixture).head
  }

  private static func through(_ client: String) -> String { "X-Forwarded-For: \(client)\r\n" }

  private static func sizes(_ fixture: ShardFixture) -> QuotaSizes {
    fixture.core.quotas.sizes(at: .max)
  }

  @Test(
    "a request through a proxy is not one of this machine, trusted or not",
    arguments: [
      "Forwarded: for=127.0.0.1", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1",
      "X-Forwarded-Proto: https", "Via: 1.1 nginx", "x-forwarded-for: unknown",
    ])
  func metrics(field: String) throws {
    for trusted in [[], ["127.0.0.1"]] {
      let fixture = try Self.fixture(trusting: trusted)
      let direct = try fixture.connect()
      #expect(try Self.ask("/metrics", "", direct, fixture).hasPrefix("HTTP/1.1 200 "))
      let proxied = try fixture.connect()
      let head = try Self.ask("/metrics", field + "\r\n", proxied, fixture)
      #expect(head.hasPrefix("HTTP/1.1 401 "))
      // The proxy may send its own requests on the same connection.
      #expect(try Self.ask("/metrics", "", proxied, fixture).hasPrefix("HTTP/1.1 401 "))
      let token = ShardFixture.token("p", scopes: ["publish"])
      let asked = "\(field)\r\nAuthorization: Bearer \(token)\r\n"
      #expect(try Self.ask("/metrics", asked, proxied, fixture).hasPrefix("HTTP/1.1 200 "))
    }
  }

  @Test("each client of a trusted proxy has its own limit, and the proxy has none")
  func limit() throws {
    let fixture = try Self.fixture(trusting: ["127.0.0.0/8"]) {
      $0.limits.connectionsPerAddressLimit = 2
    }
    let peers = try (0..<6).map { _ in try fixture.connect() }
    #expect(Self.sizes(fixture).addresses == 0)
    func status(_ number: Int, _ client: String) throws -> String {
      String(
        try Self.ask("/healthz", Self.through(client), peers[number], fixture).dropFirst(9)
          .prefix(3))
    }
    #expect(try status(0, "203.0.113.9") == "200")
    #expect(try status(1, "198.51.100.1, 203.0.113.9") == "200")
    let refused = try Self.ask("/healthz", Self.through("203.0.113.9"), peers[2], fixture)
    #expect(refused.hasPrefix("HTTP/1.1 429 ") && refused.contains("\r\nConnection: close\r\n"))
    #expect(try status(3, "203.0.113.10") == "200")
    // The same client again on the connection that counts for it.
    #expect(try status(0, "203.0.113.9") == "200")
    #expect(Self.sizes(fixture).addresses == 2)
    peers[1].endSending()
    try fixture.turn(until: { peers[1].connection.hasEnded })
    #expect(try status(4, "203.0.113.9") == "200")
    for peer in peers { peer.endSending() }
    try fixture.turn(until: { fixture.shard.connectionCount == 0 })
    #expect(Self.sizes(fixture).addresses == 0)
  }

  @Test("a connection that a proxy keeps open counts for the client of its latest request")
  func keptOpen() throws {
    let fixture = try Self.fixture(trusting: ["127.0.0.1"]) {
      $0.limits.connectionsPerAddressLimit = 1
    }
    let peer = try fixture.connect()
    for number in 1...20 {
      let head = try Self.ask("/healthz", Self.through("203.0.113.\(number)"), peer, fixture)
      #expect(head.hasPrefix("HTTP/1.1 200 "))
      #expect(Self.sizes(fixture).addresses == 1)
    }
    let other = try fixture.connect()
    #expect(
      try Self.ask("/healthz", Self.through("203.0.113.1"), other, fixture)
        .hasPrefix("HTTP/1.1 200 "))
    peer.endSending()
    other.endSending()
    try fixture.turn(until: { fixture.shard.connectionCount == 0 })
    #expect(Self.sizes(fixture).addresses == 0)
  }

  @Test("the default limits hold for the clients of a proxy on this machine, trusted or not")
  func defaults() throws {
    for trusted in [[], ["127.0.0.1"]] {
      let fixture = try Self.fixture(trusting: trusted)
      let peers = try (0...Limits.standardConnectionsPerAddress).map { _ in try fixture.connect() }
      #expect(Self.sizes(fixture).addresses == 0)
      for (number, peer) in peers.enumerated() {
        let head = try Self.ask("/healthz", Self.through("203.0.113.9"), peer, fixture)
        let isOver = number == Limits.standardConnectionsPerAddress
        #expect(head.hasPrefix("HTTP/1.1 \(isOver ? 429 : 200) "))
      }
    }
  }

  @Test("direct connections of this machine stay uncounted, also where it is a trusted proxy")
  func direct() throws {
    for trusted in [[], ["127.0.0.1", "::1"]] {
      let fixture = try Self.fixture(trusting: trusted)
      for _ in 0...Limits.standardConnectionsPerAddress {
        let peer = try fixture.connect()
        #expect(try Self.ask("/healthz", "", peer, fixture).hasPrefix("HTTP/1.1 200 "))
      }
      #expect(Self.sizes(fixture).addresses == 0)
    }
  }

  @Test("only connections that stay count at the connect rate of a proxy's client")
  func rate() throws {
    let fixture = try Self.fixture(trusting: ["127.0.0.1"]) {
      $0.limits.connectRate = RateLimit(perSecond: 1, burst: 2)
    }
    for _ in 0..<10 {
      let peer = try fixture.connect()
      let head = try Self.ask("/healthz", Self.through("203.0.113.9"), peer, fixture)
      #expect(head.hasPrefix("HTTP/1.1 200 "))
    }
    for number in 0..<3 {
      let peer = try fixture.connect()
      let fields =
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\(Self.through("203.0.113.9"))"
        + "Authorization: Bearer \(ShardFixture.token("u"))\r\n"
      peer.send("GET /api/ws HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n")
      try fixture.turn(until: { peer.receive().headEnd != nil })
      #expect(peer.received.text.hasPrefix("HTTP/1.1 \(number < 2 ? 101 : 429) "))
    }
  }

  @Test("the sessions of a user count through a proxy, those of this machine do not")
  func sessions() throws {
    let fixture = try Self.fixture(trusting: ["127.0.0.1"])
    // Held, because a session ends with its peer.
    var peers: [TestPeer] = []
    for _ in 0..<(2 * Limits.standardSessionsPerUser) { peers.append(try fixture.session("u")) }
    for _ in 0...Limits.standardSessionsPerUser {
      #expect(fixture.shard.sessionCount == peers.count)
      peers.append(try fixture.session("u", fields: Self.through("203.0.113.9")))
    }
    #expect(fixture.shard.sessionCount == peers.count - 1)
    #expect(peers.count == 3 * Limits.standardSessionsPerUser + 1)
  }

  @Test("a PROXY header names the client of a connection, if a trusted proxy sends it")
  func proxyHeader() throws {
    let line = "PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n"
    let binary =
      [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 12,
        203, 0,
        113, 9, 192, 0, 2, 1, 0, 1, 0, 80,
      ] as [UInt8]
    for header in [Array(line.utf8), binary] {
      let fixture = try Self.fixture(trusting: ["127.0.0.1"]) {
        $0.limits.connectionsPerAddressLimit = 1
      }
      let peer = try fixture.connect()
      for byte in header {
        peer.send([byte])
        try fixture.turn()
      }
      // The client's own header does not change its address.
      let own = Self.through("198.51.100.1")
      #expect(try Self.ask("/metrics", own, peer, fixture).hasPrefix("HTTP/1.1 401 "))
      #expect(Self.sizes(fixture).addresses == 1)
      let second = try fixture.connect()
      second.send(header)
      #expect(try EndpointTests.answer(to: second, fixture).head.hasPrefix("HTTP/1.1 429 "))
      let other = try fixture.connect()
      other.send("PROXY UNKNOWN\r\n")
      #expect(try Self.ask("/healthz", "", other, fixture).hasPrefix("HTTP/1.1 200 "))
      #expect(try Self.ask("/metrics", "", other, fixture).hasPrefix("HTTP/1.1 401 "))
    }
    let fixture = try Self.fixture()
    let peer = try fixture.connect()
    peer.send(line)
    let (head, body) = try EndpointTests.answer(to: peer, fixture)
    #expect(head.hasPrefix("HTTP/1.1 400 ") && body.contains("--trusted-proxies"))
  }

  @Test("a session of Socket.IO by polling counts for the client of the proxy")
  func polling() throws {
    let fixture = try Self.fixture(trusting: ["127.0.0.1"]) {
      $0.limits.connectionsPerAddressLimit = 2
    }
    let path = "/socket.io/?EIO=4&transport=polling"
    let first = try fixture.connect()
    let head = try Self.ask(path, Self.through("203.0.113.9"), first, fixture)
    #expect(head.hasPrefix("HTTP/1.1 200 "))
    // The connection and the session itself.
    let second = try fixture.connect()
    let refused = try Self.ask(path, Self.through("203.0.113.9"), second, fixture)
    #expect(refused.hasPrefix("HTTP/1.1 429 "))
    let other = try fixture.connect()
    let admitted = try Self.ask(path, Self.through("203.0.113.10"), other, fixture)
    #expect(admitted.hasPrefix("HTTP/1.1 200 "))
  }
}
