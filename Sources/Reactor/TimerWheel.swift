// One timer for each slot of a slab.
//
// A timer has a window and not a time, because each wake-up of a thread costs a system call and the
// power of a processor that could sleep. Timers that a peer can measure have no slack. The others
// may wait for one another: `TimerWindow.sharedSlack` bounds the wake-ups of a shard however many
// connections it has.

internal import CReactor

/// The times at which a timer may fire, made from the deadlines that it stands for.
///
/// It fires once the earliest of them has passed, and before any of them is later than its slack.
package struct TimerWindow: Equatable, Sendable {
  /// Slack of a deadline that need not be exact.
  ///
  /// A window of 128 ms always contains a multiple of 128 ms, at which the wheel sets the timer. So
  /// such timers wake a thread at most eight times a second.
  package static let sharedSlack: UInt64 = 127

  /// `.max` while there is no deadline.
  package private(set) var earliest = UInt64.max
  package private(set) var latest = UInt64.max

  package init() {}

  /// Adds a deadline, which is not handled before that time nor more than `slack` ms after it.
  ///
  /// `.max` is no deadline.
  package mutating func add(_ deadline: UInt64, slack: UInt64 = 0) {
    earliest = min(earliest, deadline)
    let (end, overflow) = deadline.addingReportingOverflow(slack)
    latest = min(latest, overflow ? .max : end)
  }
}

/// One timer for each slot of a slab.
@safe package struct TimerWheel: ~Copyable {
  private let raw: OpaquePointer

  /// 1,024 periods of 64 ms, so that nothing within a minute is looked at before its period.
  package init(now: UInt64) {
    unsafe raw = unsafe cl_wheel_create(now, 64, 1_024)!
  }

  deinit { unsafe cl_wheel_destroy(raw) }

  /// Sets the timer of `slot` to the time of the window that it shares with most other timers.
  ///
  /// Returns false when out of memory.
  package func schedule(_ slot: UInt32, in window: TimerWindow) -> Bool {
    unsafe cl_wheel_schedule(raw, slot, window.earliest, window.latest) >= 0
  }

  /// Removes the timer of `slot`, if it has one.
  package func cancel(_ slot: UInt32) { unsafe cl_wheel_cancel(raw, slot) }

  /// The time to which the timer of `slot` is set; `.max` when it is not set.
  package func time(of slot: UInt32) -> UInt64 { unsafe cl_wheel_time(raw, slot) }

  /// Fills `due` from the front with the slots of expired timers and returns their number.
  package func expire(now: UInt64, into due: inout [UInt32]) -> Int {
    precondition(!due.isEmpty, "no room for a timer")
    // SAFETY: the array is not empty and the callee writes at most its count.
    return unsafe due.withUnsafeMutableBufferPointer { buffer in
      Int(unsafe cl_wheel_expire(raw, now, buffer.baseAddress!, Int32(buffer.count)))
    }
  }

  /// Milliseconds until a timer may be due; -1 when there is none.
  package func timeout(now: UInt64) -> Int32 { unsafe cl_wheel_timeout(raw, now) }
}
