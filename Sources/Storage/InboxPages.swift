// Pages of an inbox, newest first.
//
// A page walks down the ranges of the index for its filter, see `InboxCursors`. A collapsed page
// skips a row if a newer row of its group passes. So a row's visibility depends only on the
// row and its group, not on the rows shown before: the pages of an inbox, concatenated, are the
// same as one endless page, without a duplicate or a gap, wherever the cuts are.
//
// The number of rows scanned is bounded, so a page may end early, even empty, with a `next`. For
// each row at most `groupScanLimit` rows of each range of its group are scanned: after that many
// newer rows of other types, the group appears once more.

internal import Notifications

/// The filter of a page.
struct PageFilter {
  let unreadOnly: Bool
  let type: String?
  let grouping: PageGrouping

  /// The ranges of a group's index that may have rows that pass: unread is 1.
  var groupRanges: [Int64] { unreadOnly ? [1] : [0, 1] }

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

/// The bounds of a page; see `StoreQuery.page`.
struct PageBounds {
  let limit: Int
  let bytesLimit: Int

  init(limit: Int, bytesLimit: Int) {
    self.limit = min(max(limit, 1), StoreQuery.pageLimit)
    self.bytesLimit = bytesLimit
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
  private let cursors: InboxCursors
  private let row: Statement
  private let newerOfGroup: Statement
  private let olderOfGroup: Statement
  private let countOfGroup: Statement

  init(_ connection: borrowing Connection, _ cursors: InboxCursors) throws(StoreError) {
    self.cursors = cursors
    row = try connection.prepare(NotificationRow.selection)
    newerOfGroup = try connection.prepare(
      """
      SELECT type FROM notification INDEXED BY notification_group
      WHERE user = ?1 AND group_key = ?2 AND (read_at IS NULL) = ?3 AND offset > ?4
      ORDER BY offset
      """)
    olderOfGroup = try connection.prepare(
      """
      SELECT type FROM notification INDEXED BY notification_group
      WHERE user = ?1 AND group_key = ?2 AND (read_at IS NULL) = ?3 AND offset <= ?4
      ORDER BY offset DESC
      """)
    countOfGroup = try connection.prepare(
      """
      SELECT count(*) FROM (SELECT 1 FROM notification INDEXED BY notification_group
      WHERE user = ?1 AND group_key = ?2 AND (read_at IS NULL) = ?3 AND offset <= ?4 LIMIT ?5)
      """)
  }

  /// Reads a page of the inbox.
  ///
  /// `read` builds a notification from a step for everyone, or else from the statement's current
  /// row. It returns nil for a damaged row, which is left out.
  func page(
    of inbox: Inbox, _ bounds: PageBounds, before: UInt64?, _ filter: PageFilter, _ counts: Counts,
    read: (EveryoneWalk.Step?, borrowing Statement) throws(StoreError) -> Notification?
  ) throws(StoreError) -> StoreAnswer {
    var page = Page(
      key: inbox.key, filter: filter,
      groups: EveryoneGroups(inbox.everyone, inbox.state, filter), bounds: bounds)
    // Offsets come from clients' cursors, and may exceed the largest that SQLite can hold.
    let before = Int64(clamping: before ?? .max)
    var shared = EveryoneWalk(
      inbox.everyone, inbox.state, from: inbox.everyone.firstIndex(behind: before - 1) - 1, by: -1)
    var own = try cursors.rows(of: inbox.key, before: before, filter)
    defer { own.end() }
    try fill(&page, from: &own, &shared, read: read)
    return .page(page.rows, next: page.next, counts, groups: page.counts)
  }

  /// A page's parameters, and its rows so far.
  private struct Page {
    let key: Int64
    let filter: PageFilter
    let groups: EveryoneGroups
    let bounds: PageBounds
    var rows: [Notification] = []
    var counts: [UInt64: Int] = [:]
    var next: UInt64?
    var byteCount = 0
    var scannedRows = 0
    var countedRows = 0

    init(key: Int64, filter: PageFilter, groups: EveryoneGroups, bounds: PageBounds) {
      self.key = key
      self.filter = filter
      self.groups = groups
      self.bounds = bounds
    }

    var isFull: Bool {
      rows.count == bounds.limit || countedRows >= StoreLimits.pageCountLimit
    }

    /// Whether a row of this size is for the next page: the first row of a page is always on it.
    func isTooLong(for byteCount: Int) -> Bool {
      // guard: page-bytes-limit
      !rows.isEmpty && self.byteCount + byteCount > bounds.bytesLimit
    }
  }

  private func fill(
    _ page: inout Page, from own: inout OffsetMerge, _ shared: inout EveryoneWalk,
    read: (EveryoneWalk.Step?, borrowing Statement) throws(StoreError) -> Notification?
  ) throws(StoreError) {
    var last: UInt64?
    while let offset = own.next(beside: shared.current?.row.offset) {
      page.next = last
      // guard: page-scan-limit
      if page.scannedRows >= StoreLimits.pageScanLimit { return }
      page.scannedRows += 1
      let common = shared.current.flatMap { $0.row.offset == offset ? $0 : nil }
      if common == nil {
        row.bind(1, offset)
        // An index without its row is damage, which `read` reports.
        _ = try row.step()
      }
      defer { row.reset() }
      let passes = common.map { page.filter.admits($0) } ?? page.filter.admits(row)
      let group = common.map(\.row.groupKey) ?? row.optionalText(11)
      if passes, try isShown(offset, group, &page) {
        // This row is for the next page.
        if page.isFull { return }
        if let found = try read(common, row) {
          let byteCount = found.jsonByteCount
          if page.isTooLong(for: byteCount) { return }
          page.byteCount += byteCount
          page.rows.append(found)
          if page.filter.grouping == .collapsed, let group { try count(group, offset, &page) }
        }
      }
      last = UInt64(bitPattern: offset)
      if common == nil { try own.advance() } else { shared.advance() }
    }
    page.next = nil
  }

  /// Whether no newer row of its group passes; always true when the page is not collapsed.
  private func isShown(
    _ offset: Int64, _ group: String?, _ page: inout Page
  ) throws(StoreError) -> Bool {
    guard page.filter.grouping == .collapsed, let group else { return true }
    if page.groups.hasNewer(group, than: offset) { return false }
    for range in page.filter.groupRanges {
      let newer = try scan(newerOfGroup, group, range, offset, key: page.key, page.filter.type)
      page.scannedRows += newer.scanned
      if newer.count > 0 { return false }
    }
    return true
  }

  /// Counts the rows of a group that pass, from `offset` downwards.
  ///
  /// Of each range of the user's own rows it scans the first `groupScanLimit`.
  private func count(
    _ group: String, _ offset: Int64, _ page: inout Page
  ) throws(StoreError) {
    var count = page.groups.count(group, through: offset)
    for range in page.filter.groupRanges where count < StoreLimits.groupScanLimit {
      let own = try self.count(group, range, from: offset, key: page.key, page.filter.type)
      page.countedRows += own.scanned
      count += own.count
    }
    page.counts[UInt64(bitPattern: offset)] = min(count, StoreLimits.groupScanLimit)
  }

  /// Counts the rows of one range of a group, from `offset` downwards, among the first
  /// `groupScanLimit`.
  private func count(
    _ group: String, _ range: Int64, from offset: Int64, key: Int64, _ type: String?
  ) throws(StoreError) -> (count: Int, scanned: Int) {
    if type != nil {
      return try scan(olderOfGroup, group, range, offset, key: key, type, countsAll: true)
    }
    countOfGroup.bind(1, key)
    countOfGroup.bind(2, group)
    countOfGroup.bind(3, range)
    countOfGroup.bind(4, offset)
    countOfGroup.bind(5, Int64(StoreLimits.groupScanLimit))
    defer { countOfGroup.reset() }
    let count = try countOfGroup.step() ? Int(countOfGroup.integer(0)) : 0
    return (count, count)
  }

  /// Scans up to `groupScanLimit` rows of one range of a group for the type.
  ///
  /// Ends at the first row that passes, unless it counts all.
  private func scan(
    _ statement: borrowing Statement, _ group: String, _ range: Int64, _ offset: Int64, key: Int64,
    _ type: String?, countsAll: Bool = false
  ) throws(StoreError) -> (count: Int, scanned: Int) {
    statement.bind(1, key)
    statement.bind(2, group)
    statement.bind(3, range)
    statement.bind(4, offset)
    defer { statement.reset() }
    let wanted = type.map(TextKey.init)
    var count = 0
    var scanned = 0
    while scanned < StoreLimits.groupScanLimit, try statement.step() {
      scanned += 1
      if wanted != nil, TextKey(statement.text(0)) != wanted { continue }
      count += 1
      if !countsAll { break }
    }
    return (count, scanned)
  }
}
