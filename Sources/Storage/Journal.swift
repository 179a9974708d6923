// The journal: the only thread that writes.
//
//     take the queue ─▶ one transaction ─▶ commit (fdatasync) ─▶ publish events ─▶ reply
//                                             │ fails
//                                             └▶ roll back, answer all, read-only until restart
//
// A notification is on the disk before its publisher gets a reply and before a client receives it,
// and clients receive notifications in commit order. While one group waits for the disk, the next
// one accumulates, so all commands of a group share the cost of one sync.
//
// A failed write is final. After a failed sync Linux may have dropped the pages and reports the
// next sync as successful, so a retry proves nothing; the store keeps its data and reports the
// failure.

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
    case .changeGroup: JournalTransaction.groupChangeLimit
    case .findKey, .setPreferences, .keepRooms, .recount: 1
    case .expire: StoreConfiguration.defaultExpiryLimit
    }
  }
}

/// The store's observable state.
struct StoreState {
  var metrics = StoreMetrics()
  var failure: String?
  /// See `Store.nextExpiry`.
  var nextExpiry: Int64?
}

/// Owns the connection that writes.
///
/// Confined to its thread, once it runs.
final class Journal {
  private let connection: Connection
  private let transaction: JournalTransaction
  private let configuration: StoreConfiguration
  private let state: Guarded<StoreState>
  private let report: @Sendable (StoreNotice) -> Void
  private let publish: @Sendable ([Event]) -> Void
  private let logPages = LogPages()
  private var lastOffset: UInt64
  /// Pages of the log when it was last copied into the file.
  private var copiedLogPages = 0
  private var hasFailed = false
  /// Changes of whole inboxes that need more steps, the next one first.
  private var sweeps: [(change: InboxSweep, reply: @Sendable (StoreOutcome) -> Void)] = []
  /// Sweeps under way at once; with this many, commands wait in the queue.
  private static let sweepLimit = 1_024

  init(
    connection: consuming Connection, configuration: StoreConfiguration,
    state: Guarded<StoreState>, lastOffset: UInt64, incarnation: StoreHistory.Incarnation?,
    kernel: Kernel, report: @escaping @Sendable (StoreNotice) -> Void,
    publish: @escaping @Sendable ([Event]) -> Void
  ) throws(StoreError) {
    transaction = try JournalTransaction(connection, configuration, incarnation, kernel)
    connection.countLogPages(into: logPages)
    self.connection = connection
    self.configuration = configuration
    self.state = state
    self.lastOffset = lastOffset
    self.report = report
    self.publish = publish
  }

  /// See `Store.nextExpiry`.
  var nextExpiry: Int64? { transaction.nextExpiry }

  /// Sets an end for the rooms of connections that were open when the last run ended.
  ///
  /// Must run before any command. If the write fails, the store is read-only from the start.
  func endLiveRooms(at end: Int64) {
    do throws(StoreError) {
      try transaction.endLiveRooms(at: end, on: connection)
    } catch {
      fail(error)
    }
  }

  /// Processes the queued commands, in groups of up to `groupLimit` rows.
  ///
  /// With each group, and without commands too, the next recount or sweep makes a step.
  func process(_ batch: [Submission]) -> WorkerTurn {
    if batch.isEmpty { commit([]) }
    var start = 0
    while start < batch.count {
      var end = start
      var rowCount = 0
      repeat {
        rowCount += batch[end].rowCount
        end += 1
      } while end < batch.count
        && rowCount + batch[end].rowCount <= configuration.groupLimit
      commit(batch[start..<end])
      start = end
    }
    if sweeps.isEmpty, !transaction.isRecounting { return .wait }
    return sweeps.count < Self.sweepLimit ? .again : .againAlone
  }

  private func commit(_ group: ArraySlice<Submission>) {
    guard !hasFailed else { return refuse(group) }
    let result: GroupResult
    do throws(StoreError) {
      result = try transaction.run(
        group, continuing: sweeps.first?.change, after: lastOffset, on: connection)
    } catch {
      fail(error)
      return refuse(group)
    }
    lastOffset = result.lastOffset
    count(result, commandCount: group.count)
    if !result.events.isEmpty { publish(result.events) }
    for (submission, outcome) in zip(group, result.outcomes) {
      if let outcome { submission.reply(outcome) }
    }
    updateSweeps(result, of: group)
    for repair in result.repairs { report(.repair(repair)) }
    limitLog()
  }

  /// Answers the sweep that has made its last step, and adds those that have begun.
  ///
  /// The sweeps take turns, so a small one does not wait for a large one.
  private func updateSweeps(_ result: GroupResult, of group: ArraySlice<Submission>) {
    if let (change, outcome) = result.continued {
      let (_, reply) = sweeps.removeFirst()
      if let outcome { reply(outcome) } else { sweeps.append((change, reply)) }
    }
    for index in sweeps.indices { sweeps[index].change.exclude(result.markedUnread[...]) }
    for (index, change) in result.started {
      var change = change
      change.exclude(result.markedUnread[change.marksBefore...])
      sweeps.append((change, group[group.startIndex + index].reply))
    }
  }

  /// Copies the log into the database file once enough pages have accumulated.
  ///
  /// It runs after the replies, so that no reply waits for it. A sync that fails here loses nothing
  /// yet, because the log still has everything; but restarting the log after such a failure could
  /// lose data, so the failure is as final as any other.
  private func limitLog() {
    let pageCount = logPages.count
    if pageCount < copiedLogPages { copiedLogPages = 0 }
    guard pageCount - copiedLogPages >= configuration.checkpointPages else { return }
    do throws(StoreError) {
      try connection.checkpoint(pageCount >= configuration.logPagesLimit ? .restart : .passive)
      copiedLogPages = pageCount
    } catch {
      fail(error)
    }
  }

  private func fail(_ error: StoreError) {
    hasFailed = true
    connection.keepLogOnClose()
    let reason = "the store is read-only: \(error)"
    state.withLock { $0.failure = reason }
  }

  private func refuse(_ group: ArraySlice<Submission>) {
    let reason = state.withLock { state in
      state.metrics.refusedCommands += group.count
      return state.failure ?? ""
    }
    for submission in group { submission.reply(.readOnly(reason: reason)) }
    for sweep in sweeps { sweep.reply(.readOnly(reason: reason)) }
    sweeps = []
    transaction.forgetRecounts()
  }

  private func count(_ result: GroupResult, commandCount: Int) {
    state.withLock { state in
      state.metrics.lastOffset = result.lastOffset
      state.metrics.commits += 1
      state.metrics.commands += commandCount
      state.metrics.stored += result.storedCount
      state.metrics.muted += result.mutedCount
      state.metrics.expired += result.expiredCount
      state.metrics.evicted += result.evictedCount
      state.nextExpiry = nextExpiry
      state.metrics.repairs += result.repairs.count
      state.metrics.duplicateIDs += result.duplicateIDCount
      state.metrics.preferencesParsed += result.parsedPreferencesCount
      state.metrics.largestGroup = max(state.metrics.largestGroup, commandCount)
    }
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
