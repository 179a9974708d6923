// The store's interface to the rest of the server.
//
// Commands are submitted, outcomes arrive on the store's thread, and events are published in commit
// order. SQLite is one store; a cluster's Redis is another. No call here blocks the caller, except
// `close`.

/// Keeps every user's inbox.
///
/// A command is durable when its outcome arrives, and its events are published after the commit and
/// before the outcome. After `close`, no command or query may be submitted.
package protocol Store: Sendable {
  /// The history that offsets count in, as it was when the store was opened.
  var history: StoreHistory { get }
  /// Offsets at or below it were pruned: a cursor below it cannot resume.
  var horizon: UInt64 { get }
  /// The offset of the newest commit: before a command's reply it includes that command.
  var lastOffset: UInt64 { get }
  /// When the next notification or the next kept rooms expire, in milliseconds since 1970.
  ///
  /// Nil when none will. Never too late, but it may be too early: the expiring row may have been
  /// deleted.
  var nextExpiry: Int64? { get }
  /// The API keys as they were when the store was opened, in the order of their creation.
  var apiKeys: [APIKey] { get }
  /// Whether the store accepts commands, as of its latest group of them.
  var status: StoreStatus { get }
  var metrics: StoreMetrics { get }

  /// Has `observer` called after each commit that adds deliveries or changes endpoints.
  ///
  /// It is called on the store's thread, after the commit and before the replies, and must not
  /// wait. Of two observers the later one is called.
  func observeOutbox(_ observer: @escaping @Sendable (OutboxNews) -> Void)
  /// Checks that a command could be carried out now, and replies with the status found.
  ///
  /// The store commits a row, unless it has committed one within the last second, and looks at its
  /// files and the free space. Callers at the same time, and within a second, share one check. The
  /// reply may take as long as the disk does.
  func check(reply: @escaping @Sendable (StoreStatus) -> Void)
  /// Submits a command.
  ///
  /// Returns false when the queue is full; `reply` is then never called.
  func submit(_ command: StoreCommand, reply: @escaping @Sendable (StoreOutcome) -> Void) -> Bool
  /// Submits a query.
  ///
  /// Returns false when the queue is full; `reply` is then never called.
  func read(_ query: StoreQuery, reply: @escaping @Sendable (StoreAnswer) -> Void) -> Bool
  /// Finishes the submitted work, then stops the store's threads.
  ///
  /// Blocks until that is done.
  func close()
}

/// Whether a store accepts commands.
package enum StoreStatus: Sendable, Equatable {
  case ready
  /// The commit of a group has not ended for this long: the disk does not answer.
  case stalled(milliseconds: UInt64)
  /// The latest group was refused and nothing of it is stored, because another process holds a
  /// lock or memory is short; the next group is tried.
  case unavailable(reason: String)
  /// A write or a sync failed, so the store rejects commands until it is restarted.
  case readOnly(reason: String)

  /// Its name in metrics and on the console.
  package var name: String {
    switch self {
    case .ready: "ok"
    case .stalled: "stalled"
    case .unavailable: "unavailable"
    case .readOnly: "read_only"
    }
  }

  package var reason: String? {
    switch self {
    case .ready: nil
    case .stalled(let milliseconds):
      "the store has been waiting for the disk for \(milliseconds / 1_000) s"
    case .unavailable(let reason), .readOnly(let reason): reason
    }
  }
}

/// A change in the store that its operator should see, reported when it happens.
package enum StoreNotice: Sendable, Equatable {
  case status(StoreStatus)
  /// The status that the latest check found, where it differs from that of the check before.
  case check(StoreStatus)
  /// A command failed by itself, and nothing of it is stored; the others of its group are.
  case failedCommand(reason: String)
  /// The store's format changes while it is opened; the text is a line about that.
  case migration(String)
  /// The file is damaged; the text says where.
  case damage(String)
  /// A damaged number was replaced by the right one; the text says which.
  case repair(String)
}

extension Store {
  /// Why the store rejects commands until it is restarted; nil while it may accept them.
  package var failure: String? {
    guard case .readOnly(let reason) = status else { return nil }
    return reason
  }
}

