// Sessions over a limit: the oldest one of its user, and one with too many messages.

internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// Ends the oldest session of a user that has begun one more than its limit.
  func endReplaced(_ slot: UInt32) {
    if table[slot].state == .session {
      // guard: newest-session-closes-oldest
      life.close(slot, code: 1008, reason: "replaced by a newer connection")
    } else if let poll = table[slot].activity.exchange?.poll {
      // guard: newest-session-ends-waiting-poll
      polls.end(poll, at: slot)
    }
  }
}
