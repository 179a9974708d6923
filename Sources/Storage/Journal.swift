// The journal: the only thread that writes.
//
//     take the queue ─▶ one transaction ─▶ commit (fdatasync) ─▶ publish events ─▶ reply
//                │ fails                        │ fails
//                └▶ roll back, answer all,      └▶ roll back, answer all,
//                   go on                          read-only until restart
//
// A notification is on the disk before its publisher gets a reply and before a client receives it,
// and clients receive notifications in commit order. While one group waits for the disk, the next
// one accumulates, so all commands of a group share the cost of one sync.
//
// An error before the first write (another process holds the lock, memory is short, a page cannot
// be read) means that nothing happened. A failed write is final. After a failed sync Linux may have
// dropped the pages and reports the next sync as successful, so a retry proves nothing; the store
// keeps its data and reports the failure.

internal import Broadcast
internal import Notifications
internal import Reactor

/// A command and the callback for its outcome.
struct Submission: Sendable {
  let command: StoreCommand
  let reply: @Sendable (StoreOutcome) -> Void

  /// Rows that the command may write.
  var rowCount: Int {
    switch command {
    case .publish(let drafts, _, _, _): max(1, drafts.count)
    case .change(_, let change, _):
      change.idCount ?? StoreConfiguration.defaultStepLimit
    case .changeGroup: StoreLimits.groupChangeLimit
    case .findKey, .setPreferences, .keepRooms, .recount, .check, .apiKeys: 1
    case .expire: StoreConfiguration.defaultExpiryLimit
    case .outbox(let command): command.rowCount
    }
  }
}

extension OutboxCommand {
  /// Rows that the command may write.
  fileprivate var rowCount: Int {
    switch self {
    case .create, .change, .delete, .test: 1
    case .record(let events): max(1, events.count)
    case .settle(let results): max(1, results.count)
    case .replay: StoreLimits.replayLimit
    case .sweep: StoreLimits.sweptDeliveriesLimit
    }
  }
}

/// Owns the connection that writes.
///
/// Confined to its thread, once it runs.
final class Journal {
  private let connection: Connection
  private let transaction: JournalTransaction
  private let configuration: StoreConfiguration
  private let condition: StoreCondition
  private let kernel: Kernel
  private let publish: @Sendable ([Event]) -> Void
  private let logPages = LogPages()
  private var lastOffset: UInt64
  /// Pages of the log at the latest request to copy it; 0 if there was none since it restarted.
  private var requestedLogPages = 0
  /// Pages of the log from which on the journal copies the rest of it itself.
  private var restFromLogPages = 0
  /// Asks the checkpointer to copy the log; false if it still has a request.
  var requestCheckpoint: () -> Bool = { false }
  /// Called after a commit that adds deliveries or changes endpoints.
  let outboxObserver: Guarded<(@Sendable (OutboxNews) -> Void)?>
  /// Changes of whole inboxes that need more steps, the next one first.
  private var sweeps: [(change: InboxSweep, reply: @Sendable (StoreOutcome) -> Void)] = []

  init(
    connection: consuming Connection, configuration: StoreConfiguration,
    condition: StoreCondition, directory: DataDirectory, lastOffset: UInt64,
    incarnation: StoreHistory.Incarnation?, runName: String, kernel: Kernel,
    outboxObserver: Guarded<(@Sendable (OutboxNews) -> Void)?>,
    publish: @escaping @Sendable ([Event]) -> Void
  ) throws(StoreError) {
    transaction = try JournalTransaction(
      connection, configuration, incarnation, runName: runName, kernel)
    self.outboxObserver = outboxObserver
    connection.countLogPages(into: logPages)
    self.connection = connection
    self.configuration = configuration
    self.condition = condition
    self.lastOffset = lastOffset
    self.kernel = kernel
    if transaction.outbox.damagedCount > 0 {
      condition.note(.damage("a webhook endpoint cannot be right"))
    }
    transaction.fileCheck = FileCheck(
      directory: directory, condition: condition, kernel: kernel)
    self.publish = publish
  }

  deinit {
    // After a failed checkpoint the log has what the database file may lack.
    // guard: failed-log-kept-on-close
    if condition.hasFailed { connection.keepLogOnClose() }
  }

  /// See `Store.nextExpiry`.
  var nextExpiry: Int64? { transaction.nextExpiry }

