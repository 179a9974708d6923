// The presence of a user whose owner shard is late: its thread gets no processor time for a while,
// and meanwhile pages of the user come and go on another shard.

import Notifications
import Testing

@testable import Server

@Suite("Presence while the owner shard of the user is late")
struct PresenceOrderTests {
  private typealias Rooms = RoomSessionTests

  /// A room of shard 0 with a page of a user of shard 1, and the other member of that room.
  ///
  /// All connections are on shard 0.
  private struct Reload {
    let fixture: ShardFixture
    let room: String
    let user: String
    let other: TestPeer
    var page: TestPeer

    init() throws {
      let fixture = try ShardFixture(shardCount: 2)
      let names = (0..<100).map { "n\($0)" }
      room = try #require(names.first { fixture.core.ownerShard(of: $0) == 0 })
      user = try #require(names.first { fixture.core.ownerShard(of: $0) == 1 })
      other = try Rooms.member("other", of: room, fixture)
      page = try Rooms.member(user, of: room, fixture)
      self.fixture = fixture
      try fixture.turn(3)
      #expect(try Rooms.heard(fixture, other) == ["online"])
    }

    mutating func reload() throws {
      page.connection.end()
      try fixture.turn()
      page = try Rooms.member(user, of: room, fixture)
    }

    /// What the other member hears once all shards have turned.
    func received() throws -> [String] {
      fixture.stalled = []
      try fixture.turn(5)
      return try Rooms.heard(fixture, other)
    }
  }

  // It sent "online": the return that the first reload caused came while the page was away again.
  @Test func `a page that reloads twice sends no presence update`() throws {
    var test = try Reload()
    // A return is sent at once.
    try test.fixture.pass(milliseconds: 1_000)
    test.fixture.stalled = [1]
    try test.reload()
    test.page.connection.end()
    try test.fixture.turn()
    #expect(try test.received() == [])
    test.page = try Rooms.member(test.user, of: test.room, test.fixture)
    #expect(try test.received() == [])
    // The return that sent nothing counts as an update.
    try test.fixture.pass(milliseconds: 2_000)
    test.page.connection.setStatus(.busy)
    #expect(try test.received() == ["busy"])
  }

  // It sent "offline" and "online": the deadline came before the return in the same turn.
  @Test func `a reload within the grace period sends no presence update`() throws {
    var test = try Reload()
    test.page.connection.end()
    try test.fixture.turn(3)
    test.fixture.stalled = [1]
    try test.fixture.pass(milliseconds: 2_900)
    test.page = try Rooms.member(test.user, of: test.room, test.fixture)
    try test.fixture.pass(milliseconds: 1_000)
    #expect(try test.received() == [])
    test.page.connection.end()
    try test.fixture.turn(3)
    try test.fixture.pass(milliseconds: 3_100)
    #expect(try test.received() == ["offline"])
  }
}
