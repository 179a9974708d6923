// Measures the processor time of a piece of code, also on a machine that is busy otherwise.

internal import Glibc

/// Returns the processor time that this thread spends in `body`: the least of `rounds` runs.
///
/// Not wall time: tests run in parallel on shared machines, and a waiting thread does no work. The
/// least, because cache misses and interrupts can only add time.
package func processorTime(rounds: Int = 5, of body: () throws -> Void) rethrows -> Duration {
  precondition(rounds >= 1, "rounds: \(rounds)")
  var least = Duration.seconds(Int64.max / 2)
  for _ in 0..<rounds {
    let start = threadTime()
    try body()
    least = min(least, threadTime() - start)
  }
  return least
}

private func threadTime() -> Duration {
  var time = timespec()
  let result = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  precondition(result == 0, "clock_gettime: \(errno)")
  return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}
