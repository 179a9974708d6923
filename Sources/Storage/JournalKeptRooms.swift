// The journal's part in resumable sessions: keeping their rooms, and forgetting them in time.
//
// Kept rooms appear in no inbox and cause no event, so they take no offset. Clients cannot grow the
// file without bound: the sessions of a user are limited, and a session ends. A session whose
// connection lives has no end yet. When the store is opened again, that connection no longer
// exists, however the last run ended, and the session gets its end then.

internal import Notifications

extension JournalTransaction {
  /// Replaces the rooms kept for the session; without rooms it deletes the session.
  ///
  /// A session of another user is left as it is.
  func keepRooms(
    _ rooms: [RoomName], of session: RecoveryID, user: UserID, endsAt: Int64?,
    on connection: borrowing Connection
  ) throws(StoreError) {
    let kept = statements.keptRooms
    guard !rooms.isEmpty else {
      kept.drop.bind(1, session.bytes)
      kept.drop.bind(2, user)
      return try kept.drop.run()
    }
    let names = KeptRoomsRow.bytes(of: rooms)
    let checksum = KeptRoomsRow.checksum(of: names, session: session, user: user)
    func run(_ statement: borrowing Statement) throws(StoreError) -> Bool {
      statement.bind(1, session.bytes)
      statement.bind(2, user)
      statement.bind(3, endsAt)
      statement.bind(4, checksum)
      statement.bind(5, names)
      try statement.run()
      return connection.changeCount > 0
    }
    // Usually the session exists already, and the number of the user's sessions does not change.
    if try !run(kept.replace), try run(kept.insert) {
      kept.trim.bind(1, user)
      kept.trim.bind(2, Int64(keptSessionsLimit))
      try kept.trim.run()
    }
    if let endsAt { nextExpiry = min(nextExpiry ?? .max, endsAt) }
  }

  /// Forgets the expired rooms, up to the limit; returns the number of sessions.
  func forgetRooms(at time: Int64, on connection: borrowing Connection) throws(StoreError) -> Int {
    statements.keptRooms.forget.bind(1, time)
    statements.keptRooms.forget.bind(2, Int64(expiryLimit))
    try statements.keptRooms.forget.run()
    return connection.changeCount
  }

  /// When the first of the sessions that have an end expires.
  func findFirstEnd() throws(StoreError) -> Int64? {
    defer { statements.keptRooms.firstEnd.reset() }
    guard try statements.keptRooms.firstEnd.step() else { return nil }
    return statements.keptRooms.firstEnd.integer(0)
  }

  /// Sets an end for all sessions that have none.
  ///
  /// There may be as many as there were connections, so the log is copied into the file between
  /// transactions, and restarts unless another process reads. After a crash in between, the next
  /// start ends the rest.
  func endLiveRooms(at end: Int64, on connection: borrowing Connection) throws(StoreError) {
    while true {
      statements.keptRooms.endLive.bind(1, end)
      statements.keptRooms.endLive.bind(2, Int64(StoreLimits.endedSessionsLimit))
      try statements.keptRooms.endLive.run()
      let count = connection.changeCount
      if count > 0 { nextExpiry = min(nextExpiry ?? .max, end) }
      guard count == StoreLimits.endedSessionsLimit else { return }
      _ = try connection.checkpoint()
    }
  }
}

/// The statements that keep rooms, on the journal's connection.
final class KeptRoomsStatements {
  let replace: Statement
  let insert: Statement
  let drop: Statement
  /// All of the user's sessions except those that end last.
  ///
  /// Of two that end at once, or have no end, the older one is deleted first.
  let trim: Statement
  let forget: Statement
  let firstEnd: Statement
  let endLive: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    replace = try connection.prepare(
      """
      UPDATE kept_rooms SET ends_at = ?3, checksum = ?4, rooms = ?5
      WHERE session = ?1 AND user = ?2
      """)
    insert = try connection.prepare(
      """
      INSERT INTO kept_rooms (session, user, ends_at, checksum, rooms)
      VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (session) DO NOTHING
      """)
    drop = try connection.prepare("DELETE FROM kept_rooms WHERE session = ?1 AND user = ?2")
    trim = try connection.prepare(
      """
      DELETE FROM kept_rooms WHERE key IN
        (SELECT key FROM kept_rooms INDEXED BY kept_rooms_user WHERE user = ?1
         ORDER BY ends_at DESC NULLS FIRST, key DESC LIMIT -1 OFFSET ?2)
      """)
    forget = try connection.prepare(
      """
      DELETE FROM kept_rooms WHERE key IN
        (SELECT key FROM kept_rooms INDEXED BY kept_rooms_ends_at
         WHERE ends_at <= ?1 ORDER BY ends_at LIMIT ?2)
      """)
    firstEnd = try connection.prepare(
      """
      SELECT ends_at FROM kept_rooms INDEXED BY kept_rooms_ends_at
      WHERE ends_at IS NOT NULL ORDER BY ends_at LIMIT 1
      """)
    endLive = try connection.prepare(
      """
      UPDATE kept_rooms SET ends_at = ?1 WHERE key IN
        (SELECT key FROM kept_rooms INDEXED BY kept_rooms_ends_at WHERE ends_at IS NULL LIMIT ?2)
      """)
  }
}
