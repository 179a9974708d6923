// Typing that changes faster than it may be sent: the others of a room get at most one update of a
// member a second, and the state in which it stopped.

import Notifications
import TestSupport
import Testing

@testable import Server

@Suite("The pace of typing")
struct TypingPaceTests {
  private static func owner(
    _ users: UserID..., presenceMembersLimit: Int = 100, windowCountLimit: Int = 100
  ) -> RoomOwner {
    let owner = RoomOwner(
      roomsLimit: 10, presenceMembersLimit: presenceMembersLimit,
      typingPaces: TypingPaces(countLimit: windowCountLimit))
    for user in users { _ = owner.answer(.enter, "r", user, at: 0) }
    return owner
  }

  /// The typing updates since the last call.
  private static func sent(_ owner: RoomOwner) -> [TypingUpdate] {
    owner.checkInvariants()
    return owner.takeUpdates().updates.compactMap { update in
      if case .typing(let typing) = update.body { typing } else { nil }
    }
  }

  private static func states(_ owner: RoomOwner) -> [Bool] { sent(owner).map(\.isTyping) }

  @Test("changes within a second are sent at its end, as one", arguments: [true, false])
  func coalesced(endsTyping: Bool) {
    let owner = Self.owner("a", "b")
    for number in 0..<10_000 {
      _ = owner.answer(.type(number.isMultiple(of: 2)), "r", "a", at: 10)
    }
    _ = owner.answer(.type(endsTyping), "r", "a", at: 10)
    #expect(Self.states(owner) == [true])
    #expect(owner.nextDeadline == 1_010)
    owner.expire(at: 1_009)
    #expect(Self.states(owner) == [])
    owner.expire(at: 1_010)
    // Also the state that was sent last: a message of the member may have hidden it.
    #expect(Self.states(owner) == [endsTyping])
    #expect(owner.nextDeadline == 2_010)
    owner.expire(at: 2_010)
    #expect(Self.states(owner) == [])
  }

  @Test func `a member that stops and leaves within the second has stopped at its end`() {
    let owner = Self.owner("a", "b")
    _ = owner.answer(.type(true), "r", "a", at: 0)
    _ = owner.answer(.leave, "r", "a", at: 1)
    #expect(Self.states(owner) == [true])
    // It returns and types.
    _ = owner.answer(.enter, "r", "a", at: 2)
    _ = owner.answer(.type(true), "r", "a", at: 2)
    owner.expire(at: 1_000)
    #expect(Self.states(owner) == [true])
    _ = owner.answer(.abandon, "r", "a", at: 1_001)
    #expect(Self.states(owner) == [])
    owner.expire(at: 2_000)
    #expect(Self.states(owner) == [false])
  }

  @Test func `a room that was empty meanwhile is sent the state of its member again`() {
    let owner = Self.owner("a", "b")
    _ = owner.answer(.type(true), "r", "a", at: 0)
    for user in ["a", "b"] { _ = owner.answer(.leave, "r", user, at: 1) }
    for user in ["a", "b"] { _ = owner.answer(.enter, "r", user, at: 2) }
    _ = owner.answer(.type(true), "r", "a", at: 2)
    #expect(Self.states(owner) == [true])
    owner.expire(at: 1_000)
    #expect(Self.states(owner) == [true])
  }

  @Test func `each member and each room has a pace of its own`() {
    let owner = Self.owner("a", "b")
    for room in ["r", "s"] { _ = owner.answer(.enter, room, "c", at: 0) }
    for (room, user) in [("r", "a"), ("r", "b"), ("r", "c"), ("s", "c")] {
      _ = owner.answer(.type(true), room, user, at: 0)
    }
    #expect(Self.states(owner).count == 4)
  }

