// The incarnations of a store as rows: the runs of servers that changed it, oldest first.
//
// A run draws its name when it opens the store, and stores it in the first transaction that gives
// out an offset. See `StoreHistory` for what that proves.

internal import Notifications
internal import Reactor

/// The statements over table `incarnation`, on the journal's connection.
final class IncarnationRow {
  private let insert: Statement
  private let trim: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    insert = try connection.prepare(
      "INSERT INTO incarnation (name, start_offset, checksum) VALUES (?1, ?2, ?3)")
    trim = try connection.prepare(
      "DELETE FROM incarnation WHERE key <= (SELECT max(key) FROM incarnation) - ?1")
  }

  /// Stores an incarnation, and deletes those past the limit.
  func store(_ incarnation: StoreHistory.Incarnation) throws(StoreError) {
    insert.bind(1, incarnation.name)
    insert.bind(2, Int64(bitPattern: incarnation.start))
    insert.bind(3, Self.checksum(of: incarnation))
    try insert.run()
    // guard: incarnations-limited
    trim.bind(1, StoreLimits.incarnationsLimit)
    try trim.run()
  }

  /// Reads the history of a store that is at `lastOffset`, and draws this run's incarnation.
  ///
  /// The file of a store that is not sound proves no cursor from before this run, now and after
  /// later starts: the incarnation is stored at once, and as though it had begun before the first
  /// commit. `pending` is the incarnation that the first commit is to store.
  static func readHistory(
    _ connection: borrowing Connection, epoch: String, lastOffset: UInt64, isSound: Bool,
    _ kernel: Kernel
  ) throws(StoreError) -> (
    history: StoreHistory, pending: StoreHistory.Incarnation?, damagedCount: Int
  ) {
    let rows = try connection.prepare(
      "SELECT key, name, start_offset, checksum FROM incarnation ORDER BY key")
    var stored: [StoreHistory.Incarnation?] = []
    var firstKey: Int64 = 1
    while try rows.step() {
      if stored.isEmpty { firstKey = rows.integer(0) }
      let row = StoreHistory.Incarnation(
        name: rows.text(1), start: UInt64(bitPattern: rows.integer(2)))
      stored.append(checksum(of: row) == rows.integer(3) ? row : nil)
    }
    // guard: incarnation-drawn-each-start
    let drawn = StoreHistory.Incarnation(
      name: RandomName.make(characterCount: 10, kernel), start: lastOffset)
    // guard: damaged-file-proves-nothing
    guard isSound else {
      let first = StoreHistory.Incarnation(name: drawn.name, start: 0)
      let isStored = (try? IncarnationRow(connection).store(first)) != nil
      // A disk that takes no write shows in the first command, too.
      return (StoreHistory(unproven: epoch, latest: drawn), isStored ? nil : first, 0)
    }
    let history = StoreHistory(
      epoch: epoch, stored: stored, isComplete: firstKey == 1, latest: drawn)
    let damagedCount = stored.count { $0 == nil }
    // Without a name for the commits so far, the cursors of all of them name the drawn one.
    // guard: name-after-damage-stored-at-once
    if let last = stored.last, last == nil {
      let isStored = (try? IncarnationRow(connection).store(drawn)) != nil
      return (history, isStored ? nil : drawn, damagedCount)
    }
    return (history, drawn, damagedCount)
  }

  private static func checksum(of incarnation: StoreHistory.Incarnation) -> Int64 {
    RowChecksum.value(of: Array("\(incarnation.name) \(incarnation.start)".utf8))
  }
}
