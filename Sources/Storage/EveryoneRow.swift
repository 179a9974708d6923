// How the journal and the readers read the tables of the notifications for everyone.
//
// A row's checksum is that of a notification without a user, because it belongs to none.

internal import Notifications

/// The statements that read the notifications for everyone, on one connection.
final class EveryoneRow {
  /// The columns of `NotificationRow.columns`; the user's changes are in other tables.
  private static let columns = """
    offset, id, type, priority, title, message, data, entity_type, entity_id, entity_url, \
    actions, group_key, created_at, expires_at, NULL, NULL, checksum, 0
    """

  /// Has the parameters that `NotificationRow.bind` binds.
  static let insertion = """
    INSERT INTO everyone (offset, id, type, priority, title, message, data, entity_type, \
    entity_id, entity_url, actions, group_key, created_at, expires_at, checksum)
    VALUES (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?18)
    """

  private let versionColumn: Statement
  private let all: Statement
  private let one: Statement
  private let states: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    versionColumn = try connection.prepare("SELECT everyone_version FROM store")
    all = try connection.prepare(
      """
      SELECT offset, id, type, priority, created_at, expires_at, group_key FROM everyone
      ORDER BY offset
      """)
    one = try connection.prepare("SELECT \(Self.columns) FROM everyone WHERE offset = ?1")
    states = try connection.prepare(
      """
      SELECT offset, read_at, seen_at, is_deleted FROM everyone_state
      WHERE user = ?1 ORDER BY offset
      """)
  }

  /// The version of the list in the database.
  func readVersion() throws(StoreError) -> UInt64 {
    defer { versionColumn.reset() }
    guard try versionColumn.step() else {
      throw .sqlite(code: 0, message: "the store's metadata row is missing")
    }
    return versionColumn.offset(0) ?? 0
  }

  func readList(version: UInt64) throws(StoreError) -> EveryoneList {
    var list = EveryoneList(version: version)
    defer { all.reset() }
    while try all.step() {
      // A missing row is better than a wrong one, but no replay is complete without it.
      guard let id = NotificationRow.id(from: all.blob(1)),
        let priority = NotificationRow.priority(in: all, 3),
        let offset = all.number(0, in: StoredNumber.offsets),
        offset > list.rows.last?.offset ?? 0,
        let createdAt = all.number(4, in: StoredNumber.times),
        let expiresAt = NotificationRow.optionalTime(in: all, 5)
      else {
        let offset = all.number(0, in: 1...Int64(clamping: version)) ?? Int64(clamping: version)
        list.damagedThrough = max(offset, list.damagedThrough ?? 0)
        continue
      }
      list.append(
        EveryoneList.Row(
          offset: offset, id: id, type: all.text(2), priority: priority, createdAt: createdAt,
          expiresAt: expiresAt, groupKey: all.optionalText(6)))
    }
    return list
  }

  /// The changes of the user with that key; nil stands for a user that the store does not know.
  func readState(of key: Int64?, marks: EveryoneMarks) throws(StoreError) -> EveryoneState {
    var state = EveryoneState(marks: marks)
    guard let key else { return state }
    states.bind(1, key)
    defer { states.reset() }
    while try states.step() {
      // guard: state-offsets-checked
      guard let offset = states.number(0, in: StoredNumber.offsets) else { continue }
      let view = EveryoneView(
        readAt: states.optionalTime(1, or: 0), seenAt: states.optionalTime(2, or: 0))
      state.states.append(
        EveryoneState.State(offset: offset, view: states.integer(3) == 0 ? view : nil))
    }
    return state
  }

  /// The row as that user sees it; nil when the row is damaged.
  func read(_ offset: Int64, as view: EveryoneView, by user: UserID) throws(StoreError)
    -> Notification?
  {
    one.bind(1, offset)
    defer { one.reset() }
    guard try one.step(), var row = NotificationRow.read(one, userID: "") else { return nil }
    row.userID = user
    row.readAt = view.readAt
    row.seenAt = view.seenAt
    return row
  }
}
