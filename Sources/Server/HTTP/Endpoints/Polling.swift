// `GET /api/v1/notifications/poll`: long-polling, for clients with a firewall that breaks every
// other transport.

internal import Notifications
internal import Wire

extension Endpoints {
  /// Seconds that a poll waits by default, and at most.
  private static let defaultWait: UInt64 = 25
  static let longestWait: UInt64 = 60

  /// Answers with all notifications after `since`, or waits `wait` seconds for the first.
  static func poll(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let user = try user(of: request)
    let wait = try number("wait", in: request.query, 0...longestWait) ?? defaultWait
    let after: UInt64
    switch request.query["since"] {
    case nil, "":
      return try askPosition(of: user, isResync: false, request, on: shard)
    case "0":
      after = 0
    case .some(let since):
      guard let cursor = Cursor(since), shard.isProven(cursor),
        cursor.offset >= shard.core.store.horizon
      else {
        shard.metrics.add(.resyncs)
        return try askPosition(of: user, isResync: true, request, on: shard)
      }
      after = cursor.offset
    }
    return try shard.polls.begin(
      request, user: user, after: after, waitMilliseconds: wait * 1_000)
  }

  /// Answers with the current position, from which the next poll goes on.
  private static func askPosition(
    of user: UserID, isResync: Bool, _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let cursors = shard.core.store.history.cursors
    return try ask(.position(user: user), request, on: shard, isCommon: false) { position in
      .polled([], cursors.text(at: position.offset), isResync: isResync)
    }
  }
}