/// A command to the store.
package enum StoreCommand: Sendable {
  /// Commits a row that changes nothing, unless a commit has just succeeded.
  case check
  /// Stores all of `drafts` or none.
  ///
  /// `answer` is the response for a repeat of the key; the events carry `takenAt`.
  case publish(
    drafts: [PendingNotification], idempotency: IdempotencyKey?, answer: [UInt8],
    takenAt: UInt64? = nil)
  /// Finds the answer to the first publish with that key, and stores nothing.
  case findKey(IdempotencyKey)
  /// Changes the user's own notifications and no others. `at` is milliseconds since 1970.
  case change(user: UserID, InboxChange, at: Int64)
  /// Changes the user's notification and the others of its group, up to 1,000 in all.
  ///
  /// In a larger group only notifications that need the change count.
  case changeGroup(user: UserID, of: NotificationID, GroupChange, at: Int64)
  /// Replaces the user's preferences; they apply to notifications stored from then on.
  case setPreferences(user: UserID, Preferences)
  /// Replaces the rooms kept for the user's session; an empty list keeps nothing.
  ///
  /// `endsAt` is when they are forgotten, in milliseconds since 1970; nil while the connection
  /// lives. The caller bounds the rooms. A user keeps a limited number of sessions, those that end
  /// last. A session kept for another user is left as it is.
  case keepRooms(session: RecoveryID, user: UserID, rooms: [RoomName], endsAt: Int64?)
  /// Recounts the user's inbox if its stored counts are damaged. `at` is as for `change`.
  case recount(user: UserID, at: Int64)
  /// Removes from every inbox the notifications that expired by then, and forgets the expired kept
  /// rooms, up to a limit per command.
  ///
  /// It also removes API keys a time after they have ended.
  case expire(at: Int64)
  /// Changes the outbox or its endpoints.
  case outbox(OutboxCommand)
  /// Changes an API key.
  case apiKeys(APIKeyCommand)
}

extension StoreCommand {
  /// Whether a user's request makes the command, and not a publisher's or the server itself.
  package var isOfUser: Bool {
    switch self {
    case .change, .changeGroup, .setPreferences, .keepRooms: true
    case .check, .publish, .findKey, .recount, .expire, .outbox, .apiKeys: false
    }
  }
}

/// Identifies a publish, so that a retry is recognised for 24 hours in which the store is open, and
/// for as much longer as the key says.
package struct IdempotencyKey: Sendable, Equatable {
  /// The most bytes of a key.
  package static let byteCountLimit = 255

  /// The publisher: keys of different publishers never collide.
  package let scope: String
  package let key: String
  /// The digest of the request's body.
  package let digest: [UInt8]
  /// Milliseconds for which the key is kept beyond the 24 hours.
  package let addedLifetime: Int64

  package init(scope: String, key: String, digest: [UInt8], addedLifetime: Int64 = 0) {
    self.scope = scope
    self.key = key
    self.digest = digest
    self.addedLifetime = addedLifetime
  }
}

/// A user's change to its inbox.
///
/// All changes are idempotent; reading also marks as seen.
package enum InboxChange: Sendable, Equatable {
  /// The most ids of one change.
  package static let idCountLimit = 1_000

  case read([NotificationID])
  case unread([NotificationID])
  case seen([NotificationID])
  case delete([NotificationID])
  case readAll
  case seenAll
  case deleteAll
}

/// A user's change to all notifications with the same group key.
package enum GroupChange: Sendable, Equatable {
  case read, unread, delete
}

/// The result of a command.
package enum StoreOutcome: Sendable, Equatable {
  /// Durable.
  case published
  /// The idempotency key was seen before with the same body.
  case repeated(answer: [UInt8])
  /// The idempotency key was seen before with another body.
  case conflict
  /// The idempotency key to find was not seen before.
  case unknownKey
  /// Durable.
  ///
  /// `count` is the number of the user's rows that the change found: for listed ids, the rows that
  /// exist, changed or not; for a change of all, the rows that changed.
  case changed(count: Int, Counts)
  /// Durable: the preferences are set, or the rooms are kept.
  case saved
  /// Durable. More may be due if this command reached its limit.
  case expired(hasMore: Bool)
  /// Durable.
  case outbox(OutboxOutcome)
  /// The result of a command about API keys.
  case apiKeys(APIKeyOutcome)
  /// Nothing was stored: the publisher or the user is at a limit of its own.
  case refused(StoreRefusal)
  /// Nothing was stored; the same command may succeed shortly.
  case unavailable(reason: String)
  /// Nothing was stored, and the store rejects writes until it is restarted.
  case readOnly(reason: String)
  /// Whether the command was stored is unknown: its commit failed, so the next start finds it whole
  /// or not at all; or the commit has not ended in time.
  case unknown(reason: String)
}

/// A limit of a publisher or user that a command would exceed.
package enum StoreRefusal: Sendable, Equatable {
  /// The publisher has as many idempotency keys.
  case keys(limit: Int)
  /// The user has as many changes of its whole inbox under way.
  case changes(limit: Int)
  /// The store has as many webhook endpoints.
  case webhooks(limit: Int)
}

