// Draining, a shutdown without loss: readiness fails with 503, sessions are closed with 1001 in
// paced batches so that their clients reconnect, and accepted requests are still answered.

internal import Delivery
internal import Notifications
internal import Wire

/// A drain in progress on one shard.
struct Drain {
  /// Time between two batches.
  static let paceMilliseconds: UInt64 = 50
  /// Number of batches over which a large shard is spread.
  static let batches = 20
  /// Sessions of a batch, unless the shard is large.
  static let batchCountMinimum = 100
  /// Time after its timeout at which a stop of the server ends a drain that still goes on.
  static let stopMilliseconds: UInt64 = 2_000

  var nextBatchAt: UInt64
  let batchCount: Int
  let endsAt: UInt64

  /// Whether the next batch is due.
  func isDue(_ now: UInt64) -> Bool { now >= nextBatchAt }
}

extension Shard {
  /// Begins a drain; a drain in progress goes on.
  func beginDrain() {
    guard drain == nil else { return }
    drain = Drain(
      nextBatchAt: now, batchCount: max(Drain.batchCountMinimum, table.count / Drain.batches),
      endsAt: now + core.configuration.limits.drainTimeoutMilliseconds)
  }

  /// Closes the next batch of sessions, and the listeners once no session is left.
  ///
  /// Idle HTTP connections are dropped and waiting polls answered at once. When the time is up, all
  /// that remain are dropped.
  func continueDrain() {
    guard let drain, drain.isDue(now) else { return }
    self.drain?.nextBatchAt = now + Drain.paceMilliseconds
    var budget = drain.batchCount
    let isOver = now >= drain.endsAt
    var hasSessions = false
    table.forEachSlot { slot in
      if isOver { return drop(slot, because: "the server is shutting down") }
      switch table[slot].state {
      case .session:
        if budget > 0 {
          budget -= 1
          close(slot, code: 1001, reason: "the server is shutting down, reconnect")
        } else {
          hasSessions = true
        }
      case .http:
        if let poll = table[slot].activity.exchange?.poll { return end(poll, at: slot) }
        let isIdle =
          !table[slot].flags.contains(.awaitsAnswer) && table[slot].partial.isEmpty
          && table[slot].activity.exchange?.head == nil && delivery[slot].queuedByteCount == 0
        // A new connection may still send its first request, for example a health check.
        if isIdle, table[slot].flags.contains(.usedBefore) || acceptors.isEmpty { drop(slot) }
      case .closing, .lingering, .free, .ended:
        break
      }
    }
    if !hasSessions { acceptors = [] }
  }
}
