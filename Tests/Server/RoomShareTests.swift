// The share of a user in the rooms of a server: the user that a room counts for, until it ends.

import Notifications
import TestSupport
import Testing

@testable import Server

@Suite("Shares of rooms")
struct RoomShareTests {
  private static func owner(_ shares: RoomShares) -> RoomOwner {
    RoomOwner(roomsLimit: 1_000, presenceMembersLimit: 100, shares: shares)
  }

  private static func isRefused(_ answer: RoomAnswer?) -> Bool {
    if case .shareUsed? = answer { true } else { false }
  }

  @Test func `a user opens as many rooms as its share, and enters any that has members`() {
    let shares = RoomShares(limit: 2)
    let owner = Self.owner(shares)
    _ = owner.answer(.enter, "popular", "host", at: 0)
    for room in ["1", "2"] { #expect(!Self.isRefused(owner.answer(.enter, room, "a", at: 0))) }
    #expect(Self.isRefused(owner.answer(.enter, "3", "a", at: 0)))
    #expect(owner.roomCount == 3)
    // The refused connection leaves: it took nothing.
    _ = owner.answer(.abandon, "3", "a", at: 0)
    #expect(!Self.isRefused(owner.answer(.enter, "popular", "a", at: 0)))
    #expect(shares.heldCounts == [TextKey("host"): 1, TextKey("a"): 2])
    // Another connection of the user in its own room, and one that goes: it counts as before.
    _ = owner.answer(.enter, "1", "a", at: 0)
    _ = owner.answer(.leave, "1", "a", at: 0)
    #expect(Self.isRefused(owner.answer(.enter, "4", "a", at: 0)))
    _ = owner.answer(.leave, "1", "a", at: 0)
    #expect(!Self.isRefused(owner.answer(.enter, "4", "a", at: 0)))
  }

  @Test func `a room passes to the member with the fewest, and returns its share at its end`() {
    let shares = RoomShares(limit: 2)
    let owner = Self.owner(shares)
    _ = owner.answer(.enter, "b's", "b", at: 0)
    for user in ["a", "b", "c"] { _ = owner.answer(.enter, "r", user, at: 0) }
    _ = owner.answer(.leave, "r", "a", at: 0)
    #expect(owner.roomHolders[TextKey("r")] == "c")
    _ = owner.answer(.abandon, "r", "c", at: 0)
    #expect(owner.roomHolders[TextKey("r")] == "b")
    #expect(shares.heldCounts == [TextKey("b"): 2])
    _ = owner.answer(.leave, "r", "b", at: 0)
    #expect(shares.heldCounts == [TextKey("b"): 1])
  }

  @Test func `users that hand rooms to one another hold no more than their shares`() {
    let shares = RoomShares(limit: 3)
    let owner = Self.owner(shares)
    var opened = 0
    for number in 0..<20 {
      let room = "r\(number)"
      if Self.isRefused(owner.answer(.enter, room, "giver", at: 0)) {
        _ = owner.answer(.abandon, room, "giver", at: 0)
        continue
      }
      opened += 1
      _ = owner.answer(.enter, room, "taker", at: 0)
      _ = owner.answer(.leave, room, "giver", at: 0)
    }
    #expect(opened == 6 && owner.roomCount == 6)
    #expect(shares.heldCounts == [TextKey("giver"): 3, TextKey("taker"): 3])
    // A further member takes on one that still counts for the user that left.
    let left = owner.roomHolders.first { $0.value == "giver" }!.key.text
    _ = owner.answer(.enter, left, "guest", at: 0)
    #expect(owner.roomHolders[TextKey(left)] == "guest")
    #expect(!Self.isRefused(owner.answer(.enter, "further", "giver", at: 0)))
  }

  @Test func `a room that is not counted when it begins counts for none`() {
    let shares = RoomShares(limit: 1)
    let owner = Self.owner(shares)
    for number in 0..<5 { _ = owner.answer(.enterUncounted, "r\(number)", "a", at: 0) }
    _ = owner.answer(.enter, "r0", "b", at: 0)
    _ = owner.answer(.leave, "r0", "a", at: 0)
    #expect(owner.roomCount == 5 && shares.heldCounts.isEmpty)
    #expect(!Self.isRefused(owner.answer(.enter, "own", "a", at: 0)))
  }

  @Test func `at random, each room counts for one user, and no user is over its share`() {
    var random = SeededGenerator.announced("room shares")
    let users = (0..<5).map { "u\($0)" }
    for _ in 0..<30 {
      let shares = RoomShares(limit: Int.random(in: 1...4, using: &random))
      let owners = [Self.owner(shares), Self.owner(shares)]
      var inside: [(owner: Int, room: String, user: String, slot: UInt32)] = []
      for slot in 0..<600 as Range<UInt32> {
        if inside.isEmpty || Int.random(in: 0..<2, using: &random) == 0 {
          let room = "r\(Int.random(in: 0..<12, using: &random))"
          let (owner, user) = (room.utf8.count % 2, users.randomElement(using: &random)!)
          let question: RoomQuestion =
            Int.random(in: 0..<5, using: &random) == 0 ? .enterUncounted : .enter
          _ = owners[owner].answer(
            question, room, user, of: RoomOwnerTests.connection(slot), at: 0)
          // Also one that was refused: it leaves, too.
          inside.append((owner, room, user, slot))
        } else {
          let one = inside.remove(at: Int.random(in: 0..<inside.count, using: &random))
          let question: RoomQuestion = Bool.random(using: &random) ? .leave : .abandon
          _ = owners[one.owner].answer(
            question, one.room, one.user, of: RoomOwnerTests.connection(one.slot), at: 0)
        }
        var counts: [TextKey: Int] = [:]
        for owner in owners {
          owner.checkInvariants()
          for holder in owner.roomHolders.values { counts[TextKey(holder), default: 0] += 1 }
        }
        #expect(counts == shares.heldCounts)
        #expect(counts.values.allSatisfy { $0 <= shares.limit })
      }
      for one in inside {
        _ = owners[one.owner].answer(
          .abandon, one.room, one.user, of: RoomOwnerTests.connection(one.slot), at: 0)
      }
      #expect(shares.heldCounts.isEmpty && owners.allSatisfy { $0.roomCount == 0 })
    }
  }

  // MARK: Sessions

  private static func join(
    _ room: String, _ peer: TestPeer, _ fixture: ShardFixture
  ) throws -> [String] {
    try fixture.say(RoomSessionTests.message("join_room", #"{"room":"\#(room)"}"#), peer)
    try fixture.turn(4)
    return try fixture.frames(of: peer)
  }

  @Test func `the default share counts the rooms of other machines' clients alone`() throws {
    let fixture = try ShardFixture()
    fixture.core.quotas.roomShares.fill("u")
    let far = try fixture.session(
      "u", path: RoomSessionTests.path, fields: "X-Forwarded-For: 203.0.113.9\r\n")
    let refusal = try Self.join("r", far, fixture)
    #expect(refusal.count == 1 && refusal[0].contains(#""code":"too_many_rooms""#))
    #expect(refusal[0].contains("you opened 500 rooms: leave some, or join one that has members"))
    #expect(far.connection.rooms.isEmpty)
    let near = try fixture.session("u", path: RoomSessionTests.path)
    #expect(try Self.join("r", near, fixture).contains { $0.contains("room_joined") })
    #expect(try Self.join("r", far, fixture).contains { $0.contains("room_joined") })
  }

  @Test func `a configured share counts every client, and ends with its connections`() throws {
    let fixture = try ShardFixture(shardCount: 2) { $0.limits.roomsPerUserLimit = 3 }
    let peers = try (0..<2).map {
      try fixture.session("u", path: RoomSessionTests.path, on: $0)
    }
    var frames: [String] = []
    for number in 0..<8 {
      peers[number % 2].connection.join("r\(number)")
      try fixture.turn(4)
      frames += try fixture.frames(of: peers[number % 2])
    }
    #expect(frames.count { $0.contains("room_joined") } == 3)
    #expect(frames.count { $0.contains("too_many_rooms") } == 5)
    #expect(fixture.core.quotas.roomShares.heldCounts == [TextKey("u"): 3])
    for peer in peers { peer.connection.end() }
    try fixture.turn(4)
    #expect(fixture.core.quotas.roomShares.heldCounts.isEmpty)
  }

  // It joined them as it closed, and nothing took it out: the rooms counted for its user for ever.
  @Test func `a session that is refused at its start joins none of its rooms`() throws {
    let fixture = try ShardFixture { $0.limits.blockedBytesLimit = 512 << 10 }
    let peer = try fixture.session("a", path: "/ws/connect?rooms=r,s&since=test.0")
    try fixture.turn(3)
    #expect(peer.connection.state != .session)
    peer.endSending()
    try fixture.turn(until: { fixture.shard.connectionCount == 0 })
    try fixture.turn(3)
    #expect(fixture.shard.rosters.isEmpty)
  }
}

extension RoomShares {
  /// Has a user hold as many rooms as its share.
  fileprivate func fill(_ user: UserID) { while open(by: user) {} }
}
