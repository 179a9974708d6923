// Pages that a client fetches over its WebSocket while its inbox changes.

import Notifications
import Testing

@testable import Server

@Suite("Fetching a page")
struct FetchTests {
  private static let fetch = #"{"type":"fetch_notifications"}"#

  static func page(_ version: UInt64) -> StoreAnswer {
    .page([], next: nil, InboxSessionTests.counts(version))
  }

  private static func update(_ unread: Int) -> String {
    #"{"type":"notification_update","unreadCount":\#(unread),"notifications":[]}"#
  }

  private static func question(_ fixture: ShardFixture) throws -> (limit: Int, unreadOnly: Bool) {
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    let query = fixture.store.reads[0].query
    guard case .page("u", let limit, nil, let unreadOnly, nil, .collapsed, _) = query else {
      Issue.record("not a page of the user's: \(query)")
      return (0, false)
    }
    return (limit, unreadOnly)
  }

  @Test(
    "the limit is clamped to the allowed page size",
    arguments: [(nil, 50), (0, 1), (-7, 1), (3, 3), (200, 200), (201, 200), (Int.max, 200)]
      as [(Int?, Int)])
  func limits(asked: Int?, read: Int) throws {
    let fixture = try ShardFixture()
    let peer = try InboxSessionTests.greeted(fixture)
    let member = asked.map { #","limit":\#($0),"unreadOnly":true"# } ?? ""
    peer.say(#"{"type":"fetch_notifications"\#(member)}"#)
    #expect(try Self.question(fixture) == (read, asked != nil))
    try fixture.store.answer(Self.page(0))
    try fixture.turn(3)
    #expect(try peer.frames() == [Self.update(0)])
  }

  @Test func `a page waits for the events that it includes and is sent after them`() throws {
    let fixture = try ShardFixture()
    let peer = try InboxSessionTests.greeted(fixture)
    peer.say(Self.fetch)
    _ = try Self.question(fixture)
    try fixture.store.answer(Self.page(1))
    try fixture.turn(3)
    #expect(try peer.frames() == [])
    try fixture.publish(InboxSessionTests.read(1))
    try fixture.turn(3)
    #expect(
      try peer.frames() == [#"{"type":"unread_count","unreadCount":1}"#, Self.update(1)])
  }

  @Test func `a page older than the events already sent is read again`() throws {
    let fixture = try ShardFixture()
    let peer = try InboxSessionTests.greeted(fixture)
    peer.say(Self.fetch)
    _ = try Self.question(fixture)
    try fixture.publish(InboxSessionTests.read(1))
    try fixture.turn(3)
    #expect(try peer.frames() == [#"{"type":"unread_count","unreadCount":1}"#])
    try fixture.store.answer(Self.page(0))
    _ = try Self.question(fixture)
    #expect(try peer.frames() == [])
    try fixture.store.answer(Self.page(1))
    try fixture.turn(3)
    #expect(try peer.frames() == [Self.update(1)])
  }

  @Test func `one page is read at a time, and only the last request waits for it`() throws {
    let fixture = try ShardFixture()
    let peer = try InboxSessionTests.greeted(fixture)
    for limit in 1...20 { peer.say(#"{"type":"fetch_notifications","limit":\#(limit)}"#) }
    #expect(try Self.question(fixture).limit == 1)
    try fixture.turn(until: {
      peer.connection.nextFetchLimit == 20
    })
    #expect(fixture.store.reads.count == 1)
    try fixture.store.answer(Self.page(0))
    #expect(try Self.question(fixture).limit == 20)
    try fixture.store.answer(Self.page(0))
    try fixture.turn(3)
    #expect(try peer.frames() == [Self.update(0), Self.update(0)])
    #expect(fixture.store.reads.isEmpty && peer.connection.isIdle)
  }

  @Test func `a fetch before the greeting is answered after it`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u", path: InboxSessionTests.path)
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    peer.say(Self.fetch)
    try fixture.turn(3)
    try fixture.store.answer(.position(0, Counts()))
    _ = try Self.question(fixture)
    try fixture.store.answer(Self.page(0))
    try fixture.turn(3)
    #expect(try peer.frames() == [InboxSessionTests.connected(0), Self.update(0)])
  }

  @Test func `a store that refuses or fails the read ends the session with a reason`() throws {
    let fixture = try ShardFixture()
    let refused = try InboxSessionTests.greeted(fixture)
    fixture.store.isFull = true
    refused.say(Self.fetch)
    try fixture.turn(until: { (try? refused.frames()) == ["close 1013"] })
    fixture.store.isFull = false
    let failed = try InboxSessionTests.greeted(fixture)
    failed.say(Self.fetch)
    _ = try Self.question(fixture)
    try fixture.store.answer(.failed(reason: "test"))
    try fixture.turn(until: { (try? failed.frames()) == ["close 1011"] })
  }
}
