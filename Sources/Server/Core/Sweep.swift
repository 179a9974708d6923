// Expiry: one shard tells the store when something is due.
//
// The store knows what, and takes it out so many at a time; this only looks at the clock. What is
// due may still be shown for about a second, with the counts that go with it.

internal import Broadcast
internal import Notifications

extension Shard {
  /// Time between two looks.
  private static let sweepMilliseconds: UInt64 = 1_000

  /// Has the store take out what has expired, if anything has.
  func sweepExpired() {
    // A store that is closing is handed nothing more.
    guard index == 0, now >= sweepAt, drain == nil else { return }
    sweepAt = now + Shard.sweepMilliseconds
    sweep()
  }

  private func sweep() {
    let store = core.store
    guard !isSweeping, let due = store.nextExpiry, due <= wall, store.failure == nil else { return }
    let mailbox = mailbox
    // When the queue is full the next look is soon enough.
    isSweeping = store.submit(.expire(at: wall)) { mailbox.append(.swept($0)) }
  }

  /// The store has done one command's worth; there may be more.
  func continueSweep(_ outcome: StoreOutcome) {
    isSweeping = false
    if case .expired(hasMore: true) = outcome, drain == nil { sweep() }
  }
}