  /// Sets an end for the rooms of connections that were open when the last run ended.
  ///
  /// Must run before any command. If the write fails, the store is read-only from the start.
  func endLiveRooms(at end: Int64) throws(StoreError) {
    do throws(StoreError) {
      try transaction.endLiveRooms(at: end, on: connection)
    } catch {
      guard error.isFailedWrite else { throw error }
      condition.fail(error)
    }
  }

  /// Processes the queued commands, in groups of up to `groupLimit` rows.
  ///
  /// With each group, and without commands too, the next recount or sweep makes a step. After
  /// a group that failed, the rest of the batch is refused too: each group could wait for the same
  /// lock as long as the first one did. Nothing of the rest has happened.
  func process(_ batch: [Submission]) -> WorkerTurn {
    if batch.isEmpty { _ = commit([]) }
    var start = 0
    while start < batch.count {
      var end = start
      var rowCount = 0
      repeat {
        rowCount += batch[end].rowCount
        end += 1
      } while end < batch.count
        && rowCount + batch[end].rowCount <= configuration.groupLimit
      // guard: rest-of-batch-refused
      guard commit(batch[start..<end]) else {
        refuse(batch[end...])
        return .wait
      }
      start = end
    }
    return sweeps.isEmpty && !transaction.isRecounting ? .wait : .again
  }

  /// Commits the group and replies; false if it failed.
  private func commit(_ group: ArraySlice<Submission>) -> Bool {
    guard condition.beginGroup(at: kernel.monotonicMilliseconds) else {
      refuse(group)
      // A checkpoint may have failed since their latest step.
      endSweeps()
      return false
    }
    let result: GroupResult
    do throws(GroupFailure) {
      result = try transaction.run(
        group, continuing: sweeps.first?.change, after: lastOffset, on: connection)
    } catch {
      condition.withLock { state in
        state.groupBeganAt = nil
        state.metrics.failedGroups += 1
      }
      if error.isFinal {
        condition.fail(error.error)
      } else {
        condition.change(
          to: .unavailable(reason: "the store refuses writes for now: \(error.error)"))
      }
      if error.isOutcomeUnknown { leaveOpen(group) } else { refuse(group) }
      endSweeps()
      return false
    }
    lastOffset = result.lastOffset
    let wasReady = count(result, commandCount: group.count)
    for error in result.failures { condition.note(.failedCommand(reason: "\(error)")) }
    if !wasReady { condition.change(to: .ready) }
    if !result.events.isEmpty { publish(result.events) }
    if !result.outboxNews.isEmpty { outboxObserver.withLock { $0 }?(result.outboxNews) }
    for (submission, outcome) in zip(group, result.outcomes) {
      if let outcome { submission.reply(outcome) }
    }
    updateSweeps(result, of: group)
    // guard: repair-is-reported
    for repair in result.repairs { condition.note(.repair(repair)) }
    limitLog()
    return true
  }

  /// Answers the sweep that has made its last step, and adds those that have begun.
  ///
  /// The sweeps take turns, so a small one does not wait for a large one.
  private func updateSweeps(_ result: GroupResult, of group: ArraySlice<Submission>) {
    if let (change, outcome) = result.continued {
      let (_, reply) = sweeps.removeFirst()
      count(change.key, outcome == nil ? 0 : -1)
      // guard: sweeps-take-turns
      if let outcome { reply(outcome) } else { sweeps.append((change, reply)) }
    }
    for index in sweeps.indices { sweeps[index].change.exclude(result.markedUnread[...]) }
    for (index, change) in result.started {
      var change = change
      change.exclude(result.markedUnread[change.marksBefore...])
      sweeps.append((change, group[group.startIndex + index].reply))
      count(change.key, 1)
    }
  }

  /// Counts the changes under way of the user with that key.
  private func count(_ key: Int64, _ difference: Int) {
    let count = transaction.sweepCounts[key, default: 0] + difference
    transaction.sweepCounts[key] = count > 0 ? count : nil
    assert(transaction.sweepCounts.values.reduce(0, +) <= sweeps.count + 1)
  }

  /// Has the log copied into the database file whenever enough pages have accumulated.
  ///
  /// It runs after the replies, and the checkpointer copies nearly all, so publishes do not wait
  /// for it. The rest is copied here: then the next transaction restarts the log, unless a reader
  /// still needs it.
  private func limitLog() {
    let pageCount = logPages.count
    if pageCount < requestedLogPages {
      requestedLogPages = 0
      restFromLogPages = 0
      condition.withLock { $0.checkpoint.copiedPages = 0 }
    }
    guard pageCount >= configuration.checkpointPages else { return }
    let progress = condition.withLock { $0.checkpoint }
    guard !progress.isRunning else { return }
    let rest = pageCount - progress.copiedPages
    // guard: log-copied-off-the-journal
    if isCopiedHere(rest, of: pageCount) {
      copyRest(rest, of: pageCount)
    } else if pageCount >= requestedLogPages + configuration.restPages, requestCheckpoint() {
      // A checkpoint copies nothing at a moment when a reader prevents it, so it is repeated.
      requestedLogPages = pageCount
    }
  }

