// Threads and time for the benchmark.

internal import Glibc

/// Runs each body on a thread of its own and answers the nanoseconds until all have ended.
func timeThreads(_ bodies: [@Sendable () -> Void]) -> UInt64 {
  let start = nanoseconds()
  let threads = bodies.map(startThread)
  for thread in threads { pthread_join(thread, nil) }
  return nanoseconds() - start
}

private func nanoseconds() -> UInt64 {
  var now = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &now)
  return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}

private final class ThreadBody {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private func startThread(_ body: @escaping @Sendable () -> Void) -> pthread_t {
  var thread = pthread_t()
  // SAFETY: the retained box is taken by the thread exactly once.
  let code = unsafe pthread_create(
    &thread, nil,
    { argument in
      if let argument = unsafe argument {
        unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().body()
      }
      return nil
    }, Unmanaged.passRetained(ThreadBody(body)).toOpaque())
  precondition(code == 0, "pthread_create: \(code)")
  return thread
}
