// What a program that holds a server may ask it from any thread: who is connected, and to send
// somebody away.
//
// A question goes to the first shard, which asks all of them as it does for a request. The caller
// is answered exactly once, by that shard; by its end when it ends first; or by `stop`, for
// questions that came when no shard was left to read them.

internal import Broadcast
package import Notifications

/// Why a question about connections was not answered.
package enum ShardQueryFailure: Error, Sendable, Equatable {
  /// Too many are asked at once; ask again.
  case busy
  /// A shard did not answer in time; ask again.
  case late
  /// The server is ending.
  case stopping
}

/// One session, or one poll that waits.
package struct ConnectionSummary: Sendable, Equatable {
  /// Opaque; no other connection of this server's has it.
  package let id: String
  package let dialect: String
  /// When the session or the poll began, in milliseconds since 1970.
  package let connectedAt: Int64
  /// The peer's numeric address.
  package let remoteAddress: String
  /// What the client's program calls itself; empty when it does not.
  package let userAgent: String
  package let rooms: [RoomName]

  static func isBefore(_ one: ConnectionSummary, _ two: ConnectionSummary) -> Bool {
    if one.connectedAt != two.connectedAt { return one.connectedAt < two.connectedAt }
    return TextKey(one.id) < TextKey(two.id)
  }
}

/// A page of those who are connected, in the order of their ids' bytes.
package struct ConnectedUsers: Sendable, Equatable {
  /// The most that a page may have.
  package static let largestLimit = 10_000

  package let users: [UserID]
  /// How many are connected in all, on this page or not.
  package let total: Int
  let limit: Int
  let hasMore: Bool

  /// What to pass as `after` for the next page; nil after the last.
  package var next: UserID? { hasMore ? users.last : nil }

  func joined(with other: ConnectedUsers) -> ConnectedUsers {
    let all = (users + other.users).sorted { TextKey($0) < TextKey($1) }
    return ConnectedUsers(
      users: Array(all.prefix(limit)), total: total + other.total, limit: limit,
      hasMore: hasMore || other.hasMore || all.count > limit)
  }
}

/// The reason that a client is given for its end.
package enum DisconnectReasons {
  /// What fits into a close frame.
  package static let byteCountLimit = 123
  package static let standard = "disconnected by the server"

  /// Whether a client may be told it: so many bytes of UTF-8 without control characters.
  package static func isValid(_ reason: String) -> Bool {
    reason.utf8.count <= byteCountLimit && !reason.hasControlCharacter
  }
}

extension CarillonServer {
  /// A page of those who have a session or a poll that waits.
  ///
  /// `limit` is 1 to 10,000.
  package func connectedUsers(
    limit: Int = 1_000, after: UserID? = nil
  ) async throws(ShardQueryFailure) -> ConnectedUsers {
    precondition(1...ConnectedUsers.largestLimit ~= limit, "limit \(limit)")
    guard case .users(let page) = try await ask(.users(limit: limit, after: after, online: false))
    else {
      throw .late
    }
    return page
  }

  /// Whether the user has a session or a poll that waits.
  package func isUserConnected(_ user: UserID) async throws(ShardQueryFailure) -> Bool {
    try await connectionCount(of: user) > 0
  }

  /// How many sessions and waiting polls the user has.
  package func connectionCount(of user: UserID) async throws(ShardQueryFailure) -> Int {
    guard case .count(let count) = try await ask(.connectionCount(of: user)) else { throw .late }
    return count
  }

  /// The user's sessions and waiting polls, the longest connected first.
  package func connections(of user: UserID) async throws(ShardQueryFailure) -> [ConnectionSummary] {
    guard case .connections(let all) = try await ask(.connections(of: user)) else { throw .late }
    return all
  }

  /// Ends the user's sessions, behind what is queued for them, and answers the polls that wait.
  ///
  /// Returns how many those were. `reason` must be one that a client may be told.
  @discardableResult
  package func disconnect(
    _ user: UserID, reason: String = DisconnectReasons.standard
  ) async throws(ShardQueryFailure) -> Int {
    precondition(DisconnectReasons.isValid(reason), "reason of \(reason.utf8.count) bytes")
    guard case .count(let count) = try await ask(.disconnect(user, reason: reason)) else {
      throw .late
    }
    return count
  }

  private func ask(_ question: ShardQueryRequest) async throws(ShardQueryFailure)
    -> ShardQueryAnswer
  {
    let result: ShardQueryResult = await withCheckedContinuation { continuation in
      ask(question) { continuation.resume(returning: $0) }
    }
    return try result.get()
  }

  /// Asks all shards, and calls `done` on a thread of the server's, or here when it is ending.
  ///
  /// Any thread. `done` must not block.
  func ask(_ question: ShardQueryRequest, _ done: @escaping @Sendable (ShardQueryResult) -> Void) {
    guard core.metrics.total(.draining) == 0 else { return done(.failure(.stopping)) }
    core.mailboxes[0].append(.outsideQuery(question, done: done))
  }

  /// Answers the questions that came when the shards had ended.
  ///
  /// For `stop` alone, once it has joined the shards' threads: it is the mailboxes' reader then.
  func answerLateQueries() {
    for mailbox in core.mailboxes {
      _ = mailbox.drain(limit: .max) { message in
        if case .outsideQuery(_, let done) = message { done(.failure(.stopping)) }
      }
    }
  }
}
