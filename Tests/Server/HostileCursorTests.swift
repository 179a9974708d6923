// Cursors of another user, of another time or of no user, on each transport: each leads to a
// bounded read of the user's own inbox and reveals nothing of another user's.

import Notifications
import Testing
import Wire

@testable import Server

@Suite("Hostile cursors")
struct HostileCursorTests {
  static let transports = [
    "/api/ws", "/api/v1/ws/notifications", "/ws/connect", "/api/notifications/ws",
    "/notifications/events", "/api/v1/notifications/poll",
  ]

  /// As sent in a query; the store's epoch is `test`, its history begins after offset 100.
  static let outsideHistoryCursors = [
    "other.500", "test.99", "test.", ".500", "500", "-1", "test.-1", "test.+500", "test.0500",
    "test.5e2", "test.500.1", "TEST.500", "test.18446744073709551616", "test.99999999999999999999",
    "test.500%20", "%20test.500", "test.500%00", "test%2E500%0D%0A", "%C3%A9.1", "null", "*",
    "1%20OR%201", String(repeating: "9", count: 400), String(repeating: "x", count: 2_000),
  ]

  /// Cursors of another user or of the future: they name an offset in the common history.
  static let insideHistoryCursors = [
    "test.100", "test.500", "test.18446744073709551615", "test.9223372036854775808",
  ]

  /// A shard that has applied every event in the store so far.
  private func fixture() throws -> ShardFixture {
    let fixture = try ShardFixture()
    fixture.store.horizon = 100
    try fixture.publish(
      Event(audience: .user("x"), body: .readAll(Counts()), timestamp: 0, offset: 20_000))
    try fixture.turn(2)
    return fixture
  }

  static func ask(_ fixture: ShardFixture, _ path: String, since: String) throws -> VirtualSocket {
    let socket = try fixture.arrive()
    let token = ShardFixture.token("u")
    socket.send(ShardFixture.request("\(path)?since=\(since)", token: token))
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    return socket
  }

  static func expectBounded(_ query: StoreQuery, isMissed: Bool) {
    switch query {
    case .position(let user):
      #expect(user == "u" && !isMissed)
    case .missed(let user, let after, let limit):
      #expect(user == "u" && isMissed)
      #expect(after >= 100)
      #expect(limit <= 200)
    case .page, .counts, .preferences, .keptRooms, .outbox, .apiKeys:
      Issue.record("\(query)")
    }
  }

  static let counts = Counts(total: 2, unread: 2, unseen: 2, version: 500)

  // Case 37
  @Test(
    "a cursor that is invalid or outside the history gets `resync` and the current one",
    arguments: transports)
  func outsideHistory(path: String) throws {
    let fixture = try fixture()
    for since in Self.outsideHistoryCursors {
      let socket = try Self.ask(fixture, path, since: since)
      Self.expectBounded(fixture.store.reads[0].query, isMissed: false)
      try fixture.store.answer(.position(500, Self.counts))
      try fixture.turn(until: { socket.received.text.contains("test.500") })
      try fixture.turn(2)
      let text = socket.received.text
      #expect(text.contains("resync"), "\(path) \(since)")
      // The cursor is not echoed, and the store is not read.
      #expect(!text.contains("other.500") && !text.contains("xxxx"), "\(path) \(since)")
      #expect(fixture.store.reads.isEmpty, "\(path) \(since)")
    }
  }

  // Case 37
  @Test(
    "any offset in the history reads pages of the user's own inbox", arguments: transports)
  func insideHistory(path: String) throws {
    let fixture = try fixture()
    for since in Self.insideHistoryCursors {
      let socket = try Self.ask(fixture, path, since: since)
      Self.expectBounded(fixture.store.reads[0].query, isMissed: true)
      // A cursor of the future comes from a store that was restored from a copy.
      let isFuture = since.utf8.count > 10
      try fixture.store.answer(ReplaySessionTests.page(isFuture ? [] : [501], through: 501))
      if isFuture {
        try fixture.turn(until: { !fixture.store.reads.isEmpty })
        Self.expectBounded(fixture.store.reads[0].query, isMissed: false)
        try fixture.store.answer(.position(501, Self.counts))
      }
      try fixture.turn(until: { socket.received.text.contains("test.501") })
      try fixture.turn(2)
      #expect(socket.received.text.contains("resync") == isFuture, "\(path) \(since)")
      #expect(socket.received.text.contains("n501") != isFuture, "\(path) \(since)")
    }
  }

  // Case 37
  @Test(
    "more than 10,000 missed notifications are not read but answered with `resync`",
    arguments: transports)
  func tooMany(path: String) throws {
    let fixture = try fixture()
    let socket = try Self.ask(fixture, path, since: "0")
    let page = (1...200).map { ReplaySessionTests.notification($0) }
    try fixture.store.answer(
      .missed(page, through: 20_000, next: 200, total: 10_001, Self.counts))
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    Self.expectBounded(fixture.store.reads[0].query, isMissed: false)
    try fixture.store.answer(.position(20_000, Self.counts))
    try fixture.turn(until: { socket.received.text.contains("resync") })
    #expect(!socket.received.text.contains("\"n1\""))
  }
}
