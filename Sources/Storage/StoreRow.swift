// The one row of table `store`, checked and repaired when the store is opened.

internal import Notifications
internal import Reactor

/// The identity of a store and its newest offset.
struct StoreRow {
  var epoch: String
  var lastOffset: UInt64
  var horizon: UInt64
  var everyoneVersion: UInt64
  /// The damage found, in words.
  var repairs: [String] = []

  /// Reads the row, and replaces each of its values that cannot be right.
  init(_ connection: borrowing Connection, _ kernel: Kernel) throws(StoreError) {
    let row = try connection.prepare(
      """
      SELECT epoch, last_offset, horizon, everyone_version, running_milliseconds FROM store LIMIT 1
      """)
    guard try row.step() else {
      throw .sqlite(code: 0, message: "the store's metadata row is missing")
    }
    // SQLite changes no row that has a column of a wrong type. Before the first access, which
    // converts the value.
    // guard: store-row-types
    if !row.isText(0) || !row.isInteger(4) { repairs.append("a column of the store was damaged") }
    epoch = row.text(0)
    let (last, horizon, version) = (row.offset(1), row.offset(2), row.offset(3))
    row.reset()
    let newest = try Self.newestOffset(in: ["notification", "everyone"], "offset", connection)
    // guard: newest-offset-repaired
    if let last, last >= newest {
      lastOffset = last
    } else {
      lastOffset = max(
        newest, try Self.newestOffset(in: ["user"], "version", connection),
        try Self.newestOffset(in: ["incarnation"], "start_offset", connection))
      repairs.append("the newest offset was damaged, and is \(lastOffset) now")
    }
    self.horizon = horizon ?? .max
    everyoneVersion = version ?? .max
    if self.horizon > lastOffset {
      // Then no cursor is proven.
      self.horizon = lastOffset
      repairs.append("the horizon was damaged, and is \(lastOffset) now")
    }
    if everyoneVersion > lastOffset {
      everyoneVersion = lastOffset
      repairs.append("the version of the notifications for everyone was damaged")
    }
    // guard: epoch-repaired
    if !Self.isEpoch(epoch) {
      epoch = RandomName.make(characterCount: 16, kernel)
      repairs.append("the epoch was damaged: every client gets a resync")
    }
    if !repairs.isEmpty { write(connection) }
  }

  private func write(_ connection: borrowing Connection) {
    do throws(StoreError) {
      let update = try connection.prepare(
        """
        UPDATE store SET epoch = ?1, last_offset = ?2, horizon = ?3, everyone_version = ?4,
          running_milliseconds = ifnull(CAST(running_milliseconds AS INTEGER), 0)
        """)
      update.bind(1, epoch)
      update.bind(2, Int64(bitPattern: lastOffset))
      update.bind(3, Int64(bitPattern: horizon))
      update.bind(4, Int64(bitPattern: everyoneVersion))
      try update.run()
    } catch {
      // Nothing depends on it: the next start repairs the row again. A disk that takes no write
      // shows in the first command.
    }
  }

  /// The largest offset in a column, other than values outside the range of offsets.
  private static func newestOffset(
    in tables: [String], _ column: String, _ connection: borrowing Connection
  ) throws(StoreError) -> UInt64 {
    var newest: UInt64 = 0
    for table in tables {
      let row = try connection.prepare(
        """
        SELECT max(\(column)) FROM \(table)
        WHERE \(column) BETWEEN 0 AND \(StoredNumber.offsets.upperBound)
        """)
      if try row.step() { newest = max(newest, row.offset(0) ?? 0) }
    }
    return newest
  }

  private static func isEpoch(_ text: String) -> Bool {
    (1...32).contains(text.utf8.count)
      && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) }
  }
}
