// The share of each user in the rooms of a server.
//
// A room costs memory on its owner shard while it has members, and it counts for one user: first
// for the one that opened it, as its first member. Entering a room that exists costs nothing, so a
// user in many popular rooms is refused none of them. When the user for which a room counts leaves
// and others stay, the room passes to one of these that is below its share; if none is, it goes on
// counting for the user that left. So no user is ever over its share, and accounts that hand rooms
// to one another gain nothing.
//
// Rooms belong to shards by their names, so the counts of a user are one number protected by a
// mutex. A shard takes it when a room begins, ends or passes on: not for other members.
//
// Invariant: a user's count is the number of rooms that it holds, at least 1 and at most `limit`.

internal import Broadcast
internal import Notifications

/// How many rooms each user holds, over all shards.
///
/// Any thread may use it.
final class RoomShares: Sendable {
  /// Members that are asked, in order of arrival, for the one with the fewest rooms.
  static let candidatesLimit = 8

  /// `Int.max` means no limit.
  let limit: Int
  private let counts = Guarded<[TextKey: Int]>([:])

  init(limit: Int) { self.limit = limit }

  /// Counts one more room for a user; false at its limit.
  func open(by user: UserID) -> Bool {
    let user = TextKey(user)
    return counts.withLock { counts in
      let count = counts[user] ?? 0
      // guard: rooms-per-user
      guard count < limit else { return false }
      counts[user] = count + 1
      return true
    }
  }

  /// Uncounts a room that has ended.
  func close(heldBy user: UserID) {
    let user = TextKey(user)
    counts.withLock { RoomShares.uncount(user, in: &$0) }
  }

  /// Counts a room for the candidate with the fewest rooms, and no longer for `holder`.
  ///
  /// Returns that candidate; nil if each is at its limit: then nothing changes.
  func pass(from holder: UserID, toOneOf candidates: some Collection<UserID>) -> UserID? {
    let holder = TextKey(holder)
    return counts.withLock { counts in
      var best: (user: UserID, count: Int)?
      for user in candidates {
        let count = counts[TextKey(user)] ?? 0
        // guard: room-passes-within-share
        guard count < limit, count < best?.count ?? .max else { continue }
        best = (user, count)
      }
      guard let best else { return nil }
      counts[TextKey(best.user)] = best.count + 1
      RoomShares.uncount(holder, in: &counts)
      return best.user
    }
  }

  private static func uncount(_ user: TextKey, in counts: inout [TextKey: Int]) {
    guard let count = counts[user] else { return }
    counts[user] = count > 1 ? count - 1 : nil
  }

  // MARK: Asked by tests only

  /// The users that hold rooms, and how many.
  var heldCounts: [TextKey: Int] { counts.withLock { $0 } }
}
