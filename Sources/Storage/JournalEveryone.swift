// Notifications for everyone, in the journal's transaction.
//
// Publishing and removing one write one row and touch no user, whatever the number of users.
// Reading one writes a state for that user; "read all" moves the user's mark and updates its
// existing states.

internal import Notifications

/// The journal's statements for notifications for everyone, and for expiry.
final class EveryoneStatements {
  let insert: Statement
  let delete: Statement
  let insertGone: Statement
  let addUser: Statement
  let putState: Statement
  let markRead: Statement
  let mendRead: Statement
  let markSeen: Statement
  let mendSeen: Statement
  let markDeleted: Statement
  let forgetStates: Statement
  let findGone: Statement
  let sweepStates: Statement
  let deleteGone: Statement
  let due: Statement
  let firstDue: Statement
  let check: Statement
  let keep: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    insert = try connection.prepare(EveryoneRow.insertion)
    delete = try connection.prepare("DELETE FROM everyone WHERE offset = ?1")
    insertGone = try connection.prepare("INSERT INTO everyone_gone (offset) VALUES (?1)")
    addUser = try connection.prepare(
      """
      INSERT INTO user (id, total, unread, unseen,
        unread_low, unread_normal, unread_high, unread_urgent, version)
      VALUES (?1, 0, 0, 0, 0, 0, 0, 0, 0) RETURNING key
      """)
    putState = try connection.prepare(
      """
      INSERT OR REPLACE INTO everyone_state (user, offset, read_at, seen_at, is_deleted)
      VALUES (?1, ?2, ?3, ?4, ?5)
      """)
    // A mark that does not move keeps its time.
    markRead = try connection.prepare(
      """
      UPDATE user SET
        everyone_read_at = iif(everyone_read_through = ?2, everyone_read_at, ?3),
        everyone_seen_at = iif(everyone_seen_through = ?2, everyone_seen_at, ?3),
        everyone_read_through = ?2, everyone_seen_through = ?2
      WHERE key = ?1
      """)
    mendRead = try connection.prepare(
      """
      UPDATE everyone_state SET read_at = ?2, seen_at = coalesce(seen_at, ?2)
      WHERE user = ?1 AND read_at IS NULL AND is_deleted = 0
      """)
    markSeen = try connection.prepare(
      """
      UPDATE user SET
        everyone_seen_at = iif(everyone_seen_through = ?2, everyone_seen_at, ?3),
        everyone_seen_through = ?2
      WHERE key = ?1
      """)
    mendSeen = try connection.prepare(
      """
      UPDATE everyone_state SET seen_at = ?2
      WHERE user = ?1 AND seen_at IS NULL AND is_deleted = 0
      """)
    markDeleted = try connection.prepare(
      "UPDATE user SET everyone_deleted_through = ?2 WHERE key = ?1")
    forgetStates = try connection.prepare("DELETE FROM everyone_state WHERE user = ?1")
    findGone = try connection.prepare("SELECT offset FROM everyone_gone LIMIT 1")
    sweepStates = try connection.prepare(
      """
      DELETE FROM everyone_state WHERE (user, offset) IN
        (SELECT user, offset FROM everyone_state INDEXED BY everyone_state_offset
         WHERE offset = ?1 LIMIT ?2)
      """)
    deleteGone = try connection.prepare("DELETE FROM everyone_gone WHERE offset = ?1")
    due = try connection.prepare(
      """
      SELECT offset, priority, read_at IS NULL, seen_at IS NULL, notification.id, user, user.id
      FROM notification INDEXED BY notification_expires_at
      CROSS JOIN user ON user.key = notification.user
      WHERE expires_at IS NOT NULL AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2
      """)
    check = try connection.prepare(
      "SELECT \(NotificationRow.columns) FROM notification WHERE offset = ?1")
    keep = try connection.prepare(
      "UPDATE notification SET expires_at = NULL WHERE offset = ?1")
    firstDue = try connection.prepare(
      """
      SELECT expires_at FROM notification INDEXED BY notification_expires_at
      WHERE expires_at IS NOT NULL ORDER BY expires_at LIMIT 1
      """)
  }
}

extension JournalTransaction {
  // MARK: - Publishing

  /// Evicts the oldest to make room for `count` new ones, with one event for all of them.
  func makeRoom(for count: Int, time: Int64) throws(StoreError) {
    let evicted = everyone.rows.prefix(max(0, everyone.rows.count + count - everyoneLimit))
    try removeForEveryone(Array(evicted), time: time)
    group.evictedCount += evicted.count
  }

