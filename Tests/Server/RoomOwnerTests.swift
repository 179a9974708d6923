// An owner of rooms by itself: whom it counts as a member, and to which members it sends the return
// of another.

import Delivery
import Notifications
import Testing

@testable import Server

extension RoomOwner {
  /// Handles a request of the only connection that is ever refused.
  func answer(
    _ question: RoomQuestion, _ name: RoomName, _ user: UserID, at now: UInt64
  ) -> RoomAnswer? {
    answer(question, name, user, of: RoomOwnerTests.connection(0), at: now)
  }
}

@Suite("Owner of rooms")
struct RoomOwnerTests {
  static func connection(_ slot: UInt32) -> ShardConnectionID {
    ShardConnectionID(shard: 0, connection: ConnectionID(slot: slot, generation: 1))
  }

  private static func owner() -> RoomOwner {
    RoomOwner(roomsLimit: 10, presenceMembersLimit: 100_000)
  }

  /// Lets users enter the room; all members are sent that they are online.
  private static func enter(_ owner: RoomOwner, _ users: UserID...) {
    for user in users { _ = owner.answer(.enter, "r", user, at: 0) }
    for user in users {
      owner.send(PresenceUpdate(user: user, status: .online), to: "r", isReturn: false)
    }
    _ = owner.takeUpdates()
  }

  private static func isSent(_ owner: RoomOwner, return user: UserID) -> Bool {
    owner.send(PresenceUpdate(user: user, status: .online), to: "r", isReturn: true)
    return !owner.takeUpdates().updates.isEmpty
  }

  @Test func `the return of a member that never left is sent to nobody`() {
    let owner = Self.owner()
    Self.enter(owner, "a", "b")
    // The next page of "b" enters before the shard of the last one reports its end.
    _ = owner.answer(.enter, "r", "b", at: 0)
    _ = owner.answer(.abandon, "r", "b", at: 0)
    #expect(!Self.isSent(owner, return: "b"))
  }

  @Test func `the return of a member that has left again is sent to nobody`() {
    let owner = Self.owner()
    Self.enter(owner, "a", "b")
    _ = owner.answer(.abandon, "r", "b", at: 0)
    _ = owner.answer(.enter, "r", "b", at: 0)
    // The page reloads again before the owner of its user reports the return.
    _ = owner.answer(.abandon, "r", "b", at: 0)
    #expect(!Self.isSent(owner, return: "b"))
    _ = owner.answer(.enter, "r", "b", at: 0)
    #expect(!Self.isSent(owner, return: "b"))
  }

  @Test func `a return that was not sent before the next departure is sent after it`() {
    let owner = Self.owner()
    Self.enter(owner, "a", "b")
    _ = owner.answer(.abandon, "r", "b", at: 0)
    _ = owner.answer(.enter, "r", "c", at: 0)
    for question in [RoomQuestion.enter, .abandon, .enter] {
      _ = owner.answer(question, "r", "b", at: 0)
    }
    #expect(Self.isSent(owner, return: "b"), "c was not listed b")
    #expect(!Self.isSent(owner, return: "b"))
  }

  @Test func `an update that comes after its user has left counts as sent at the return`() {
    let owner = Self.owner()
    for user in ["a", "b"] { _ = owner.answer(.enter, "r", user, at: 0) }
    _ = owner.answer(.abandon, "r", "b", at: 0)
    owner.send(PresenceUpdate(user: "b", status: .online), to: "r", isReturn: false)
    #expect(owner.takeUpdates().updates.count == 1)
    _ = owner.answer(.enter, "r", "b", at: 0)
    #expect(!Self.isSent(owner, return: "b"))
    // Unless it was lost.
    _ = owner.answer(.abandon, "r", "b", at: 0)
    owner.send(PresenceUpdate(user: "b", status: .busy), to: "r", isReturn: false)
    owner.noteLost(PresenceUpdate(user: "b", status: .busy), in: "r", at: 0)
    _ = owner.takeUpdates()
    _ = owner.answer(.enter, "r", "b", at: 0)
    #expect(Self.isSent(owner, return: "b"))
  }

  @Test func `the return of a user whose status is offline is sent to nobody`() {
    let owner = Self.owner()
    for user in ["a", "b"] { _ = owner.answer(.enter, "r", user, at: 0) }
    for question in [RoomQuestion.abandon, .enter] { _ = owner.answer(question, "r", "b", at: 0) }
    // Nothing was ever sent about "b", but it has not come online either.
    owner.send(PresenceUpdate(user: "b", status: .offline), to: "r", isReturn: true)
    #expect(owner.takeUpdates().updates.isEmpty)
    #expect(Self.isSent(owner, return: "b"))
  }

