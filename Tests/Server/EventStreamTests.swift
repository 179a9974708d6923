// Event streams, turn by turn: the invariants that hold in any order of events.

import Notifications
import Testing
import Wire

@testable import Server

@Suite("An event stream")
struct EventStreamTests {
  /// An open stream of `user`, after its head.
  static func stream(
    _ fixture: ShardFixture, _ user: String, lastID: String? = nil
  ) throws -> TestPeer {
    let peer = try fixture.connect()
    let id = lastID.map { "Last-Event-ID: \($0)\r\n" } ?? ""
    peer.send(
      "GET /notifications/events HTTP/1.1\r\nHost: x\r\n\(id)"
        + "Authorization: Bearer \(ShardFixture.token(user))\r\n\r\n")
    try fixture.turn(until: { peer.receive().headEnd != nil && fixture.store.reads.count == 1 })
    peer.received.removeFirst(try #require(peer.received.headEnd))
    return peer
  }

  /// The event of the notification at that offset.
  static func text(_ offset: UInt64) -> String {
    let id = ReplaySessionTests.notification(offset).id.text
    return "id: test.\(offset)\n"
      + #"data: {"type":"notification","data":{"id":"\#(id)","#
      + #""type":"t","user_id":"u","title":"n\#(offset)","message":"","data":{},"#
      + #""timestamp":"1970-01-01T00:00:00.000Z","isNew":true}}"# + "\n\n"
  }

  static let unread = "data: {\"type\":\"unread_count\",\"data\":{\"count\":0}}\n\n"

  /// The text that has come since the last call.
  static func taken(_ peer: TestPeer) -> String {
    defer { peer.received = [] }
    return peer.receive().text
  }

  @Test func `line breaks between JSON tokens are left out of a message`() {
    var frames = FrameWriter(epoch: "test", framing: .eventStream)
    frames.text(at: 7) { $0.appendText("{\"a\":\r\n1,\n\"b\":2}") }
    #expect(frames.bytes.text == "id: test.7\ndata: {\"a\":  1, \"b\":2}\n\n")
  }

  @Test func `a stream begins with the retry time, the cursor and the count`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u")
    try fixture.store.answer(.position(0, ReplaySessionTests.counts(0)))
    try fixture.turn(3)
    #expect(Self.taken(peer) == "retry: 5000\n\nid: test.0\n\n" + Self.unread)
    try fixture.publish(ReplaySessionTests.stored(1))
    try fixture.turn(2)
    #expect(Self.taken(peer) == Self.text(1) + Self.unread)
  }

  @Test func `a change sent before the missed notifications carries no id`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u", lastID: "test.0")
    #expect(Self.taken(peer) == "retry: 5000\n\nid: test.0\n\n")
    try fixture.publish(ReplaySessionTests.stored(1))
    try fixture.publish(
      Event(
        audience: .user("u"), body: .readAll(ReplaySessionTests.counts(2)), timestamp: 0,
        offset: 2))
    try fixture.turn(2)
    #expect(Self.taken(peer) == Self.unread, "no id: the notification before it is still missing")
    try fixture.store.answer(ReplaySessionTests.page([1], through: 2))
    try fixture.turn(3)
    #expect(Self.taken(peer) == Self.text(1) + Self.unread)
  }

  @Test func `an idle stream gets a comment every fifteen seconds`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u")
    try fixture.store.answer(.position(0, ReplaySessionTests.counts(0)))
    try fixture.turn(3)
    _ = Self.taken(peer)
    try fixture.pass(milliseconds: 14_000)
    #expect(Self.taken(peer) == "")
    try fixture.pass(milliseconds: 2_000)
    #expect(Self.taken(peer) == ": \n\n")
    // Far longer than any WebSocket may be silent.
    try fixture.pass(milliseconds: 600_000)
    #expect(Self.taken(peer) == String(repeating: ": \n\n", count: 40))
    #expect(!peer.isEnded)
  }

  @Test func `a stream with an expired token ends without a frame`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u")
    try fixture.store.answer(.position(0, ReplaySessionTests.counts(0)))
    try fixture.turn(3)
    _ = Self.taken(peer)
    // The fixture's tokens last a day, and thirty seconds of leeway.
    fixture.script.elapsed += 86_400_000 + 31_000
    try fixture.turn(until: {
      peer.receive()
      return peer.isEnded
    })
    #expect(Self.taken(peer) == "", "no close frame, nor anything else")
    #expect(fixture.core.metrics[0].value(.tokensExpired) == 1)
  }

  @Test func `a reader that leaves is no failure and leaves no state`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u")
    peer.endSending()
    try fixture.turn(until: { fixture.shard.connectionCount == 0 })
    #expect(fixture.core.metrics[0].value(.resets) == 0)
    #expect(fixture.shard.sessionCount == 0)
    // The answer to the session's first read finds no connection.
    try fixture.store.answer(.position(0, ReplaySessionTests.counts(0)))
    try fixture.turn()
  }

  @Test func `a reader over the backlog limit is cut and counted`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u")
    try fixture.store.answer(.position(0, ReplaySessionTests.counts(0)))
    try fixture.turn(3)
    fixture.script.room[peer.serverDescriptor] = 100
    for _ in 0..<20 where peer.connection.state == .session {
      try fixture.publish(TurnTests.broadcast(8 * 1_024))
      try fixture.turn()
    }
    #expect(peer.connection.state == .closing)
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 1)
    let limits = fixture.core.configuration.limits
    #expect(
      peer.connection.queuedByteCount <= limits.backlogBytesLimit + 10 * 1_024)
  }
}
