// What this machine has and allows.

internal import CReactor
internal import Glibc

/// The machine.
enum Host {
  /// Processors that this process may run on.
  static var processorCount: Int { max(1, Int(cl_cpu_count())) }

  /// Seconds since 1970.
  static var now: Int64 { unsafe cl_wall_ms(cl_kernel_real()) / 1_000 }

  /// The clock that intervals are measured with: it never goes back.
  static var monotonicMilliseconds: UInt64 { unsafe cl_monotonic_ms(cl_kernel_real()) }

  /// Sleeps until `times` intervals after `start` and says how many milliseconds that took.
  ///
  /// 0 when the moment is past. One beyond the end of the clock is for ever.
  static func wait(until start: UInt64, plus interval: Int64, times: Int) -> UInt64 {
    let (span, isLong) = UInt64(max(0, interval)).multipliedReportingOverflow(by: UInt64(times))
    let (sum, isLate) = start.addingReportingOverflow(span)
    let end = isLong || isLate ? UInt64.max : sum
    let begin = monotonicMilliseconds
    while monotonicMilliseconds < end {
      // The kernel's own end of time is nearer than the clock's: such a sleep is begun again.
      let seconds = min(end / 1_000, UInt64(Int32.max))
      var moment = timespec()
      moment.tv_sec = Int(seconds)
      moment.tv_nsec = seconds == end / 1_000 ? Int(end % 1_000) * 1_000_000 : 0
      // Ends at the moment, or early at a signal that is handled: then the loop looks again.
      _ = unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, nil)
    }
    return monotonicMilliseconds - begin
  }
}