  // It was listed as online for as long as it stayed.
  @Test func `a user that enters with the status offline is listed with it`() {
    let owner = Self.owner()
    Self.enter(owner, "a")
    _ = owner.answer(.enter, "r", "b", at: 0)
    owner.send(PresenceUpdate(user: "b", status: .offline), to: "r", isReturn: true)
    #expect(owner.takeUpdates().updates.isEmpty, "a was listed nothing else")
    guard case .entered(let entries) = owner.answer(.enter, "r", "c", at: 0) else {
      Issue.record("not entered")
      return
    }
    #expect(entries.map(\.status) == [.online, .offline, .online])
  }

  @Test func `members that were listed another status are sent that a user is offline`() {
    let offline = PresenceUpdate(user: "b", status: .offline)
    let owner = Self.owner()
    Self.enter(owner, "a")
    _ = owner.answer(.enter, "r", "b", at: 0)
    // "c" enters before the owner of the user reports the status.
    _ = owner.answer(.enter, "r", "c", at: 0)
    owner.send(offline, to: "r", isReturn: true)
    let updates = owner.takeUpdates().updates
    guard updates.count == 1, case .presence(offline) = updates[0].body else {
      Issue.record("\(updates)")
      return
    }
    owner.send(offline, to: "r", isReturn: true)
    #expect(owner.takeUpdates().updates.isEmpty)
    // A second connection of the user is not one of the others.
    Self.enter(owner, "d")
    for _ in 0..<2 { _ = owner.answer(.enter, "r", "e", at: 0) }
    owner.send(PresenceUpdate(user: "e", status: .offline), to: "r", isReturn: true)
    #expect(owner.takeUpdates().updates.isEmpty)
  }

  @Test func `members that know a departed user as online are sent that it is offline`() {
    let owner = Self.owner()
    Self.enter(owner, "a", "b")
    for question in [RoomQuestion.leave, .enter] { _ = owner.answer(question, "r", "b", at: 0) }
    owner.send(PresenceUpdate(user: "b", status: .offline), to: "r", isReturn: true)
    #expect(owner.takeUpdates().updates.count == 1)
  }

  @Test func `members that were listed a user before it left are sent that it returns invisibly`() {
    let owner = Self.owner()
    Self.enter(owner, "a")
    // "c" is listed "b", and "b" leaves before the owner of the user reports its status.
    for user in ["b", "c"] { _ = owner.answer(.enter, "r", user, at: 0) }
    _ = owner.answer(.leave, "r", "b", at: 0)
    let offline = PresenceUpdate(user: "b", status: .offline)
    owner.send(offline, to: "r", isReturn: true)
    #expect(owner.takeUpdates().updates.isEmpty, "it is away")
    _ = owner.answer(.enter, "r", "b", at: 0)
    owner.send(offline, to: "r", isReturn: true)
    #expect(owner.takeUpdates().updates.count == 1)
  }

  @Test(arguments: [true, false], [2, 3])
  func `a member that returns is listed with its status`(
    isSetBeforeDeparture: Bool, presenceMembersLimit: Int
  ) {
    let owner = RoomOwner(roomsLimit: 10, presenceMembersLimit: presenceMembersLimit)
    let busy = PresenceUpdate(user: "b", status: .busy)
    Self.enter(owner, "a", "b")
    if isSetBeforeDeparture { owner.send(busy, to: "r", isReturn: false) }
    _ = owner.answer(.abandon, "r", "b", at: 0)
    for user in ["c", "d"] { _ = owner.answer(.enter, "r", user, at: 0) }
    // Kept, whether the room has too many members to be sent it or not.
    if !isSetBeforeDeparture { owner.send(busy, to: "r", isReturn: false) }
    _ = owner.answer(.enter, "r", "b", at: 0)
    // The answer is all that "e" gets before the return of "b" comes.
    guard case .entered(let entries) = owner.answer(.enter, "r", "e", at: 0) else {
      Issue.record("not entered")
      return
    }
    #expect(entries.first { $0.user == "b" }?.status == .busy)
  }

  @Test func `an update that was lost does not count as sent`() {
    let owner = Self.owner()
    Self.enter(owner, "a", "b")
    owner.noteLost(PresenceUpdate(user: "b", status: .online), in: "r", at: 0)
    #expect(Self.isSent(owner, return: "b"))
    #expect(!Self.isSent(owner, return: "b"))
  }

  private static func sent(_ owner: RoomOwner) -> [PresenceUpdate] {
    owner.takeUpdates().updates.compactMap { update in
      if case .presence(let presence) = update.body { presence } else { nil }
    }
  }

