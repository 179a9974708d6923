// A row of table `user`: the counts of the user's own notifications, and the marks of those for
// everyone.
//
// The numbers are checked against each other, and against the store's newest offset, whenever the
// row is read. Counts that cannot be right are recounted from the user's notifications.

internal import Notifications

/// A user's counts and marks, as the journal and the readers use them.
struct UserRow {
  static let columns =
    """
    key, total, unread, unseen, unread_low, unread_normal, unread_high, unread_urgent, version, \
    everyone_read_through, everyone_read_at, everyone_seen_through, everyone_seen_at, \
    everyone_deleted_through
    """
  /// The number of columns in `columns`.
  static let columnCount: Int32 = 14

  let key: Int64
  /// Counts of the user's own notifications.
  var own: Counts
  let marks: EveryoneMarks
  /// Whether any number cannot be right; then the counts are worthless, and such a mark is 0.
  let isDamaged: Bool

  /// Reads the current row of a statement over `columns` in a store with that newest offset.
  init(_ statement: borrowing Statement, newest: UInt64) {
    var check = Check(newest: Int64(clamping: newest))
    key = statement.integer(0)
    own = Counts(
      total: check.count(statement, 1), unread: check.count(statement, 2),
      unseen: check.count(statement, 3),
      byPriority: Counts.ByPriority(
        low: check.count(statement, 4), normal: check.count(statement, 5),
        high: check.count(statement, 6), urgent: check.count(statement, 7)),
      version: UInt64(check.offset(statement, 8)))
    let (read, seen) = (check.offset(statement, 9), check.offset(statement, 11))
    marks = EveryoneMarks(
      readThrough: read, readAt: check.time(statement, 10), seenThrough: max(read, seen),
      seenAt: check.time(statement, 12), deletedThrough: check.offset(statement, 13))
    let parts = own.byPriority
    let unread = parts.low + parts.normal + parts.high + parts.urgent
    // guard: counts-add-up
    let addsUp = own.unseen <= own.unread && own.unread <= own.total && own.unread == unread
    isDamaged = check.hasFailed || !addsUp || read > seen
  }

  /// Reads numbers, and remembers whether one of them was damaged.
  private struct Check {
    let newest: Int64
    var hasFailed = false

    /// A number of notifications, each of which has an offset of its own.
    mutating func count(_ statement: borrowing Statement, _ column: Int32) -> Int {
      Int(number(statement, column, in: 0...min(newest, StoredNumber.countLimit)))
    }

    mutating func offset(_ statement: borrowing Statement, _ column: Int32) -> Int64 {
      number(statement, column, in: 0...newest)
    }

    mutating func time(_ statement: borrowing Statement, _ column: Int32) -> Int64 {
      number(statement, column, in: StoredNumber.times)
    }

    private mutating func number(
      _ statement: borrowing Statement, _ column: Int32, in range: ClosedRange<Int64>
    ) -> Int64 {
      if let number = statement.number(column, in: range) { return number }
      hasFailed = true
      return 0
    }
  }
}

/// The statement that recounts a user's notifications for a reader.
final class Recount {
  private let statement: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    func unread(_ priority: Priority) -> String {
      "count(*) FILTER (WHERE read_at IS NULL AND priority = \(priority.rawValue))"
    }
    // A damaged priority counts as normal, as it does when the notification is read.
    statement = try connection.prepare(
      """
      SELECT count(*), count(*) FILTER (WHERE read_at IS NULL),
        count(*) FILTER (WHERE read_at IS NULL AND seen_at IS NULL),
        \(unread(.low)), \(unread(.high)), \(unread(.urgent))
      FROM (
        SELECT read_at, seen_at, priority FROM notification INDEXED BY notification_class
        WHERE user = ?1 LIMIT ?2)
      """)
  }

  /// Counts the user's notifications; throws `recounting` when there are too many.
  func counts(ofKey key: Int64, version: UInt64) throws(StoreError) -> Counts {
    statement.bind(1, key)
    statement.bind(2, StoreLimits.recountRowsLimit + 1)
    defer { statement.reset() }
    guard try statement.step() else { return Counts(version: version) }
    // guard: recount-of-reader-bound
    guard statement.integer(0) <= StoreLimits.recountRowsLimit else { throw .recounting }
    let unread = Int(statement.integer(1))
    let (low, high) = (Int(statement.integer(3)), Int(statement.integer(4)))
    let urgent = Int(statement.integer(5))
    return Counts(
      total: Int(statement.integer(0)), unread: unread, unseen: Int(statement.integer(2)),
      byPriority: Counts.ByPriority(
        low: low, normal: unread - low - high - urgent, high: high, urgent: urgent),
      version: version)
  }
}
