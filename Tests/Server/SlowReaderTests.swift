// Clients that take less than they are sent: what is held for each is bounded, and the others get
// everything.

import Notifications
import TestSupport
import Testing

@testable import Server

@Suite("Slow readers")
struct SlowReaderTests {
  static func stored(_ offset: UInt64, byteCount: Int = 1_000) -> Event {
    let notification = Notification(
      id: NotificationID(high: 1, low: offset), userID: "u", type: "t", priority: .normal,
      title: "n\(offset)", message: String(repeating: "m", count: byteCount),
      data: Array("{}".utf8), createdAt: 0, offset: offset)
    return Event(
      audience: .user("u"), body: .stored(notification, Counts(total: Int(offset))), timestamp: 0,
      offset: offset)
  }

  /// Whom a burst is for.
  enum Audience: CaseIterable { case oneUser, everyone, room }

  // Case 62
  @Test(
    "of many devices that take nothing none is held more than the limit for, whatever the burst",
    arguments: Audience.allCases, [false, true])
  func asleep(audience: Audience, areSentAPart: Bool) throws {
    let fixture = try ShardFixture()
    let limit = fixture.core.configuration.limits.backlogBytesLimit
    let path = audience == .room ? RoomSessionTests.path : "/api/ws"
    let reader = try fixture.arrive("u", path: path)
    let sleepers = try (0..<size(200, full: 5_000)).map { _ in
      try fixture.arrive("u", path: path)
    }
    if audience == .room {
      for socket in [reader] + sleepers { fixture.shard.join("r", at: socket.place) }
      try fixture.turn(4)
      _ = try reader.frames()
    }
    for sleeper in sleepers {
      sleeper.room = 0
      // As far as into the midst of a frame.
      if areSentAPart { sleeper.open(for: 1_500) }
      sleeper.keeps = false
    }
    var told: UInt64 = 0
    // All of a burst in one turn, four times what anybody may be behind.
    for _ in 0..<4 {
      for _ in 0..<220 {
        told += 1
        switch audience {
        case .oneUser: try fixture.publish(Self.stored(told))
        case .everyone: try fixture.publish(TurnTests.broadcast(1_000))
        case .room:
          let said = TurnTests.broadcast(1_000).body
          try fixture.publish(Event(audience: .room("r", except: nil), body: said, timestamp: 0))
        }
      }
      try fixture.turn()
      for sleeper in sleepers where fixture.state(of: sleeper) != .free {
        let owned = fixture.shard.table[sleeper.place].owned
        try #require(owned.capacity <= limit + limit / 10, "\(owned.count) of \(owned.capacity)")
      }
    }
    #expect(fixture.core.metrics[0].value(.slowConsumers) == sleepers.count)
    #expect(try reader.frames().count == Int(told))
    #expect(fixture.state(of: reader) == .session)
    // And then they are gone, with all that was held for them.
    try fixture.pass(milliseconds: 6_000)
    #expect(fixture.shard.table.count == 1)
    #expect(fixture.shard.blockedBytes == 0)
  }

  // Case 62
  @Test func `what a client has taken is not kept while it is always a little behind`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.arrive("u", path: "/api/ws")
    try fixture.turn()
    peer.room = 0
    for offset in 1...20 { try fixture.publish(Self.stored(UInt64(offset))) }
    try fixture.turn()
    var largest = 0
    for offset in 21...2_000 {
      try fixture.publish(Self.stored(UInt64(offset)))
      // About what it is sent, so that it neither catches up nor falls further behind.
      peer.open(for: Self.frameBytes(offset))
      try fixture.turn()
      try #require(fixture.state(of: peer) == .session)
      try #require(fixture.isBehind(peer))
      largest = max(largest, fixture.shard.table[peer.place].owned.capacity)
    }
    #expect(largest <= 2 * fixture.core.configuration.limits.backlogBytesLimit)
    peer.open()
    try fixture.turn(until: { !fixture.isBehind(peer) })
    let titles = try peer.frames().map {
      $0.split(separator: #""title":""#)[1].prefix { $0 != "\"" }
    }
    #expect(titles == (1...2_000).map { "n\($0)" })
    #expect(fixture.shard.table[peer.place].owned.capacity == 0)
  }

  /// What the notification at that offset takes on the wire.
  private static func frameBytes(_ offset: Int) -> Int {
    var frames = FrameWriter(epoch: nil)
    FlatDialect().write(stored(UInt64(offset)), to: &frames)
    return frames.bytes.count
  }
}

extension ShardFixture {
  fileprivate func isBehind(_ socket: VirtualSocket) -> Bool {
    state(of: socket) != .free && shard.table[socket.place].flags.contains(.blocked)
  }
}