  @Test func `an update that was lost is made good at the end of the second`() {
    let owner = Self.owner("a", "b")
    _ = owner.answer(.type(true), "r", "a", at: 0)
    for update in Self.sent(owner) { owner.noteLostTyping(update) }
    owner.expire(at: 1_000)
    let again = Self.sent(owner)
    #expect(again.map(\.isTyping) == [true])
    // Lost once more, and the member has stopped.
    for update in again { owner.noteLostTyping(update) }
    _ = owner.answer(.type(false), "r", "a", at: 1_500)
    owner.expire(at: 2_000)
    #expect(Self.states(owner) == [false])
    owner.expire(at: 3_000)
    #expect(Self.states(owner) == [] && owner.typingWindowCount == 0)
  }

  @Test func `at the limit of windows a start is not sent, and a stop is`() {
    let owner = Self.owner("a", "b", "c", windowCountLimit: 1)
    _ = owner.answer(.type(true), "r", "a", at: 0)
    owner.expire(at: 1_000)
    _ = owner.answer(.type(true), "r", "b", at: 1_000)
    _ = owner.answer(.type(true), "r", "c", at: 1_000)
    // Its window has ended, and there is no room for another.
    _ = owner.answer(.type(false), "r", "a", at: 1_000)
    #expect(
      Self.sent(owner).map { [$0.user, "\($0.isTyping)"] } == [
        ["a", "true"], ["b", "true"], ["a", "false"],
      ])
    #expect(owner.typingWindowCount == 1)
    owner.expire(at: 6_000)
    #expect(Self.states(owner) == [false])
  }

  @Test func `in a room over the presence limit no window is opened`() {
    let owner = Self.owner("a", "b", "c", presenceMembersLimit: 2)
    _ = owner.answer(.type(true), "r", "a", at: 0)
    #expect(Self.states(owner) == [] && owner.typingWindowCount == 0)
  }

  @Test func `at random, updates keep their distance, and end with the last state`() {
    var random = SeededGenerator.announced("typing paces")
    let (rooms, users) = (["r", "s", "t"], ["a", "b", "c", "d"])
    for _ in 0..<40 {
      let owner = RoomOwner(roomsLimit: 10, presenceMembersLimit: 100)
      var now: UInt64 = 0
      var connections: [RoomVisit: Int] = [:]
      var typing: [RoomVisit: Bool] = [:]
      var latest: [RoomVisit: (isTyping: Bool, at: UInt64)] = [:]
      func read() {
        for update in Self.sent(owner) {
          let visit = RoomVisit(update.room, update.user)
          if let before = latest[visit] { #expect(now - before.at >= 1_000) }
          latest[visit] = (update.isTyping, now)
        }
      }
      for _ in 0..<1_500 {
        let room = rooms.randomElement(using: &random)!
        let user = users.randomElement(using: &random)!
        let visit = RoomVisit(room, user)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<2:
          _ = owner.answer(.enter, room, user, at: now)
          connections[visit, default: 0] += 1
        case 2 where connections[visit, default: 0] > 0:
          _ = owner.answer(.leave, room, user, at: now)
          connections[visit]! -= 1
          // No member is left that was sent anything.
          if connections.allSatisfy({ $0.key.room != visit.room || $0.value == 0 }) {
            read()
            for known in latest.keys where known.room == visit.room {
              latest[known]!.isTyping = false
            }
          }
        case 3..<7 where connections[visit, default: 0] > 0:
          let isTyping = Bool.random(using: &random)
          _ = owner.answer(.type(isTyping), room, user, at: now)
          typing[visit] = isTyping
        default:
          now += UInt64.random(in: 0..<400, using: &random)
          owner.expire(at: now)
        }
        read()
      }
      // Those that still type do so for five seconds more, the others have stopped within one.
      for _ in 0..<3 {
        now += 1_000
        owner.expire(at: now)
        read()
      }
      for (visit, state) in latest where state.isTyping {
        #expect(typing[visit] == true)
      }
      now += 10_000
      owner.expire(at: now)
      read()
      now += 1_000
      owner.expire(at: now)
      read()
      #expect(owner.typingEntryCount == 0 && owner.typingWindowCount == 0)
    }
  }
}
