// The effect of each inbox change on the counts, and its event for the clients.

internal import Notifications

/// The state of a row that a change found.
struct FoundRow {
  let offset: Int64
  let priority: Priority
  let isUnread: Bool
  let isUnseen: Bool

  /// Reads the current row of a statement whose first columns are these four.
  init(_ statement: borrowing Statement) {
    offset = statement.integer(0)
    priority = NotificationRow.priority(in: statement, 1) ?? .normal
    isUnread = statement.integer(2) != 0
    isUnseen = statement.integer(3) != 0
  }

  /// A notification for everyone, in the user's view.
  init(_ row: EveryoneList.Row, _ view: EveryoneView) {
    offset = row.offset
    priority = row.priority
    isUnread = view.readAt == nil
    isUnseen = view.seenAt == nil
  }
}

extension InboxChange {
  /// The change of the user's counts by this row; nil when the row needs no change.
  func difference(for row: FoundRow) -> Counts? {
    var difference = Counts()
    switch self {
    case .read, .readAll:
      guard row.isUnread else { return nil }
      difference.unread = -1
      difference.byPriority[row.priority] = -1
      if row.isUnseen { difference.unseen = -1 }
    case .unread:
      guard !row.isUnread else { return nil }
      difference.unread = 1
      difference.byPriority[row.priority] = 1
    case .seen, .seenAll:
      guard row.isUnseen else { return nil }
      difference.unseen = -1
    case .delete, .deleteAll:
      difference.total = -1
      if row.isUnread {
        difference.unread = -1
        difference.byPriority[row.priority] = -1
      }
      if row.isUnseen { difference.unseen = -1 }
    }
    return difference
  }

  /// The classes with rows that a change of all may change.
  ///
  /// A row that it changes leaves its class, unless the inbox was small.
  var classes: [InboxClass] {
    switch self {
    case .readAll, .read, .unread: [.new, .seen, .small]
    case .seenAll, .seen: [.new, .small]
    case .deleteAll, .delete: InboxClass.allCases
    }
  }

  /// How many of a user's notifications a change of all of them changes.
  func count(in counts: Counts) -> Int {
    switch self {
    case .readAll, .read, .unread: counts.unread
    case .seenAll, .seen: counts.unseen
    case .deleteAll, .delete: counts.total
    }
  }

  /// The user's state of a notification for everyone after this change.
  func state(of offset: Int64, after view: EveryoneView, time: Int64) -> EveryoneState.State {
    var view = view
    switch self {
    case .read, .readAll:
      view.readAt = time
      view.seenAt = view.seenAt ?? time
    case .unread:
      view.readAt = nil
    case .seen, .seenAll:
      view.seenAt = time
    case .delete, .deleteAll:
      return EveryoneState.State(offset: offset, view: nil)
    }
    return EveryoneState.State(offset: offset, view: view)
  }

  func event(ids: [NotificationID], counts: Counts) -> Event.Body {
    switch self {
    case .read: .read(ids, counts)
    case .unread: .unread(ids, counts)
    case .seen: .seen(ids, counts)
    case .delete: .deleted(ids, counts)
    case .readAll: .readAll(counts)
    case .seenAll: .seenAll(counts)
    case .deleteAll: .deletedAll(counts)
    }
  }
}

extension Counts {
  /// Adds another difference; the version stays.
  mutating func add(_ other: Counts) {
    total += other.total
    unread += other.unread
    unseen += other.unseen
    for priority in Priority.allCases { byPriority[priority] += other.byPriority[priority] }
  }
}

extension Counts.ByPriority {
  mutating func subtract(_ other: Counts.ByPriority) {
    for priority in Priority.allCases { self[priority] -= other[priority] }
  }
}
