// Shard queries that know the type of their reply.
//
// `ShardQueryAnswer` joins replies of every kind. An endpoint names the reply here, with its query,
// so a wrong pair of the two does not compile.

internal import Notifications

/// A shard query with the type of its reply.
struct TypedShardQuery<Reply> {
  let query: ShardQueryRequest
  private let unwrap: (ShardQueryAnswer) -> Reply?

  /// The reply in the result of this query.
  func reply(in result: ShardQueryResult) -> Result<Reply, ShardQueryFailure> {
    result.flatMap { answer in
      guard let reply = unwrap(answer) else {
        assertionFailure("the shards answered \(query) with \(answer)")
        return .failure(.late)
      }
      return .success(reply)
    }
  }
}

extension TypedShardQuery<[ConnectionSummary]> {
  /// The user's sessions and waiting polls, the longest connected first.
  static func connections(of user: UserID) -> Self {
    Self(query: .connections(of: user)) { answer in
      guard case .connections(let connections) = answer else { return nil }
      return connections
    }
  }
}

extension TypedShardQuery<ConnectedUsers> {
  /// The first users after `after`, with those in the grace period.
  static func onlineUsers(limit: Int, after: UserID?) -> Self {
    Self(query: .users(limit: limit, after: after, online: true)) { answer in
      guard case .users(let page) = answer else { return nil }
      return page
    }
  }
}

extension TypedShardQuery<UserPresence> {
  /// The number of the user's connections, and its presence status.
  static func presence(of user: UserID) -> Self {
    Self(query: .presence(of: user)) { answer in
      guard case .presence(let presence) = answer else { return nil }
      return presence
    }
  }
}

extension TypedShardQuery<Int> {
  /// Ends the user's sessions and waiting polls; the reply is their number.
  static func disconnect(_ user: UserID, reason: String) -> Self {
    Self(query: .disconnect(user, reason: reason)) { answer in
      guard case .count(let count) = answer else { return nil }
      return count
    }
  }
}
