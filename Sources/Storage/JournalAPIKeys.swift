// The journal's part in API keys: creating, revoking, rotating, and removing them in time.
//
// A key appears in no inbox and causes no event, so its commands take no offset. A command that
// changes a key returns all keys: its caller replaces those that it holds in memory. There are at
// most a thousand, and few commands change one.

internal import Notifications

extension JournalTransaction {
  /// Runs a command about API keys.
  func run(_ command: APIKeyCommand) throws(StoreError) -> APIKeyOutcome {
    switch command {
    case .create(let key):
      guard try makeRoomForKey(at: key.createdAt) else { return .full(limit: APIKey.countLimit) }
      return try store(key, statements.apiKeys.insert)
    case .revoke(let id, let time):
      guard var key = try findKey(id) else { return .unknown }
      key.revoke(at: time)
      return try store(key, statements.apiKeys.replace)
    case .rotate(let id, let digest, let time, let overlap):
      guard var key = try findKey(id) else { return .unknown }
      // guard: ended-key-keeps-its-secret
      guard !key.hasEnded(at: time) else { return .ended }
      key.rotate(to: digest, at: time, overlapMilliseconds: overlap)
      return try store(key, statements.apiKeys.replace)
    case .noteUses(let uses):
      for (id, time) in uses {
        statements.apiKeys.noteUse.bind(1, id.characters)
        statements.apiKeys.noteUse.bind(2, time)
        try statements.apiKeys.noteUse.run()
      }
      return .noted
    }
  }

  private func store(
    _ key: APIKey, _ statement: borrowing Statement
  ) throws(StoreError) -> APIKeyOutcome {
    APIKeyRow.bind(key, to: statement)
    try statement.run()
    if let endsAt = key.endsAt { nextExpiry = min(nextExpiry ?? .max, Self.removalTime(endsAt)) }
    let (keys, _) = try APIKeyRow.readAll(statements.apiKeys.all)
    group.apiKeyCount = keys.count { $0.revokedAt == nil }
    return .changed(keys.first { $0.id == key.id } ?? key, all: keys)
  }

  /// The key with that id; nil if there is none, or if its row is damaged.
  private func findKey(_ id: APIKeyID) throws(StoreError) -> APIKey? {
    statements.apiKeys.find.bind(1, id.characters)
    defer { statements.apiKeys.find.reset() }
    return try statements.apiKeys.find.step() ? APIKeyRow.read(statements.apiKeys.find) : nil
  }

  /// Removes the keys that ended first, as many as are in the way of another one.
  ///
  /// False if too few have ended by then.
  private func makeRoomForKey(at time: Int64) throws(StoreError) -> Bool {
    var excess = try countKeys() - Int64(APIKey.countLimit) + 1
    if excess > 0 {
      // guard: ended-keys-make-room
      statements.apiKeys.remove.bind(1, time)
      statements.apiKeys.remove.bind(2, excess)
      try statements.apiKeys.remove.run()
      excess = try countKeys() - Int64(APIKey.countLimit) + 1
    }
    // guard: api-keys-limited
    return excess <= 0
  }

  /// The number of rows, damaged ones included.
  private func countKeys() throws(StoreError) -> Int64 {
    defer { statements.apiKeys.count.reset() }
    return try statements.apiKeys.count.step() ? statements.apiKeys.count.integer(0) : 0
  }

  /// Removes the keys that ended long enough before that time, up to the limit.
  ///
  /// Returns their number. Those in memory stay until the next change of a key: they are refused in
  /// either case.
  func removeEndedKeys(
    at time: Int64, on connection: borrowing Connection
  ) throws(StoreError) -> Int {
    let (end, overflow) = time.subtractingReportingOverflow(APIKey.keptMilliseconds)
    guard !overflow else { return 0 }
    statements.apiKeys.remove.bind(1, end)
    statements.apiKeys.remove.bind(2, Int64(expiryLimit))
    try statements.apiKeys.remove.run()
    let count = connection.changeCount
    if count > 0 {
      let (keys, _) = try APIKeyRow.readAll(statements.apiKeys.all)
      group.apiKeyCount = keys.count { $0.revokedAt == nil }
    }
    return count
  }

  /// When the first key is to be removed.
  func findFirstKeyRemoval() throws(StoreError) -> Int64? {
    defer { statements.apiKeys.firstEnd.reset() }
    guard try statements.apiKeys.firstEnd.step() else { return nil }
    // A damaged time removes nothing.
    return statements.apiKeys.firstEnd.number(0, in: StoredNumber.times).map(Self.removalTime)
  }

  private static func removalTime(_ endsAt: Int64) -> Int64 {
    let (time, overflow) = endsAt.addingReportingOverflow(APIKey.keptMilliseconds)
    return overflow ? .max : time
  }
}

/// The statements about API keys, on the journal's connection.
final class APIKeyStatements {
  let all: Statement
  let find: Statement
  let count: Statement
  let insert: Statement
  let replace: Statement
  let noteUse: Statement
  /// The keys that ended first; those that ended by a time, up to a limit.
  let remove: Statement
  let firstEnd: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    all = try connection.prepare(APIKeyRow.all)
    find = try connection.prepare(APIKeyRow.selection)
    count = try connection.prepare("SELECT count(*) FROM api_key")
    insert = try connection.prepare(APIKeyRow.insertion)
    replace = try connection.prepare(APIKeyRow.replacement)
    // The minutes of two shards may come out of order.
    noteUse = try connection.prepare(
      """
      UPDATE api_key SET last_used_at = ?2
      WHERE id = ?1 AND (last_used_at IS NULL OR NOT last_used_at >= ?2)
      """)
    remove = try connection.prepare(
      """
      DELETE FROM api_key WHERE key IN
        (SELECT key FROM api_key INDEXED BY api_key_ends_at
         WHERE ends_at IS NOT NULL AND ends_at <= ?1 ORDER BY ends_at LIMIT ?2)
      """)
    firstEnd = try connection.prepare(
      """
      SELECT ends_at FROM api_key INDEXED BY api_key_ends_at
      WHERE ends_at IS NOT NULL ORDER BY ends_at LIMIT 1
      """)
  }
}
