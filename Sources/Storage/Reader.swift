// A reader: one thread with its own read-only connection.
//
// Each query is one short transaction, so its answer is one moment of the store: the newest offset
// in the answer and the rows in it belong together. That makes resuming exact: changes at or below
// the offset are in the answer, and changes above it come from the ring. Rows, bytes and scanned
// rows are bounded, so no query holds a snapshot, and with it the log, for long.
//
// Whether a user's own notification rings was decided when it was stored. A notification for
// everyone is stored once, so this is decided here, by the user's current preferences.

internal import Notifications
internal import Reactor

/// A query and the callback for its answer.
struct Question: Sendable {
  let query: StoreQuery
  let reply: @Sendable (StoreAnswer) -> Void
}

/// Owns one connection that reads.
///
/// Confined to its thread once that runs.
final class Reader {
  /// One more than the number of missed notifications that a client may resume over.
  private static let missedCountLimit = Int64(StoreQuery.resumableLimit + 1)

  private let connection: Connection
  private let begin: Statement
  private let end: Statement
  private let position: Statement
  private let everyoneRow: EveryoneRow
  /// The notifications for everyone in the current snapshot.
  private var everyone = EveryoneList(version: 0)
  private let counts: Statement
  private let pages: InboxPages
  private let preferencesVersion: Statement
  private let preferencesDocument: PreferencesDocument
  private let preferencesCache = PreferencesCache()
  private let keptRooms: Statement
  private let apiKeys: Statement
  private let cursors: InboxCursors
  private let row: Statement
  private let missedCount: Statement
  private let recount: Recount
  private let outbox: OutboxReader
  /// The versions at which users' inboxes were compared with their counts, by the users' keys.
  private var compared: [Int64: UInt64] = [:]
  /// Asks the journal to recount a user.
  private let requestRecount: @Sendable (UserID) -> Void
  private let condition: StoreCondition
  private let kernel: Kernel
  private let timeZones: TimeZoneTable

  init(
    connection: consuming Connection, condition: StoreCondition, kernel: Kernel,
    timeZones: TimeZoneTable, requestRecount: @escaping @Sendable (UserID) -> Void
  ) throws(StoreError) {
    begin = try connection.prepare("BEGIN")
    end = try connection.prepare("END")
    position = try connection.prepare("SELECT last_offset, everyone_version FROM store")
    everyoneRow = try EveryoneRow(connection)
    counts = try connection.prepare("SELECT \(UserRow.columns) FROM user WHERE id = ?1")
    cursors = try InboxCursors(connection)
    pages = try InboxPages(connection, cursors)
    preferencesVersion = try connection.prepare(
      "SELECT key, \(PreferencesDocument.versionColumns) FROM user WHERE id = ?1")
    preferencesDocument = try PreferencesDocument(connection)
    keptRooms = try connection.prepare(KeptRoomsRow.selection)
    apiKeys = try connection.prepare(APIKeyRow.page)
    row = try connection.prepare(NotificationRow.selection)
    missedCount = try connection.prepare(
      """
      SELECT count(*) FROM (SELECT 1 FROM notification INDEXED BY notification_class
      WHERE user = ?1 AND (\(InboxClass.expression)) = ?2 AND offset > ?3 LIMIT ?4)
      """)
    recount = try Recount(connection)
    outbox = try OutboxReader(connection)
    self.connection = connection
    self.requestRecount = requestRecount
    self.timeZones = timeZones
    self.condition = condition
    self.kernel = kernel
  }

