// The journal's part in preferences: saving them, and applying them to new notifications.
//
// The version of a user's preferences is returned with the counts that a publish updates anyway, so
// preferences cost nothing when there are none, and a publish sees the result of all commands
// before it. Documents are parsed once for each version, see `PreferencesCache`.

internal import Notifications

extension JournalTransaction {
  /// Saves `preferences`; if they restrict nothing, NULL is saved.
  ///
  /// They appear in no inbox and cause no event, so they take no offset.
  func setPreferences(_ preferences: Preferences, of user: UserID) throws(StoreError) {
    if preferences.isEmpty {
      statements.preferences.drop.bind(1, user)
      try run(statements.preferences.drop, for: user)
    } else {
      statements.preferences.set.bind(1, user)
      statements.preferences.set.bind(2, PreferencesRow.bytes(of: preferences))
      try run(statements.preferences.set, for: user)
    }
  }

  /// Runs a statement that changes the user's row, after a repair of the row if it is damaged.
  private func run(
    _ statement: borrowing Statement, for user: UserID
  ) throws(StoreError) {
    do throws(StoreError) {
      try statement.run()
    } catch {
      guard error.isDamagedNumber else { throw error }
      try repairUser(user)
      try statement.run()
    }
  }

  /// Whether a user wants a new notification, by channel.
  struct Wish {
    var isMuted = false
    var allowsWebhook = true
  }

  /// Counts a new notification; returns its user, and the user's wish.
  func countStored(
    _ draft: PendingNotification, offset: UInt64
  ) throws(StoreError) -> (user: UserRow, wish: Wish) {
    do throws(StoreError) {
      let counted = try countStored(draft, offset: offset, statements.addToCounts)
      guard counted.user.isDamaged else { return counted }
      _ = try checked(counted.user, of: draft.userID)
    } catch {
      guard error.isDamagedNumber else { throw error }
      try repairUser(draft.userID)
    }
    // The new notification is not stored yet, so the repair has not counted it.
    return try countStored(draft, offset: offset, statements.addToCounts)
  }

  private func countStored(
    _ draft: PendingNotification, offset: UInt64, _ statement: borrowing Statement
  ) throws(StoreError) -> (user: UserRow, wish: Wish) {
    let content = draft.content
    statement.bind(1, draft.userID)
    statement.bind(2, content.priority == .low ? 1 : 0)
    statement.bind(3, content.priority == .normal ? 1 : 0)
    statement.bind(4, content.priority == .high ? 1 : 0)
    statement.bind(5, content.priority == .urgent ? 1 : 0)
    statement.bind(6, Int64(bitPattern: offset))
    // The first step makes all changes, so a reset after it loses none.
    defer { statement.reset() }
    guard try statement.step() else {
      throw .sqlite(code: 0, message: "a user's counts are missing")
    }
    let user = UserRow(statement, newest: group.lastOffset)
    guard statement.integer(UserRow.columnCount) != 0 else { return (user, Wish()) }
    // Without readable preferences everything rings, which is better than nothing.
    let preferences = try preferencesCache.preferences(
      of: user.key, version: statement.integer(UserRow.columnCount + 1)
    ) { () throws(StoreError) in try statements.preferences.document.read(of: user.key) }
    guard let preferences else { return (user, Wish()) }
    let isMuted = preferences.isMuted(
      type: content.type, priority: content.priority, createdAt: draft.createdAt,
      zones: timeZones)
    let rule = preferences.rule(for: content.type)
    // guard: webhook-by-preference
    let allowsWebhook = !rule.isMuted && rule.channels.webhook
    return (user, Wish(isMuted: isMuted, allowsWebhook: allowsWebhook))
  }
}

/// A user's preferences as stored: their JSON document, a zero byte, and the document's checksum.
///
/// Earlier versions stored the document alone. JSON has no zero byte, so the forms are distinct.
enum PreferencesRow {
  private static let trailerByteCount = 9

  static func bytes(of preferences: Preferences) -> [UInt8] {
    let document = preferences.json
    var bytes = document + [0]
    let checksum = UInt64(bitPattern: RowChecksum.value(of: document))
    for shift in stride(from: 56, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: checksum >> UInt64(shift)))
    }
    return bytes
  }

  /// Nil when the bytes are damaged: then everything rings, which is better than nothing.
  static func read(_ bytes: [UInt8]) -> Preferences? {
    let end = bytes.count - trailerByteCount
    guard end >= 0, bytes[end] == 0 else { return Preferences.stored(bytes) }
    guard let preferences = Preferences.stored(Array(bytes[..<end])) else { return nil }
    let checksum = bytes[(end + 1)...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    // guard: preferences-have-checksum
    guard RowChecksum.value(of: Array(bytes[..<end])) == Int64(bitPattern: checksum) else {
      return nil
    }
    return preferences
  }
}

/// The statement that reads a user's document, on one connection.
final class PreferencesDocument {
  /// Whether the user has a document, and its version.
  ///
  /// `typeof` does not load the document.
  static let versionColumns = "typeof(preferences) <> 'null', preferences_version"

  private let document: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    document = try connection.prepare("SELECT preferences FROM user WHERE key = ?1")
  }

  /// The document of the user with that key; nil when there is none.
  func read(of key: Int64) throws(StoreError) -> [UInt8]? {
    document.bind(1, key)
    defer { document.reset() }
    return try document.step() ? document.optionalBlob(0) : nil
  }
}

/// The statements that save preferences, on the journal's connection.
final class PreferencesStatements {
  /// The next version, an integer also after a damaged one.
  private static let nextVersion = "(preferences_version & \(Int64.max >> 1)) + 1"

  let set: Statement
  let drop: Statement
  let document: PreferencesDocument

  init(_ connection: borrowing Connection) throws(StoreError) {
    set = try connection.prepare(
      """
      INSERT INTO user (id, total, unread, unseen,
        unread_low, unread_normal, unread_high, unread_urgent, version, preferences)
      VALUES (?1, 0, 0, 0, 0, 0, 0, 0, 0, ?2)
      ON CONFLICT (id) DO UPDATE SET
        preferences = ?2, preferences_version = \(Self.nextVersion)
      """)
    drop = try connection.prepare(
      """
      UPDATE user SET preferences = NULL, preferences_version = \(Self.nextVersion)
      WHERE id = ?1
      """)
    document = try PreferencesDocument(connection)
  }
}
