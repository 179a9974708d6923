// Closing the connections of a shard that drains.

internal import Delivery

extension Shard {
  /// Closes the next batch of sessions, and the listeners once no session is left.
  ///
  /// Idle HTTP connections are dropped and waiting polls answered at once. When the time is up, all
  /// that remain are dropped.
  func continueDrain() {
    guard let batch = drain.takeBatch() else { return }
    var budget = batch.sessionCount
    var hasSessions = false
    table.forEachSlot { slot in
      if batch.isOverdue { return connections.drop(slot, because: "the server is shutting down") }
      switch table[slot].state {
      case .session:
        if budget > 0 {
          budget -= 1
          life.close(slot, code: 1001, reason: "the server is shutting down, reconnect")
        } else {
          hasSessions = true
        }
      case .http:
        if let poll = table[slot].activity.exchange?.poll { return polls.end(poll, at: slot) }
        let isIdle =
          !table[slot].flags.contains(.awaitsAnswer) && table[slot].partial.isEmpty
          && table[slot].activity.exchange?.head == nil && delivery[slot].queuedByteCount == 0
        // A new connection may still send its first request, for example a health check.
        if isIdle, table[slot].flags.contains(.usedBefore) || !connections.isListening {
          connections.drop(slot)
        }
      case .closing, .lingering, .free, .ended:
        break
      }
    }
    if !hasSessions { connections.stopListening() }
  }
}