/// A query to the store.
package enum StoreQuery: Sendable {
  /// The most notifications of a page of the inbox, and their number by default.
  package static let pageLimit = 200
  package static let standardPageLimit = 50
  /// The most bytes of a page of the inbox as JSON, unless a query sets fewer: a further row is on
  /// the next page.
  package static let pageBytesLimit = 256 << 10
  /// The most notifications of a page of a replay.
  package static let missedLimit = 1_000
  /// The most missed notifications that a client may resume over; a store counts no further.
  package static let resumableLimit = 10_000

  /// A page of the inbox, newest first. `limit` is 1 to `pageLimit`.
  ///
  /// It has at most `bytesLimit` bytes as JSON, but at least one row.
  case page(
    user: UserID, limit: Int, before: UInt64?, unreadOnly: Bool, type: String?,
    grouping: PageGrouping = .collapsed, bytesLimit: Int = StoreQuery.pageBytesLimit)
  case counts(user: UserID)
  /// The data of a greeting: the commit sequence now, and the counts at it.
  case position(user: UserID)
  /// A page of a replay, oldest first. `limit` is 1 to `missedLimit`.
  case missed(user: UserID, after: UInt64, limit: Int)
  case preferences(user: UserID)
  /// The rooms kept for the user's session.
  case keptRooms(session: RecoveryID, user: UserID)
  /// A page of the outbox, or its endpoints.
  case outbox(OutboxQuery)
  /// A page of API keys, in the order of their creation. `limit` is 1 to `APIKeyPage.limit`.
  case apiKeys(after: UInt64?, limit: Int)

  /// The user of the query; the empty id if it is about no user.
  package var user: UserID {
    switch self {
    case .outbox, .apiKeys: ""
    case .page(let user, _, _, _, _, _, _), .counts(let user), .position(let user),
      .missed(let user, _, _), .preferences(let user), .keptRooms(_, let user):
      user
    }
  }
}

/// How a page treats notifications with the same group key.
package enum PageGrouping: Sendable, Equatable {
  /// Of each group only the newest that passes the filter.
  case collapsed
  /// Every notification separately.
  case separate
  /// Only the notifications of one group, each separately.
  case only(String)
}

/// The store's answer to a query, read in one snapshot.
package enum StoreAnswer: Sendable {
  /// A page of the inbox.
  ///
  /// `next` is the value to pass as `before`; nil on the last page. `groups` has the group sizes by
  /// offset: for a notification that represents its group, how many of the group's newest 1,000
  /// pass the filter, itself included.
  case page([Notification], next: UInt64?, Counts, groups: [UInt64: Int] = [:])
  case counts(Counts)
  case position(UInt64, Counts)
  /// A page of a replay.
  ///
  /// `through` is the commit sequence of the snapshot. `next` is the value to pass as `after`, also
  /// when the page is empty; nil when the user missed nothing else up to `through`. Silent
  /// notifications are not replayed. `total` is the number stored after the cursor, silent ones
  /// included; 10,001 stands for any number above 10,000.
  case missed([Notification], through: UInt64, next: UInt64?, total: Int?, Counts)
  /// The preferences of a user that never set any restrict nothing.
  case preferences(Preferences)
  /// Empty when none are kept, when they have expired, and when they belong to another user.
  ///
  /// The caller cannot distinguish these cases.
  case keptRooms([RoomName])
  case outbox(OutboxAnswer)
  /// A page of API keys; `next` is the value to pass as `after`, nil on the last page.
  case apiKeys([APIKey], next: UInt64?)
  case failed(reason: String)
}

/// What the store has done since it was opened.
package struct StoreMetrics: Sendable, Equatable {
  /// The offset of the newest commit.
  package var lastOffset: UInt64 = 0
  /// Transactions that were made durable.
  package var commits = 0
  /// Commands in these transactions.
  package var commands = 0
  /// Notifications stored.
  package var stored = 0
  /// Of these, the notifications that are silent by their users' preferences.
  package var muted = 0
  /// Notifications that expired.
  package var expired = 0
  /// Notifications for everyone evicted because there were too many.
  package var evicted = 0
  /// The most commands in one transaction.
  package var largestGroup = 0
  /// Commands in the queue, approximately.
  package var writeQueueDepth = 0
  /// Commands that the queue holds; a further one is refused.
  package var writeQueueLimit = 0
  /// Queries in the queue, approximately.
  package var readQueueDepth = 0
  package var reads = 0
  /// Queries answered with `.failed`.
  package var failedReads = 0
  /// Commands of which nothing was stored: answered with `.unavailable` or `.readOnly`.
  package var refusedCommands = 0
  /// Commands answered with `.unknown`, because their commit failed.
  package var unknownOutcomes = 0
  /// Bytes that the file system had free at the latest check; nil before the first one.
  package var freeBytes: Int?
  /// Pages of the write-ahead log, 4 KiB each.
  package var logPages = 0
  /// Times that pages of the log were copied into the database file.
  package var checkpoints = 0
  /// Groups that failed, for any reason.
  package var failedGroups = 0
  /// Publishes with an id that the store already has: a bug of the caller.
  package var duplicateIDs = 0
  /// Documents of preferences parsed, because no cache had them.
  package var preferencesParsed = 0
  /// API keys that were not revoked.
  package var apiKeys = 0
  /// Damaged numbers that were replaced by right ones.
  package var repairs = 0
  /// How often a stored row failed its checksum and was left out of an answer.
  package var corruptRows = 0
  /// The row that failed its checksum last.
  package var lastCorruption: String?
  package var outbox = OutboxMetrics()

  package init() {}
}
