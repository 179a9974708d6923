// When the shard sends the store the command to remove expired notifications.

import Notifications
import Testing

@testable import Server

@Suite("The sweep of expired notifications")
struct SweepTests {
  private func times(_ fixture: ShardFixture) -> [Int64] {
    fixture.store.commands.compactMap {
      if case .expire(let time) = $0.command { time } else { nil }
    }
  }

  @Test func `a sweep runs when an expiry is due, and at most once a second`() throws {
    let fixture = try ShardFixture()
    let due = ShardFixture.startWall + 5_000
    fixture.store.nextExpiry = due
    try fixture.pass(milliseconds: 4_900)
    #expect(times(fixture).isEmpty)
    try fixture.pass(milliseconds: 1_100)
    #expect(times(fixture).count == 1)
    #expect(times(fixture)[0] >= due)
    // One at a time, however long it takes.
    try fixture.pass(milliseconds: 3_000)
    #expect(times(fixture).count == 1)
    try fixture.store.answer(.expired(hasMore: false))
    try fixture.turn(3)
    #expect(times(fixture).isEmpty)
    try fixture.pass(milliseconds: 1_000)
    #expect(times(fixture).count == 1)
    fixture.store.nextExpiry = nil
    try fixture.store.answer(.expired(hasMore: false))
    try fixture.pass(milliseconds: 3_000)
    #expect(times(fixture).isEmpty)
  }

  @Test func `a sweep that left some notifications is repeated at once`() throws {
    let fixture = try ShardFixture()
    fixture.store.nextExpiry = ShardFixture.startWall
    try fixture.turn(2)
    for _ in 0..<5 {
      #expect(times(fixture).count == 1)
      try fixture.store.answer(.expired(hasMore: true))
      try fixture.turn(2)
    }
  }

  @Test func `a store that takes no writes gets no sweep, and neither does a drain`() throws {
    let fixture = try ShardFixture()
    fixture.store.nextExpiry = ShardFixture.startWall
    fixture.store.status = .readOnly(reason: "the disk")
    try fixture.pass(milliseconds: 2_000)
    #expect(times(fixture).isEmpty)
    fixture.store.status = .ready
    fixture.store.isFull = true
    try fixture.pass(milliseconds: 2_000)
    fixture.store.isFull = false
    try fixture.pass(milliseconds: 2_000)
    #expect(times(fixture).count == 1)
    fixture.shard.beginDrain()
    try fixture.store.answer(.expired(hasMore: true))
    try fixture.pass(milliseconds: 2_000)
    #expect(times(fixture).isEmpty)
  }
}
