// Notifications for everyone, in memory: stored once, counted for each user by arithmetic.
//
// A notification for everyone is one row, however many users there are. A user's changes are stored
// as marks (everything up to an offset is read, seen or deleted) and as states. A state overrides
// the marks for one notification and one user. So publishing for everyone and expiring touch no
// user's rows, and "read all" moves a mark.
//
//     rows      3   8   20   21   40        the user's part of the counts:
//     sums    0   1   2    3    4   5       rows after the mark, corrected by the states
//                     ▲ read through 8
//
// The journal has one list, which is always current; each reader has a copy, reloaded in its
// snapshot when the version there differs.

internal import Algorithms
internal import Notifications

/// The live notifications for everyone, oldest first.
///
/// Invariant: offsets rise strictly, and `sums` is one longer than `rows`.
struct EveryoneList {
  struct Row {
    let offset: Int64
    let id: NotificationID
    let type: String
    let priority: Priority
    let createdAt: Int64
    let expiresAt: Int64?
    let groupKey: String?
  }

  private(set) var rows: [Row] = []
  /// Offset of the commit that last added or removed rows.
  var version: UInt64
  /// The largest offset of the damaged rows, which are left out; nil without any.
  var damagedThrough: Int64?
  /// The number of rows by priority among the first N rows, for each N.
  private var sums = [Counts.ByPriority()]
  private var offsets: [NotificationID: Int64] = [:]

  init(version: UInt64) {
    self.version = version
  }

  var isEmpty: Bool { rows.isEmpty }

  /// Appends a row, which must be newer than all others.
  mutating func append(_ row: Row) {
    assert(rows.last.map { $0.offset < row.offset } ?? true)
    var sum = sums[rows.count]
    sum[row.priority] += 1
    rows.append(row)
    sums.append(sum)
    offsets[row.id] = row.offset
  }

  /// Removes all rows that match `isGone`.
  mutating func remove(where isGone: (Row) -> Bool) {
    let left = rows.filter { !isGone($0) }
    let damaged = damagedThrough
    self = EveryoneList(version: version)
    damagedThrough = damaged
    for row in left { append(row) }
  }

  /// The row with that id.
  func row(_ id: NotificationID) -> Row? {
    guard let offset = offsets[id] else { return nil }
    return rows[firstIndex(behind: offset - 1)]
  }

  /// The index of the first row whose offset is larger, or the number of rows.
  func firstIndex(behind offset: Int64) -> Int {
    rows.indices.partitioningIndex { rows[$0].offset > offset }
  }

  /// The contribution of these rows to a user's counts.
  func counts(for user: EveryoneState) -> Counts {
    guard !rows.isEmpty else { return Counts(version: version) }
    let marks = user.marks
    let unread = firstIndex(behind: max(marks.readThrough, marks.deletedThrough))
    var counts = Counts(
      total: rows.count - firstIndex(behind: marks.deletedThrough), unread: rows.count - unread,
      unseen: rows.count - firstIndex(behind: max(marks.seenThrough, marks.deletedThrough)),
      byPriority: sums[rows.count], version: version)
    counts.byPriority.subtract(sums[unread])
    for state in user.states {
      let index = firstIndex(behind: state.offset - 1)
      // A state may outlive its row for a while.
      guard index < rows.count, rows[index].offset == state.offset else { continue }
      counts.take(marks.view(of: state.offset), rows[index].priority, times: -1)
      counts.take(state.view, rows[index].priority, times: 1)
    }
    return counts
  }
}

/// A user's view of a notification for everyone that it has not deleted.
struct EveryoneView: Equatable {
  var readAt: Int64?
  var seenAt: Int64?
}

/// Offsets up to which a user has read, seen and deleted everything, and the times.
///
/// Invariant: `readThrough <= seenThrough`, because reading also marks as seen.
struct EveryoneMarks: Equatable {
  var readThrough: Int64 = 0
  var readAt: Int64 = 0
  var seenThrough: Int64 = 0
  var seenAt: Int64 = 0
  var deletedThrough: Int64 = 0

  /// The view by the marks alone; nil when deleted.
  func view(of offset: Int64) -> EveryoneView? {
    if offset <= deletedThrough { return nil }
    return EveryoneView(
      readAt: offset <= readThrough ? readAt : nil, seenAt: offset <= seenThrough ? seenAt : nil)
  }
}

/// A user's changes to the notifications for everyone.
struct EveryoneState {
  /// The state of one notification; it overrides the marks.
  struct State {
    let offset: Int64
    /// Nil when it is deleted.
    let view: EveryoneView?
  }

  var marks = EveryoneMarks()
  /// By rising offset.
  var states: [State] = []

  /// The user's view of the notification at `offset`; nil when the user has deleted it.
  func view(of offset: Int64) -> EveryoneView? {
    let index = states.indices.partitioningIndex { states[$0].offset >= offset }
    if index < states.count, states[index].offset == offset { return states[index].view }
    return marks.view(of: offset)
  }
}

extension Counts {
  /// Adds one notification to the counts, or subtracts it with `times` −1.
  fileprivate mutating func take(_ view: EveryoneView?, _ priority: Priority, times: Int) {
    guard let view else { return }
    total += times
    if view.seenAt == nil { unseen += times }
    guard view.readAt == nil else { return }
    unread += times
    byPriority[priority] += times
  }
}
