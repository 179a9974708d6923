// Event streams, turn by turn: the invariants that hold in any order of events.

import Broadcast
import Notifications
import Testing
import Wire

@testable import Server

@Suite("An event stream")
struct EventStreamTests {
  /// An open stream of `user`, after its head.
  static func stream(
    _ fixture: ShardFixture, _ user: String, lastID: String? = nil, query: String = "",
    version: String = "1.1"
  ) throws -> TestPeer {
    let peer = try fixture.connect()
    let id = lastID.map { "Last-Event-ID: \($0)\r\n" } ?? ""
    let reads = fixture.store.reads.count
    peer.send(
      "GET /notifications/events\(query) HTTP/\(version)\r\nHost: x\r\n\(id)"
        + "Authorization: Bearer \(ShardFixture.token(user))\r\n\r\n")
    try fixture.turn(until: {
      peer.receive().headEnd != nil && fixture.store.reads.count == reads + 1
    })
    let end = try #require(peer.received.headEnd)
    let head = peer.received[..<end].map { $0 }.text
    #expect(head.contains("\r\nTransfer-Encoding: chunked\r\n") == (version == "1.1"))
    #expect(head.contains("\r\nCache-Control: no-store, no-transform\r\n"))
    peer.received.removeFirst(end)
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

  /// An open stream of `u` that has begun at the present position.
  static func begun(_ fixture: ShardFixture, version: String = "1.1") throws -> TestPeer {
    let peer = try stream(fixture, "u", version: version)
    try fixture.store.answer(.position(0, ReplaySessionTests.counts(0)))
    try fixture.turn(3)
    peer.receive()
    peer.received = []
    return peer
  }

  /// A shard that has applied all events that the tests' pages include.
  static func ahead() throws -> ShardFixture {
    let fixture = try ShardFixture()
    try fixture.publish(
      Event(audience: .user("x"), body: .readAll(Counts()), timestamp: 0, offset: 100))
    try fixture.turn(2)
    return fixture
  }

  /// The chunks that have come since the last call.
  static func taken(_ peer: TestPeer) throws -> [String] {
    peer.receive()
    let body = try ChunkedText.take(&peer.received)
    #expect(!body.isComplete)
    return body.chunks
  }

  /// Turns until the stream has ended, and returns its last chunks; the last one must be there.
  static func rest(_ fixture: ShardFixture, _ peer: TestPeer) throws -> [String] {
    try fixture.turn(until: {
      peer.receive()
      return peer.isEnded
    })
    let body = try ChunkedText.take(&peer.received)
    #expect(body.isComplete, "the last chunk is missing")
    return body.chunks
  }

  @Test func `line breaks between JSON tokens are left out of a message`() {
    var frames = FrameWriter(epoch: "test", framing: .eventStream)
    frames.text(at: 7) { $0.appendText("{\"a\":\r\n1,\n\"b\":2}") }
    #expect(frames.bytes.text == "id: test.7\ndata: {\"a\":  1, \"b\":2}\n\n")
  }

  @Test func `the first event carries the retry time, the cursor and the count`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u")
    #expect(try Self.taken(peer) == [])
    try fixture.store.answer(.position(0, ReplaySessionTests.counts(0)))
    try fixture.turn(3)
    #expect(try Self.taken(peer) == ["retry: 5000\nid: test.0\n" + Self.unread])
    try fixture.publish(ReplaySessionTests.stored(1))
    try fixture.turn(2)
    #expect(try Self.taken(peer) == [Self.text(1), Self.unread])
  }

