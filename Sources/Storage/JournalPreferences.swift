// What the journal does for preferences: keeps them, and obeys them where it stores.
//
// A user's preferences come back with the counts that a publish changes anyway, so they cost
// nothing where there are none, and whatever a publish sees of them is what was committed before.

internal import Notifications

extension JournalTransaction {
  /// Keeps `preferences`; those that ask for nothing are kept as none.
  ///
  /// They are in no inbox and nobody is told of them, so they take no offset.
  func setPreferences(_ preferences: Preferences, of user: UserID) throws(StoreError) {
    if preferences.isEmpty {
      statements.preferences.drop.bind(1, user)
      try statements.preferences.drop.run()
    } else {
      statements.preferences.set.bind(1, user)
      statements.preferences.set.bind(2, preferences.json)
      try statements.preferences.set.run()
    }
  }

  /// Counts a new notification and says who its user is and whether it is silent.
  func countStored(
    _ draft: PendingNotification, offset: UInt64
  ) throws(StoreError) -> (user: UserRow, isMuted: Bool) {
    try countStored(draft, offset: offset, statements.addToCounts)
  }

  private func countStored(
    _ draft: PendingNotification, offset: UInt64, _ statement: borrowing Statement
  ) throws(StoreError) -> (user: UserRow, isMuted: Bool) {
    let content = draft.content
    statement.bind(1, draft.userID)
    statement.bind(2, content.priority == .low ? 1 : 0)
    statement.bind(3, content.priority == .normal ? 1 : 0)
    statement.bind(4, content.priority == .high ? 1 : 0)
    statement.bind(5, content.priority == .urgent ? 1 : 0)
    statement.bind(6, Int64(bitPattern: offset))
    // All changes are made by the first step, so resetting it then loses none.
    defer { statement.reset() }
    guard try statement.step() else {
      throw .sqlite(code: 0, message: "the counts of a user are gone")
    }
    let user = UserRow(statement)
    guard let document = statement.optionalBlob(UserRow.columnCount) else { return (user, false) }
    let isMuted =
      PreferencesRow.read(document)?.isMuted(
        type: content.type, priority: content.priority, createdAt: draft.createdAt) ?? false
    return (user, isMuted)
  }
}

/// A user's preferences as they are kept: their own document.
enum PreferencesRow {
  /// Nil when the bytes are not what was written: then everything rings, rather than nothing.
  static func read(_ document: [UInt8]) -> Preferences? {
    do throws(PreferencesError) {
      return try Preferences.parse(document)
    } catch {
      return nil
    }
  }
}

/// The statements that keep preferences, on the journal's connection.
final class PreferencesStatements {
  let set: Statement
  let drop: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    set = try connection.prepare(
      """
      INSERT INTO user (id, total, unread, unseen,
        unread_low, unread_normal, unread_high, unread_urgent, version, preferences)
      VALUES (?1, 0, 0, 0, 0, 0, 0, 0, 0, ?2)
      ON CONFLICT (id) DO UPDATE SET preferences = ?2
      """)
    drop = try connection.prepare("UPDATE user SET preferences = NULL WHERE id = ?1")
  }
}
