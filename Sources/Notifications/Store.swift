// The store as everything else sees it.
//
// Commands go in, outcomes come back on the store's thread, and events come out in commit order.
// SQLite is one store; a cluster's Redis is another. Nothing here blocks the caller.

/// Keeps every user's inbox.
///
/// What is submitted is durable when its outcome arrives, and events are published after the commit
/// and before the outcome. After `close` nothing may be submitted or read.
package protocol Store: Sendable {
  /// Names the history that offsets count in: 1 to 32 of `[0-9a-z]`.
  var epoch: String { get }
  /// Offsets at or below it were pruned: a cursor below it cannot be resumed.
  var horizon: UInt64 { get }
  /// When the next notification is due to expire, or kept rooms are due to be forgotten, in
  /// milliseconds since 1970: nil when none will.
  ///
  /// Never too late, and it may be too early: what was due may have been deleted.
  var nextExpiry: Int64? { get }
  /// Why the store refuses writes; nil while it takes them.
  var failure: String? { get }
  var metrics: StoreMetrics { get }

  /// Hands a command in. False when the queue is full; `reply` is then never called.
  func submit(_ command: StoreCommand, reply: @escaping @Sendable (StoreOutcome) -> Void) -> Bool
  /// Asks a question. False when the queue is full; `reply` is then never called.
  func read(_ query: StoreQuery, reply: @escaping @Sendable (StoreAnswer) -> Void) -> Bool
  /// Finishes what was handed in, then stops the store's threads. Blocks until that is done.
  func close()
}

/// What a store is asked to do.
package enum StoreCommand: Sendable {
  /// Stores all of `drafts` or none. `answer` is what a repeat of the key is answered with, and
  /// `takenAt` what their events say.
  case publish(
    drafts: [PendingNotification], idempotency: IdempotencyKey?, answer: [UInt8],
    takenAt: UInt64? = nil)
  /// Changes the user's own notifications, and nobody else's. `at` is milliseconds since 1970.
  case change(user: UserID, InboxChange, at: Int64)
  /// Changes the user's notification and all others of its group, up to 1,000 in all; of a larger
  /// group those that need it.
  case changeGroup(user: UserID, of: NotificationID, GroupChange, at: Int64)
  /// Replaces the user's preferences: they hold for what is stored from then on.
  case setPreferences(user: UserID, Preferences)
  /// Replaces the rooms that are kept for the user's session; none of them is nothing to keep.
  ///
  /// `endsAt` is when they are forgotten, in milliseconds since 1970; nil while the connection
  /// lives. Whoever submits it bounds the rooms. Of a user's sessions so many are kept, those that
  /// end last. A session that is kept for another user is left as it is.
  case keepRooms(session: RecoveryID, user: UserID, rooms: [RoomName], endsAt: Int64?)
  /// Takes what has expired by then out of every inbox, and forgets the rooms whose time is over,
  /// so many at a time.
  case expire(at: Int64)
}

/// Names a publish, so that a retry of it is recognised for 24 hours.
package struct IdempotencyKey: Sendable, Equatable {
  /// Whose key it is: keys of different publishers never meet.
  package let scope: String
  package let key: String
  /// The digest of the request's body.
  package let digest: [UInt8]

  package init(scope: String, key: String, digest: [UInt8]) {
    self.scope = scope
    self.key = key
    self.digest = digest
  }
}

/// What a user does to its inbox.
///
/// Everything is idempotent; reading also sees.
package enum InboxChange: Sendable, Equatable {
  case read([NotificationID])
  case unread([NotificationID])
  case seen([NotificationID])
  case delete([NotificationID])
  case readAll
  case seenAll
  case deleteAll
}

/// What a user does to all that share a group key.
package enum GroupChange: Sendable, Equatable {
  case read, unread, delete
}

