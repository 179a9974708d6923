// Rooms, as an embedding program changes and reads them from any thread.
//
// A program decides for its users, so it may put them into rooms that their tokens do not name.

package import Notifications

/// The first members of a room.
package struct RoomMembers: Sendable, Equatable {
  /// The largest number of members in an answer.
  package static let largestLimit = 10_000

  /// Users in the room, in the order of their arrival.
  package var users: [UserID] = []
  /// The number of all members.
  package var total = 0

  func joined(with other: RoomMembers) -> RoomMembers {
    // Only the room's owner shard has any.
    RoomMembers(users: users + other.users, total: total + other.total)
  }
}

extension CarillonServer {
  /// Puts the user's open sessions into a room and returns how many of them are in it.
  ///
  /// When it returns, they get each message sent to the room from then on.
  package func join(_ room: RoomName, user: UserID) async throws(ShardQueryFailure) -> Int {
    guard case .count(let count) = try await ask(.join(room, user: user)), count > 0 else {
      return 0
    }
    // The owner shard answers each request, and the session's shard handles that answer. Mailboxes
    // keep their order, so the first query comes after the requests, and the second one after the
    // answers.
    _ = try await ask(.members(of: room, limit: 0))
    guard case .count(let inside) = try await ask(.inside(room, user: user)) else { throw .late }
    return inside
  }

  /// Takes the user's sessions out of a room and returns how many of them were in it.
  package func leave(_ room: RoomName, user: UserID) async throws(ShardQueryFailure) -> Int {
    guard case .count(let count) = try await ask(.leave(room, user: user)) else { throw .late }
    // So that `members` no longer has them: see `join`.
    if count > 0 { _ = try await ask(.members(of: room, limit: 0)) }
    return count
  }

  /// The first members of a room.
  ///
  /// `limit` is 0 to `RoomMembers.largestLimit`.
  package func members(
    of room: RoomName, limit: Int
  ) async throws(ShardQueryFailure) -> RoomMembers {
    precondition(0...RoomMembers.largestLimit ~= limit, "limit \(limit)")
    guard case .members(let members) = try await ask(.members(of: room, limit: limit)) else {
      throw .late
    }
    return members
  }
}