  func process(_ batch: [Question]) {
    for question in batch {
      var answer: StoreAnswer
      do throws(StoreError) {
        answer = try snapshot(of: question.query)
      } catch {
        answer = .failed(reason: "the store cannot be read: \(error)")
        // guard: failed-read-is-reported
        condition.note(.damage("a query failed: \(error)"))
      }
      condition.withLock { state in
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
    case .page(
      let user, let limit, let before, let unreadOnly, let type, let grouping, let bytesLimit):
      let filter = PageFilter(unreadOnly: unreadOnly, type: type, grouping: grouping)
      let found = try readUser(user, through)
      let inbox = Inbox(key: found.key, everyone: everyone, state: found.state)
      let bounds = PageBounds(limit: limit, bytesLimit: bytesLimit)
      return try pages.page(of: inbox, bounds, before: before, filter, found.counts) {
        (common, own) throws(StoreError) in
        try readRow(common, own, of: user)
      }
    case .counts(let user):
      return .counts(try readUser(user, through).counts)
    case .position(let user):
      return .position(through, try readUser(user, through).counts)
    case .missed(let user, let after, let limit):
      return try page(missedBy: user, after: after, limit: limit, through: through)
    case .preferences(let user):
      return .preferences(try readPreferences(of: user))
    case .keptRooms(let session, let user):
      return .keptRooms(try readKeptRooms(of: session, user: user))
    case .outbox(let query):
      return .outbox(try outbox.answer(query) { noteCorruption($0) })
    case .apiKeys(let after, let limit):
      return try readAPIKeys(after: after, limit: limit)
    }
  }

  private func leave() {
    guard connection.isInTransaction else { return }
    do throws(StoreError) {
      try end.run()
    } catch {
      // If ending the transaction fails, roll back; if that fails too, the next query fails to
      // begin and reports it.
      try? connection.execute("ROLLBACK")
    }
  }

  private func readPosition() throws(StoreError) -> UInt64 {
    defer { position.reset() }
    guard try position.step() else {
      throw .sqlite(code: 0, message: "the store's metadata row is missing")
    }
    // The journal stores both with each commit, so damage lasts until then.
    guard let through = position.offset(0), let version = position.offset(1), version <= through
    else { throw .sqlite(code: 0, message: "the store's newest offset is damaged") }
    if version != everyone.version {
      everyone = try everyoneRow.readList(version: version)
      if everyone.damagedThrough != nil { noteCorruption("a notification for everyone") }
    }
    return through
  }

  /// A user's key, counts, and its states of the notifications for everyone.
  private struct FoundUser {
    /// The key of no user, when the store does not know the user.
    var key: Int64 = -1
    var counts = Counts()
    /// The number of the user's own notifications.
    var ownTotal = 0
    /// The version of their counts.
    var ownVersion: UInt64 = 0
    var state = EveryoneState()
  }

  private func readUser(
    _ user: UserID, _ through: UInt64
  ) throws(StoreError) -> FoundUser {
    counts.bind(1, user)
    defer { counts.reset() }
    var found = FoundUser()
    var row: UserRow?
    if try counts.step() {
      var read = UserRow(counts, newest: through)
      // guard: damaged-counts-recounted
      if read.isDamaged {
        noteCorruption("the counts of a user")
        requestRecount(user)
        read.own = try recount.counts(ofKey: read.key, version: through)
      }
      row = read
      found.key = read.key
      found.counts = read.own
      found.ownTotal = read.own.total
      found.ownVersion = read.own.version
    }
    found.counts.version = max(found.counts.version, everyone.version)
    guard !everyone.isEmpty else { return found }
    found.state = try everyoneRow.readState(of: row?.key, marks: row?.marks ?? EveryoneMarks())
    found.counts.add(everyone.counts(for: found.state))
    return found
  }

  private func readPreferences(of user: UserID) throws(StoreError) -> Preferences {
    preferencesVersion.bind(1, user)
    defer { preferencesVersion.reset() }
    guard try preferencesVersion.step(), preferencesVersion.integer(1) != 0 else {
      return Preferences()
    }
    let key = preferencesVersion.integer(0)
    let parseCount = preferencesCache.parseCount
    let read = try preferencesCache.preferences(of: key, version: preferencesVersion.integer(2)) {
      () throws(StoreError) in try preferencesDocument.read(of: key)
    }
    if preferencesCache.parseCount != parseCount {
      condition.withLock { $0.metrics.preferencesParsed += 1 }
    }
    if let read { return read }
    noteCorruption("the preferences of a user")
    return Preferences()
  }

  private func readKeptRooms(
    of session: RecoveryID, user: UserID
  ) throws(StoreError) -> [RoomName] {
    keptRooms.bind(1, session.bytes)
    keptRooms.bind(2, user)
    keptRooms.bind(3, kernel.wallMilliseconds)
    defer { keptRooms.reset() }
    guard try keptRooms.step() else { return [] }
    if let rooms = KeptRoomsRow.read(keptRooms, session: session, user: user) { return rooms }
    noteCorruption("the rooms kept for a session")
    return []
  }

  private func readAPIKeys(after: UInt64?, limit: Int) throws(StoreError) -> StoreAnswer {
    apiKeys.bind(1, Self.rowID(after ?? 0))
    // One more, to see whether another page follows.
    apiKeys.bind(2, Int64(limit) + 1)
    defer { apiKeys.reset() }
    var found: [APIKey] = []
    var rowCount = 0
    var last: Int64 = 0
    while try apiKeys.step() {
      rowCount += 1
      guard rowCount <= limit else { return .apiKeys(found, next: UInt64(clamping: last)) }
      last = apiKeys.integer(APIKeyRow.rowColumn)
      if let key = APIKeyRow.read(apiKeys) {
        found.append(key)
      } else {
        noteCorruption("an API key")
      }
    }
    return .apiKeys(found, next: nil)
  }

  private func page(
    missedBy user: UserID, after: UInt64, limit: Int, through: UInt64
  ) throws(StoreError) -> StoreAnswer {
    let found = try readUser(user, through)
    let after = Self.rowID(after)
    // guard: damaged-row-for-everyone-is-resync
    if let damaged = everyone.damagedThrough, after < damaged {
      return .position(through, found.counts)
    }
    if try !isComplete(found, user) { return .position(through, found.counts) }
    var shared = EveryoneWalk(
      everyone, found.state, from: everyone.firstIndex(behind: after), by: 1)
    let total = min(
      try countMissed(key: found.key, after: after) + shared.count, Int(Self.missedCountLimit))
    var own = try cursors.rows(of: found.key, after: after)
    defer { own.end() }
    let limit = min(max(limit, 1), StoreQuery.missedLimit)
    var rows: [Notification] = []
    var byteCount = 0
    var scanned = 0
    var last = after
    // Read only when a notification for everyone is found, which they may silence.
    var wishes: Preferences?
    while let offset = own.next(beside: shared.current?.row.offset) {
      let isFull = rows.count == limit || byteCount >= StoreLimits.missedBytesLimit
      if isFull || scanned == StoreLimits.missedScanLimit {
        let next = UInt64(bitPattern: last)
        return .missed(rows, through: through, next: next, total: total, found.counts)
      }
      scanned += 1
      let before = last
      last = offset
      let common = shared.current.flatMap { $0.row.offset == offset ? $0 : nil }
      if common == nil {
        row.bind(1, offset)
        // An index without its row is damage, which `readRow` reports.
        _ = try row.step()
      }
      defer { row.reset() }
      let isMuted: Bool
      if let common {
        if wishes == nil { wishes = try readPreferences(of: user) }
        isMuted = wishes?.isMuted(common.row, zones: timeZones) ?? false
      } else {
        isMuted = NotificationRow.isMuted(row)
      }
      // A damaged row cannot be replayed, and a replay without it is not complete.
      // guard: damaged-row-is-resync
      guard last > before, last <= Int64(clamping: through),
        let notification = try readRow(common, row, of: user)
      else { return .position(through, found.counts) }
      if !isMuted {
        byteCount += notification.jsonByteCount
        rows.append(notification)
      }
      if common == nil { try own.advance() } else { shared.advance() }
    }
    return .missed(rows, through: through, next: nil, total: total, found.counts)
  }

  /// Whether the user's inbox has as many notifications as the user's counts say.
  ///
  /// Each row has a checksum, but a missing row has none.
  private func isComplete(_ found: FoundUser, _ user: UserID) throws(StoreError) -> Bool {
    guard found.ownTotal <= StoreLimits.comparedRowsLimit, compared[found.key] != found.ownVersion
    else {
      return true
    }
    let count = try countMissed(key: found.key, after: 0)
    // guard: missing-row-is-resync
    if count == found.ownTotal {
      if compared.count == StoreLimits.comparedUsersLimit { compared.removeAll() }
      compared[found.key] = found.ownVersion
      return true
    }
    noteCorruption("the number of a user's notifications")
    requestRecount(user)
    return false
  }

  private func countMissed(key: Int64, after: Int64) throws(StoreError) -> Int {
    var count: Int64 = 0
    for range in InboxClass.allCases where count < Self.missedCountLimit {
      missedCount.bind(1, key)
      missedCount.bind(2, range.rawValue)
      missedCount.bind(3, after)
      missedCount.bind(4, Self.missedCountLimit - count)
      defer { missedCount.reset() }
      if try missedCount.step() { count += missedCount.integer(0) }
    }
    return Int(count)
  }

  /// The row for everyone, or else the statement's current row.
  ///
  /// A damaged row is left out and counted: a missing row is better than a wrong one.
  private func readRow(
    _ common: EveryoneWalk.Step?, _ statement: borrowing Statement, of user: UserID
  ) throws(StoreError) -> Notification? {
    if let common {
      let row = try everyoneRow.read(common.row.offset, as: common.view, by: user)
      if let row { return row }
    } else if let row = NotificationRow.read(statement, userID: user) {
      return row
    }
    let offset = common?.row.offset ?? statement.integer(0)
    noteCorruption("the notification at offset \(offset)")
    return nil
  }

  private func noteCorruption(_ what: String) {
    condition.withLock { state in
      state.metrics.corruptRows += 1
      state.metrics.lastCorruption = what
    }
    condition.note(.damage("\(what) cannot be right"))
  }

  /// Offsets come from clients' cursors, and may exceed the largest that SQLite can hold.
  private static func rowID(_ offset: UInt64) -> Int64 {
    Int64(clamping: offset)
  }
}

extension Preferences {
  /// Whether these preferences silence a notification for everyone.
  fileprivate func isMuted(_ row: EveryoneList.Row, zones: TimeZoneTable) -> Bool {
    isMuted(type: row.type, priority: row.priority, createdAt: row.createdAt, zones: zones)
  }
}
