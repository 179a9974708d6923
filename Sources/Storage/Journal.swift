// The journal: the one thread that writes.
//
//     take what waits ─▶ one transaction ─▶ commit (fdatasync) ─▶ publish events ─▶ reply
//                                              │ fails
//                                              └▶ roll back, answer all, read-only until restart
//
// Nobody hears of a notification before it is on the disk, neither the publisher nor a client, and
// clients hear of it in the order in which it was committed. While one group waits for the disk the
// next one gathers by itself, so the price of a sync is shared by all who wait for it.
//
// A failed write is final. After a failed sync Linux may have dropped the pages and will call the
// next sync good, so trying again proves nothing; the store keeps what it had and says so.

internal import Broadcast
internal import Notifications

/// A command and where its outcome goes.
struct Submission: Sendable {
  let command: StoreCommand
  let reply: @Sendable (StoreOutcome) -> Void

  /// Rows that the command may write.
  var rowCount: Int {
    switch command {
    case .publish(let drafts, _, _, _): max(1, drafts.count)
    case .change(_, let change, _): max(1, change.idCount)
    case .changeGroup: JournalTransaction.groupChangeLimit
    case .setPreferences, .keepRooms: 1
    case .expire: StoreConfiguration.defaultExpiryLimit
    }
  }
}

/// What a store tells about itself.
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
  private let publish: @Sendable ([Event]) -> Void
  private let logPages = LogPages()
  private var lastOffset: UInt64
  /// Pages of the log when it was last copied into the file.
  private var copiedLogPages = 0
  private var hasFailed = false

  init(
    connection: consuming Connection, configuration: StoreConfiguration,
    state: Guarded<StoreState>, lastOffset: UInt64,
    publish: @escaping @Sendable ([Event]) -> Void
  ) throws(StoreError) {
    transaction = try JournalTransaction(connection, configuration)
    connection.countLogPages(into: logPages)
    self.connection = connection
    self.configuration = configuration
    self.state = state
    self.lastOffset = lastOffset
    self.publish = publish
  }

  /// See `Store.nextExpiry`.
  var nextExpiry: Int64? { transaction.nextExpiry }

  /// Gives the rooms of connections that the last run left open an end: those connections are gone.
  ///
  /// Before anything else is done. A store that cannot write that down is read-only from the start.
  func endLiveRooms(at end: Int64) {
    do throws(StoreError) {
      try transaction.endLiveRooms(at: end, on: connection)
    } catch {
      fail(error)
    }
  }

  /// Works through what was waiting, in groups of up to `groupLimit` rows.
  func process(_ batch: [Submission]) {
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
  }

  private func commit(_ group: ArraySlice<Submission>) {
    guard !hasFailed else { return refuse(group) }
    let result: GroupResult
    do throws(StoreError) {
      result = try transaction.run(group, after: lastOffset, on: connection)
    } catch {
      fail(error)
      return refuse(group)
    }
    lastOffset = result.lastOffset
    count(result, commandCount: group.count)
    if !result.events.isEmpty { publish(result.events) }
    for (submission, outcome) in zip(group, result.outcomes) { submission.reply(outcome) }
    limitLog()
  }

  /// Copies the log into the database file when enough has gathered.
  ///
  /// After the replies, because nobody needs to wait for it. A sync that fails here loses nothing
  /// yet, for the log still has everything; but a log that was begun anew on the strength of it
  /// would, so it is as final as any other.
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
    let reason = "the store takes no more writes: \(error)"
    state.withLock { $0.failure = reason }
  }

  private func refuse(_ group: ArraySlice<Submission>) {
    let reason = state.withLock { state in
      state.metrics.refusedCommands += group.count
      return state.failure ?? ""
    }
    for submission in group { submission.reply(.readOnly(reason: reason)) }
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
      state.metrics.duplicateIDs += result.duplicateIDCount
      state.metrics.largestGroup = max(state.metrics.largestGroup, commandCount)
    }
  }
}

extension InboxChange {
  /// How many notifications the change names; 0 when it is for all of them.
  var idCount: Int {
    switch self {
    case .read(let ids), .unread(let ids), .seen(let ids), .delete(let ids): ids.count
    case .readAll, .seenAll, .deleteAll: 0
    }
  }
}
