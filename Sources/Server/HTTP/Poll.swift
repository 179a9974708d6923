// A request of long-polling, which waits for something new.

internal import Notifications
internal import Wire

/// A poll under way.
final class Poll {
  /// What the store reads for a poll.
  enum Read {
    /// The notifications after the client's position.
    case page
    /// The newest position, from which the client goes on.
    case position
  }

  /// Limit on the notifications in one answer.
  static let pageLimit = 200

  let user: UserID
  /// The client has everything up to here.
  var after: UInt64
  /// When it is answered with an empty page.
  let endsAt: UInt64
  /// The largest offset of a notification announced so far.
  var deferredThrough: UInt64 = 0
  /// The read that is queued or under way; nil if there is none.
  var read: Read?
  /// Whether the store's next result ends the poll, even if it is empty.
  var isEnding = false

  init(user: UserID, after: UInt64, endsAt: UInt64) {
    self.user = user
    self.after = after
    self.endsAt = endsAt
  }

  /// Whether a read from the store is queued or under way.
  var isReading: Bool { read != nil }

  /// The query for everything newer.
  var query: TypedQuery<MissedPage> {
    .missed(user: user, after: after, limit: Poll.pageLimit)
  }
}

extension Exchange {
  /// The poll, if this request is one.
  var poll: Poll? {
    if case .poll(let poll) = pending { return poll }
    return nil
  }
}

extension Answer {
  /// The answer to a poll.
  static func polled(
    _ notifications: [Notification], _ cursor: String, isResync: Bool = false
  ) -> Answer {
    .object { data in
      data.member("notifications", array: notifications) { $0.appendNotification($1) }
      data.member("cursor", cursor)
      if isResync { data.member("resync", true) }
    }
  }
}