  func storeForEveryone(_ draft: PendingNotification) throws(StoreError) {
    let notification = Notification(
      id: draft.id, userID: draft.userID, content: draft.content, createdAt: draft.createdAt,
      offset: nextOffset())
    NotificationRow.bind(notification, userKey: 0, to: everyoneStatements.insert)
    try everyoneStatements.insert.run()
    everyone.append(
      EveryoneList.Row(
        offset: Int64(bitPattern: notification.offset), id: draft.id, type: notification.type,
        priority: notification.priority, createdAt: notification.createdAt,
        expiresAt: notification.expiresAt, groupKey: notification.groupKey))
    everyone.version = notification.offset
    group.storedCount += 1
    try recordCreated(notification)
    group.events.append(
      Event(
        audience: .everyone, body: .storedForEveryone, timestamp: draft.createdAt,
        offset: notification.offset))
  }

  /// Removes the rows from every inbox; users' states of them are swept in later transactions.
  private func removeForEveryone(
    _ rows: [EveryoneList.Row], time: Int64
  ) throws(StoreError) {
    guard !rows.isEmpty else { return }
    for row in rows {
      everyoneStatements.delete.bind(1, row.offset)
      try everyoneStatements.delete.run()
      everyoneStatements.insertGone.bind(1, row.offset)
      try everyoneStatements.insertGone.run()
    }
    let gone = Set(rows.map(\.offset))
    everyone.remove { gone.contains($0.offset) }
    let offset = nextOffset()
    everyone.version = offset
    // Due at once: there are states to sweep.
    nextExpiry = 0
    group.events.append(
      Event(
        audience: .everyone, body: .expiredForEveryone(rows.map(\.id)), timestamp: time,
        offset: offset))
  }

  // MARK: - Changing

  func addUser(_ user: UserID) throws(StoreError) -> Int64 {
    everyoneStatements.addUser.bind(1, user)
    defer { everyoneStatements.addUser.reset() }
    guard try everyoneStatements.addUser.step() else {
      throw .sqlite(code: 0, message: "a user cannot be added")
    }
    return everyoneStatements.addUser.integer(0)
  }

  /// Saves new states for the user with that key.
  func put(_ states: [EveryoneState.State], key: Int64) throws(StoreError) {
    for state in states {
      let statements = everyoneStatements
      statements.putState.bind(1, key)
      statements.putState.bind(2, state.offset)
      statements.putState.bind(3, state.view?.readAt)
      statements.putState.bind(4, state.view?.seenAt)
      statements.putState.bind(5, state.view == nil ? 1 : 0)
      try statements.putState.run()
    }
  }

  /// Applies a change of all to the marks and states of the user with that key.
  func applyToAllForEveryone(
    _ change: InboxChange, key: Int64, time: Int64
  ) throws(StoreError) {
    guard let newest = everyone.rows.last?.offset else { return }
    switch change {
    case .readAll, .read, .unread:
      try mark(everyoneStatements.markRead, newest, key, time)
      try mend(everyoneStatements.mendRead, key, time)
    case .seenAll, .seen:
      try mark(everyoneStatements.markSeen, newest, key, time)
      try mend(everyoneStatements.mendSeen, key, time)
    case .deleteAll, .delete:
      try mark(everyoneStatements.markDeleted, newest, key, nil)
      try mend(everyoneStatements.forgetStates, key, nil)
    }
  }

  private func mark(
    _ statement: borrowing Statement, _ newest: Int64, _ key: Int64, _ time: Int64?
  ) throws(StoreError) {
    statement.bind(1, key)
    statement.bind(2, newest)
    if let time { statement.bind(3, time) }
    try statement.run()
  }

  private func mend(
    _ statement: borrowing Statement, _ key: Int64, _ time: Int64?
  ) throws(StoreError) {
    statement.bind(1, key)
    if let time { statement.bind(2, time) }
    try statement.run()
  }

  // MARK: - Expiry

  /// Removes expired notifications from every inbox, up to the limits of one command.
  ///
  /// Returns true when more may be due.
  func expire(at time: Int64, on connection: borrowing Connection) throws(StoreError) -> Bool {
    var rows = everyone.rows.filter { $0.expiresAt.map { $0 <= time } ?? false }
    // guard: damaged-row-for-everyone-never-expires
    for row in rows where try !isSound(row) { rows.removeAll { $0.offset == row.offset } }
    try removeForEveryone(Array(rows.prefix(expiryLimit)), time: time)
    let own = try expireOwn(at: time)
    group.expiredCount += min(rows.count, expiryLimit) + own.expired
    let forgottenCount = try forgetRooms(at: time, on: connection)
    let removedKeyCount = try removeEndedKeys(at: time, on: connection)
    let hasMoreStates = try sweepStates(on: connection)
    nextExpiry = try findNextExpiry()
    return rows.count > expiryLimit || own.found == expiryLimit || forgottenCount == expiryLimit
      || removedKeyCount == expiryLimit || hasMoreStates
  }