/// What became of a command.
package enum StoreOutcome: Sendable, Equatable {
  /// Durable.
  case published
  /// The idempotency key was seen before with the same body.
  case repeated(answer: [UInt8])
  /// The idempotency key was seen before with another body.
  case conflict
  /// Durable. `count` is how many rows of the user the change found: those of the ids that it
  /// names, changed or not; for all of them, those that changed.
  case changed(count: Int, Counts)
  /// Durable: the preferences are set, or the rooms are kept.
  case saved
  /// Durable. More may be due when this was all that one command takes.
  case expired(hasMore: Bool)
  /// Nothing was stored, and the store takes no more writes until it is restarted.
  case readOnly(reason: String)
}

/// What a store is asked.
package enum StoreQuery: Sendable {
  /// A page of the inbox, newest first. `limit` is 1 to 200.
  case page(
    user: UserID, limit: Int, before: UInt64?, unreadOnly: Bool, type: String?,
    grouping: PageGrouping = .collapsed)
  case counts(user: UserID)
  /// What a greeting needs: the commit sequence now, and the counts at it.
  case position(user: UserID)
  /// A page of a replay, oldest first. `limit` is 1 to 1,000.
  case missed(user: UserID, after: UInt64, limit: Int)
  case preferences(user: UserID)
  /// The rooms that are kept for the user's session.
  case keptRooms(session: RecoveryID, user: UserID)
}

/// What a page does with notifications that share a group key.
package enum PageGrouping: Sendable, Equatable {
  /// Of each group only the newest that the filter lets through.
  case collapsed
  /// Each for itself.
  case separate
  /// Those of one group alone, each for itself.
  case only(String)
}

/// What a store answers, read in one snapshot.
package enum StoreAnswer: Sendable {
  /// `next` is what to pass as `before`; nil on the last page. `groups` says by its offset how many
  /// a notification stands for, itself included, where it stands for its group: of the group's
  /// newest 1,000, those that the filter lets through.
  case page([Notification], next: UInt64?, Counts, groups: [UInt64: Int] = [:])
  case counts(Counts)
  case position(UInt64, Counts)
  /// `through` is the commit sequence of the snapshot. `next` is what to pass as `after`, also when
  /// the page is empty; nil when the user missed nothing else up to `through`. Silent ones are not
  /// missed. `total` is how many were stored after the cursor in all, silent ones included, and
  /// 10,001 stands for any number above 10,000.
  case missed([Notification], through: UInt64, next: UInt64?, total: Int?, Counts)
  /// Those of a user who never set any ask for nothing.
  case preferences(Preferences)
  /// None where none are kept, where their time is over, and where they are another user's: nobody
  /// learns which.
  case keptRooms([RoomName])
  case failed(reason: String)
}

/// What a store has done since it was opened.
package struct StoreMetrics: Sendable, Equatable {
  /// The offset of the newest commit.
  package var lastOffset: UInt64 = 0
  /// Transactions that were made durable.
  package var commits = 0
  /// Commands that these transactions carried.
  package var commands = 0
  /// Notifications stored.
  package var stored = 0
  /// Those of them that are silent, by their users' preferences.
  package var muted = 0
  /// Notifications that expired.
  package var expired = 0
  /// Notifications for everyone that had to go because there were too many.
  package var evicted = 0
  /// The most commands that one transaction carried.
  package var largestGroup = 0
  /// Commands that wait, or nearly so.
  package var writeQueueDepth = 0
  /// Questions that wait, or nearly so.
  package var readQueueDepth = 0
  package var reads = 0
  /// Questions answered with `.failed`.
  package var failedReads = 0
  /// Commands answered with `.readOnly`.
  package var refusedCommands = 0
  /// Publishes that brought an id which the store has already: a bug of the caller's.
  package var duplicateIDs = 0
  /// Times that a stored row failed its checksum and was left out of an answer.
  package var corruptRows = 0
  /// Which row failed its checksum last.
  package var lastCorruption: String?

  package init() {}
}