  @Test func `the first missed notification, a count or a resync carries the retry time`() throws {
    let fixture = try Self.ahead()
    let missed = try Self.stream(fixture, "u", lastID: "test.0")
    try fixture.store.answer(ReplaySessionTests.page([1, 2], through: 2))
    try fixture.turn(3)
    #expect(
      try Self.taken(missed) == ["retry: 5000\n" + Self.text(1), Self.text(2), Self.unread])
    let current = try Self.stream(fixture, "u", lastID: "test.2")
    try fixture.store.answer(ReplaySessionTests.page([], through: 2))
    try fixture.turn(3)
    #expect(try Self.taken(current) == ["retry: 5000\nid: test.2\n" + Self.unread])
    let lost = try Self.stream(fixture, "u", lastID: "other.2")
    try fixture.store.answer(.position(2, ReplaySessionTests.counts(2)))
    try fixture.turn(3)
    let resync = #"data: {"type":"resync","data":{"cursor":"test.2"}}"#
    #expect(
      try Self.taken(lost) == ["retry: 5000\nid: test.2\n\(resync)\n\n", Self.unread])
  }

  @Test func `no event comes before the first one of a stream that still reads`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u", lastID: "test.0")
    try fixture.publish(ReplaySessionTests.stored(1))
    try fixture.turn(2)
    // The read is older than the notification, so another one follows.
    try fixture.store.answer(ReplaySessionTests.page([], through: 0))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.publish(TurnTests.broadcast())
    try fixture.turn(2)
    #expect(try Self.taken(peer) == [])
    try fixture.store.answer(ReplaySessionTests.page([1], through: 1))
    try fixture.turn(3)
    #expect(try Self.taken(peer) == ["retry: 5000\n" + Self.text(1), Self.unread])
  }

  @Test func `a room at the start of a stream comes with or after its first event`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u", query: "?rooms=r")
    try fixture.store.answer(.position(0, ReplaySessionTests.counts(0)))
    try fixture.turn(4)
    let chunks = try Self.taken(peer)
    #expect(chunks.count == 2 && chunks.contains { $0.contains("room_joined") })
    #expect(chunks.map { $0.hasPrefix("retry: 5000\nid: test.0\ndata: ") } == [true, false])
  }

  @Test func `a change sent between two pages of missed notifications carries no id`() throws {
    let fixture = try Self.ahead()
    let peer = try Self.stream(fixture, "u", lastID: "test.0")
    try fixture.publish(ReplaySessionTests.stored(1))
    try fixture.turn()
    try fixture.store.answer(ReplaySessionTests.page([1], through: 2, next: 1))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    #expect(try Self.taken(peer) == ["retry: 5000\n" + Self.text(1)])
    try fixture.publish(
      Event(
        audience: .user("u"), body: .readAll(ReplaySessionTests.counts(3)), timestamp: 0,
        offset: 3))
    try fixture.turn(2)
    #expect(try Self.taken(peer) == [Self.unread], "no id: a notification is still missing")
    try fixture.store.answer(ReplaySessionTests.page([2], through: 3))
    try fixture.turn(3)
    #expect(try Self.taken(peer) == [Self.text(2), Self.unread])
  }

  @Test func `each event and each comment is exactly one chunk`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.begun(fixture)
    let (other, old) = try (Self.begun(fixture), Self.begun(fixture, version: "1.0"))
    try fixture.publish(TurnTests.broadcast(5))
    try fixture.publish(ReplaySessionTests.stored(1))
    try fixture.publish(TurnTests.broadcast(70_000))
    try fixture.turn(3)
    let chunks = try Self.taken(peer)
    #expect(chunks.count == 4 && chunks[1...2] == [Self.text(1), Self.unread])
    for chunk in chunks {
      #expect(
        chunk.hasSuffix("}\n\n") && chunk.firstRange(of: "\n\n")?.upperBound == chunk.endIndex)
    }
    #expect(try Self.taken(other) == chunks)
    try fixture.pass(milliseconds: 16_000)
    #expect(try Self.taken(peer) == [": \n"])
    // Over HTTP/1.0 the same bytes come without chunks.
    #expect(old.receive().text == chunks.joined() + ": \n")
  }

  @Test func `an idle stream gets a comment every fifteen seconds`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.begun(fixture)
    try fixture.pass(milliseconds: 14_000)
    #expect(try Self.taken(peer) == [])
    try fixture.pass(milliseconds: 2_000)
    #expect(try Self.taken(peer) == [": \n"])
    // Far longer than any WebSocket may be silent.
    try fixture.pass(milliseconds: 600_000)
    #expect(try Self.taken(peer) == [String](repeating: ": \n", count: 40))
    #expect(!peer.isEnded)
  }

  @Test(
    "a stream that asked to resume gets a heartbeat every 25 s, and a comment between two",
    arguments: ["?since=", "?since=test.0", "?since=0&lastEventId=test.0"])
  func visibleHeartbeats(query: String) throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u", query: query)
    try fixture.store.answer(
      query == "?since="
        ? .position(0, ReplaySessionTests.counts(0)) : ReplaySessionTests.page([], through: 0))
    try fixture.turn(3)
    _ = try Self.taken(peer)
    let heartbeat = "data: {\"type\":\"heartbeat\",\"data\":{}}\n\n"
    for _ in 0..<3 {
      try fixture.pass(milliseconds: 12_700)
      #expect(try Self.taken(peer) == [": \n"])
      try fixture.pass(milliseconds: 12_700)
      #expect(try Self.taken(peer) == [heartbeat])
    }
  }

  @Test func `a stream that resumes without since gets no heartbeat`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u", lastID: "test.0", query: "?lastEventId=test.0")
    try fixture.store.answer(ReplaySessionTests.page([], through: 0))
    try fixture.turn(3)
    _ = try Self.taken(peer)
    try fixture.pass(milliseconds: 61_000)
    #expect(try Self.taken(peer) == [String](repeating: ": \n", count: 4))
  }

  @Test("a stream with an expired token ends with the last chunk", arguments: ["1.1", "1.0"])
  func expired(version: String) throws {
    let fixture = try ShardFixture()
    let peer = try Self.begun(fixture, version: version)
    // The fixture's tokens last a day, and thirty seconds of leeway.
    fixture.script.elapsed += 86_400_000 + 31_000
    if version == "1.1" {
      #expect(try Self.rest(fixture, peer) == [])
    } else {
      try fixture.turn(until: {
        peer.receive()
        return peer.isEnded
      })
      #expect(peer.received.text == "")
    }
    #expect(fixture.core.metrics[0].value(.tokensExpired) == 1)
  }

  @Test func `a shutdown ends a stream with the last chunk, whether it has begun or not`() throws {
    let fixture = try ShardFixture()
    let (begun, waiting) = try (Self.begun(fixture), Self.stream(fixture, "v"))
    try fixture.publish(TurnTests.broadcast(5))
    fixture.core.mailboxes[0].append(.drain)
    #expect(try Self.rest(fixture, begun).count == 1)
    #expect(try Self.rest(fixture, waiting) == [])
  }

  @Test(
    "the header's id comes before the query's ids, and these before since",
    arguments: [
      (nil, "?lastEventId=test.7", 7), (nil, "?lastEventID=test.7", 7), (nil, "?since=test.7", 7),
      (nil, "?lastEventID=test.6&lastEventId=test.7", 7), (nil, "?since=0&lastEventID=test.7", 7),
      ("test.7", "?lastEventId=test.5&lastEventID=test.6&since=0", 7),
      ("", "?lastEventId=test.7", 7),
      (nil, "?lastEventId=&lastEventID=test.7", 7),
      (nil, "?lastEventId=&lastEventID=&since=test.7", 7),
      (nil, "?lastEventId=0&since=test.7", 0), (nil, "?lastEventId=nonsense&since=test.7", nil),
      ("nonsense", "?lastEventId=test.7", nil), (nil, "?lastEventId=", nil), (nil, "", nil),
    ] as [(String?, String, UInt64?)])
  func resumption(header: String?, query: String, after: UInt64?) throws {
    let fixture = try ShardFixture()
    let peer = try Self.stream(fixture, "u", lastID: header, query: query)
    defer { withExtendedLifetime(peer) {} }
    switch fixture.store.reads[0].query {
    case .missed("u", let offset, _): #expect(offset == after)
    case .position("u"): #expect(after == nil)
    default: Issue.record("\(fixture.store.reads[0].query)")
    }
  }

  @Test func `one id twice in the query is refused, as it is in the header`() throws {
    let fixture = try ShardFixture()
    let token = ShardFixture.token("u")
    for (query, field) in [
      ("?lastEventId=test.1&lastEventId=test.1", ""),
      ("", "Last-Event-ID: test.1\r\nLast-Event-ID: test.1\r\n"),
    ] {
      let peer = try fixture.connect()
      peer.send(
        "GET /notifications/events\(query) HTTP/1.1\r\nHost: x\r\n\(field)"
          + "Authorization: Bearer \(token)\r\n\r\n")
      try fixture.turn(until: { peer.receive().headEnd != nil })
      #expect(peer.received.text.hasPrefix("HTTP/1.1 400 "))
    }
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
    let peer = try Self.begun(fixture)
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
    // The event in progress is sent to its end, and the last chunk follows.
    fixture.script.room[peer.serverDescriptor] = nil
    for chunk in try Self.rest(fixture, peer) { #expect(chunk.hasSuffix("}\n\n")) }
  }
}
