// The answer of each transport to a client over a limit or a rate, and the counts, which are zero
// again once all connections have ended.

import Notifications
import TestSupport
import Testing
import Wire

@testable import Server

@Suite("At the limits")
struct LimitingTests {
  static func fixture(_ change: (inout Limits) -> Void) throws -> ShardFixture {
    try ShardFixture { change(&$0.limits) }
  }

  /// The answer that the peer gets before it has sent anything.
  private static func rejectionAnswer(_ peer: TestPeer, _ fixture: ShardFixture) throws -> String {
    let answer = try EndpointTests.answer(to: peer, fixture)
    try fixture.turn(until: {
      peer.receive()
      return peer.isEnded
    })
    return answer.head + answer.body
  }

  private static func count(_ counter: Counter, _ fixture: ShardFixture) -> Int {
    fixture.core.metrics[0].value(counter)
  }

  private static func sizes(_ fixture: ShardFixture) -> QuotaSizes {
    fixture.core.quotas.sizes(at: .max)
  }

  // MARK: Admission

  // Case 63
  @Test func `a connection past its address' limit gets 429, unread, and stays out`() throws {
    let fixture = try Self.fixture { $0.connectionsPerAddressLimit = 3 }
    let first = try (0..<3).map { _ in try fixture.connect() }
    let one = try fixture.connect()
    let text = try Self.rejectionAnswer(one, fixture)
    #expect(text.hasPrefix("HTTP/1.1 429 "))
    #expect(text.contains("Retry-After: 5\r\n") && text.contains("Connection: close\r\n"))
    #expect(text.contains(#""code":"too_many_connections""#))
    #expect(text.contains("an address has at most 3 connections"))
    #expect(Self.count(.refusedByAddress, fixture) == 1)
    #expect(Self.count(.refusedConnections, fixture) == 1)
    #expect(Self.count(.accepted, fixture) == 3)
    // Bytes after that are not parsed as a request.
    one.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    let wait = one.connection.lastReceivedAt
    try fixture.pass(milliseconds: 1)
    try fixture.turn(until: { one.connection.lastReceivedAt > wait })
    #expect(Self.count(.requests, fixture) == 0)
    // It stays for as long as a closing connection may, and takes none of the three slots.
    try fixture.pass(milliseconds: 2_000)
    #expect(one.connection.hasEnded)
    #expect(fixture.shard.rejectedCount == 0)
    first[0].endSending()
    try fixture.turn(until: { fixture.shard.connectionCount == 2 })
    let next = try fixture.connect()
    next.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(try EndpointTests.answer(to: next, fixture).head.hasPrefix("HTTP/1.1 200"))
  }

  @Test func `a connection too soon gets its waiting time, and is admitted after it`() throws {
    let fixture = try Self.fixture { $0.connectRate = RateLimit(perSecond: 1, burst: 2) }
    let early = try (0..<2).map { _ in try fixture.connect() }
    #expect(early.allSatisfy { $0.connection.state == .http })
    var refused: [TestPeer] = []
    for _ in 0..<5 {
      refused.append(try fixture.connect())
      let text = try Self.rejectionAnswer(refused[refused.count - 1], fixture)
      #expect(text.hasPrefix("HTTP/1.1 429 ") && text.contains("Retry-After: 1\r\n"))
      #expect(text.contains(#""code":"rate_limited""#))
      #expect(text.contains("an address opens at most 1 connections a second"))
    }
    #expect(Self.count(.refusedByAddressRate, fixture) == 5)
    try fixture.pass(milliseconds: 1_000)
    let later = try fixture.connect()
    #expect(later.connection.state == .http)
    let again = try fixture.connect()
    #expect(again.connection.state != .http)
  }

  @Test func `seconds are rounded up`() throws {
    let fixture = try Self.fixture { $0.connectRate = RateLimit(perSecond: 1, burst: 3) }
    let peers = try (0..<4).map { _ in try fixture.connect() }
    #expect(try Self.rejectionAnswer(peers[3], fixture).contains("Retry-After: 1\r\n"))
    try fixture.pass(milliseconds: 1)
    let later = try fixture.connect()
    #expect(try Self.rejectionAnswer(later, fixture).contains("Retry-After: 1\r\n"))
    #expect(ShardView.wholeSeconds(1) == 1 && ShardView.wholeSeconds(1_000_000_000) == 1)
    #expect(ShardView.wholeSeconds(1_000_000_001) == 2 && ShardView.wholeSeconds(0) == 1)
    #expect(ShardView.wholeSeconds(.max) == 18_446_744_074)
  }

