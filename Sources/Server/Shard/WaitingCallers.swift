// Callers of this process that wait for the outcome of a command, each with a deadline.
//
// The store calls each reply once, but a hung disk may delay that without end. A shard checks the
// deadlines once a second; whichever comes first, the outcome or the deadline, takes the reply.

internal import Broadcast
internal import Notifications

/// The replies that have not been called.
///
/// Any thread.
final class WaitingCallers: Sendable {
  typealias Reply = @Sendable (StoreOutcome) -> Void

  private struct Replies {
    var waiting: [UInt64: Reply] = [:]
    var deadlines = DeadlineQueue<UInt64>()
    var last: UInt64 = 0
  }

  private let replies = Guarded(Replies())

  /// Adds a caller with a deadline, in monotonic milliseconds; the result is for the store to call.
  ///
  /// All deadlines have the same delay.
  func add(_ reply: @escaping Reply, until deadline: UInt64) -> Reply {
    let number = replies.withLock { replies in
      replies.last += 1
      replies.waiting[replies.last] = reply
      replies.deadlines.append(replies.last, at: deadline)
      return replies.last
    }
    return { outcome in
      self.take(number)?(outcome)
    }
  }

  /// Answers the callers whose deadlines have passed.
  func expire(at now: UInt64) {
    // guard: caller-has-a-deadline
    while let number = replies.withLock({ $0.deadlines.takeFirst(dueAt: now) }) {
      take(number)?(.unknown(reason: "the store has not finished the command in time"))
    }
  }

  private func take(_ number: UInt64) -> Reply? {
    replies.withLock { $0.waiting.removeValue(forKey: number) }
  }
}
