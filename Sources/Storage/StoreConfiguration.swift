// The limits of a store.

package import Notifications

/// The limits of the outbox, in rows: each has its standard value.
package struct OutboxLimits: Sendable {
  /// Deliveries of one destination, waiting and dead ones; a further one is not recorded.
  ///
  /// Each takes the size of its message, about 700 bytes of the disk, and no memory.
  package static let destinationLimit = 1_000_000
  /// Deliveries of all destinations.
  package static let totalLimit = 2_000_000
  /// Dead deliveries of one destination; a further one deletes the oldest.
  package static let deadLimit = 10_000

  package var ofDestination = destinationLimit
  package var ofAll = totalLimit
  package var dead = deadLimit

  package init() {}
}

/// A store's location and limits.
package struct StoreConfiguration: Sendable {
  /// A directory, created if missing; or `:memory:`, which keeps nothing.
  package var path: String
  /// Capacity of the journal's command queue.
  package var queueCapacity: Int
  /// Commands in that queue at which a user's is refused: publishers have the last quarter.
  package var userCommandsLimit: Int { max(1, queueCapacity - queueCapacity / 4) }
  /// Capacity of each reader's query queue.
  package var readQueueCapacity: Int
  /// Live notifications for everyone; a further one evicts the oldest.
  ///
  /// The journal and each reader keep about 200 bytes of each in memory, for counting.
  package var everyoneLimit: Int
  /// Expired notifications that one command removes from the inboxes.
  package var expiryLimit: Int
  package static let defaultExpiryLimit = 256
  /// Time after which a group in progress counts as stalled; above the default wait for a lock.
  package static let stallMilliseconds: UInt64 = 3_000
  /// Free bytes of the file system below which a check finds the store unavailable.
  package static let freeBytesMinimum = 16 << 20
  /// Sessions of one user whose rooms are kept; a further one evicts the one that ends first.
  ///
  /// Each takes the size of its rooms' names, which the connection's own limit bounds.
  package var keptSessionsLimit: Int
  /// Changes of whole inboxes under way at once; a further one is refused, so that the journal goes
  /// on with other commands.
  package var sweepLimit: Int
  /// Idempotency keys of one publisher; a publish with a further one is refused.
  ///
  /// Each is a row for a day. The number allows 115 keys a second all day long.
  package var keysPerPublisherLimit: Int
  /// How long the rooms of connections left open by the last run are kept, counted from the opening
  /// of the store.
  package var keptRoomsMilliseconds: Int64
  /// Rows in one transaction, unless a single command has more.
  package var groupLimit: Int
  /// Rows that one step of a change of a whole inbox visits.
  package var stepLimit: Int
  package static let defaultStepLimit = 512
  /// Rows that one step of a migration moves.
  package var migrationStepLimit: Int
  package var readerCount: Int
  package var outbox = OutboxLimits()
  /// How long the journal waits for a lock that another process holds, before it refuses a group.
  ///
  /// The publishers wait as long. No part of Carillon holds the lock while the journal runs.
  package var lockTimeoutMilliseconds: Int
  /// Pages of the write-ahead log (4 KiB each) that accumulate before the checkpointer copies them
  /// into the database file.
  ///
  /// Many mean that a frequently changed page is copied less often.
  package var checkpointPages: Int
  /// Pages that the journal copies itself also while commands wait, so that the log can restart:
  /// fewer than these.
  package var restPages: Int { max(1, checkpointPages / 8) }
  /// Pages of the log at which the journal copies a longer rest also while commands wait.
  ///
  /// Read transactions of the store are short, so this bounds the log while no other process reads.
  package var logPagesLimit: Int
  /// Kibibytes of the writer's page cache; each reader gets a quarter of it.
  package var cacheKibibytes: Int
  /// The name of SQLite's virtual file system; nil is the system's own.
  ///
  /// Tests use a failing one.
  package var vfs: String?
  /// The time zones of users' quiet hours.
  package var timeZones: TimeZoneTable
  /// Counts the cost of each statement; nil except in tests.
  package var statistics: StatementStatistics?

  package init(
    path: String, queueCapacity: Int = 8_192, readQueueCapacity: Int = 8_192,
    groupLimit: Int = 4_096, everyoneLimit: Int = 1_000,
    expiryLimit: Int = Self.defaultExpiryLimit, keptSessionsLimit: Int = 64,
    sweepLimit: Int = 1_024, keysPerPublisherLimit: Int = 10_000_000,
    keptRoomsMilliseconds: Int64 = RecoveryID.keptMilliseconds, readerCount: Int = 2,
    lockTimeoutMilliseconds: Int = 2_000, stepLimit: Int = Self.defaultStepLimit,
    migrationStepLimit: Int = 4_096, checkpointPages: Int = 4_096, logPagesLimit: Int = 32_768,
    cacheKibibytes: Int = 32_768, vfs: String? = nil, timeZones: TimeZoneTable = .empty
  ) {
    precondition(queueCapacity > 0 && readQueueCapacity > 0 && groupLimit > 0 && readerCount > 0)
    precondition(stepLimit > 0 && migrationStepLimit > 0 && lockTimeoutMilliseconds >= 0)
    precondition(sweepLimit > 0 && keysPerPublisherLimit > 0)
    precondition(everyoneLimit > 0 && expiryLimit > 0 && keptSessionsLimit > 0)
    self.path = path
    self.queueCapacity = queueCapacity
    self.readQueueCapacity = readQueueCapacity
    self.groupLimit = groupLimit
    self.everyoneLimit = everyoneLimit
    self.expiryLimit = expiryLimit
    self.keptSessionsLimit = keptSessionsLimit
    self.sweepLimit = sweepLimit
    self.keysPerPublisherLimit = keysPerPublisherLimit
    self.keptRoomsMilliseconds = keptRoomsMilliseconds
    self.stepLimit = stepLimit
    self.migrationStepLimit = migrationStepLimit
    self.readerCount = readerCount
    self.lockTimeoutMilliseconds = lockTimeoutMilliseconds
    self.checkpointPages = checkpointPages
    self.logPagesLimit = logPagesLimit
    self.cacheKibibytes = cacheKibibytes
    self.vfs = vfs
    self.timeZones = timeZones
  }
}