  @Test func `only a bounded number of rejected connections stays open`() throws {
    let fixture = try Self.fixture { limits in
      limits.connectionsPerAddressLimit = 1
      limits.rejectedPerShardLimit = 3
    }
    let first = try fixture.connect()
    let others = try (0..<3).map { _ in try fixture.connect() }
    #expect(fixture.shard.rejectedCount == 3)
    let last = try TestPeer(port: fixture.ports[0])
    try fixture.turn(until: {
      last.receive()
      return last.isEnded
    })
    #expect(last.received.isEmpty)
    #expect(fixture.shard.rejectedCount == 3 && fixture.shard.connectionCount == 4)
    #expect(Self.count(.refusedByAddress, fixture) == 4)
    for peer in others { #expect(peer.receive().text.hasPrefix("HTTP/1.1 429 ")) }
    try fixture.pass(milliseconds: 3_000)
    #expect(fixture.shard.rejectedCount == 0 && fixture.shard.connectionCount == 1)
    #expect(first.connection.state == .http)
  }

  // Case 63
  @Test func `those that have shown no token are bounded, and showing one makes room`() throws {
    let fixture = try Self.fixture { $0.unauthenticatedLimit = 2 }
    let peers = try (0..<2).map { _ in try fixture.connect() }
    // Both have just come, so neither is idle.
    let text = try Self.rejectionAnswer(try fixture.connect(), fixture)
    #expect(text.hasPrefix("HTTP/1.1 503 ") && text.contains("Retry-After: "))
    #expect(text.contains("too many connections lack a token"))
    #expect(Self.count(.refusedUnauthenticated, fixture) == 1)
    // A request that needs no token shows none, and an invalid token does not count.
    peers[0].send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    _ = try EndpointTests.answer(to: peers[0], fixture)
    peers[0].send("GET /api/v1/notifications HTTP/1.1\r\nHost: x\r\nX-API-Key: no\r\n\r\n")
    _ = try EndpointTests.answer(to: peers[0], fixture)
    #expect(fixture.shard.unauthenticatedCount == 2)
    peers[0].send(
      "GET /api/notifications/stats HTTP/1.1\r\nHost: x\r\n"
        + "Authorization: Bearer \(ShardFixture.token("u"))\r\n\r\n")
    _ = try EndpointTests.answer(to: peers[0], fixture)
    #expect(fixture.shard.unauthenticatedCount == 1)
    let session = try fixture.session("u")
    #expect(session.connection.state == .session)
    #expect(fixture.shard.unauthenticatedCount == 1)
    // A WebSocket counts until it has sent its token.
    let waiting = try fixture.session(nil, path: "/api/notifications/ws")
    #expect(fixture.shard.unauthenticatedCount == 2)
    waiting.say(#"{"type":"auth","token":"\#(ShardFixture.token("u"))"}"#)
    try fixture.turn(until: { fixture.shard.unauthenticatedCount == 1 })
    for peer in [peers[0], peers[1], session, waiting] { peer.endSending() }
    try fixture.turn(until: { fixture.shard.connectionCount <= 1 })
    #expect(fixture.shard.unauthenticatedCount == 0)
  }

  // Case 63
  @Test func `however two thousand connections end, all counts return to zero`() throws {
    let fixture = try Self.fixture { limits in
      limits.connectionsPerAddressLimit = 4
      limits.sessionsPerUserLimit = 2
      limits.unauthenticatedLimit = 4
      limits.connectRate = RateLimit(perSecond: 1_000_000, burst: 1_000_000)
    }
    var random = SeededGenerator.announced()
    let token = ShardFixture.token("u")
    var open: [TestPeer] = []
    for _ in 0..<2_000 {
      if open.count == 6 { open.remove(at: Int.random(in: 0..<6, using: &random)) }
      let peer = try TestPeer(port: fixture.ports[0])
      try fixture.turn()
      switch Int.random(in: 0..<5, using: &random) {
      case 0: peer.sendIfOpen("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
      case 1:
        peer.sendIfOpen("GET /notifications/events?token=\(token) HTTP/1.1\r\nHost: x\r\n\r\n")
      case 2:
        peer.sendIfOpen(
          "GET /api/v1/notifications/poll?since=test.5&token=\(token) HTTP/1.1\r\nHost: x\r\n\r\n")
      case 3: peer.endSending()
      default: break
      }
      open.append(peer)
      try fixture.turn(Int.random(in: 0..<3, using: &random))
      #expect(Self.sizes(fixture).addresses <= 1)
    }
    open = []
    try fixture.turn(until: {
      while !fixture.store.reads.isEmpty {
        try? fixture.store.answer(PollTests.page([], through: 5))
      }
      return fixture.shard.storeReads == (0, 0)
    })
    try fixture.pass(milliseconds: 3_000)
    try fixture.turn(until: { fixture.shard.connectionCount == 0 })
    #expect(Self.sizes(fixture) == QuotaSizes(addresses: 0, users: 0, buckets: 0))
    #expect(fixture.shard.unauthenticatedCount == 0 && fixture.shard.rejectedCount == 0)
    #expect(Self.count(.refusedByAddress, fixture) > 0)
  }

  // MARK: Sessions of a user

  private static let polling = "/api/v1/notifications/poll?since=test.5&wait=60"

  private static func ask(_ path: String, _ fixture: ShardFixture) throws -> TestPeer {
    let peer = try fixture.connect()
    peer.send(
      "GET \(path) HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(ShardFixture.token("u"))\r\n\r\n")
    return peer
  }

  private static func upgrade(_ path: String, _ fixture: ShardFixture) throws -> TestPeer {
    try fixture.session("u", path: path)
  }

  // Case 63
  @Test(
    "a WebSocket past its user's limit is answered 429 instead of the upgrade",
    arguments: ["/api/ws", "/api/v1/ws/notifications", "/ws/connect", "/api/notifications/ws"])
  func refusedUpgrade(path: String) throws {
    let fixture = try Self.fixture { $0.sessionsPerUserLimit = 1 }
    let first = try Self.upgrade("/api/ws", fixture)
    let other = try fixture.session("somebody else", path: path)
    #expect(first.connection.state == .session && other.connection.state == .session)
    let peer = try fixture.connect()
    peer.send(Self.upgradeRequest(path))
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 429 ") && answer.head.contains("Retry-After: "))
    #expect(answer.head.contains("Connection: close"))
    #expect(Self.count(.sessionsRefused, fixture) == 1)
  }

  private static func upgradeRequest(_ path: String) -> String {
    "GET \(path) HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      + "Authorization: Bearer \(ShardFixture.token("u"))\r\n\r\n"
  }

  @Test(
    "a stream and a poll past the user's limit are answered 429, and the connection stays",
    arguments: ["/notifications/events", polling])
  func refusedRequest(path: String) throws {
    let fixture = try Self.fixture { $0.sessionsPerUserLimit = 1 }
    let first = try Self.upgrade("/api/ws", fixture)
    let peer = try Self.ask(path, fixture)
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 429 ") && answer.head.contains("Retry-After: "))
    #expect(!answer.head.contains("Connection: close"))
    #expect(answer.body.contains("a user has at most 1 connections"))
    #expect(peer.connection.state == .http)
    // A HEAD request opens no stream, so it is not counted.
    peer.send(
      "HEAD /notifications/events HTTP/1.1\r\nHost: x\r\n"
        + "Authorization: Bearer \(ShardFixture.token("u"))\r\n\r\n")
    try fixture.turn(until: { peer.receive().text.hasPrefix("HTTP/1.1 200") })
    first.endSending()
    try fixture.turn(until: { first.connection.hasEnded })
    let next = try Self.upgrade("/api/ws", fixture)
    #expect(next.connection.state == .session)
  }

  @Test func `a token that comes in a message past the user's limit closes with 1008`() throws {
    let fixture = try Self.fixture { $0.sessionsPerUserLimit = 1 }
    let first = try Self.upgrade("/api/ws", fixture)
    let peer = try fixture.session(nil, path: "/api/notifications/ws")
    peer.say(#"{"type":"auth","token":"\#(ShardFixture.token("u"))"}"#)
    try fixture.turn(until: { peer.connection.state != .session })
    try fixture.turn(2)
    #expect(try peer.frames() == ["close 1008"])
    #expect(Self.count(.sessionsRefused, fixture) == 1)
    #expect(first.connection.state == .session)
  }

  @Test func `a poll counts while it waits, and not between two polls`() throws {
    let fixture = try Self.fixture { $0.sessionsPerUserLimit = 1 }
    let peer = try Self.ask(Self.polling, fixture)
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    #expect(Self.sizes(fixture).users == 1)
    let other = try Self.ask(Self.polling, fixture)
    #expect(try EndpointTests.answer(to: other, fixture).head.hasPrefix("HTTP/1.1 429 "))
    try fixture.store.answer(PollTests.page([6], through: 6))
    #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200"))
    #expect(Self.sizes(fixture).users == 0)
    // A poll that the store does not take is not counted either.
    fixture.store.isFull = true
    let refused = try Self.ask(Self.polling, fixture)
    #expect(try EndpointTests.answer(to: refused, fixture).head.hasPrefix("HTTP/1.1 503 "))
    #expect(Self.sizes(fixture).users == 0)
  }

  @Test func `where the newest wins, the oldest session ends as its transport does`() throws {
    let fixture = try Self.fixture { limits in
      limits.sessionsPerUserLimit = 1
      limits.whenUserFull = .replace
    }
    let socket = try Self.upgrade("/api/v1/ws/notifications", fixture)
    let stream = try Self.ask("/notifications/events", fixture)
    try fixture.turn(until: { socket.connection.state != .session })
    try fixture.turn(2)
    #expect(try socket.frames().last == "close 1008")
    try fixture.turn(until: { stream.receive().headEnd != nil })
    let poll = try Self.ask(Self.polling, fixture)
    try fixture.turn(until: {
      stream.receive()
      return stream.isEnded
    })
    // The replaced poll is answered with the present page once the store has read it.
    let last = try Self.upgrade("/api/ws", fixture)
    try fixture.turn(2)
    // The reads of one user follow one after the other, each session's before the poll's.
    try fixture.turn(until: {
      guard let read = fixture.store.reads.first else { return false }
      if case .missed = read.query { return true }
      try? fixture.store.answer(.position(5, ReplaySessionTests.counts(0)))
      return false
    })
    try fixture.store.answer(PollTests.page([], through: 5))
    #expect(try EndpointTests.answer(to: poll, fixture).head.hasPrefix("HTTP/1.1 200"))
    #expect(last.connection.state == .session)
    #expect(Self.count(.sessionsReplaced, fixture) == 3)
    #expect(fixture.shard.sessionCount == 1)
    last.endSending()
    try fixture.turn(until: { last.connection.hasEnded })
    #expect(Self.sizes(fixture).users == 0)
  }

  // MARK: Rates

  /// Turns until the shard has received `frames` frames in all.
  private static func hear(_ frames: Int, _ fixture: ShardFixture) throws {
    try fixture.turn(until: { count(.framesReceived, fixture) == frames })
    try fixture.turn()
  }

  @Test(
    "too many messages close with 1008",
    arguments: ["/api/ws", "/api/v1/ws/notifications", "/api/notifications/ws"])
  func closedForMessages(path: String) throws {
    let fixture = try Self.fixture { $0.messageRate = RateLimit(perSecond: 1, burst: 3) }
    let peer = try fixture.session("u", path: path)
    for _ in 0..<3 { peer.say("{}") }
    try Self.hear(3, fixture)
    #expect(peer.connection.state == .session)
    try fixture.pass(milliseconds: 1_000)
    peer.say("{}")
    try Self.hear(4, fixture)
    #expect(peer.connection.state == .session)
    peer.say("{}")
    try fixture.turn(until: { peer.connection.state != .session })
    try fixture.turn(2)
    #expect(try peer.frames().last == "close 1008")
    #expect(Self.count(.messagesRefused, fixture) == 1)
    #expect(Self.count(.messageFloods, fixture) == 1)
  }

  @Test func `pings and binary messages count too, and a close frame is accepted at any rate`()
    throws
  {
    let fixture = try Self.fixture { $0.messageRate = RateLimit(perSecond: 1, burst: 2) }
    let peer = try fixture.session("u", path: "/api/ws")
    peer.sendFrame(.ping)
    peer.sendFrame(.binary)
    try Self.hear(2, fixture)
    #expect(try peer.frames() == ["pong"])
    peer.sendFrame(.close)
    try fixture.turn(until: { peer.connection.state != .session })
    try fixture.turn(2)
    #expect(try peer.frames() == ["close 1000"])
    let other = try fixture.session("u", path: "/api/ws")
    for _ in 0..<3 { other.sendFrame(.ping) }
    try fixture.turn(until: { other.connection.state != .session })
    try fixture.turn(2)
    #expect(try other.frames() == ["pong", "pong", "close 1008"])
  }

  @Test func `typed reports each rejected message and closes on a flood`() throws {
    let fixture = try Self.fixture { $0.messageRate = RateLimit(perSecond: 1, burst: 2) }
    let peer = try fixture.session("u", path: "/ws/connect")
    for _ in 0..<2 { peer.say("{}") }
    try Self.hear(2, fixture)
    _ = try peer.frames()
    for _ in 0..<3 { peer.say(#"{"type":"ping"}"#) }
    peer.sendFrame(.ping)
    peer.sendFrame(.binary)
    try Self.hear(7, fixture)
    let told = try peer.frames()
    #expect(told.count == 3)
    for text in told {
      #expect(
        text.hasPrefix(
          #"{"type":"error","data":{"code":"rate_limited","message":"at most 1 messages a second: "#
        ))
    }
    #expect(peer.connection.state == .session)
    #expect(Self.count(.messagesRefused, fixture) == 5)
    // Two accepted and five rejected: thirteen more make ten times the two.
    for _ in 0..<13 { peer.say("{}") }
    try Self.hear(20, fixture)
    #expect(peer.connection.state == .session)
    peer.say("{}")
    try fixture.turn(until: { peer.connection.state != .session })
    try fixture.turn(2)
    #expect(try peer.frames().last == "close 1008")
    #expect(Self.count(.messageFloods, fixture) == 1)
  }

  @Test func `a client that does not read gets no more errors`() throws {
    let fixture = try Self.fixture { $0.messageRate = RateLimit(perSecond: 1, burst: 1) }
    let peer = try fixture.session("u", path: "/ws/connect")
    peer.say("{}")
    try Self.hear(1, fixture)
    fixture.script.room[peer.serverDescriptor] = 0
    peer.say("{}")
    try fixture.turn(until: { peer.connection.isBlocked })
    let queued = peer.connection.queuedByteCount
    for _ in 0..<5 { peer.say("{}") }
    try fixture.turn(until: { Self.count(.messagesRefused, fixture) == 6 })
    #expect(peer.connection.queuedByteCount == queued)
  }

  @Test(
    "any publish counts as one request, and one too soon is 429",
    arguments: [
      "/api/v1/notifications", "/api/v1/notifications/batch", "/api/v1/websocket/send/system",
      "/api/v1/websocket/live/broadcast",
    ])
  func publishRate(path: String) throws {
    let fixture = try Self.fixture { $0.publishRate = RateLimit(perSecond: 1, burst: 2) }
    let line = "POST \(path)"
    var peers: [TestPeer] = []
    func isRefused(_ user: String) throws -> Bool {
      let peer = try fixture.connect()
      peers.append(peer)
      peer.send(EndpointTests.request(line, user: user))
      let answer = try EndpointTests.answer(to: peer, fixture)
      if answer.head.hasPrefix("HTTP/1.1 429 ") {
        #expect(answer.head.contains("Retry-After: 1\r\n"))
        #expect(answer.body.contains(#""code":"rate_limited""#))
        #expect(answer.body.contains("at most 1 publishes a second"))
        return true
      }
      return false
    }
    #expect(try [isRefused("p"), isRefused("p"), isRefused("p")] == [false, false, true])
    #expect(try !isRefused("another"))
    try fixture.pass(milliseconds: 1_000)
    #expect(try [isRefused("p"), isRefused("p")] == [false, true])
    #expect(Self.count(.publishesRefused, fixture) == 2)
    // Requests that publish nothing are not counted.
    let peer = try fixture.connect()
    for _ in 0..<5 {
      peer.send(EndpointTests.request("GET /api/notifications/stats", user: "p"))
      #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200"))
    }
  }
}

extension TestPeer {
  /// Sends an empty frame.
  fileprivate func sendFrame(_ opcode: WebSocketOpcode) {
    var frame: [UInt8] = []
    WebSocketFrame.append(opcode, payload: [], maskingKey: 0x1234_5678, into: &frame)
    send(frame)
  }
}
