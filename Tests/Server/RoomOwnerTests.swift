// An owner of rooms by itself: to which members it sends the return of another.

import Notifications
import Testing

@testable import Server

@Suite("Owner of rooms")
struct RoomOwnerTests {
  private static func owner() -> RoomOwner {
    RoomOwner(roomsLimit: 10, presenceMembersLimit: 100_000)
  }

  private static func isSent(_ owner: RoomOwner, return user: UserID) -> Bool {
    owner.send(PresenceUpdate(user: user, status: .online), to: "r", isReturn: true)
    return !owner.takeUpdates().updates.isEmpty
  }

  @Test func `the return of a member that never left is sent to nobody`() {
    let owner = Self.owner()
    for user in ["a", "b"] { _ = owner.answer(.enter, "r", user, at: 0) }
    owner.send(PresenceUpdate(user: "b", status: .online), to: "r", isReturn: false)
    #expect(owner.takeUpdates().updates.count == 1)
    // The next page of "b" enters before the shard of the last one reports its end.
    _ = owner.answer(.enter, "r", "b", at: 0)
    _ = owner.answer(.abandon, "r", "b", at: 0)
    #expect(!Self.isSent(owner, return: "b"))
  }

  @Test func `an update that was lost does not count as sent`() {
    let owner = Self.owner()
    for user in ["a", "b"] { _ = owner.answer(.enter, "r", user, at: 0) }
    owner.send(PresenceUpdate(user: "b", status: .online), to: "r", isReturn: false)
    _ = owner.takeUpdates()
    owner.noteLostPresence(of: "b", in: "r")
    #expect(Self.isSent(owner, return: "b"))
    #expect(!Self.isSent(owner, return: "b"))
  }

  @Test func `a return is sent if a connection entered meanwhile, or the room was empty`() {
    let owner = Self.owner()
    for user in ["a", "b"] { _ = owner.answer(.enter, "r", user, at: 0) }
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
    for user in ["a", "b"] { _ = owner.answer(.enter, "r", user, at: 0) }
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
      for user in users { _ = owner.answer(.enter, "r", user, at: 0) }
      for user in users.dropLast() { _ = owner.answer(.abandon, "r", user, at: 0) }
      _ = owner.answer(.enter, "r", users[index], at: 0)
      #expect(Self.isSent(owner, return: users[index]) == isSent)
    }
  }
}
