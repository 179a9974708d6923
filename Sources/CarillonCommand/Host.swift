// What this machine has and allows.

internal import Reactor

/// The machine.
enum Host {
  /// Processors that this process may run on.
  static var processorCount: Int { ProcessResources.processorCount }

  /// Seconds since 1970.
  static var now: Int64 { Kernel.real.wallMilliseconds / 1_000 }

  /// The clock that intervals are measured with: it never goes back.
  static var monotonicMilliseconds: UInt64 { Kernel.real.monotonicMilliseconds }

  /// Sleeps until `times` intervals after `start` and says how many milliseconds that took.
  ///
  /// 0 when the moment is past. One beyond the end of the clock is for ever.
  static func wait(until start: UInt64, plus interval: Int64, times: Int) -> UInt64 {
    let (span, isLong) = UInt64(max(0, interval)).multipliedReportingOverflow(by: UInt64(times))
    let (sum, isLate) = start.addingReportingOverflow(span)
    let end = isLong || isLate ? UInt64.max : sum
    let begin = monotonicMilliseconds
    Kernel.real.sleep(until: end)
    return monotonicMilliseconds - begin
  }
}
