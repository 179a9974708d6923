// Connections that sending has given up, between that moment and their end later in the turn: the
// turn goes on to deliver and flush, and their logs may be overwritten meanwhile.

import Glibc
import Notifications
import Testing

@testable import Server

@Suite("Connections given up in a turn")
struct GivenUpTests {
  private static let path = "/ws/connect"

  /// More events than a log of the fixture holds bytes.
  private static func flood(_ event: Event) -> [Event] {
    [Event](repeating: event, count: 1_500)
  }

  // Case 62
  @Test(arguments: [
    SlowReaderTests.stored(1), RoomSessionTests.system(String(repeating: "s", count: 1_000)),
  ])
  func `ranges of a failed connection are forgotten before their log is overwritten`(
    _ event: Event
  ) throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u", path: Self.path)
    let other = try fixture.session("v", path: Self.path)
    fixture.script.sends[peer.serverDescriptor] = [Int(-EPIPE)]
    fixture.shard.unsettled { shard in
      shard.deliver(SlowReaderTests.stored(1))
      shard.flush()
      for event in Self.flood(event) { shard.deliver(event) }
      shard.close(peer.connection, code: 1008, reason: "")
    }
    try fixture.turn()
    #expect(peer.connection.hasEnded && !other.connection.hasEnded)
    #expect(fixture.core.metrics[0].value(.resets) == 1)
  }

  // Case 62
  @Test func `ranges of a slow session are forgotten before their log is overwritten`() throws {
    let fixture = try ShardFixture { $0.limits.backlogBytesLimit = 4_096 }
    let peer = try fixture.session("u", path: Self.path)
    fixture.script.room[peer.serverDescriptor] = 0
    fixture.shard.unsettled { shard in
      shard.deliver(SlowReaderTests.stored(1, byteCount: 2_500))
      shard.flush()
      for event in Self.flood(SlowReaderTests.stored(2)) { shard.deliver(event) }
      for event in Self.flood(RoomSessionTests.system("s")) { shard.deliver(event) }
    }
    #expect(peer.connection.state == .closing)
    #expect(peer.connection.queuedByteCount < 4_096)
    fixture.script.room[peer.serverDescriptor] = nil
    try fixture.turn(until: { peer.connection.state != .closing })
    let frames = try fixture.frames(of: peer)
    #expect(frames.count == 2 && frames.last == "close 1013")
  }

  // Case 62
  @Test func `a slow session whose socket has room again skips no frame before its close`() throws {
    let fixture = try ShardFixture { $0.limits.backlogBytesLimit = 4_096 }
    let peer = try fixture.session("u", path: Self.path)
    fixture.script.room[peer.serverDescriptor] = 0
    fixture.shard.unsettled { shard in
      shard.deliver(SlowReaderTests.stored(1, byteCount: 2_500))
      shard.flush()
      shard.deliver(SlowReaderTests.stored(2, byteCount: 2_500))
      fixture.script.room[peer.serverDescriptor] = nil
      shard.deliver(RoomSessionTests.system("after the gap"))
      shard.becomeWritable(peer.connection)
      shard.flush()
    }
    try fixture.turn(2)
    let frames = try fixture.frames(of: peer)
    #expect(frames.count == 2 && frames.last == "close 1013")
    #expect(!frames.contains { $0.contains("after the gap") })
  }
}
