// Walking through a user's own notifications by an index, for every filter of a page.
//
// Each index splits the rows into ranges that are in the order of offsets, so the rows that pass a
// filter are the merge of a few ranges:
//
//     all              class small, read, seen, new
//     unread           class small,       seen, new
//     type             class small, type read, type unread
//     type, unread     class small,            type unread
//     group            group read, group unread
//     group, unread               group unread
//
// Only the class of small inboxes has rows that do not pass, and it has at most `smallInboxLimit`.
// So the rows visited are the rows of the page, and a constant. A type within a group has no index
// of its own.

internal import Notifications

/// The ranges of the index of all rows.
///
/// A row's class is its state, if it was stored in a large inbox. The rows of a small inbox have a
/// class of their own whatever their state, so reading one moves no entry of the index.
enum InboxClass: Int64, CaseIterable {
  case small, read, seen, new

  /// A row is in a large inbox if its user had more notifications than this when it was stored.
  ///
  /// So no more rows than this are in the class `small` of one user.
  static let smallInboxLimit = 1_000

  /// The class of a row, in SQL.
  ///
  /// SQLite uses the index only for exactly this expression.
  static let expression = """
    CASE WHEN in_large_inbox = 0 THEN 0 WHEN read_at IS NOT NULL THEN 1 \
    WHEN seen_at IS NOT NULL THEN 2 ELSE 3 END
    """
}

/// One range of an index, read row by row.
///
/// Confined to its connection's thread.
final class OffsetCursor {
  private let statement: Statement
  /// The offset of the current row; nil at the end.
  private(set) var offset: Int64?

  init(_ statement: consuming Statement) {
    self.statement = statement
  }

  /// Moves to the first row of the range.
  func begin(_ bind: (borrowing Statement) -> Void) throws(StoreError) {
    bind(statement)
    try advance()
  }

  func advance() throws(StoreError) {
    offset = try statement.step() ? statement.integer(0) : nil
  }

  func end() {
    statement.reset()
    offset = nil
  }
}

/// The offsets of several ranges, in one order.
struct OffsetMerge {
  private let cursors: [OffsetCursor]
  private let isAscending: Bool
  private var current: Int?

  fileprivate init(_ cursors: [OffsetCursor], isAscending: Bool) {
    self.cursors = cursors
    self.isAscending = isAscending
    choose()
  }

  /// The offset of the current row; nil at the end.
  var offset: Int64? { current.flatMap { cursors[$0].offset } }

  /// The offset that is next in the order, this one or `other`.
  func next(beside other: Int64?) -> Int64? {
    guard let offset, let other else { return offset ?? other }
    return isAscending ? min(offset, other) : max(offset, other)
  }

  mutating func advance() throws(StoreError) {
    guard let current else { return }
    try cursors[current].advance()
    choose()
  }

  func end() {
    for cursor in cursors { cursor.end() }
  }

  private mutating func choose() {
    current = nil
    for (index, cursor) in cursors.enumerated() {
      guard let offset = cursor.offset else { continue }
      if let best = self.offset, isAscending ? best < offset : best > offset { continue }
      current = index
    }
  }
}

/// The statements that walk through a user's own notifications, on a reader's connection.
final class InboxCursors {
  private let older: [OffsetCursor]
  private let newer: [OffsetCursor]
  private let ofType: [OffsetCursor]
  private let ofGroup: [OffsetCursor]

  init(_ connection: borrowing Connection) throws(StoreError) {
    var older: [OffsetCursor] = []
    var newer: [OffsetCursor] = []
    var ofType: [OffsetCursor] = []
    var ofGroup: [OffsetCursor] = []
    // A range is open while the others are read, so each has a statement of its own.
    for _ in InboxClass.allCases {
      older.append(
        OffsetCursor(
          try connection.prepare(
            """
            SELECT offset FROM notification INDEXED BY notification_class
            WHERE user = ?1 AND (\(InboxClass.expression)) = ?2 AND offset < ?3
            ORDER BY offset DESC
            """)))
      newer.append(
        OffsetCursor(
          try connection.prepare(
            """
            SELECT offset FROM notification INDEXED BY notification_class
            WHERE user = ?1 AND (\(InboxClass.expression)) = ?2 AND offset > ?3 ORDER BY offset
            """)))
    }
    for _ in 0..<2 {
      ofType.append(
        OffsetCursor(
          try connection.prepare(
            """
            SELECT offset FROM notification INDEXED BY notification_type
            WHERE in_large_inbox = 1 AND user = ?1 AND (read_at IS NULL) = ?2 AND offset < ?3
              AND type = ?4 ORDER BY offset DESC
            """)))
      ofGroup.append(
        OffsetCursor(
          try connection.prepare(
            """
            SELECT offset FROM notification INDEXED BY notification_group
            WHERE user = ?1 AND (read_at IS NULL) = ?2 AND offset < ?3 AND group_key = ?4
            ORDER BY offset DESC
            """)))
    }
    self.older = older
    self.newer = newer
    self.ofType = ofType
    self.ofGroup = ofGroup
  }

  /// The rows below `offset` that may pass the filter, newest first.
  func rows(of key: Int64, before offset: Int64, _ filter: PageFilter) throws(StoreError)
    -> OffsetMerge
  {
    let isUnread: [Int64] = filter.unreadOnly ? [1] : [0, 1]
    // guard: group-filter-has-an-index
    if case .only(let group) = filter.grouping {
      let ranges = try begin(ofGroup, isUnread, key: key, offset, text: group)
      return OffsetMerge(ranges, isAscending: false)
    }
    let classes: [InboxClass]
    var ranges: [OffsetCursor] = []
    // guard: type-filter-has-an-index
    if let type = filter.type {
      ranges = try begin(ofType, isUnread, key: key, offset, text: type)
      classes = [.small]
    } else {
      // guard: unread-filter-has-an-index
      classes = filter.unreadOnly ? [.small, .seen, .new] : InboxClass.allCases
    }
    ranges += try begin(older, classes.map(\.rawValue), key: key, offset)
    return OffsetMerge(ranges, isAscending: false)
  }

  /// All rows above `offset`, oldest first.
  func rows(of key: Int64, after offset: Int64) throws(StoreError) -> OffsetMerge {
    let classes = InboxClass.allCases.map(\.rawValue)
    return OffsetMerge(try begin(newer, classes, key: key, offset), isAscending: true)
  }

  private func begin(
    _ cursors: [OffsetCursor], _ ranges: [Int64], key: Int64, _ offset: Int64, text: String? = nil
  ) throws(StoreError) -> [OffsetCursor] {
    do throws(StoreError) {
      for (cursor, range) in zip(cursors, ranges) {
        try cursor.begin { statement in
          statement.bind(1, key)
          statement.bind(2, range)
          statement.bind(3, offset)
          if let text { statement.bind(4, text) }
        }
      }
    } catch {
      // An open one would keep the snapshot of this query for the next one.
      for cursor in cursors { cursor.end() }
      throw error
    }
    return Array(cursors.prefix(ranges.count))
  }
}
