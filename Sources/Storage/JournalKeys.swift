// Idempotency keys: a repeated publish gets the first answer.
//
// Keys age by the time that the store has been open, over all of its runs, and not by the time of
// day: a clock that is set forward and back would otherwise forget all keys at once, and publish
// every retry again. The store saves its running time with each commit that changes something. The
// time from the last such commit to the end of a run is not counted, so keys are never forgotten
// too early.

internal import Notifications
internal import Reactor

/// The time that a store has been open, over all of its runs.
struct RunningTime {
  /// The latest time at which a run may begin: far from overflow, whatever the file contains.
  private static let startLimit: Int64 = 1 << 52

  private let kernel: Kernel
  private let start: Int64
  private let openedAt: UInt64

  /// Continues from the `saved` milliseconds of the earlier runs.
  init(continuing saved: Int64, kernel: Kernel) {
    start = min(max(saved, 0), Self.startLimit)
    openedAt = kernel.monotonicMilliseconds
    self.kernel = kernel
  }

  /// In milliseconds; a run adds at most 2^52.
  var now: Int64 {
    let now = kernel.monotonicMilliseconds
    return start + Int64(min(now - min(now, openedAt), UInt64(Self.startLimit)))
  }
}

/// Finds, saves and forgets idempotency keys on the journal's connection.
final class JournalKeys {
  private let time: RunningTime
  private let findStatement: Statement
  private let insertStatement: Statement
  private let pruneStatement: Statement
  private let saveTimeStatement: Statement
  /// The running time at the start of the current group.
  private var now: Int64 = 0
  /// Keys that the current group has added.
  private var addedCount: Int64 = 0

  init(_ connection: borrowing Connection, _ kernel: Kernel) throws(StoreError) {
    let saved = try connection.prepare("SELECT running_milliseconds FROM store")
    time = RunningTime(continuing: try saved.step() ? saved.integer(0) : 0, kernel: kernel)
    findStatement = try connection.prepare(
      """
      SELECT digest, answer, checksum FROM idempotency
      WHERE scope = ?1 AND key = ?2 AND created_at > ?3
      """)
    insertStatement = try connection.prepare(
      """
      INSERT OR REPLACE INTO idempotency (scope, key, digest, answer, created_at, checksum)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6)
      """)
    pruneStatement = try connection.prepare(
      """
      DELETE FROM idempotency WHERE rowid IN
        (SELECT rowid FROM idempotency WHERE created_at <= ?1 ORDER BY created_at LIMIT ?2)
      """)
    saveTimeStatement = try connection.prepare("UPDATE store SET running_milliseconds = ?1")
  }

  /// Begins a group of commands, or begins it again after a rollback.
  func beginGroup() {
    // guard: keys-age-by-running-time
    now = time.now
    addedCount = 0
  }

  /// Forgets expired keys and saves the running time; `hasChanges` is whether the group changes
  /// anything.
  func finishGroup(hasChanges: Bool) throws(StoreError) {
    if addedCount > 0 {
      pruneStatement.bind(1, now - StoreLimits.keyLifetimeMilliseconds)
      pruneStatement.bind(2, addedCount + StoreLimits.keyPruneLimit)
      try pruneStatement.run()
    }
    if hasChanges {
      // guard: running-time-saved
      saveTimeStatement.bind(1, now)
      try saveTimeStatement.run()
    }
  }

  /// The contents of the table for a key.
  enum Found {
    case nothing
    /// The outcome of a publish with the key.
    case outcome(StoreOutcome)
    /// A damaged response, which counts as none: a repeat is stored once more and replaces it.
    case damage
  }

  /// Finds a key that is not too old.
  func find(_ key: IdempotencyKey) throws(StoreError) -> Found {
    findStatement.bind(1, key.scope)
    findStatement.bind(2, key.key)
    findStatement.bind(3, now - StoreLimits.keyLifetimeMilliseconds)
    defer { findStatement.reset() }
    guard try findStatement.step() else { return .nothing }
    // guard: damaged-response-not-repeated
    guard isSound(key, findStatement) else { return .damage }
    guard findStatement.blob(0) == key.digest else { return .outcome(.conflict) }
    return .outcome(.repeated(answer: findStatement.blob(1)))
  }

  /// Whether a stored response is the one that was stored; those of earlier formats may be.
  private func isSound(_ key: IdempotencyKey, _ row: borrowing Statement) -> Bool {
    if row.isNull(2) { return true }
    return Self.checksum(of: key, digest: row.blob(0), answer: row.blob(1)) == row.integer(2)
  }

  private static func checksum(of key: IdempotencyKey, digest: [UInt8], answer: [UInt8]) -> Int64 {
    let name = Array("\(key.scope.utf8.count) \(key.scope)\(key.key.utf8.count) \(key.key)".utf8)
    return RowChecksum.value(of: name + digest + answer)
  }

  /// Saves a new key with the answer to its repeats.
  func save(_ key: IdempotencyKey, answer: [UInt8]) throws(StoreError) {
    addedCount += 1
    insertStatement.bind(1, key.scope)
    insertStatement.bind(2, key.key)
    insertStatement.bind(3, key.digest)
    insertStatement.bind(4, answer)
    insertStatement.bind(5, now)
    insertStatement.bind(6, Self.checksum(of: key, digest: key.digest, answer: answer))
    try insertStatement.run()
  }
}
