// Members that end while room messages are being queued: materialising a pending room batch may
// itself end this member or others.

import Glibc
import Notifications
import Testing

@testable import Server

@Suite("Room members that end")
struct RoomEndingTests {
  private typealias Rooms = RoomSessionTests

  /// Two of these are flushed within a turn and exceed the backlog limit; one does not.
  private static let half = String(repeating: "h", count: 2_500)

  private static func fixture() throws -> ShardFixture {
    try ShardFixture { $0.limits.backlogBytesLimit = 4_096 }
  }

  /// Expects that the shard has ended the peer, kept the other member and left no state.
  private static func expectGone(
    _ peer: TestPeer, _ fixture: ShardFixture, beside other: TestPeer
  ) throws {
    #expect(peer.connection.hasEnded)
    #expect(fixture.shard.connectionCount == 1)
    #expect(fixture.shard.localMemberCount(of: "r") == 1)
    #expect(peer.connection.hasEmptySlot)
    try fixture.turn(4)
    #expect(fixture.shard.rosters[TextKey("r")]?.count == 1)
    // The next connection in the slot finds it empty.
    let next = try Rooms.member("z", fixture)
    #expect(next.connection.slot == peer.connection.slot)
    try fixture.publish(Rooms.said("last"))
    try fixture.turn(2)
    #expect(try Rooms.heard(fixture, next).last == "last")
    let heard = try Rooms.heard(fixture, other).filter { ["1", "last"].contains($0) }
    #expect(heard == ["1", "last"])
  }

  @Test func `a member that is closed and turns out to be gone ends once`() throws {
    let fixture = try Self.fixture()
    let other = try Rooms.member("b", fixture)
    let peer = try Rooms.member("a", fixture)
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.deliver(Rooms.said("1"))
    fixture.script.sends[peer.serverDescriptor] = [Int(-EPIPE)]
    peer.connection.close(code: 1008, reason: "")
    try Self.expectGone(peer, fixture, beside: other)
  }

  @Test func `a member dropped during a pending room batch is dropped once`() throws {
    let fixture = try Self.fixture()
    let other = try Rooms.member("b", fixture)
    let peer = try Rooms.member("a", fixture)
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.deliver(Rooms.said("1"))
    fixture.script.sends[peer.serverDescriptor] = [Int(-EPIPE)]
    peer.connection.end()
    try Self.expectGone(peer, fixture, beside: other)
  }

  @Test func `a member that fails while it gets an event is sent nothing more`() throws {
    let fixture = try Self.fixture()
    let other = try Rooms.member("b", fixture)
    let peer = try Rooms.member("a", fixture)
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.deliver(Rooms.said("1"))
    fixture.script.sends[peer.serverDescriptor] = [Int(-EPIPE)]
    fixture.shard.deliver(Rooms.own("x", "a"))
    try Self.expectGone(peer, fixture, beside: other)
  }

  @Test func `a member that leaves and turns out to be gone is in no room`() throws {
    let fixture = try Self.fixture()
    let other = try Rooms.member("b", fixture)
    let peer = try Rooms.member("a", fixture)
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.deliver(Rooms.said("1"))
    fixture.script.sends[peer.serverDescriptor] = [Int(-EPIPE)]
    peer.connection.leave("r")
    try Self.expectGone(peer, fixture, beside: other)
  }

