// Expiry: the first shard starts the removal of expired notifications in the store.
//
// The shard only compares the store's next expiry with the clock; the store finds the expired
// notifications and removes them in batches. An expired notification may remain visible, and in the
// counts, for about a second.

internal import Broadcast
internal import Notifications

/// The state of the checks for expired notifications.
struct Sweep {
  /// When to check the store next.
  var dueAt: UInt64 = 0
  /// Whether the store is removing expired notifications.
  var isInProgress = false
  /// Whether the log has a line about the store's stall.
  var hasLoggedStall = false
}

extension Shard {
  /// Time between two checks.
  static let sweepMilliseconds: UInt64 = 1_000

  /// Refuses a command while the store has not finished an earlier one in time.
  func checkStoreAnswers() throws(Refusal) {
    // guard: stalled-store-refuses
    guard overdueCommands.isEmpty else {
      throw Refusal(
        .unavailable("store_stalled", "the store does not answer, nothing was stored: try again"))
    }
  }

  /// Starts the removal if anything in the store has expired.
  func sweepExpired() {
    // During the drain the store is closing and gets no more commands.
    guard index == 0, now >= sweep.dueAt else { return }
    sweep.dueAt = now + Shard.sweepMilliseconds
    core.waitingCallers.expire(at: now)
    logStall()
    if !drain.hasBegun { removeExpired() }
  }

  /// Logs the start and the end of a stall, which the store's own thread cannot do.
  private func logStall() {
    if case .stalled = core.store.status {
      guard !sweep.hasLoggedStall else { return }
      sweep.hasLoggedStall = true
      core.log.write(.warning, at: wall, core.store.status.reason ?? "")
    } else if sweep.hasLoggedStall {
      sweep.hasLoggedStall = false
      core.log.write(.info, at: wall, "the disk has answered the store")
    }
  }

  private func removeExpired() {
    let store = core.store
    guard !sweep.isInProgress, let due = store.nextExpiry, due <= wall, store.failure == nil else {
      return
    }
    let mailbox = mailbox
    // If the store's queue is full, the next check tries again.
    sweep.isInProgress = store.submit(.expire(at: wall)) { mailbox.append(.swept($0)) }
  }

  /// Handles the end of one batch, and starts the next if more has expired.
  func continueSweep(_ outcome: StoreOutcome) {
    sweep.isInProgress = false
    if case .expired(hasMore: true) = outcome, !drain.hasBegun { removeExpired() }
  }
}
