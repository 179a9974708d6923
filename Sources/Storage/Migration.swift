// Migrating a store to the newest format.
//
// Each format's statements run in one transaction together with its number. They change the schema,
// not the rows, so they take the same time in a store of any size. Rows move in steps afterwards:
//
//     notification_old   1 2 3 4 ... 4096 │ 4097 4098 ...        the rows that have not moved
//     notification       1 2 3 4 ... 4096 │                      the rows that have
//
// A step is one transaction, which moves the rows of the oldest offsets. So the log stays small,
// the pages of the moved rows are used again, and after a crash the next start continues with the
// rows that are left. The table of the old rows exists until the last one has moved.

internal import Reactor

/// One migration of an open database.
struct Migration {
  /// Steps between two lines of the log.
  private static let reportedStepCount = 25

  private let kernel: Kernel
  private let stepLimit: Int
  private let report: (String) -> Void

  init(_ kernel: Kernel, stepLimit: Int, report: @escaping (String) -> Void) {
    self.kernel = kernel
    self.stepLimit = stepLimit
    self.report = report
  }

  /// Migrates the database to the newest format, or refuses one that is newer.
  func run(on connection: borrowing Connection) throws(StoreError) {
    let newest = Schema.migrations.count
    var version = Int(try connection.value(of: "PRAGMA user_version")) ?? 0
    // guard: newer-format-refused
    guard version >= 0, version <= newest else {
      throw .newerVersion(version, known: newest)
    }
    let isNew = version == 0
    if version > 0, version < newest {
      report("migrating the store from format \(version) to format \(newest)")
    }
    // Many builds of SQLite write zeros over pages that become free, here all pages of the indexes
    // that are dropped. The rows that move use these pages again.
    let overwrites = try connection.value(of: "PRAGMA secure_delete") == "1"
    // guard: dropped-index-is-not-overwritten
    if overwrites { try connection.execute("PRAGMA secure_delete = FAST") }
    while version < newest {
      try connection.execute("BEGIN IMMEDIATE")
      version = try migrate(from: version, on: connection)
      try connection.execute(
        """
        PRAGMA application_id = \(Schema.applicationID); PRAGMA user_version = \(version); COMMIT
        """)
    }
    if overwrites { try connection.execute("PRAGMA secure_delete = ON") }
    // guard: interrupted-migration-goes-on
    if try has(table: "notification_old", on: connection) {
      let count = try moveRows(on: connection)
      if !isNew { report("the store has format \(newest): \(count) notifications moved") }
    }
  }

  /// Runs the statements of the next format, and returns its number.
  private func migrate(
    from version: Int, on connection: borrowing Connection
  ) throws(StoreError) -> Int {
    // One development version gave number 2 to the preferences, which are format 3 now.
    if version == 2, try !has(table: "everyone", on: connection) {
      try connection.execute(Schema.migrations[1])
      return 3
    }
    try connection.execute(Schema.migrations[version])
    if version == 0 {
      let store = try connection.prepare(
        "INSERT INTO store (epoch, last_offset, horizon) VALUES (?1, 0, 0)")
      // 82 bits, so that no two stores share an epoch.
      store.bind(1, RandomName.make(characterCount: 16, kernel))
      try store.run()
    }
    return version + 1
  }

  private func has(
    table: String, on connection: borrowing Connection
  ) throws(StoreError) -> Bool {
    try connection.value(
      of: "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '\(table)'") != "0"
  }

  /// Moves all old rows, in steps, and returns their number.
  private func moveRows(on connection: borrowing Connection) throws(StoreError) -> Int {
    let mover = try RowMover(connection)
    let last = try connection.value(of: "SELECT max(offset) FROM notification_old")
    var count = 0
    var stepCount = 0
    while let step = try mover.step(limit: stepLimit, on: connection) {
      count += step.count
      // No reader is open yet, so this copies the whole log, and the next step starts it again.
      // guard: migration-restarts-the-log
      _ = try connection.checkpoint()
      stepCount += 1
      // guard: migration-reports-progress
      if stepCount.isMultiple(of: Self.reportedStepCount) {
        report("\(count) notifications moved, up to offset \(step.offset) of \(last)")
      }
    }
    try connection.execute("DROP TABLE notification_old")
    return count
  }
}

/// The statements that move rows to the table of format 6.
private final class RowMover {
  private static let columns = """
    offset, user, id, type, priority, title, message, data, entity_type, entity_id, entity_url, \
    actions, group_key, created_at, expires_at, read_at, seen_at, checksum, is_silent
    """

  private let boundary: Statement
  private let end: Statement
  private let copy: Statement
  private let remove: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    boundary = try connection.prepare(
      "SELECT offset FROM notification_old ORDER BY offset LIMIT 1 OFFSET ?1")
    end = try connection.prepare("SELECT max(offset) FROM notification_old")
    copy = try connection.prepare(
      """
      INSERT INTO notification (\(Self.columns), in_large_inbox)
      SELECT \(Self.columns),
        coalesce((SELECT total > ?2 FROM user WHERE key = notification_old.user), 0)
      FROM notification_old WHERE offset <= ?1 ORDER BY offset
      """)
    remove = try connection.prepare("DELETE FROM notification_old WHERE offset <= ?1")
  }

  /// Moves the rows of the oldest offsets, in one transaction.
  ///
  /// Returns their number and the largest of these offsets; nil when no row is left.
  func step(
    limit: Int, on connection: borrowing Connection
  ) throws(StoreError) -> (count: Int, offset: Int64)? {
    guard let offset = try findBoundary(limit: limit) else { return nil }
    try connection.execute("BEGIN IMMEDIATE")
    copy.bind(1, offset)
    copy.bind(2, Int64(InboxClass.smallInboxLimit))
    try copy.run()
    remove.bind(1, offset)
    try remove.run()
    let count = connection.changeCount
    try connection.execute("COMMIT")
    return (count, offset)
  }

  /// The largest offset of the next step.
  private func findBoundary(limit: Int) throws(StoreError) -> Int64? {
    // guard: migration-step-bound
    boundary.bind(1, Int64(limit - 1))
    defer { boundary.reset() }
    if try boundary.step() { return boundary.integer(0) }
    defer { end.reset() }
    guard try end.step(), !end.isNull(0) else { return nil }
    return end.integer(0)
  }
}
