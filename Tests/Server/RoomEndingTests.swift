// Members that end in the midst of what is being said: what is put into an outbox first may be what
// ends them, or others.

import Broadcast
import Glibc
import Notifications
import Testing

@testable import Server

@Suite("Room members that end")
struct RoomEndingTests {
  private typealias Rooms = RoomSessionTests

  /// More than may be queued before it is written in the midst of a turn, and less than may be
  /// waiting.
  private static let half = String(repeating: "h", count: 2_500)

  private static func fixture() throws -> ShardFixture {
    try ShardFixture { $0.limits.backlogBytesLimit = 4_096 }
  }

  /// Whether the shard goes on without the peer, and with nothing of it left behind.
  private static func expectGone(
    _ peer: TestPeer, _ fixture: ShardFixture, beside other: TestPeer
  ) throws {
    #expect(!fixture.shard.table.contains(peer.place))
    #expect(fixture.shard.table[peer.place].outbox.isEmpty)
    #expect(fixture.shard.table.count == 1)
    #expect(fixture.shard.rooms[TextKey("r")]?.members.count == 1)
    try fixture.turn(4)
    #expect(fixture.shard.rosters[TextKey("r")]?.count == 1)
    // Whoever gets its place finds it empty.
    let next = try Rooms.member("z", fixture)
    #expect(next.place == peer.place)
    try fixture.publish(Rooms.said("last"))
    try fixture.turn(2)
    #expect(try Rooms.heard(fixture, next).last == "last")
    let heard = try Rooms.heard(fixture, other).filter { ["1", "last"].contains($0) }
    #expect(heard == ["1", "last"])
  }

  @Test func `one that is closed and turns out to be gone ends once`() throws {
    let fixture = try Self.fixture()
    let other = try Rooms.member("b", fixture)
    let peer = try Rooms.member("a", fixture)
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.deliver(Rooms.said("1"))
    fixture.script.sends[peer.serverDescriptor] = [Int(-EPIPE)]
    fixture.shard.close(peer.place, code: 1008, reason: "")
    try Self.expectGone(peer, fixture, beside: other)
  }

  @Test func `one that is dropped in the midst of a burst is dropped once`() throws {
    let fixture = try Self.fixture()
    let other = try Rooms.member("b", fixture)
    let peer = try Rooms.member("a", fixture)
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.deliver(Rooms.said("1"))
    fixture.script.sends[peer.serverDescriptor] = [Int(-EPIPE)]
    fixture.shard.drop(peer.place)
    try Self.expectGone(peer, fixture, beside: other)
  }

  @Test func `one that is sent an event and turns out to be gone is sent nothing more`() throws {
    let fixture = try Self.fixture()
    let other = try Rooms.member("b", fixture)
    let peer = try Rooms.member("a", fixture)
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.deliver(Rooms.said("1"))
    fixture.script.sends[peer.serverDescriptor] = [Int(-EPIPE)]
    fixture.shard.deliver(Rooms.own("x", "a"))
    try Self.expectGone(peer, fixture, beside: other)
  }

  @Test func `one that leaves and turns out to be gone is in no room`() throws {
    let fixture = try Self.fixture()
    let other = try Rooms.member("b", fixture)
    let peer = try Rooms.member("a", fixture)
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.deliver(Rooms.said("1"))
    fixture.script.sends[peer.serverDescriptor] = [Int(-EPIPE)]
    fixture.shard.leave("r", at: peer.place)
    try Self.expectGone(peer, fixture, beside: other)
  }

