// How much work something is, on a machine that is busy with other things too.

internal import Glibc

/// The processor time that this thread spends in `body`, the least of `rounds` runs.
///
/// Not wall time: tests run in parallel and machines are shared, and a thread that waits for its
/// turn does no work. The least, because caches and interrupts only ever add.
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
