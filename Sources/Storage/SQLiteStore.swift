// The store in one SQLite file.
//
// It only routes: commands to the journal's thread, queries to the readers' threads, and copies of
// the log to the checkpointer's. See `Journal`
// for durability, and `Reader` for the consistency of a snapshot.

internal import Broadcast
package import Notifications
package import Reactor

/// A store in its own directory, opened by one server at a time.
///
/// Any thread may use it. `close` must not be called from a reply or from `publish`: it waits for
/// the threads that run these.
package final class SQLiteStore: Store {
  package let history: StoreHistory
  package let horizon: UInt64
  package let apiKeys: [APIKey]
  /// The absolute path of its directory; `:memory:` for a temporary store.
  package let path: String

  private let journal: Worker<Submission>
  /// The number of commands in the journal's queue at which those of users are refused.
  private let userCommandsLimit: Int
  private let readers: [Worker<Question>]
  private let checkpointer: Worker<CheckpointRequest>
  private let condition: StoreCondition
  private let checks: StoreCheck
  private let outboxObserver = Guarded<(@Sendable (OutboxNews) -> Void)?>(nil)
  private let kernel: Kernel
  /// Nil once the store is closed.
  private let directory: Guarded<DataDirectory?>

  /// Opens or creates the store; starts the journal's thread and the readers' threads.
  ///
  /// `publish` is called on the journal's thread after a group's commit, in commit order, before
  /// the group's replies; it must take all events and may block. `report` is called on the thread
  /// that notices the change, before the replies that depend on it.
  package init(
    _ configuration: StoreConfiguration, kernel: Kernel = .real,
    report: @escaping @Sendable (StoreNotice) -> Void = { _ in },
    publish: @escaping @Sendable ([Event]) -> Void
  ) throws(StoreError) {
    let directory = try DataDirectory(configuration.path)
    path = directory.isTemporary ? configuration.path : directory.path
    // If an error is thrown below, a temporary store still leaves no files.
    defer { directory.forget() }
    let condition = StoreCondition(report: report)
    let hasLostCommit = LogScan.hasLostCommit(directory.databasePath + "-wal")
    let writer = try Schema.openWriter(configuration, in: directory, kernel) {
      report(.migration($0))
    }
    let (identity, history, incarnation) = try Self.readHistory(
      writer, hasLostCommit: hasLostCommit, kernel, condition)
    apiKeys = try Self.readAPIKeys(writer, condition)
    let journal = try Worker<Submission>(capacity: configuration.queueCapacity, kernel: kernel)
    let loop = try Journal(
      connection: writer, configuration: configuration, condition: condition,
      directory: directory, lastOffset: identity.lastOffset, incarnation: incarnation,
      runName: RandomName.make(characterCount: 10, kernel), kernel: kernel,
      outboxObserver: outboxObserver, publish: publish)
    try loop.endLiveRooms(at: kernel.wallMilliseconds + configuration.keptRoomsMilliseconds)
    condition.withLock { $0.nextExpiry = loop.nextExpiry }
    let checkpointer = try Self.startCheckpointer(configuration, directory, condition, kernel)
    loop.requestCheckpoint = { Self.requestCheckpoint(from: checkpointer, condition) }
    var readers: [Worker<Question>] = []
    do throws(StoreError) {
      for index in 0..<configuration.readerCount {
        let connection = try Schema.openReader(configuration, in: directory)
        let reader = try Reader(
          connection: connection, condition: condition, kernel: kernel,
          timeZones: configuration.timeZones
        ) { user in
          // If the queue is full, the next reading asks again.
          let command = StoreCommand.recount(user: user, at: kernel.wallMilliseconds)
          _ = journal.offer(Submission(command: command) { _ in })
        }
        let worker = try Worker<Question>(
          capacity: configuration.readQueueCapacity, kernel: kernel)
        try worker.start(name: "store-read-\(index)", batchLimit: StoreLimits.readBatchLimit) {
          reader.process($0)
          return .wait
        }
        readers.append(worker)
      }
      try directory.synchronize()
      try directory.rememberFiles()
      try journal.start(name: "store-journal", batchLimit: configuration.groupLimit) {
        loop.process($0)
      }
    } catch {
      // guard: failed-start-stops-threads
      for reader in readers { reader.stop() }
      checkpointer.stop()
      throw error
    }
    self.history = history
    horizon = identity.horizon
    self.journal = journal
    userCommandsLimit = configuration.userCommandsLimit
    self.readers = readers
    self.checkpointer = checkpointer
    self.condition = condition
    self.kernel = kernel
    checks = StoreCheck(condition)
    self.directory = Guarded(directory)
  }

  /// Reads the store's row and its history, and reports the damage in the file.
  private static func readHistory(
    _ writer: borrowing Connection, hasLostCommit: Bool, _ kernel: Kernel,
    _ condition: StoreCondition
  ) throws(StoreError) -> (StoreRow, StoreHistory, StoreHistory.Incarnation?) {
    let row = try StoreRow(writer, kernel)
    for repair in row.repairs { condition.note(.repair(repair)) }
    let damage = hasLostCommit ? "its log has lost commits" : Schema.findDamage(writer)
    let (history, incarnation, damagedCount) = try IncarnationRow.readHistory(
      writer, epoch: row.epoch, lastOffset: row.lastOffset, isSound: damage == nil, kernel)
    if let damage { condition.note(.damage("\(damage); clients that resume get a resync")) }
    if damagedCount > 0 {
      let loss = "\(damagedCount) of its runs; clients with earlier cursors get a resync"
      condition.note(.damage(loss))
    }
    condition.withLock {
      $0.metrics.lastOffset = row.lastOffset
      $0.metrics.repairs = row.repairs.count
      $0.metrics.corruptRows = damagedCount + (damage == nil ? 0 : 1)
    }
    return (row, history, incarnation)
  }

  /// Reads the API keys, and reports those that are damaged.
  private static func readAPIKeys(
    _ writer: borrowing Connection, _ condition: StoreCondition
  ) throws(StoreError) -> [APIKey] {
    let (keys, damagedCount) = try APIKeyRow.readAll(writer.prepare(APIKeyRow.all))
    if damagedCount > 0 {
      condition.note(.damage("\(damagedCount) API keys, which are refused"))
    }
    condition.withLock {
      $0.metrics.corruptRows += damagedCount
      $0.metrics.apiKeys = keys.count { $0.revokedAt == nil }
    }
    return keys
  }

  private static func startCheckpointer(
    _ configuration: StoreConfiguration, _ directory: DataDirectory, _ condition: StoreCondition,
    _ kernel: Kernel
  ) throws(StoreError) -> Worker<CheckpointRequest> {
    let connection = try Schema.openCheckpointer(configuration, in: directory)
    let loop = Checkpointer(
      connection: connection, condition: condition, isDurable: !directory.isTemporary)
    let worker = try Worker<CheckpointRequest>(capacity: 1, kernel: kernel)
    try worker.start(name: "store-copy", batchLimit: 1, hasLowPriority: true) {
      loop.process($0)
      return .wait
    }
    return worker
  }

  private static func requestCheckpoint(
    from checkpointer: Worker<CheckpointRequest>, _ condition: StoreCondition
  ) -> Bool {
    let isFree = condition.withLock { state in
      defer { state.checkpoint.isRunning = true }
      return !state.checkpoint.isRunning
    }
    return isFree && checkpointer.offer(CheckpointRequest())
  }

  deinit {
    close()
  }

  package var lastOffset: UInt64 { condition.withLock { $0.metrics.lastOffset } }

  package var nextExpiry: Int64? { condition.withLock { $0.nextExpiry } }

  package var status: StoreStatus { condition.status(at: kernel.monotonicMilliseconds) }

  package var metrics: StoreMetrics {
    var metrics = condition.withLock { $0.metrics }
    metrics.writeQueueDepth = journal.depth
    metrics.writeQueueLimit = journal.depthLimit
    metrics.readQueueDepth = readers.reduce(0) { $0 + $1.depth }
    return metrics
  }

  package func check(reply: @escaping @Sendable (StoreStatus) -> Void) {
    let checks = checks
    let kernel = kernel
    guard checks.begin(at: kernel.monotonicMilliseconds, reply) else { return }
    // The journal's thread looks at the files: a shard's must not wait for them.
    let submission = Submission(command: .check) { outcome in
      checks.end(outcome, at: kernel.monotonicMilliseconds)
    }
    if !journal.offer(submission) {
      checks.end(.unavailable(reason: "the store's queue is full"), at: 0)
    }
  }

  package func observeOutbox(_ observer: @escaping @Sendable (OutboxNews) -> Void) {
    outboxObserver.withLock { $0 = observer }
  }

  package func submit(
    _ command: StoreCommand, reply: @escaping @Sendable (StoreOutcome) -> Void
  ) -> Bool {
    let limit = command.isOfUser ? userCommandsLimit : .max
    return journal.offer(Submission(command: command, reply: reply), within: limit)
  }

  /// Queries the user's own reader, and another one only when its queue is full.
  ///
  /// So the shards share no counter, and a user that sends too many queries fills one reader's
  /// queue first, not all of them.
  package func read(
    _ query: StoreQuery, reply: @escaping @Sendable (StoreAnswer) -> Void
  ) -> Bool {
    let question = Question(query: query, reply: reply)
    let first = Int(UInt(bitPattern: query.user.hashValue) % UInt(readers.count))
    for step in readers.indices where readers[(first + step) % readers.count].offer(question) {
      return true
    }
    return false
  }

  package func close() {
    let directory = self.directory.withLock { directory in
      defer { directory = nil }
      return directory
    }
    guard directory != nil else { return }
    // The journal's connection closes last, and only it can clean up the log.
    for reader in readers { reader.stop() }
    checkpointer.stop()
    journal.stop()
  }
}
