// Pages of an inbox, newest first.
//
// A page walks down the user's rows and skips those that do not pass its filter. A collapsed page
// also skips a row if a newer row of its group passes. So a row's visibility depends only on the
// row and its group, not on the rows shown before: the pages of an inbox, concatenated, are the
// same as one endless page, without a duplicate or a gap, wherever the cuts are.
//
// The number of rows scanned is bounded, so a page may end early, even empty, with a `next`. For
// each row at most `groupScanLimit` rows of its group are scanned: after that many newer rows that
// do not pass, the group appears once more.

internal import Notifications

/// The filter of a page.
struct PageFilter {
  let unreadOnly: Bool
  let type: String?
  let grouping: PageGrouping

  /// Whether every row of a group passes.
  var admitsAll: Bool { !unreadOnly && type == nil }

  /// Whether a notification for everyone passes, in the user's view.
  func admits(_ step: EveryoneWalk.Step) -> Bool {
    if case .only(let group) = grouping, step.row.groupKey.map(TextKey.init) != TextKey(group) {
      return false
    }
    return admits(isUnread: step.view.readAt == nil, type: step.row.type)
  }

  func admits(isUnread: Bool, type: @autoclosure () -> String) -> Bool {
    if unreadOnly && !isUnread { return false }
    if let wanted = self.type { return TextKey(type()) == TextKey(wanted) }
    return true
  }

  /// Whether the current row of a statement over the notification's columns passes.
  func admits(_ statement: borrowing Statement) -> Bool {
    admits(isUnread: statement.isNull(14), type: statement.text(2))
  }
}

/// A user's inbox: its own notifications by the user's key, and those for everyone.
struct Inbox {
  let key: Int64
  let everyone: EveryoneList
  let state: EveryoneState
}

/// Reads pages over a reader's connection.
///
/// Confined to the reader's thread.
final class InboxPages {
  static let pageLimit = 200
  static let pageByteLimit = 2 << 20
  /// Rows that one page scans for matches.
  static let scanLimit = 10_000
  /// Rows of its group scanned and counted for one row.
  static let groupScanLimit = 1_000
  /// Rows that one page counts; the page ends after the row that reaches it.
  static let countLimit = 20_000

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

  /// Reads a page of the inbox.
  ///
  /// `read` builds a notification from a step for everyone, or else from the statement's current
  /// row. It returns nil for a damaged row, which is left out.
  func page(
    of inbox: Inbox, limit: Int, before: UInt64?, _ filter: PageFilter, _ counts: Counts,
    read: (EveryoneWalk.Step?, borrowing Statement) throws(StoreError) -> Notification?
  ) throws(StoreError) -> StoreAnswer {
    var page = Page(
      key: inbox.key, filter: filter,
      groups: EveryoneGroups(inbox.everyone, inbox.state, filter),
      limit: min(max(limit, 1), Self.pageLimit))
    // Offsets come from clients' cursors, and may exceed the largest that SQLite can hold.
    let before = Int64(clamping: before ?? .max)
    var shared = EveryoneWalk(
      inbox.everyone, inbox.state, from: inbox.everyone.firstIndex(behind: before - 1) - 1, by: -1)
    if case .only(let group) = filter.grouping {
      newestOfGroup.bind(1, inbox.key)
      newestOfGroup.bind(2, before)
      newestOfGroup.bind(3, group)
      try fill(&page, from: newestOfGroup, &shared, read: read)
    } else {
      newest.bind(1, inbox.key)
      newest.bind(2, before)
      try fill(&page, from: newest, &shared, read: read)
    }
    return .page(page.rows, next: page.next, counts, groups: page.counts)
  }

  /// A page's parameters, and its rows so far.
  private struct Page {
    let key: Int64
    let filter: PageFilter
    let groups: EveryoneGroups
    let limit: Int
    var rows: [Notification] = []
    var counts: [UInt64: Int] = [:]
    var next: UInt64?
    var byteCount = 0
    var scannedRows = 0
    var countedRows = 0

    init(key: Int64, filter: PageFilter, groups: EveryoneGroups, limit: Int) {
      self.key = key
      self.filter = filter
      self.groups = groups
      self.limit = limit
    }

    var isFull: Bool {
      rows.count == limit || byteCount >= InboxPages.pageByteLimit
        || countedRows >= InboxPages.countLimit
    }
  }

  private func fill(
    _ page: inout Page, from own: borrowing Statement, _ shared: inout EveryoneWalk,
    read: (EveryoneWalk.Step?, borrowing Statement) throws(StoreError) -> Notification?
  ) throws(StoreError) {
    defer { own.reset() }
    var last: UInt64?
    var hasOwn = try own.step()
    while hasOwn || shared.current != nil {
      page.next = last
      if page.scannedRows >= Self.scanLimit { return }
      page.scannedRows += 1
      // The larger offset comes first.
      var common: EveryoneWalk.Step?
      if let next = shared.current, !hasOwn || next.row.offset > own.integer(0) { common = next }
      let offset = common?.row.offset ?? own.integer(0)
      let passes = common.map { page.filter.admits($0) } ?? page.filter.admits(own)
      let group = common.map(\.row.groupKey) ?? own.optionalText(11)
      if passes, try isShown(offset, group, &page) {
        // This row is for the next page.
        if page.isFull { return }
        if let row = try read(common, own) {
          page.byteCount += row.byteCount
          page.rows.append(row)
          if page.filter.grouping == .collapsed, let group { try count(group, offset, &page) }
        }
      }
      last = UInt64(bitPattern: offset)
      if common == nil { hasOwn = try own.step() } else { shared.advance() }
    }
    page.next = nil
  }

  /// Whether no newer row of its group passes; always true when the page is not collapsed.
  private func isShown(
    _ offset: Int64, _ group: String?, _ page: inout Page
  ) throws(StoreError) -> Bool {
    guard page.filter.grouping == .collapsed, let group else { return true }
    if page.groups.hasNewer(group, than: offset) { return false }
    newerOfGroup.bind(1, page.key)
    newerOfGroup.bind(2, group)
    newerOfGroup.bind(3, offset)
    defer { newerOfGroup.reset() }
    for _ in 0..<Self.groupScanLimit {
      guard try newerOfGroup.step() else { return true }
      page.scannedRows += 1
      let isUnread = newerOfGroup.integer(0) != 0
      if page.filter.admits(isUnread: isUnread, type: newerOfGroup.text(1)) { return false }
    }
    return true
  }

  /// Counts the rows of a group that pass, from `offset` downwards.
  ///
  /// Of the user's own rows it scans the first `groupScanLimit`.
  private func count(
    _ group: String, _ offset: Int64, _ page: inout Page
  ) throws(StoreError) {
    let own = try count(group, from: offset, key: page.key, page.filter)
    page.countedRows += own.scanned
    let count = own.count + page.groups.count(group, through: offset)
    page.counts[UInt64(bitPattern: offset)] = min(count, Self.groupScanLimit)
  }

  /// Counts the rows of a group that pass, from `offset` downwards, among the first
  /// `groupScanLimit`.
  ///
  /// Also returns the number of rows scanned.
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
  /// Approximate bytes of the row in an answer.
  var byteCount: Int {
    var count = 256 + type.utf8.count + title.utf8.count + message.utf8.count + data.count
    count += (entityType?.utf8.count ?? 0) + (entityID?.utf8.count ?? 0)
    count += (entityURL?.utf8.count ?? 0) + (groupKey?.utf8.count ?? 0) + (actions?.count ?? 0)
    return count
  }
}