  @Test func `a member that leaves over the backlog limit is cut once`() throws {
    let fixture = try Self.fixture()
    let peer = try Rooms.member("a", fixture)
    fixture.script.room[peer.serverDescriptor] = 0
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.flush()
    #expect(peer.connection.isBlocked)
    fixture.shard.deliver(Rooms.said(Self.half))
    peer.connection.leave("r")
    #expect(peer.connection.state == .closing)
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 1)
    try fixture.turn(4)
    #expect(fixture.shard.localRooms.isEmpty && fixture.shard.rosters.isEmpty)
    fixture.script.room[peer.serverDescriptor] = nil
    try fixture.turn(until: { peer.connection.state != .closing })
    let frames = try fixture.frames(of: peer)
    #expect(frames.filter { $0.hasPrefix("close") } == ["close 1013"])
  }

  @Test func `a member that gets a message over the backlog limit is cut once`() throws {
    let fixture = try Self.fixture()
    let peer = try Rooms.member("a", fixture)
    fixture.script.room[peer.serverDescriptor] = 0
    fixture.shard.deliver(Rooms.own(Self.half, "a"))
    fixture.shard.flush()
    fixture.shard.deliver(Rooms.said(Self.half))
    fixture.shard.deliver(Rooms.own("x", "a"))
    #expect(peer.connection.state == .closing)
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 1)
    fixture.script.room[peer.serverDescriptor] = nil
    try fixture.turn(until: { peer.connection.state != .closing })
    #expect(try fixture.frames(of: peer).last == "close 1013")
  }

  @Test func `a broadcast goes past members that another member's end has ended`() throws {
    let fixture = try Self.fixture()
    let behind = try Rooms.member("a", fixture)
    let gone = try Rooms.member("b", fixture)
    let healthy = try Rooms.member("c", fixture)
    try fixture.turn(4)
    _ = try Rooms.heard(fixture, healthy)
    fixture.script.room[behind.serverDescriptor] = 0
    fixture.shard.deliver(Rooms.own(String(repeating: "h", count: 3_900), "a"))
    fixture.shard.flush()
    // After the broadcast, so that the room batch is pending while the broadcast is written.
    fixture.shard.deliver(Rooms.system(Self.half))
    fixture.shard.deliver(Rooms.own(Self.half, "b"))
    fixture.shard.deliver(Rooms.said("1"))
    fixture.script.sends[gone.serverDescriptor] = [Int(-EPIPE)]
    fixture.shard.flush()
    #expect(gone.connection.hasEnded)
    #expect(behind.connection.state == .closing)
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 1)
    #expect(try Rooms.heard(fixture, healthy) == [Self.half, "1"])
  }

  @Test func `a member of a room that was full goes on from the last answer`() throws {
    let fixture = try ShardFixture { $0.limits.roomsLimit = 1 }
    let first = try Rooms.member("a", of: "1", fixture)
    let second = try fixture.session("b", path: Rooms.path)
    // Refused, then admitted: the other client's room ended between the two.
    second.connection.join("2")
    second.connection.leave("2")
    first.connection.leave("1")
    second.connection.join("2")
    try fixture.turn(6)
    #expect(
      try Rooms.heard(fixture, second) == ["error", "room_left", "room_joined"])
    #expect(second.connection.rooms == ["2"])
    second.connection.leave("2")
    try fixture.turn(4)
    #expect(fixture.shard.rosters.isEmpty)
  }

  @Test func `a client that asks twice for a room over the limit gets two errors`() throws {
    let fixture = try ShardFixture { $0.limits.roomsLimit = 1 }
    let first = try Rooms.member("a", of: "1", fixture)
    let second = try fixture.session("b", path: Rooms.path)
    second.connection.join("2")
    second.connection.join("2")
    try fixture.turn(6)
    #expect(try Rooms.heard(fixture, second) == ["error", "error"])
    #expect(!second.connection.hasMembership)
    #expect(first.connection.rooms == ["1"])
    #expect(fixture.shard.refusedEntryCount == 0)
  }

  @Test func `a client that a full room refused leaves its user's other client inside`() throws {
    let fixture = try ShardFixture { $0.limits.roomsLimit = 1 }
    let first = try Rooms.member("a", of: "1", fixture)
    let refused = try fixture.session("b", path: Rooms.path)
    let other = try fixture.session("b", path: Rooms.path)
    refused.connection.join("2")
    first.connection.leave("1")
    other.connection.join("2")
    // Before it gets the answer.
    refused.connection.leave("2")
    try fixture.turn(6)
    #expect(try Rooms.heard(fixture, refused) == ["error", "room_left"])
    #expect(other.connection.rooms == ["2"])
    #expect(fixture.shard.rosters == [TextKey("2"): ["b"]])
    #expect(fixture.shard.refusedEntryCount == 0)
  }
}