  @Test func `an update that was lost is sent again after a second, unless a later one was`() {
    let owner = Self.owner()
    Self.enter(owner, "a", "b")
    let (away, busy) = (
      PresenceUpdate(user: "b", status: .away), PresenceUpdate(user: "b", status: .busy)
    )
    owner.noteLost(away, in: "r", at: 0)
    #expect(owner.nextDeadline == 1_000)
    owner.expire(at: 999)
    #expect(owner.takeUpdates().updates.isEmpty)
    owner.expire(at: 1_000)
    #expect(Self.sent(owner) == [away])
    owner.noteLost(away, in: "r", at: 1_000)
    owner.send(busy, to: "r", isReturn: false)
    #expect(Self.sent(owner) == [busy])
    owner.expire(at: 9_000)
    #expect(owner.takeUpdates().updates.isEmpty && owner.nextDeadline == nil)
    owner.checkInvariants()
  }

  @Test func `the lost updates that are kept are bounded`() {
    let owner = Self.owner()
    Self.enter(owner, "a", "b")
    for number in 0..<RoomOwner.lostUpdatesLimit + 10 {
      owner.noteLost(PresenceUpdate(user: "u\(number)", status: .busy), in: "r", at: 0)
    }
    owner.expire(at: 1_000)
    #expect(owner.takeUpdates().updates.count == RoomOwner.lostUpdatesLimit)
  }

  @Test func `a return is sent if a connection entered meanwhile, or the room was empty`() {
    let owner = Self.owner()
    Self.enter(owner, "a", "b")
    _ = owner.answer(.abandon, "r", "a", at: 0)
    _ = owner.answer(.enter, "r", "a", at: 0)
    #expect(!Self.isSent(owner, return: "a"))
    _ = owner.answer(.abandon, "r", "a", at: 0)
    // A second tab of "b" was not listed "a" either.
    _ = owner.answer(.enter, "r", "b", at: 0)
    _ = owner.answer(.enter, "r", "a", at: 0)
    #expect(Self.isSent(owner, return: "a"))
    for user in ["a", "b", "b"] { _ = owner.answer(.abandon, "r", user, at: 0) }
    for user in ["b", "a"] { _ = owner.answer(.enter, "r", user, at: 0) }
    #expect(Self.isSent(owner, return: "a"))
  }

  @Test func `a departure from a room that was empty since is not one from its next members`() {
    let owner = Self.owner()
    Self.enter(owner, "a", "b")
    for user in ["a", "b"] { _ = owner.answer(.abandon, "r", user, at: 0) }
    // As many entries as before the departure, but of others.
    for user in ["c", "d", "a"] { _ = owner.answer(.enter, "r", user, at: 0) }
    #expect(Self.isSent(owner, return: "a"))
  }

  @Test func `the departures of a limited number of members are remembered`() {
    // The latest departure is remembered, and the first one no longer.
    for (index, isSent) in [(RoomOwner.departuresLimit, false), (0, true)] {
      let owner = Self.owner()
      let users = (0...RoomOwner.departuresLimit + 1).map { "u\($0)" }
      for user in users { Self.enter(owner, user) }
      for user in users.dropLast() { _ = owner.answer(.abandon, "r", user, at: 0) }
      _ = owner.answer(.enter, "r", users[index], at: 0)
      #expect(Self.isSent(owner, return: users[index]) == isSent)
    }
  }

  @Test(arguments: [RoomQuestion.leave, .abandon])
  func `a refused connection that ends leaves its user's other one inside`(end: RoomQuestion) {
    let owner = RoomOwner(roomsLimit: 1, presenceMembersLimit: 100)
    let (refused, other) = (Self.connection(1), Self.connection(2))
    Self.enter(owner, "a")
    guard case .full? = owner.answer(.enter, "s", "b", of: refused, at: 0) else {
      Issue.record("not refused")
      return
    }
    _ = owner.answer(.abandon, "r", "a", at: 0)
    _ = owner.answer(.enter, "s", "b", of: other, at: 0)
    _ = owner.answer(end, "s", "b", of: refused, at: 0)
    #expect(owner.members == [TextKey("s"): ["b"]])
    #expect(owner.refusedEntryCount == 0)
    // Once it has entered, it counts like any other.
    _ = owner.answer(.enter, "s", "b", of: refused, at: 0)
    _ = owner.answer(.abandon, "s", "b", of: other, at: 0)
    #expect(owner.members == [TextKey("s"): ["b"]])
    _ = owner.answer(end, "s", "b", of: refused, at: 0)
    #expect(owner.members.isEmpty)
  }
}
