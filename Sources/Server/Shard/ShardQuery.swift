// The values of a shard query: the question, the answers, and how they are joined.

internal import Notifications

/// A query to all shards.
enum ShardQueryRequest: Sendable {
  /// The user's sessions and waiting polls, the longest connected first.
  case connections(of: UserID)
  /// The number of the user's sessions and waiting polls.
  case connectionCount(of: UserID)
  /// The same number, and the user's presence status.
  case presence(of: UserID)
  /// The first users after `after`, in the order of their bytes, and the number of all users.
  ///
  /// With `online`, users in the grace period are included.
  case users(limit: Int, after: UserID?, online: Bool)
  /// Ends the user's sessions and waiting polls; the answer is their number.
  case disconnect(UserID, reason: String)
  /// Puts the user's sessions into a room; the answer is their number.
  case join(RoomName, user: UserID)
  /// Takes the user's sessions out of a room; the answer is the number of those in it.
  case leave(RoomName, user: UserID)
  /// The number of the user's sessions that are in a room.
  case inside(RoomName, user: UserID)
  /// The first members of a room, and the number of all members.
  case members(of: RoomName, limit: Int)
  /// Adds an observer of events; the answer is a count without meaning.
  case observe(UInt64, offer: @Sendable (ObservedEvent) -> Bool)
  /// Removes an observer; the answer is a count without meaning.
  case unobserve(UInt64)
}

/// The answer of one shard, or the joined answer of several.
enum ShardQueryAnswer: Sendable {
  case connections([ConnectionSummary])
  case count(Int)
  case presence(UserPresence)
  case users(ConnectedUsers)
  case members(RoomMembers)

  /// Joins the answers of two shards to one query.
  func joined(with other: ShardQueryAnswer, limits: Limits) -> ShardQueryAnswer {
    switch (self, other) {
    case (.connections(let one), .connections(let two)):
      let all = (one + two).sorted(by: ConnectionSummary.isBefore)
      return .connections(Array(all.prefix(limits.listedConnectionsLimit)))
    case (.count(let one), .count(let two)):
      return .count(one + two)
    case (.presence(let one), .presence(let two)):
      return .presence(one.joined(with: two))
    case (.users(let one), .users(let two)):
      return .users(one.joined(with: two))
    case (.members(let one), .members(let two)):
      return .members(one.joined(with: two))
    default:
      // Cannot happen: all shards get the same query.
      return self
    }
  }
}

/// A user's connections and presence status.
struct UserPresence: Sendable {
  var connections: Int
  /// The status, from the user's owner shard; nil from other shards, and if the user is offline.
  var status: PresenceStatus?

  func joined(with other: UserPresence) -> UserPresence {
    UserPresence(
      connections: connections + other.connections, status: status ?? other.status)
  }
}

/// The result of a shard query.
typealias ShardQueryResult = Result<ShardQueryAnswer, ShardQueryFailure>
