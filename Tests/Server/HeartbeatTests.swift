// How long a silent client is kept: pings, the traffic that counts as life, the token's expiry, and
// a stall of the shard itself. The clock stands still until the test moves it.

import Testing
import Tokens
import Wire

@testable import Server

@Suite("Heartbeats")
struct HeartbeatTests {
  static func pong() -> [UInt8] {
    var frame: [UInt8] = []
    WebSocketFrame.append(.pong, payload: [], maskingKey: 7, into: &frame)
    return frame
  }

  @Test(
    "a client is pinged at its dialect's interval, and one that answers stays",
    arguments: [
      ("/api/ws", UInt64(54_000)), ("/api/v1/ws/notifications", 30_000), ("/ws/connect", 30_000),
    ])
  func pings(path: String, interval: UInt64) throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u", path: path)
    try fixture.turn()
    _ = try peer.frames()
    for round in 0..<5 {
      try fixture.pass(milliseconds: interval - 1_000)
      #expect(try peer.frames() == [], "too early in round \(round)")
      try fixture.pass(milliseconds: 1_200)
      #expect(try peer.frames() == ["ping"], "round \(round)")
      peer.send(Self.pong())
      try fixture.turn(5)
    }
    #expect(!peer.connection.hasEnded)
  }

  @Test(
    "a client that asked to resume is also sent a heartbeat every 25 s",
    arguments: [
      ("/api/ws", #"{"type":"heartbeat"}"#),
      ("/api/v1/ws/notifications", #"{"event":"heartbeat","data":{},"timestamp":"#),
      ("/ws/connect", #"{"type":"heartbeat","data":{},"timestamp":"#),
    ])
  func visible(path: String, heartbeat: String) throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u", path: path, since: "test.0")
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    try fixture.store.answer(ReplaySessionTests.page([], through: 0))
    try fixture.turn(until: { !peer.connection.isReplaying })
    try fixture.turn(2)
    _ = try peer.frames()
    for round in 0..<4 {
      try fixture.pass(milliseconds: 24_000)
      #expect(try peer.frames() == [], "too early in round \(round)")
      try fixture.pass(milliseconds: 1_200)
      let frames = try peer.frames()
      #expect(frames.count == 2 && frames.first == "ping", "\(frames)")
      #expect(frames.last?.hasPrefix(heartbeat) == true, "\(frames)")
      peer.send(Self.pong())
      try fixture.turn(5)
    }
    #expect(!peer.connection.hasEnded)
  }

  @Test(
    "a client that answers no ping is closed a minute after its last byte",
    arguments: ["/api/ws", "/api/v1/ws/notifications", "/ws/connect"])
  func silence(path: String) throws {
    let fixture = try ShardFixture()
    let silent = try fixture.session("u", path: path)
    let alive = try fixture.session("v", path: path)
    try fixture.turn()
    for _ in 0..<59 {
      try fixture.pass(milliseconds: 1_000)
      alive.send(Self.pong())
      try fixture.turn(2)
    }
    #expect(try !silent.frames().contains { $0.hasPrefix("close") })
    try fixture.pass(milliseconds: 1_200)
    #expect(try silent.frames().contains("close 1001"))
    #expect(try !alive.frames().contains { $0.hasPrefix("close") })
    #expect(fixture.core.metrics[0].value(.timedOut) == 1)
    try fixture.pass(milliseconds: 2_000)
    #expect(fixture.shard.connectionCount == 1)
  }

  @Test func `a stall of the shard times out no client`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    try fixture.turn()
    _ = try peer.frames()
    // As if the process had been stopped for ten minutes. The peer's bytes from that time may
    // still be in the socket buffer.
    fixture.script.elapsed += 600_000
    try fixture.turn(3)
    #expect(try !peer.frames().contains { $0.hasPrefix("close") })
    peer.send(Self.pong())
    try fixture.pass(milliseconds: 20_000)
    #expect(try !peer.frames().contains { $0.hasPrefix("close") })
    // The stall grace period ends.
    try fixture.pass(milliseconds: 61_000)
    #expect(try peer.frames().contains("close 1001"))
  }

  // Case 49
  @Test(
    "a session ends with its token and the leeway, neither before nor a second after",
    arguments: [("/api/ws", "close 1008"), ("/api/v1/ws/notifications", "close 4002")])
  func tokenEnd(path: String, goodbye: String) throws {
    let fixture = try ShardFixture { $0.tokenPolicy.leewaySeconds = 3 }
    let peer = try fixture.connect()
    let now = ShardFixture.startWall / 1_000
    let token = TokenSigner.sign(
      userID: "u", issuedAtSeconds: now, expiresAtSeconds: now + 20, secret: ShardFixture.secret)
    peer.send(
      "GET \(path) HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        + "Authorization: Bearer \(token)\r\n\r\n")
    try fixture.turn(until: { peer.receive().headEnd != nil })
    peer.received.removeFirst(try #require(peer.received.headEnd))
    try fixture.pass(milliseconds: 22_800)
    #expect(try !peer.frames().contains { $0.hasPrefix("close") })
    try fixture.pass(milliseconds: 400)
    #expect(try peer.frames().last == goodbye)
    #expect(fixture.core.metrics[0].value(.tokensExpired) == 1)
  }

  @Test func `a request that is not finished in time is answered 408`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    peer.send("GET /healthz HTTP/1.1\r\nHost:")
    try fixture.turn(3)
    try fixture.pass(milliseconds: 9_800)
    #expect(peer.receive().isEmpty)
    try fixture.pass(milliseconds: 400)
    #expect(peer.receive().text.hasPrefix("HTTP/1.1 408 "))
    try fixture.pass(milliseconds: 2_000)
    #expect(fixture.shard.connectionCount == 0)
  }

  @Test func `a connection that never sends a request is closed`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    try fixture.pass(milliseconds: 9_800)
    #expect(fixture.shard.connectionCount == 1)
    try fixture.pass(milliseconds: 400)
    #expect(fixture.shard.connectionCount == 0)
    #expect(peer.receive().isEmpty)
  }
}
