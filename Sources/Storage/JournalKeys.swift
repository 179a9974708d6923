// Idempotency keys: a repeated publish gets the first answer.
//
// Keys age by the time that the store has been open, over all of its runs, and not by the time of
// day: a clock that is set forward and back would otherwise forget all keys at once, and publish
// every retry again. The store saves its running time with each commit that changes something. The
// time from the last such commit to the end of a run is not counted, so keys are never forgotten
// too early.
//
// A publisher has a bounded number of keys. Their number is a row, which changes in the transaction
// that adds or deletes keys: once per publisher and group, so a key costs no further statement.

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
///
/// Invariant: after each commit `idempotency_scope` has a row for each publisher with keys, and its
/// count is the number of that publisher's rows in `idempotency`, expired ones included.
final class JournalKeys {
  private let time: RunningTime
  private let findStatement: Statement
  private let insertStatement: Statement
  private let pruneStatement: Statement
  private let saveTimeStatement: Statement
  private let findCountStatement: Statement
  private let addCountStatement: Statement
  private let dropCountStatement: Statement
  private let keysPerPublisherLimit: Int64
  /// The running time at the start of the current group.
  private var now: Int64 = 0
  /// Keys that the current group has added.
  private var addedCount: Int64 = 0
  /// Whether the current group has refused a key: then expired ones are deleted, too.
  private var hasRefused = false
  /// The number of keys of each publisher in the current group: at its start, and added since.
  private var counts: [TextKey: (start: Int64, added: Int64)] = [:]
  /// Whether the key that was found last has a row that a publish replaces.
  private var replacesRow = false

  init(
    _ connection: borrowing Connection, keysPerPublisherLimit: Int, _ kernel: Kernel
  ) throws(StoreError) {
    self.keysPerPublisherLimit = Int64(keysPerPublisherLimit)
    let saved = try connection.prepare("SELECT running_milliseconds FROM store")
    time = RunningTime(continuing: try saved.step() ? saved.integer(0) : 0, kernel: kernel)
    findStatement = try connection.prepare(
      """
      SELECT digest, answer, checksum, created_at FROM idempotency WHERE scope = ?1 AND key = ?2
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
      RETURNING scope
      """)
    saveTimeStatement = try connection.prepare("UPDATE store SET running_milliseconds = ?1")
    findCountStatement = try connection.prepare(
      "SELECT key_count FROM idempotency_scope WHERE scope = ?1")
    addCountStatement = try connection.prepare(
      """
      INSERT INTO idempotency_scope (scope, key_count) VALUES (?1, max(0, ?2))
      ON CONFLICT (scope) DO UPDATE SET key_count = max(0, key_count + ?2)
      """)
    dropCountStatement = try connection.prepare(
      "DELETE FROM idempotency_scope WHERE scope = ?1 AND key_count = 0")
  }

  /// Begins a group of commands, or begins it again after a rollback.
  func beginGroup() {
    // guard: keys-age-by-running-time
    now = time.now
    addedCount = 0
    hasRefused = false
    counts = [:]
  }

  /// Forgets expired keys and saves the running time; `hasChanges` is whether the group changes
  /// anything.
  func finishGroup(hasChanges: Bool) throws(StoreError) {
    // guard: refusal-forgets-expired-keys
    if addedCount > 0 || hasRefused { try prune() }
    try saveCounts()
    if hasChanges {
      // guard: running-time-saved
      saveTimeStatement.bind(1, now)
      try saveTimeStatement.run()
    }
  }

  /// Deletes expired keys, up to the limit.
  private func prune() throws(StoreError) {
    pruneStatement.bind(1, now - StoreLimits.keyLifetimeMilliseconds)
    pruneStatement.bind(2, addedCount + StoreLimits.keyPruneLimit)
    defer { pruneStatement.reset() }
    while try pruneStatement.step() {
      // guard: expired-keys-uncounted
      counts[TextKey(pruneStatement.text(0)), default: (0, 0)].added -= 1
    }
  }

  /// Saves the counts that the group has changed.
  private func saveCounts() throws(StoreError) {
    for (scope, count) in counts where count.added != 0 {
      addCountStatement.bind(1, scope.text)
      addCountStatement.bind(2, count.added)
      try addCountStatement.run()
      guard count.added < 0 else { continue }
      dropCountStatement.bind(1, scope.text)
      try dropCountStatement.run()
    }
  }

  /// Whether the publisher may have one more key: that which was found last.
  func hasRoom(for key: IdempotencyKey) throws(StoreError) -> Bool {
    if replacesRow { return true }
    let scope = TextKey(key.scope)
    if counts[scope] == nil {
      findCountStatement.bind(1, key.scope)
      defer { findCountStatement.reset() }
      counts[scope] = (try findCountStatement.step() ? findCountStatement.integer(0) : 0, 0)
    }
    let count = counts[scope].map { $0.start + $0.added } ?? 0
    // guard: keys-per-publisher
    guard count < keysPerPublisherLimit else {
      hasRefused = true
      return false
    }
    return true
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
    defer { findStatement.reset() }
    replacesRow = try findStatement.step()
    guard replacesRow, findStatement.integer(3) > now - StoreLimits.keyLifetimeMilliseconds else {
      return .nothing
    }
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

  /// Saves the key that was found last, with the answer to its repeats; `hasRoom` was true.
  func save(_ key: IdempotencyKey, answer: [UInt8]) throws(StoreError) {
    addedCount += 1
    // guard: replaced-key-counted-once
    if !replacesRow { counts[TextKey(key.scope)]?.added += 1 }
    insertStatement.bind(1, key.scope)
    insertStatement.bind(2, key.key)
    insertStatement.bind(3, key.digest)
    insertStatement.bind(4, answer)
    // It begins to age later than other keys.
    // guard: key-has-its-lifetime
    insertStatement.bind(5, now + key.addedLifetime)
    insertStatement.bind(6, Self.checksum(of: key, digest: key.digest, answer: answer))
    try insertStatement.run()
  }
}
