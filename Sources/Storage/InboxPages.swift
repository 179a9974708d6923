// Pages of an inbox, newest first.
//
// A page goes down the user's rows and passes over those that its filter does not let through. In a
// collapsed page that filter is also: no newer one of the row's group passes. Whether a row is
// shown is thus decided by the row and those of its group alone, not by what the page has shown
// before, so the pages of an inbox put together are what one endless page would be: no row twice
// and none lost, wherever they are cut.
//
// Rows are looked at in bounded numbers, so a page may end early, even empty, with a `next`. Of a
// group at most `groupScanLimit` rows are looked at for each row: behind that many in a row that do
// not pass, the group is shown once more.

internal import Notifications

/// Which rows a page shows.
struct PageFilter {
  let unreadOnly: Bool
  let type: String?
  let grouping: PageGrouping

  /// Whether every row of a group passes.
  var admitsAll: Bool { !unreadOnly && type == nil }

  func admits(isUnread: Bool, type: @autoclosure () -> String) -> Bool {
    if unreadOnly && !isUnread { return false }
    if let wanted = self.type { return type() == wanted }
    return true
  }

  /// Whether the row that a statement over the notification's columns stands on passes.
  func admits(_ statement: borrowing Statement) -> Bool {
    admits(isUnread: statement.isNull(14), type: statement.text(2))
  }
}

/// Reads pages over a reader's connection.
///
/// Confined to the reader's thread.
final class InboxPages {
  static let pageLimit = 200
  static let pageByteLimit = 2 << 20
  /// Rows that one page looks at while it searches for those that it shows.
  static let scanLimit = 10_000
  /// Rows of its group that one row is compared and counted with.
  static let groupScanLimit = 1_000
  /// Rows that one page counts; it ends behind the row that reaches it.
  static let countLimit = 40_000

