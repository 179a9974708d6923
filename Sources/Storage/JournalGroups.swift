// Changes of a whole group, named by one of the user's notifications.

internal import Notifications

extension JournalTransaction {
  /// Resolves a group change to a change by ids.
  ///
  /// The ids are the notification that names the group, and the others of the group that need the
  /// change.
  func resolve(
    _ change: GroupChange, of id: NotificationID, user: UserID
  ) throws(StoreError) -> InboxChange {
    let known = try findUser(user)
    let state = try state(of: known)
    var ids = [id]
    var named = try findGroup(of: id, key: known?.key)
    if named == nil, let row = everyone.row(id), state.view(of: row.offset) != nil {
      named = row.groupKey
    }
    guard let group = named else { return change.change(ids) }
    for row in everyone.rows where row.groupKey.map(TextKey.init) == TextKey(group) {
      guard row.id != id, let view = state.view(of: row.offset) else { continue }
      if change.concerns(isUnread: view.readAt == nil), ids.count < StoreLimits.groupChangeLimit {
        ids.append(row.id)
      }
    }
    guard let known else { return change.change(ids) }
    // guard: group-change-visits-concerned-rows
    for isUnread in [true, false] where change.concerns(isUnread: isUnread) {
      statements.groups.others.bind(1, known.key)
      statements.groups.others.bind(2, group)
      statements.groups.others.bind(3, isUnread ? 1 : 0)
      statements.groups.others.bind(4, NotificationRow.bytes(of: id))
      // guard: group-change-limit
      statements.groups.others.bind(5, Int64(StoreLimits.groupChangeLimit - ids.count))
      defer { statements.groups.others.reset() }
      while try statements.groups.others.step() {
        let other = NotificationRow.id(from: statements.groups.others.blob(0))
        if let other { ids.append(other) }
      }
    }
    return change.change(ids)
  }

  /// The group of one of the user's own notifications; nil when there is none, or it has no group.
  private func findGroup(of id: NotificationID, key: Int64?) throws(StoreError) -> String? {
    guard let key else { return nil }
    statements.groups.find.bind(1, NotificationRow.bytes(of: id))
    statements.groups.find.bind(2, key)
    defer { statements.groups.find.reset() }
    guard try statements.groups.find.step() else { return nil }
    return statements.groups.find.optionalText(0)
  }
}

extension GroupChange {
  /// Whether a notification in that state needs the change.
  fileprivate func concerns(isUnread: Bool) -> Bool {
    switch self {
    case .read: isUnread
    case .unread: !isUnread
    case .delete: true
    }
  }

  fileprivate func change(_ ids: [NotificationID]) -> InboxChange {
    switch self {
    case .read: .read(ids)
    case .unread: .unread(ids)
    case .delete: .delete(ids)
    }
  }
}

/// The statements that find groups, on the journal's connection.
final class GroupStatements {
  let find: Statement
  /// The ids of a group that are unread, or those that are read, except one.
  let others: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    find = try connection.prepare(
      """
      SELECT group_key FROM notification WHERE id = ?1 AND user = ?2
      """)
    others = try connection.prepare(
      """
      SELECT id FROM notification INDEXED BY notification_group
      WHERE user = ?1 AND group_key = ?2 AND (read_at IS NULL) = ?3 AND id <> ?4
      ORDER BY offset DESC LIMIT ?5
      """)
  }
}
