// A muted notification sends only its counts: live, to a resuming session and to a poll.

import Notifications
import Testing
import Wire

@testable import Server

@Suite("A muted notification")
struct MutedEventTests {
  static func counted(_ offset: UInt64) -> Event {
    Event(
      audience: .user("u"), body: .counted(DialectTests.counts), timestamp: DialectTests.time,
      offset: offset)
  }

  @Test(
    "each dialect sends the counts if it has a message for them, and no notification",
    arguments: [
      ("flat", []), ("typed", []), ("event", [DialectTests.stats]),
      ("inbox", [#"{"type":"unread_count","unreadCount":2}"#]),
    ] as [(String, [String])])
  func dialects(name: String, expected: [String]) throws {
    let dialect = try #require(DialectRegistry.webSockets.first { $0.name == name })
    for epoch in [nil, "abc"] {
      let texts = try DialectTests.texts(epoch: epoch) { dialect.write(Self.counted(42), to: &$0) }
      #expect(texts == expected)
    }
  }

  @Test func `an event stream sends the count without an id`() {
    var frames = FrameWriter(epoch: "abc", framing: .eventStream)
    StreamDialect().write(Self.counted(42), to: &frames)
    #expect(frames.bytes.text == "data: {\"type\":\"unread_count\",\"data\":{\"count\":2}}\n\n")
  }

  @Test func `a muted notification sends its counts in order and no notification`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    try fixture.turn(3)
    #expect(try peer.frames().count == 1)
    try fixture.publish(ReplaySessionTests.stored(1))
    try fixture.publish(Self.counted(2))
    try fixture.publish(ReplaySessionTests.stored(3))
    try fixture.turn(3)
    let frames = try peer.frames()
    #expect(
      frames.map { $0.contains("notification:new") } == [true, false, false, true, false])
    #expect(frames[2] == DialectTests.stats)
  }

  @Test func `a replay page of only muted notifications is followed by the next page`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u", since: "0")
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    // The ring has brought the newest event that the answer includes.
    try fixture.publish(Self.counted(20))
    try fixture.turn(2)
    try fixture.store.answer(ReplaySessionTests.page([], through: 20, next: 10))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    guard case .missed("u", after: 10, _) = fixture.store.reads[0].query else {
      Issue.record("\(fixture.store.reads[0].query)")
      return
    }
    try fixture.store.answer(ReplaySessionTests.page([15], through: 20))
    try fixture.turn(3)
    let frames = try peer.frames()
    #expect(frames.count { $0.contains("notification:new") } == 1)
    #expect(!peer.connection.isReplaying)
  }

  @Test func `a muted notification does not wake a poll, and the cursor advances past it`() throws {
    let fixture = try ShardFixture()
    let peer = try PollTests.poll(fixture)
    try fixture.store.answer(PollTests.page([], through: 5))
    try fixture.turn(2)
    try fixture.publish(Self.counted(6))
    try fixture.turn(3)
    #expect(fixture.store.reads.isEmpty)
    #expect(peer.receive().isEmpty)
    try fixture.publish(ReplaySessionTests.stored(7))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.store.answer(PollTests.page([7], through: 9))
    try fixture.turn(until: { PollTests.isAnswered(peer, with: #""cursor":"test.9""#) })
  }

  @Test func `a poll continues reading after a page that was cut short`() throws {
    let fixture = try ShardFixture()
    let peer = try PollTests.poll(fixture)
    try fixture.store.answer(ReplaySessionTests.page([], through: 9, next: 6))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    guard case .missed("u", after: 6, _) = fixture.store.reads[0].query else {
      Issue.record("\(fixture.store.reads[0].query)")
      return
    }
    #expect(peer.receive().isEmpty)
    try fixture.store.answer(PollTests.page([7], through: 9))
    try fixture.turn(until: { PollTests.isAnswered(peer, with: #""cursor":"test.9""#) })
  }

  @Test func `a poll that times out after muted notifications is answered there`() throws {
    let fixture = try ShardFixture()
    let peer = try PollTests.poll(fixture, wait: 0)
    try fixture.store.answer(ReplaySessionTests.page([], through: 9, next: 6))
    try fixture.turn(until: { PollTests.isAnswered(peer, with: #""cursor":"test.6""#) })
    #expect(fixture.store.reads.isEmpty)
  }
}
