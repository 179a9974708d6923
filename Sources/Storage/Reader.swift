// A reader: one thread with a connection of its own that cannot write.
//
// Each question is one short transaction, so what it answers is one moment of the store: the newest
// offset in the answer and the rows in it belong together. That is what makes resuming exact: what
// is at or below the offset was in the answer, what is above it comes from the ring. Rows, bytes
// and rows looked at are bounded, so no question holds a snapshot, and with it the log, for long.

internal import Notifications

/// A question and where its answer goes.
struct Question: Sendable {
  let query: StoreQuery
  let reply: @Sendable (StoreAnswer) -> Void
}

/// Owns one connection that reads.
///
/// Confined to its thread, once it runs.
final class Reader {
  static let missedLimit = 1_000
  static let missedByteLimit = 1 << 17
  /// One more than the missed notifications that a client may resume over.
  static let missedCountLimit: Int64 = 10_001
  /// Rows that one page of a replay looks at while it passes over silent ones.
  static let scanLimit = 10_000

  private let connection: Connection
  private let begin: Statement
  private let end: Statement
  private let position: Statement
  private let counts: Statement
  private let pages: InboxPages
  private let preferences: Statement
  private let missed: Statement
  private let missedCount: Statement
  private let state: Guarded<StoreState>

  init(
    connection: consuming Connection, state: Guarded<StoreState>
  ) throws(StoreError) {
    begin = try connection.prepare("BEGIN")
    end = try connection.prepare("END")
    position = try connection.prepare("SELECT last_offset FROM store")
    counts = try connection.prepare("SELECT \(CountsRow.columns) FROM user WHERE id = ?1")
    pages = try InboxPages(connection)
    preferences = try connection.prepare("SELECT preferences FROM user WHERE id = ?1")
    missed = try connection.prepare(
      """
      SELECT \(NotificationRow.columns) FROM notification INDEXED BY notification_user
      WHERE user = ?1 AND offset > ?2 ORDER BY offset
      """)
    missedCount = try connection.prepare(
      """
      SELECT count(*) FROM (SELECT 1 FROM notification INDEXED BY notification_user
      WHERE user = ?1 AND offset > ?2 LIMIT ?3)
      """)
    self.connection = connection
    self.state = state
  }

  func process(_ batch: [Question]) {
    for question in batch {
      var answer: StoreAnswer
      do throws(StoreError) {
        answer = try snapshot(of: question.query)
      } catch {
        answer = .failed(reason: "the store cannot be read: \(error)")
      }
      state.withLock { state in
        state.metrics.reads += 1
        if case .failed = answer { state.metrics.failedReads += 1 }
      }
      question.reply(answer)
    }
  }

  private func snapshot(of query: StoreQuery) throws(StoreError) -> StoreAnswer {
    try begin.run()
    defer { leave() }
    // The first read takes the snapshot that the others see.
    let through = try readPosition()
    switch query {
    case .page(let user, let limit, let before, let unreadOnly, let type, let grouping):
      let (key, counts) = try readCounts(of: user)
      guard let key else { return .page([], next: nil, counts) }
      let filter = PageFilter(unreadOnly: unreadOnly, type: type, grouping: grouping)
      return try pages.page(key: key, limit: limit, before: before, filter, counts) {
        readRow($0, of: user)
      }
    case .counts(let user):
      return .counts(try readCounts(of: user).counts)
    case .position(let user):
      return .position(through, try readCounts(of: user).counts)
    case .missed(let user, let after, let limit):
      return try page(missedBy: user, after: after, limit: limit, through: through)
    case .preferences(let user):
      return .preferences(try readPreferences(of: user))
    }
  }

  private func leave() {
    guard connection.isInTransaction else { return }
    do throws(StoreError) {
      try end.run()
    } catch {
      // A read transaction that cannot be ended is rolled back; if that fails as well, the next
      // question fails to begin and says so.
      try? connection.execute("ROLLBACK")
    }
  }

  private func readPosition() throws(StoreError) -> UInt64 {
    defer { position.reset() }
    guard try position.step() else {
      throw .sqlite(code: 0, message: "the store's own row is gone")
    }
    return UInt64(bitPattern: position.integer(0))
  }

  private func readCounts(of user: UserID) throws(StoreError) -> (key: Int64?, counts: Counts) {
    counts.bind(1, user)
    defer { counts.reset() }
    guard try counts.step() else { return (nil, Counts()) }
    let row = CountsRow.read(counts)
    return (row.key, row.counts)
  }

  private func readPreferences(of user: UserID) throws(StoreError) -> Preferences {
    preferences.bind(1, user)
    defer { preferences.reset() }
    guard try preferences.step(), let document = preferences.optionalBlob(0) else {
      return Preferences()
    }
    if let read = PreferencesRow.read(document) { return read }
    noteCorruption("the preferences of a user cannot be read")
    return Preferences()
  }

  private func page(
    missedBy user: UserID, after: UInt64, limit: Int, through: UInt64
  ) throws(StoreError) -> StoreAnswer {
    let (key, counts) = try readCounts(of: user)
    guard let key else { return .missed([], through: through, next: nil, total: 0, counts) }
    let total = try countMissed(key: key, after: after)
    missed.bind(1, key)
    missed.bind(2, Self.rowID(after))
    defer { missed.reset() }
    let limit = min(max(limit, 1), Self.missedLimit)
    var rows: [Notification] = []
    var byteCount = 0
    var scanned = 0
    var last = after
    while try missed.step() {
      let isFull = rows.count == limit || byteCount >= Self.missedByteLimit
      if isFull || scanned == Self.scanLimit {
        return .missed(rows, through: through, next: last, total: total, counts)
      }
      scanned += 1
      last = UInt64(bitPattern: missed.integer(0))
      if NotificationRow.isSilent(missed) { continue }
      guard let row = readRow(missed, of: user) else { continue }
      byteCount += row.byteCount
      rows.append(row)
    }
    return .missed(rows, through: through, next: nil, total: total, counts)
  }

  private func countMissed(key: Int64, after: UInt64) throws(StoreError) -> Int {
    missedCount.bind(1, key)
    missedCount.bind(2, Self.rowID(after))
    missedCount.bind(3, Self.missedCountLimit)
    defer { missedCount.reset() }
    guard try missedCount.step() else { return 0 }
    return Int(missedCount.integer(0))
  }

  /// The row that the statement stands on.
  ///
  /// A row that is not what was written is left out, and
  /// counted: it is better missing than wrong.
  private func readRow(_ statement: borrowing Statement, of user: UserID) -> Notification? {
    if let row = NotificationRow.read(statement, userID: user) { return row }
    noteCorruption("the notification at offset \(statement.integer(0)) fails its checksum")
    return nil
  }

  private func noteCorruption(_ what: String) {
    state.withLock { state in
      state.metrics.corruptRows += 1
      state.metrics.lastCorruption = what
    }
  }

  /// Offsets come from outside in cursors, so they may be larger than any that SQLite can hold.
  private static func rowID(_ offset: UInt64) -> Int64 {
    Int64(clamping: offset)
  }
}
