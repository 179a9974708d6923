// Sessions of the `inbox` dialect: the greeting and the events that may not overtake it, heartbeats
// by messages, tokens that come in messages, and pages read while the inbox changes.

import Notifications
import Testing
import Tokens
import Wire

@testable import Server

@Suite("Inbox sessions")
struct InboxSessionTests {
  static let path = "/api/notifications/ws"

  /// Counts that show their version in the number of unread ones.
  static func counts(_ version: UInt64) -> Counts {
    Counts(total: Int(version), unread: Int(version), unseen: 0, version: version)
  }

  static func stored(_ offset: UInt64) -> Event {
    Event(
      audience: .user("u"),
      body: .stored(ReplaySessionTests.notification(offset), counts(offset)), timestamp: 0,
      offset: offset)
  }

  static func read(_ offset: UInt64) -> Event {
    Event(
      audience: .user("u"), body: .read([DialectTests.id], counts(offset)), timestamp: 0,
      offset: offset)
  }

  static func connected(_ unread: Int) -> String {
    #"{"type":"connected","userId":"u","unreadCount":\#(unread)}"#
  }

  static func auth(_ token: String) -> String { #"{"type":"auth","token":"\#(token)"}"# }

  /// A session that has been greeted, over an empty store.
  static func greeted(_ fixture: ShardFixture, user: String = "u") throws -> TestPeer {
    let peer = try fixture.session(user, path: path)
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    try fixture.store.answer(.position(0, Counts()))
    try fixture.turn(3)
    #expect(try peer.frames().count == 1)
    return peer
  }

  @Test func `nothing overtakes the greeting, and its count includes the events before it`() throws
  {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u", path: Self.path)
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    // The counts are read at 0; both events come before the answer does.
    try fixture.publish(Self.stored(1))
    try fixture.publish(Self.read(2))
    try fixture.turn(3)
    #expect(try peer.frames() == [])
    try fixture.store.answer(.position(0, Self.counts(0)))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    #expect(try peer.frames() == [], "the read was not sent, so the counts are those before it")
    try fixture.store.answer(.position(2, Self.counts(2)))
    try fixture.turn(3)
    #expect(
      try peer.frames() == [Self.connected(2)], "no cursor, since the client did not ask for one")
    try fixture.store.answer(ReplaySessionTests.page([1], through: 2))
    try fixture.turn(3)
    let missed = try peer.frames()
    try #require(missed.count == 2 && missed[0].contains("new_notification"))
    try fixture.publish(Self.stored(3))
    try fixture.turn(3)
    let frames = try peer.frames()
    try #require(frames.count == 1 && frames[0].contains("new_notification"))
    #expect(frames[0].contains(#""unreadCount":3"#) && !frames[0].contains("cursor"))
    #expect(
      fixture.core.metrics[0].value(.replays) == 0,
      "replays counts only the clients that ask to resume")
  }

  @Test func `a notification stored during the greeting's read comes after it, once`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u", path: Self.path)
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.publish(Self.stored(1))
    try fixture.turn(3)
    try fixture.store.answer(.position(0, Self.counts(0)))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    #expect(try peer.frames() == [Self.connected(0)])
    try fixture.store.answer(
      .missed(
        [ReplaySessionTests.notification(1)], through: 1, next: nil, total: 1, Self.counts(1)))
    try fixture.turn(3)
    let frames = try peer.frames()
    #expect(frames.count == 2 && frames[0].contains("new_notification"))
    #expect(frames.last == #"{"type":"unread_count","unreadCount":1}"#)
    #expect(!peer.connection.isReplaying)
  }

  @Test func `a client that resumes is greeted with the count and its cursor`() throws {
    let fixture = try ShardFixture()
    try fixture.publish(Self.stored(8))
    let peer = try fixture.session("u", path: Self.path, since: "test.7")
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    #expect(try peer.frames() == [])
    try fixture.store.answer(
      .missed(
        [ReplaySessionTests.notification(8)], through: 8, next: nil, total: 1, Self.counts(8)))
    try fixture.turn(3)
    let frames = try peer.frames()
    try #require(frames.count == 3)
    #expect(
      frames[0] == #"{"type":"connected","userId":"u","unreadCount":8,"cursor":"test.7"}"#)
    #expect(frames[1].hasSuffix(#""unreadCount":8,"cursor":"test.8"}"#))
  }

  @Test func `a client that misses a heartbeat is gone, one that answers stays`() throws {
    let fixture = try ShardFixture()
    let alive = try Self.greeted(fixture)
    let silent = try Self.greeted(fixture, user: "v")
    for round in 0..<4 {
      try fixture.pass(milliseconds: 29_000)
      #expect(try alive.frames() == [], "round \(round)")
      if round < 2 {
        // Other traffic does not answer a heartbeat.
        silent.send(HeartbeatTests.pong())
        silent.say(#"{"type":"else"}"#)
      }
      try fixture.pass(milliseconds: 1_200)
      #expect(try alive.frames() == [#"{"type":"ping"}"#], "round \(round)")
      alive.say(#"{"type":"pong"}"#)
      try fixture.turn(5)
      switch round {
      case 0: #expect(try silent.frames() == [#"{"type":"ping"}"#])
      case 1: #expect(try silent.frames() == ["close 1001"])
      default: break
      }
    }
    #expect(!alive.connection.hasEnded && fixture.shard.connectionCount == 1)
    #expect(fixture.core.metrics[0].value(.timedOut) == 1)
  }

  @Test func `without a token the first message must bring one within ten seconds`() throws {
    let fixture = try ShardFixture()
    let late = try fixture.session(nil, path: Self.path)
    let prompt = try fixture.session(nil, path: Self.path)
    try fixture.publish(TurnTests.broadcast())
    try fixture.pass(milliseconds: 9_800)
    #expect(try late.frames() == [])
    #expect(fixture.shard.sessionCount == 0)
    prompt.say(Self.auth(ShardFixture.token("u")))
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    try fixture.store.answer(.position(0, Self.counts(4)))
    try fixture.pass(milliseconds: 400)
    #expect(try late.frames() == ["close 1008"])
    #expect(try prompt.frames() == [Self.connected(4)])
    try fixture.pass(milliseconds: 20_000)
    #expect(fixture.shard.connectionCount == 1 && fixture.shard.isConnected("u"))
  }

  @Test func `a client that has not authenticated gets no broadcast`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session(nil, path: Self.path)
    // As though the dialect wrote the event: the logs that sessions read advance.
    fixture.shard.appendToSessionLogs(Array("for members".utf8))
    var ping: [UInt8] = []
    WebSocketFrame.append(.ping, payload: [1], maskingKey: 7, into: &ping)
    peer.send(ping)
    try fixture.turn(until: { (try? peer.frames()) == ["pong"] })
    try fixture.turn(3)
    #expect(peer.receive().isEmpty)
  }

  @Test(
    "a first message without a good token closes",
    arguments: [
      #"{"type":"pong"}"#, #"{"type":"auth"}"#, auth("a.b.c"), auth(""), "x", "",
      auth(ShardFixture.token("u", seconds: -3_600)), auth(ShardFixture.token("")),
      auth(String(repeating: "x", count: 8_192)),
    ])
  func badFirstMessage(text: String) throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session(nil, path: Self.path)
    peer.say(text)
    try fixture.turn(until: { (try? peer.frames()) == ["close 1008"] })
    #expect(fixture.store.reads.isEmpty && fixture.shard.sessionCount == 0)
  }

  @Test(
    "a fresh token of the same user moves the session's end",
    arguments: ["/api/ws", "/api/v1/ws/notifications", path])
  func refresh(path: String) throws {
    let fixture = try ShardFixture { $0.tokenPolicy.leewaySeconds = 3 }
    let peer = try fixture.session("u", path: path, seconds: 10)
    if path == Self.path {
      try fixture.turn(until: { !fixture.store.reads.isEmpty })
      try fixture.store.answer(.position(0, Counts()))
    }
    try fixture.turn(3)
    _ = try peer.frames()
    peer.say(Self.auth(ShardFixture.token("u", seconds: 25)))
    try fixture.turn(3)
    try fixture.pass(milliseconds: 27_500)
    #expect(try peer.frames() == [], "no answer, and no end at the old token's expiry")
    try fixture.pass(milliseconds: 700)
    #expect(try peer.frames().last == (path.contains("v1") ? "close 4002" : "close 1008"))
    #expect(fixture.core.metrics[0].value(.tokensExpired) == 1)
  }

  @Test(
    "a bad token, or another user's, ends the session",
    arguments: ["/api/ws", "/api/v1/ws/notifications", path],
    ["", "a.b.c", ShardFixture.token("v"), ShardFixture.token("u", seconds: -3_600)])
  func badRefresh(path: String, token: String) throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u", path: path)
    peer.say(Self.auth(token))
    let code = path.contains("v1") ? "close 4002" : "close 1008"
    try fixture.turn(until: { (try? peer.frames())?.last == code })
    #expect(fixture.shard.sessionCount == 0)
  }
}