  private let newest: Statement
  private let newestOfGroup: Statement
  private let newerOfGroup: Statement
  private let olderOfGroup: Statement
  private let countOfGroup: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    newest = try connection.prepare(
      """
      SELECT \(NotificationRow.columns) FROM notification INDEXED BY notification_user
      WHERE user = ?1 AND offset < ?2 ORDER BY offset DESC
      """)
    newestOfGroup = try connection.prepare(
      """
      SELECT \(NotificationRow.columns) FROM notification INDEXED BY notification_group
      WHERE user = ?1 AND offset < ?2 AND group_key = ?3 ORDER BY offset DESC
      """)
    newerOfGroup = try connection.prepare(
      """
      SELECT read_at IS NULL, type FROM notification INDEXED BY notification_group
      WHERE user = ?1 AND group_key = ?2 AND offset > ?3 ORDER BY offset
      """)
    olderOfGroup = try connection.prepare(
      """
      SELECT read_at IS NULL, type FROM notification INDEXED BY notification_group
      WHERE user = ?1 AND group_key = ?2 AND offset <= ?3 ORDER BY offset DESC
      """)
    countOfGroup = try connection.prepare(
      """
      SELECT count(*) FROM (SELECT 1 FROM notification INDEXED BY notification_group
      WHERE user = ?1 AND group_key = ?2 AND offset <= ?3 LIMIT ?4)
      """)
  }

  /// A page of the inbox of the user with that key.
  ///
  /// `read` makes a notification of the row that a statement stands on; nil for one that is not
  /// what was written, which is left out.
  func page(
    key: Int64, limit: Int, before: UInt64?, _ filter: PageFilter, _ counts: Counts,
    read: (borrowing Statement) -> Notification?
  ) throws(StoreError) -> StoreAnswer {
    var page = Page(limit: min(max(limit, 1), Self.pageLimit))
    // Offsets come from outside in cursors, and may be larger than any that SQLite can hold.
    let before = Int64(clamping: before ?? .max)
    if case .only(let group) = filter.grouping {
      newestOfGroup.bind(1, key)
      newestOfGroup.bind(2, before)
      newestOfGroup.bind(3, group)
      try fill(&page, from: newestOfGroup, key: key, filter, read: read)
    } else {
      newest.bind(1, key)
      newest.bind(2, before)
      try fill(&page, from: newest, key: key, filter, read: read)
    }
    return .page(page.rows, next: page.next, counts, groups: page.groups)
  }

  /// What a page has so far.
  private struct Page {
    let limit: Int
    var rows: [Notification] = []
    var groups: [UInt64: Int] = [:]
    var next: UInt64?
    var byteCount = 0
    var countedRows = 0

    init(limit: Int) { self.limit = limit }

    var isFull: Bool {
      rows.count == limit || byteCount >= InboxPages.pageByteLimit
        || countedRows >= InboxPages.countLimit
    }
  }

  private func fill(
    _ page: inout Page, from statement: borrowing Statement, key: Int64, _ filter: PageFilter,
    read: (borrowing Statement) -> Notification?
  ) throws(StoreError) {
    defer { statement.reset() }
    var scanned = 0
    var last: UInt64?
    while try statement.step() {
      page.next = last
      if scanned >= Self.scanLimit { return }
      scanned += 1
      let offset = UInt64(bitPattern: statement.integer(0))
      if try isShown(statement, key: key, filter, &scanned) {
        // There is another one for the next page.
        if page.isFull { return }
        if let row = read(statement) {
          page.byteCount += row.byteCount
          if filter.grouping == .collapsed, let group = row.groupKey {
            let found = try count(group, from: statement.integer(0), key: key, filter)
            page.countedRows += found.scanned
            page.groups[offset] = found.count
          }
          page.rows.append(row)
        }
      }
      last = offset
    }
    page.next = nil
  }

  /// Whether the row that `statement` stands on passes, and no newer one of its group does where
  /// the page is collapsed.
  private func isShown(
    _ statement: borrowing Statement, key: Int64, _ filter: PageFilter, _ scanned: inout Int
  ) throws(StoreError) -> Bool {
    guard filter.admits(statement) else { return false }
    guard filter.grouping == .collapsed, let group = statement.optionalText(11) else { return true }
    newerOfGroup.bind(1, key)
    newerOfGroup.bind(2, group)
    newerOfGroup.bind(3, statement.integer(0))
    defer { newerOfGroup.reset() }
    for _ in 0..<Self.groupScanLimit {
      guard try newerOfGroup.step() else { return true }
      scanned += 1
      let isUnread = newerOfGroup.integer(0) != 0
      if filter.admits(isUnread: isUnread, type: newerOfGroup.text(1)) { return false }
    }
    return true
  }

  /// How many of a group pass, from the row at `offset` downwards, among the first
  /// `groupScanLimit`; and how many were looked at.
  private func count(
    _ group: String, from offset: Int64, key: Int64, _ filter: PageFilter
  ) throws(StoreError) -> (count: Int, scanned: Int) {
    if filter.admitsAll {
      countOfGroup.bind(1, key)
      countOfGroup.bind(2, group)
      countOfGroup.bind(3, offset)
      countOfGroup.bind(4, Int64(Self.groupScanLimit))
      defer { countOfGroup.reset() }
      let count = try countOfGroup.step() ? Int(countOfGroup.integer(0)) : 0
      return (count, count)
    }
    olderOfGroup.bind(1, key)
    olderOfGroup.bind(2, group)
    olderOfGroup.bind(3, offset)
    defer { olderOfGroup.reset() }
    var count = 0
    var scanned = 0
    while scanned < Self.groupScanLimit, try olderOfGroup.step() {
      scanned += 1
      let isUnread = olderOfGroup.integer(0) != 0
      if filter.admits(isUnread: isUnread, type: olderOfGroup.text(1)) { count += 1 }
    }
    return (count, scanned)
  }
}

extension Notification {
  /// Bytes that the row takes in an answer, roughly.
  var byteCount: Int {
    var count = 256 + type.utf8.count + title.utf8.count + message.utf8.count + data.count
    count += (entityType?.utf8.count ?? 0) + (entityID?.utf8.count ?? 0)
    count += (entityURL?.utf8.count ?? 0) + (groupKey?.utf8.count ?? 0) + (actions?.count ?? 0)
    return count
  }
}
