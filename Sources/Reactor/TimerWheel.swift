// One timer for each slot of a slab.

internal import CReactor

/// One timer for each slot of a slab.
@safe package struct TimerWheel: ~Copyable {
  private let raw: OpaquePointer

  /// Ticks of 50 ms, so no timer is later than that; one revolution of 1,024 ticks takes 51 s.
  package init(now: UInt64) {
    unsafe raw = unsafe cl_wheel_create(now, 50, 1_024)!
  }

  deinit { unsafe cl_wheel_destroy(raw) }

  /// Sets the timer of `slot`.
  ///
  /// Returns false when out of memory.
  package func schedule(_ slot: UInt32, at deadline: UInt64) -> Bool {
    unsafe cl_wheel_schedule(raw, slot, deadline) >= 0
  }

  /// Removes the timer of `slot`, if it has one.
  package func cancel(_ slot: UInt32) { unsafe cl_wheel_cancel(raw, slot) }

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
