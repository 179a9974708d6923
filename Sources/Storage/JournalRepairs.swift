// The journal's part in damage: it replaces numbers that cannot be right.

internal import Notifications

extension JournalTransaction {
  /// The user's row, recounted and stored if it is damaged.
  func checked(_ row: UserRow, of user: UserID) throws(StoreError) -> UserRow {
    row.isDamaged ? try repair(row, of: user) : row
  }

  /// Recounts and stores the right numbers of a user.
  @discardableResult
  func repair(_ row: UserRow, of user: UserID) throws(StoreError) -> UserRow {
    var row = row
    row.own = try recount(user, key: row.key)
    row.own.version = group.lastOffset
    try write(row)
    return row
  }

  /// Repairs the user's row, which a statement could not change.
  func repairUser(_ user: UserID) throws(StoreError) {
    if let row = try readUser(user) { try repair(row, of: user) }
  }

  /// Stores the recounted numbers of a user.
  func write(_ row: UserRow) throws(StoreError) {
    try statements.repairs.write(row)
    group.repairs.append("the counts of a user were damaged, and are recounted")
  }
}

/// The statements that repair a user's row, on the journal's connection.
final class RepairStatements {
  private let find: Statement
  private let update: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    find = try connection.prepare("SELECT \(UserRow.columns) FROM user WHERE key = ?1")
    // All columns except the id, because a column of a wrong type fails every change of the row.
    update = try connection.prepare(
      """
      UPDATE user SET total = ?2, unread = ?3, unseen = ?4, unread_low = ?5, unread_normal = ?6,
        unread_high = ?7, unread_urgent = ?8, version = ?9, everyone_read_through = ?10,
        everyone_read_at = ?11, everyone_seen_through = ?12, everyone_seen_at = ?13,
        everyone_deleted_through = ?14, preferences = CAST(preferences AS BLOB),
        preferences_version =
          ifnull(CAST(preferences_version AS INTEGER) & \(Int64.max >> 1), 0) + 1
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
