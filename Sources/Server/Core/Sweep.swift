// Expiry: the first shard starts the removal of expired notifications in the store.
//
// The shard only compares the store's next expiry with the clock; the store finds the expired
// notifications and removes them in batches. An expired notification may remain visible, and in the
// counts, for about a second.

internal import Broadcast
internal import Notifications

extension Shard {
  /// Time between two checks.
  private static let sweepMilliseconds: UInt64 = 1_000

  /// Starts the removal if anything in the store has expired.
  func sweepExpired() {
    // During the drain the store is closing and gets no more commands.
    guard index == 0, now >= sweepAt, drain == nil else { return }
    sweepAt = now + Shard.sweepMilliseconds
    sweep()
  }

  private func sweep() {
    let store = core.store
    guard !isSweeping, let due = store.nextExpiry, due <= wall, store.failure == nil else { return }
    let mailbox = mailbox
    // If the store's queue is full, the next check tries again.
    isSweeping = store.submit(.expire(at: wall)) { mailbox.append(.swept($0)) }
  }

  /// Handles the end of one batch, and starts the next if more has expired.
  func continueSweep(_ outcome: StoreOutcome) {
    isSweeping = false
    if case .expired(hasMore: true) = outcome, drain == nil { sweep() }
  }
}
