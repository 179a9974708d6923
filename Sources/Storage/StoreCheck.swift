// Whether the store can write, found out by writing: one check at a time for all callers.
//
// The row goes through the journal like any other, so a check takes as long as a publish would. A
// commit within the last second, or a check within it, proves as much as a new one.

internal import Broadcast
internal import Notifications

/// Shares the checks among their callers.
///
/// Any thread.
final class StoreCheck: Sendable {
  typealias Reply = @Sendable (StoreStatus) -> Void

  private struct State {
    var waiting: [Reply] = []
    var result: (status: StoreStatus, at: UInt64)?
    var reported = StoreStatus.ready
  }

  private let state = Guarded(State())
  private let condition: StoreCondition

  init(_ condition: StoreCondition) {
    self.condition = condition
  }

  /// Adds a caller; true if it has to run the check.
  ///
  /// A recent result answers the caller at once.
  func begin(at now: UInt64, _ reply: @escaping Reply) -> Bool {
    let (known, isFirst) = state.withLock { state -> (StoreStatus?, Bool) in
      // guard: recent-check-shared
      if let result = state.result,
        now - min(now, result.at) < StoreLimits.checkLifetimeMilliseconds
      {
        return (result.status, false)
      }
      state.waiting.append(reply)
      return (nil, state.waiting.count == 1)
    }
    if let known { reply(known) }
    return isFirst
  }

  /// Ends the check and answers its callers.
  func end(_ outcome: StoreOutcome, at now: UInt64) {
    let status: StoreStatus =
      switch outcome {
      case .unavailable(let reason): .unavailable(reason: reason)
      case .readOnly(let reason), .unknown(let reason): .readOnly(reason: reason)
      case .saved, .published, .repeated, .unknownKey, .conflict, .changed, .expired, .outbox,
        .apiKeys,
        .refused:
        .ready
      }
    let (waiting, isChange) = state.withLock { state in
      defer { state.waiting = [] }
      state.result = (status, now)
      defer { state.reported = status }
      return (state.waiting, state.reported != status)
    }
    // Other failures are reported by the journal.
    if isChange, !condition.hasFailed { condition.note(.check(status)) }
    for reply in waiting { reply(status) }
  }
}
