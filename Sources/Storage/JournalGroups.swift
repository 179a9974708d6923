// Changes of a whole group: which of a user's notifications one of them stands for.

internal import Notifications

extension JournalTransaction {
  /// Notifications that one change of a group changes; a larger group takes several.
  static let groupChangeLimit = 1_000

  /// The change, by ids: the notification that names the group, and the others of it that are not
  /// yet as they should be, newest first.
  func resolve(
    _ change: GroupChange, of id: NotificationID, user: UserID
  ) throws(StoreError) -> InboxChange {
    guard let (key, group) = try findGroup(of: id, user: user) else { return change.change([id]) }
    statements.findInGroup.bind(1, key)
    statements.findInGroup.bind(2, group)
    statements.findInGroup.bind(3, NotificationRow.bytes(of: id))
    // Whether read ones are to change, and unread ones.
    statements.findInGroup.bind(4, change == .read ? 0 : 1)
    statements.findInGroup.bind(5, change == .unread ? 0 : 1)
    statements.findInGroup.bind(6, Int64(Self.groupChangeLimit - 1))
    defer { statements.findInGroup.reset() }
    var ids = [id]
    while try statements.findInGroup.step() {
      if let other = NotificationRow.id(from: statements.findInGroup.blob(0)) { ids.append(other) }
    }
    return change.change(ids)
  }

  /// Nil when the user has no such notification, or it is in no group.
  private func findGroup(
    of id: NotificationID, user: UserID
  ) throws(StoreError) -> (key: Int64, group: String)? {
    statements.findGroup.bind(1, NotificationRow.bytes(of: id))
    statements.findGroup.bind(2, user)
    defer { statements.findGroup.reset() }
    guard try statements.findGroup.step() else { return nil }
    return (statements.findGroup.integer(0), statements.findGroup.text(1))
  }
}

extension GroupChange {
  fileprivate func change(_ ids: [NotificationID]) -> InboxChange {
    switch self {
    case .read: .read(ids)
    case .unread: .unread(ids)
    case .delete: .delete(ids)
    }
  }
}
