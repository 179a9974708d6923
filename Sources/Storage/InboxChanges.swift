// What each change of an inbox does to the counts, and what the clients are told of it.

internal import Notifications

/// The state of a row that a change found.
struct FoundRow {
  let offset: Int64
  let priority: Priority
  let isUnread: Bool
  let isUnseen: Bool
}

extension InboxChange {
  /// How the user's counts change with this row; nil when the row is as it should be already.
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

  /// How the counts change when all of the user's rows do.
  func difference(from counts: Counts) -> Counts {
    var difference = Counts()
    switch self {
    case .seenAll, .seen:
      difference.unseen = -counts.unseen
    case .readAll, .read, .unread:
      // What is unseen is unread, so nothing stays unseen.
      difference.unread = -counts.unread
      difference.unseen = -counts.unseen
      difference.byPriority.subtract(counts.byPriority)
    case .deleteAll, .delete:
      difference.total = -counts.total
      difference.unread = -counts.unread
      difference.unseen = -counts.unseen
      difference.byPriority.subtract(counts.byPriority)
    }
    return difference
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
