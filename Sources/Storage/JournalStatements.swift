// The journal's statements, compiled once.

internal import Notifications

/// All SQL that the journal runs after start.
///
/// Counts change by differences passed as parameters, so counting is arithmetic inside the
/// transaction, never a value read before it.
final class JournalStatements {
  let begin: Statement
  let commit: Statement
  /// Its rows end with the version of the user's preferences.
  let addToCounts: Statement
  let changeCounts: Statement
  let counts: Statement
  let insert: Statement
  let find: Statement
  let markRead: Statement
  let markUnread: Statement
  let markSeen: Statement
  let delete: Statement
  /// The next rows of a class, for a change of a whole inbox.
  let rowsOfClass: Statement
  let saveOffset: Statement
  let check: Statement
  let groups: GroupStatements
  let preferences: PreferencesStatements
  let keptRooms: KeptRoomsStatements
  let apiKeys: APIKeyStatements
  let repairs: RepairStatements

  init(_ connection: borrowing Connection) throws(StoreError) {
    begin = try connection.prepare("BEGIN IMMEDIATE")
    commit = try connection.prepare("COMMIT")
    // A damaged number stays one, for the check of the new row: only `unseen` might become
    // plausible, because no other number must equal it.
    addToCounts = try connection.prepare(
      """
      INSERT INTO user (id, total, unread, unseen,
        unread_low, unread_normal, unread_high, unread_urgent, version)
      VALUES (?1, 1, 1, 1, ?2, ?3, ?4, ?5, ?6)
      ON CONFLICT (id) DO UPDATE SET
        total = total + 1, unread = unread + 1,
        unseen = iif(typeof(unseen) = 'integer' AND unseen >= 0, unseen + 1, -1),
        unread_low = unread_low + ?2, unread_normal = unread_normal + ?3,
        unread_high = unread_high + ?4, unread_urgent = unread_urgent + ?5, version = ?6
      RETURNING \(UserRow.columns), \(PreferencesDocument.versionColumns)
      """)
    changeCounts = try connection.prepare(
      """
      UPDATE user SET
        total = total + ?2, unread = unread + ?3,
        unseen = iif(typeof(unseen) = 'integer', unseen + ?4, -1),
        unread_low = unread_low + ?5, unread_normal = unread_normal + ?6,
        unread_high = unread_high + ?7, unread_urgent = unread_urgent + ?8, version = ?9
      WHERE key = ?1 RETURNING \(UserRow.columns)
      """)
    counts = try connection.prepare("SELECT \(UserRow.columns) FROM user WHERE id = ?1")
    insert = try connection.prepare(NotificationRow.insertion)
    find = try connection.prepare(
      """
      SELECT offset, priority, read_at IS NULL, seen_at IS NULL
      FROM notification WHERE id = ?1 AND user = ?2
      """)
    markRead = try connection.prepare(
      """
      UPDATE notification SET read_at = ?2, seen_at = coalesce(seen_at, ?2) WHERE offset = ?1
      """)
    markUnread = try connection.prepare("UPDATE notification SET read_at = NULL WHERE offset = ?1")
    markSeen = try connection.prepare("UPDATE notification SET seen_at = ?2 WHERE offset = ?1")
    delete = try connection.prepare("DELETE FROM notification WHERE offset = ?1")
    rowsOfClass = try connection.prepare(
      """
      SELECT offset, priority, read_at IS NULL, seen_at IS NULL
      FROM notification INDEXED BY notification_class
      WHERE user = ?1 AND (\(InboxClass.expression)) = ?2 AND offset > ?3 AND offset <= ?4
      ORDER BY offset LIMIT ?5
      """)
    saveOffset = try connection.prepare(
      "UPDATE store SET last_offset = ?1, everyone_version = ?2")
    check = try connection.prepare("UPDATE store SET horizon = ~horizon")
    groups = try GroupStatements(connection)
    preferences = try PreferencesStatements(connection)
    keptRooms = try KeptRoomsStatements(connection)
    apiKeys = try APIKeyStatements(connection)
    repairs = try RepairStatements(connection)
  }
}
