// Queries of an embedding program from any thread: which users are connected, and the disconnection
// of one.
//
// A query goes to the first shard, which queries all shards as it does for an HTTP request. The
// caller is answered exactly once: by that shard, at its end if it ends first, or by `stop` for
// queries that arrived after the shards had ended.

internal import Broadcast
package import Notifications
internal import Wire

/// Why a query about connections was not answered.
package enum ShardQueryFailure: Error, Sendable, Equatable {
  /// Too many queries are pending; retry.
  case busy
  /// A shard did not answer in time; retry.
  case late
  /// The server is stopping.
  case stopping
}

/// A session, or a waiting poll.
package struct ConnectionSummary: Sendable, Equatable {
  /// Opaque and unique among the server's connections.
  package let id: String
  package let dialect: String
  /// When the session or the poll began, in milliseconds since 1970.
  package let connectedAt: Int64
  /// The peer's numeric address.
  package let remoteAddress: String
  /// The client's `User-Agent`; empty if it sent none.
  package let userAgent: String
  package let rooms: [RoomName]

  static func isBefore(_ one: ConnectionSummary, _ two: ConnectionSummary) -> Bool {
    if one.connectedAt != two.connectedAt { return one.connectedAt < two.connectedAt }
    return TextKey(one.id) < TextKey(two.id)
  }
}

/// A page of connected users, in the order of their ids' bytes.
package struct ConnectedUsers: Sendable, Equatable {
  /// The largest page size, and the one by default.
  package static let largestLimit = 10_000
  package static let standardLimit = 1_000

  package let users: [UserID]
  /// The number of all connected users, on this page or not.
  package let total: Int
  let limit: Int
  let hasMore: Bool

  /// The value of `after` for the next page; nil on the last page.
  package var next: UserID? { hasMore ? users.last : nil }

  func joined(with other: ConnectedUsers) -> ConnectedUsers {
    let all = (users + other.users).sorted { TextKey($0) < TextKey($1) }
    return ConnectedUsers(
      users: Array(all.prefix(limit)), total: total + other.total, limit: limit,
      hasMore: hasMore || other.hasMore || all.count > limit)
  }
}

/// Reasons of a disconnection that are sent to the client.
package enum DisconnectReasons {
  /// The longest reason that fits into a close frame.
  package static let byteCountLimit = WebSocketFrame.closeReasonBytesLimit
  package static let standard = "disconnected by the server"

  /// Whether the reason can be sent: UTF-8 within the byte limit and without control characters.
  package static func isValid(_ reason: String) -> Bool {
    reason.utf8.count <= byteCountLimit && !reason.hasControlCharacter
  }
}

extension CarillonServer {
  /// Returns a page of the users with a session or a waiting poll.
  ///
  /// `limit` is 1 to `ConnectedUsers.largestLimit`.
  package func connectedUsers(
    limit: Int = ConnectedUsers.standardLimit, after: UserID? = nil
  ) async throws(ShardQueryFailure) -> ConnectedUsers {
    precondition(1...ConnectedUsers.largestLimit ~= limit, "limit \(limit)")
    guard case .users(let page) = try await ask(.users(limit: limit, after: after, online: false))
    else {
      throw .late
    }
    return page
  }

  /// Whether the user has a session or a waiting poll.
  package func isUserConnected(_ user: UserID) async throws(ShardQueryFailure) -> Bool {
    try await connectionCount(of: user) > 0
  }

  /// The number of the user's sessions and waiting polls.
  package func connectionCount(of user: UserID) async throws(ShardQueryFailure) -> Int {
    guard case .count(let count) = try await ask(.connectionCount(of: user)) else { throw .late }
    return count
  }

  /// The user's sessions and waiting polls, the longest connected first.
  package func connections(of user: UserID) async throws(ShardQueryFailure) -> [ConnectionSummary] {
    guard case .connections(let all) = try await ask(.connections(of: user)) else { throw .late }
    return all
  }

  /// Ends the user's sessions, after the frames queued for them, and answers the waiting polls.
  ///
  /// Returns the number of both. `reason` must be valid, see `DisconnectReasons`.
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

  /// Queries all shards and waits for the joined answer.
  func ask(_ question: ShardQueryRequest) async throws(ShardQueryFailure)
    -> ShardQueryAnswer
  {
    let result: ShardQueryResult = await withCheckedContinuation { continuation in
      ask(question) { continuation.resume(returning: $0) }
    }
    return try result.get()
  }

  /// Queries all shards and calls `done` on a server thread, or at once if the server is stopping.
  ///
  /// Any thread. `done` must not block.
  func ask(_ question: ShardQueryRequest, _ done: @escaping @Sendable (ShardQueryResult) -> Void) {
    guard core.metrics.total(.draining) == 0 else { return done(.failure(.stopping)) }
    core.mailboxes[0].append(.outsideQuery(question, done: done))
  }

  /// Answers the queries that arrived after the shards had ended.
  ///
  /// Only for `stop`, after it has joined the shards' threads and so is the mailboxes' only reader.
  func answerLateQueries() {
    for mailbox in core.mailboxes {
      _ = mailbox.drain(limit: .max) { message in
        if case .outsideQuery(_, let done) = message { done(.failure(.stopping)) }
      }
    }
  }
}
