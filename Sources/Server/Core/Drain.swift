// Shutting down without losing anything: readiness goes red, clients are told to come back, in
// paced batches, and what was accepted is answered.

internal import Notifications
internal import Wire

/// A drain under way on one shard.
struct Drain {
  /// Time between two batches.
  static let paceMilliseconds: UInt64 = 50
  /// Batches that everybody is spread over.
  static let batches = 20

  var nextBatchAt: UInt64
  let batchCount: Int
  let endsAt: UInt64

  /// Whether something is to be done now.
  func isDue(_ now: UInt64) -> Bool { now >= nextBatchAt }
}

extension Shard {
  /// Begins to send everybody away.
  func beginDrain() {
    guard drain == nil else { return }
    drain = Drain(
      nextBatchAt: now, batchCount: max(100, table.count / Drain.batches),
      endsAt: now + core.configuration.limits.drainTimeoutMilliseconds)
  }

  /// Sends the next batch away; once nobody is left, says so by ending the listener.
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
          close(slot, code: 1001, reason: "the server is shutting down, come back")
        } else {
          hasSessions = true
        }
      case .http:
        if let poll = (table[slot].task as? Exchange)?.poll { return end(poll, at: slot) }
        let isIdle =
          !table[slot].flags.contains(.awaitsAnswer) && table[slot].partial.isEmpty
          && (table[slot].task as? Exchange)?.head == nil && table[slot].queuedByteCount == 0
        // A connection that has just come may still bring its first request, a health check say.
        if isIdle, table[slot].flags.contains(.usedBefore) || acceptors.isEmpty { drop(slot) }
      case .closing, .lingering, .free:
        break
      }
    }
    if !hasSessions { acceptors = [] }
  }
}
