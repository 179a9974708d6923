// The processors and clocks of this machine.

internal import Reactor

/// The machine.
enum Host {
  /// Processors on which this process may run.
  static var processorCount: Int { ProcessResources.processorCount }

  /// Seconds since 1970.
  static var now: Int64 { Kernel.real.wallMilliseconds / 1_000 }

  /// The monotonic clock, for intervals.
  static var monotonicMilliseconds: UInt64 { Kernel.real.monotonicMilliseconds }

  /// Sleeps until `times` intervals after `start` and returns the slept milliseconds.
  ///
  /// Returns 0 when that time is past. A time beyond the clock's range never comes.
  static func wait(until start: UInt64, plus interval: Int64, times: Int) -> UInt64 {
    let (span, isLong) = UInt64(max(0, interval)).multipliedReportingOverflow(by: UInt64(times))
    let (sum, isLate) = start.addingReportingOverflow(span)
    let end = isLong || isLate ? UInt64.max : sum
    let begin = monotonicMilliseconds
    Kernel.real.sleep(until: end)
    return monotonicMilliseconds - begin
  }
}
