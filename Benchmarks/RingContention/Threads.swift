// Runs and times the threads of the benchmark.

internal import Reactor

/// Runs each body on its own thread and returns the nanoseconds until all have ended.
func timeThreads(_ bodies: [@Sendable () -> Void]) -> UInt64 {
  let start = Kernel.real.monotonicNanoseconds
  let threads = bodies.map { body in
    do throws(SystemError) {
      return try Thread(name: "contender", body)
    } catch {
      preconditionFailure("\(error)")
    }
  }
  for thread in threads { thread.join() }
  return Kernel.real.monotonicNanoseconds - start
}