  /// The notifications that one user loses.
  private struct Loss {
    let user: UserID
    let key: Int64
    var ids: [NotificationID] = []
    var difference = Counts()
  }

  /// Expired notifications of single users.
  private struct Due {
    /// Grouped by user in the order of expiry.
    var losses: [Loss] = []
    var offsets: [Int64] = []
    /// Rows that are damaged, so that their time to expire may be wrong.
    var damaged: [Int64] = []
    var count = 0
  }

  /// Finds expired notifications, up to the limit.
  private func findDue(_ rows: borrowing Statement, at time: Int64) throws(StoreError) -> Due {
    rows.bind(1, time)
    rows.bind(2, Int64(expiryLimit))
    defer { rows.reset() }
    var due = Due()
    var indexes: [Int64: Int] = [:]
    while try rows.step() {
      due.count += 1
      let row = FoundRow(rows)
      let user = rows.text(6)
      // guard: recounted-user-does-not-expire
      if recounts.contains(user) { continue }
      // guard: damaged-row-never-expires
      guard try expires(row.offset, of: user, by: time, everyoneStatements.check) else {
        due.damaged.append(row.offset)
        continue
      }
      let key = rows.integer(5)
      let index = indexes[key] ?? due.losses.count
      if index == due.losses.count {
        indexes[key] = index
        due.losses.append(Loss(user: user, key: key))
      }
      due.offsets.append(row.offset)
      if let id = NotificationRow.id(from: rows.blob(4)) { due.losses[index].ids.append(id) }
      if let step = InboxChange.deleteAll.difference(for: row) {
        due.losses[index].difference.add(step)
      }
    }
    return due
  }

  private func expireOwn(at time: Int64) throws(StoreError) -> (expired: Int, found: Int) {
    let due = try findDue(everyoneStatements.due, at: time)
    for offset in due.offsets {
      statements.delete.bind(1, offset)
      try statements.delete.run()
    }
    for offset in due.damaged {
      everyoneStatements.keep.bind(1, offset)
      try everyoneStatements.keep.run()
      group.repairs.append("a notification that is damaged no longer expires")
    }
    for loss in due.losses {
      let offset = nextOffset()
      let counts = try totals(
        of: changeCounts(
          key: loss.key, of: loss.user, by: loss.difference, offset: offset))
      group.events.append(
        Event(
          audience: .user(loss.user), body: .deleted(loss.ids, counts), timestamp: time,
          offset: offset))
    }
    return (due.offsets.count, due.count)
  }

  /// Whether a row for everyone, whose time to expire may be damaged, has its checksum.
  private func isSound(_ row: EveryoneList.Row) throws(StoreError) -> Bool {
    try everyoneRow.read(row.offset, as: EveryoneView(), by: "") != nil
  }

  /// Whether the user's row at `offset` has its checksum and expires by that time.
  private func expires(
    _ offset: Int64, of user: UserID, by time: Int64, _ check: borrowing Statement
  ) throws(StoreError) -> Bool {
    check.bind(1, offset)
    defer { check.reset() }
    guard try check.step(), let row = NotificationRow.read(check, userID: user) else {
      return false
    }
    return row.expiresAt.map { $0 <= time } ?? false
  }

  /// Deletes users' states of removed notifications; true when some remain.
  private func sweepStates(on connection: borrowing Connection) throws(StoreError) -> Bool {
    var left = StoreLimits.sweptStatesLimit
    while left > 0, let offset = try findGone() {
      everyoneStatements.sweepStates.bind(1, offset)
      everyoneStatements.sweepStates.bind(2, Int64(left))
      try everyoneStatements.sweepStates.run()
      let count = connection.changeCount
      // Count one more for the row itself, so that many rows without states are not all swept at
      // once.
      if count < left {
        everyoneStatements.deleteGone.bind(1, offset)
        try everyoneStatements.deleteGone.run()
      }
      left -= count + 1
    }
    return try findGone() != nil
  }

  private func findGone() throws(StoreError) -> Int64? {
    defer { everyoneStatements.findGone.reset() }
    return try everyoneStatements.findGone.step() ? everyoneStatements.findGone.integer(0) : nil
  }

  /// When the next expiry is due; 0 when there are states to sweep.
  func findNextExpiry() throws(StoreError) -> Int64? {
    if try findGone() != nil { return 0 }
    var next = everyone.rows.lazy.compactMap(\.expiresAt).min()
    if let end = try findFirstEnd() { next = min(next ?? .max, end) }
    if let removal = try findFirstKeyRemoval() { next = min(next ?? .max, removal) }
    defer { everyoneStatements.firstDue.reset() }
    if try everyoneStatements.firstDue.step() {
      next = min(next ?? .max, everyoneStatements.firstDue.integer(0))
    }
    return next
  }
}