  /// Whether this thread copies the rest of the log, and not the checkpointer.
  private func isCopiedHere(_ rest: Int, of pageCount: Int) -> Bool {
    // The copy takes about as long as a commit.
    // guard: short-rest-of-log-copied-here
    if rest < configuration.restPages { return true }
    // A checkpointer that commits outrun would never finish.
    // guard: log-at-its-limit-copied-here
    return pageCount >= configuration.logPagesLimit && rest < configuration.checkpointPages * 4
  }

  private func copyRest(_ rest: Int, of pageCount: Int) {
    guard rest > 0, pageCount >= restFromLogPages, !condition.hasFailed else { return }
    // A reader may prevent it, or the restart.
    restFromLogPages = pageCount + configuration.restPages
    do throws(StoreError) {
      let copied = try connection.checkpoint()
      condition.endCheckpoint(copiedPages: copied)
    } catch {
      if !error.isTransient { condition.fail(error) }
    }
  }

  /// Replies to commands of which the next start decides whether they were stored.
  private func leaveOpen(_ group: ArraySlice<Submission>) {
    condition.withLock { $0.metrics.unknownOutcomes += group.count }
    let reason = condition.status.reason ?? ""
    for submission in group { submission.reply(.unknown(reason: reason)) }
  }

  /// Replies to the changes of whole inboxes that were under way: their earlier steps are stored.
  private func endSweeps() {
    condition.withLock { $0.metrics.unknownOutcomes += sweeps.count }
    let reason = condition.status.reason ?? ""
    // guard: half-swept-inbox-is-unknown
    for sweep in sweeps { sweep.reply(.unknown(reason: reason)) }
    sweeps = []
    transaction.sweepCounts = [:]
    transaction.forgetRecounts()
  }

  private func refuse(_ group: ArraySlice<Submission>) {
    let status = condition.withLock { state in
      state.metrics.refusedCommands += group.count
      return state.status
    }
    let reason = status.reason ?? ""
    let outcome: StoreOutcome =
      if case .readOnly = status { .readOnly(reason: reason) } else { .unavailable(reason: reason) }
    for submission in group { submission.reply(outcome) }
  }

  /// Counts a committed group; false if the status has to change.
  private func count(_ result: GroupResult, commandCount: Int) -> Bool {
    let now = kernel.monotonicMilliseconds
    return condition.withLock { state in
      state.groupBeganAt = nil
      let hasWritten = result.lastOffset != state.metrics.lastOffset || result.hasCheckedRow
      if hasWritten { state.committedAt = now }
      state.metrics.lastOffset = result.lastOffset
      state.metrics.commits += 1
      state.metrics.commands += commandCount
      state.metrics.stored += result.storedCount
      state.metrics.muted += result.mutedCount
      state.metrics.expired += result.expiredCount
      state.metrics.evicted += result.evictedCount
      state.nextExpiry = nextExpiry
      state.metrics.repairs += result.repairs.count
      if let count = result.apiKeyCount { state.metrics.apiKeys = count }
      state.metrics.duplicateIDs += result.duplicateIDCount
      state.metrics.preferencesParsed += result.parsedPreferencesCount
      state.metrics.refusedCommands += result.failures.count
      state.metrics.outbox.add(result.outbox)
      state.metrics.logPages = logPages.count
      state.metrics.largestGroup = max(state.metrics.largestGroup, commandCount)
      return state.status == .ready
    }
  }
}

extension OutboxMetrics {
  /// Adds the counts of a group; its size replaces the earlier one.
  fileprivate mutating func add(_ group: OutboxMetrics) {
    recorded += group.recorded
    deliveries += group.deliveries
    overflowed += group.overflowed
    evicted += group.evicted
    current = group.current
  }
}

extension InboxChange {
  /// How many ids the change lists; nil when it applies to all notifications.
  var idCount: Int? {
    switch self {
    case .read(let ids), .unread(let ids), .seen(let ids), .delete(let ids): max(1, ids.count)
    case .readAll, .seenAll, .deleteAll: nil
    }
  }
}
