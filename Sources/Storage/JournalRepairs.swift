// The journal's part in damage: it replaces numbers that cannot be right.

internal import Notifications

extension JournalTransaction {
  /// The user's row, recounted and stored if it is damaged.
  func checked(_ row: UserRow) throws(StoreError) -> UserRow {
    row.isDamaged ? try repair(row) : row
  }

  /// Stores the right numbers of a user.
  private func repair(_ row: UserRow) throws(StoreError) -> UserRow {
    var row = row
    row.own = try statements.repairs.recount.counts(ofKey: row.key, version: group.lastOffset)
    try statements.repairs.write(row)
    group.repairs.append("the counts of a user were damaged, and are recounted")
    return row
  }

  /// Repairs the row of the user with that key; a statement could not calculate with its numbers.
  func repairUser(withKey key: Int64) throws(StoreError) -> UserRow {
    try repair(try statements.repairs.read(key, newest: group.lastOffset))
  }

  /// Repairs the user's row if a reader has found it damaged; the user's devices get the counts.
  func recount(_ user: UserID, at time: Int64) throws(StoreError) {
    let repairCount = group.repairs.count
    guard let row = try findUser(user) else { return }
    let stored = try statements.repairs.recount.counts(ofKey: row.key, version: row.own.version)
    if stored != row.own { _ = try repair(row) }
    guard group.repairs.count > repairCount else { return }
    let offset = nextOffset()
    let counts = try totals(of: changeCounts(key: row.key, by: Counts(), offset: offset))
    group.events.append(
      Event(audience: .user(user), body: .counted(counts), timestamp: time, offset: offset))
  }
}

/// The statements that repair a user's row, on the journal's connection.
final class RepairStatements {
  let recount: Recount
  private let find: Statement
  private let update: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    recount = try Recount(connection)
    find = try connection.prepare("SELECT \(UserRow.columns) FROM user WHERE key = ?1")
    update = try connection.prepare(
      """
      UPDATE user SET total = ?2, unread = ?3, unseen = ?4, unread_low = ?5, unread_normal = ?6,
        unread_high = ?7, unread_urgent = ?8, version = ?9, everyone_read_through = ?10,
        everyone_read_at = ?11, everyone_seen_through = ?12, everyone_seen_at = ?13,
        everyone_deleted_through = ?14
      WHERE key = ?1
      """)
  }

  func read(_ key: Int64, newest: UInt64) throws(StoreError) -> UserRow {
    find.bind(1, key)
    defer { find.reset() }
    guard try find.step() else { throw .sqlite(code: 0, message: "a user's counts are missing") }
    return UserRow(find, newest: newest)
  }

  func write(_ row: UserRow) throws(StoreError) {
    update.bind(1, row.key)
    update.bind(2, Int64(row.own.total))
    update.bind(3, Int64(row.own.unread))
    update.bind(4, Int64(row.own.unseen))
    update.bind(5, Int64(row.own.byPriority.low))
    update.bind(6, Int64(row.own.byPriority.normal))
    update.bind(7, Int64(row.own.byPriority.high))
    update.bind(8, Int64(row.own.byPriority.urgent))
    update.bind(9, Int64(bitPattern: row.own.version))
    update.bind(10, row.marks.readThrough)
    update.bind(11, row.marks.readAt)
    update.bind(12, row.marks.seenThrough)
    update.bind(13, row.marks.seenAt)
    update.bind(14, row.marks.deletedThrough)
    try update.run()
  }
}
