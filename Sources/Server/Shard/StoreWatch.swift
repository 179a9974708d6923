// The watch over the store: commands that it has not finished in time, and on the first shard its
// stalls, and the removal of expired notifications.
//
// The shard only compares the store's next expiry with the clock; the store finds the expired
// notifications and removes them in batches. An expired notification may remain visible, and in the
// counts, for about a second.

internal import Broadcast
internal import Delivery
internal import Notifications

/// One shard's view of the store.
///
/// Invariant: the store removes one batch at a time, and only the first shard makes it do so.
final class StoreWatch: ShardComponent {
  /// Time between two checks.
  static let sweepMilliseconds: UInt64 = 1_000

  let context: ShardContext
  private let drain: Drain
  /// Connections whose commands the store has not finished in time; it may have stalled.
  ///
  /// While there are any, further commands are refused, so nothing accumulates in the queue.
  private var overdueCommands: Set<ConnectionID> = []
  /// When to check the store next.
  private var sweepAt: UInt64 = 0
  /// Whether the store is removing expired notifications.
  private var isSweeping = false
  /// Whether the log has a line about the store's stall.
  private var hasLoggedStall = false

  init(_ context: ShardContext, drain: Drain) {
    self.context = context
    self.drain = drain
  }

  /// Refuses a command while the store has not finished an earlier one in time.
  func checkAnswers() throws(Refusal) {
    // guard: stalled-store-refuses
    guard overdueCommands.isEmpty else {
      throw Refusal(
        .unavailable("store_stalled", "the store does not answer, nothing was stored: try again"))
    }
  }

  /// Notes that the store has not finished the command of that connection in time.
  func noteOverdueCommand(of id: ConnectionID) { overdueCommands.insert(id) }

  /// Notes that the store has finished the command of that connection, in time or not.
  func noteFinishedCommand(of id: ConnectionID) {
    if !overdueCommands.isEmpty { overdueCommands.remove(id) }
  }

  /// Checks the store once a second, and starts the removal if anything in it has expired.
  func sweep() {
    guard index == 0, now >= sweepAt else { return }
    sweepAt = now + StoreWatch.sweepMilliseconds
    core.waitingCallers.expire(at: now)
    logStall()
    removeExpired()
  }

  /// Takes the end of one batch, and starts the next if more has expired.
  func continueSweep(after outcome: StoreOutcome) {
    isSweeping = false
    if case .expired(hasMore: true) = outcome { removeExpired() }
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    assert(index == 0 || !isSweeping)
  }

  /// Logs the start and the end of a stall, which the store's own thread cannot do.
  private func logStall() {
    if case .stalled = core.store.status {
      guard !hasLoggedStall else { return }
      hasLoggedStall = true
      core.log.write(.warning, at: wall, core.store.status.reason ?? "")
    } else if hasLoggedStall {
      hasLoggedStall = false
      core.log.write(.info, at: wall, "the disk has answered the store")
    }
  }

  private func removeExpired() {
    // During the drain the store is closing and gets no more commands.
    guard !drain.hasBegun else { return }
    let store = core.store
    guard !isSweeping, let due = store.nextExpiry, due <= wall, store.failure == nil else { return }
    let mailbox = mailbox
    // If the store's queue is full, the next check tries again.
    isSweeping = store.submit(.expire(at: wall)) { mailbox.append(.swept($0)) }
  }
}