  @Test func `one that leaves and is too far behind is cut off once`() throws {
    let fixture = try Self.fixture()
    let peer = try Rooms.member("a", fixture)
    fixture.script.room[peer.serverDescriptor] = 0
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.flush()
    #expect(fixture.isBlocked(peer))
    fixture.shard.deliver(Rooms.said(Self.half))
    fixture.shard.leave("r", at: peer.place)
    #expect(fixture.state(of: peer) == .closing)
    #expect(fixture.shard.metrics.value(.slowConsumers) == 1)
    try fixture.turn(4)
    #expect(fixture.shard.rooms.isEmpty && fixture.shard.rosters.isEmpty)
    fixture.script.room[peer.serverDescriptor] = nil
    try fixture.turn(until: { fixture.state(of: peer) != .closing })
    let frames = try fixture.frames(of: peer)
    #expect(frames.filter { $0.hasPrefix("close") } == ["close 1013"])
  }

  @Test func `one that is told something and is too far behind is cut off once`() throws {
    let fixture = try Self.fixture()
    let peer = try Rooms.member("a", fixture)
    fixture.script.room[peer.serverDescriptor] = 0
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.flush()
    fixture.shard.deliver(Rooms.said(Self.half))
    fixture.shard.deliver(Rooms.own("x", "a"))
    #expect(fixture.state(of: peer) == .closing)
    #expect(fixture.shard.metrics.value(.slowConsumers) == 1)
    fixture.script.room[peer.serverDescriptor] = nil
    try fixture.turn(until: { fixture.state(of: peer) != .closing })
    #expect(try fixture.frames(of: peer).last == "close 1013")
  }

  @Test func `a broadcast goes past members that another one's end has ended`() throws {
    let fixture = try Self.fixture()
    let behind = try Rooms.member("a", fixture)
    let gone = try Rooms.member("b", fixture)
    let healthy = try Rooms.member("c", fixture)
    try fixture.turn(4)
    _ = try Rooms.heard(fixture, healthy)
    fixture.script.room[behind.serverDescriptor] = 0
    fixture.shard.deliver(Rooms.own(String(repeating: "h", count: 3_900), "a"))
    fixture.shard.flush()
    // Behind the broadcast, so that the burst is there while the broadcast is written.
    fixture.shard.deliver(Rooms.system(Self.half))
    fixture.shard.deliver(Rooms.own(Self.half, "b"))
    fixture.shard.deliver(Rooms.said("1"))
    fixture.script.sends[gone.serverDescriptor] = [Int(-EPIPE)]
    fixture.shard.flush()
    #expect(!fixture.shard.table.contains(gone.place))
    #expect(fixture.state(of: behind) == .closing)
    #expect(fixture.shard.metrics.value(.slowConsumers) == 1)
    #expect(try Rooms.heard(fixture, healthy) == [Self.half, "1"])
  }

  @Test func `one that enters a room that was full goes on from the last answer`() throws {
    let fixture = try ShardFixture { $0.limits.roomsLimit = 1 }
    let first = try Rooms.member("a", of: "1", fixture)
    let second = try fixture.session("b", path: Rooms.path)
    // Refused, then let in: the room of the other has gone between the two.
    fixture.shard.join("2", at: second.place)
    fixture.shard.leave("2", at: second.place)
    fixture.shard.leave("1", at: first.place)
    fixture.shard.join("2", at: second.place)
    try fixture.turn(6)
    #expect(
      try Rooms.heard(fixture, second) == ["error", "room_left", "room_joined"])
    #expect(fixture.shard.rooms(at: second.place) == ["2"])
    fixture.shard.leave("2", at: second.place)
    try fixture.turn(4)
    #expect(fixture.shard.rosters.isEmpty)
  }

  @Test func `one that asks twice to enter a room that cannot be had is told so twice`() throws {
    let fixture = try ShardFixture { $0.limits.roomsLimit = 1 }
    let first = try Rooms.member("a", of: "1", fixture)
    let second = try fixture.session("b", path: Rooms.path)
    fixture.shard.join("2", at: second.place)
    fixture.shard.join("2", at: second.place)
    try fixture.turn(6)
    #expect(try Rooms.heard(fixture, second) == ["error", "error"])
    #expect(fixture.shard.table[second.place].membership == nil)
    #expect(fixture.shard.rooms(at: first.place) == ["1"])
  }
}
