// Runs code on a thread with a small stack.
//
// The server's threads have stacks of a known size, and recursion on a peer's input must fit in it.
// The main thread's 8 MiB would hide an overflow.

internal import Glibc

private final class Job {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// Runs `body` on a thread of its own with a stack of `byteCount` bytes, and waits for it.
///
/// An overflow hits the stack's guard page and ends the process. Call this in an exit test if an
/// overflow should fail only that test.
package func onStack(byteCount: Int, _ body: @escaping @Sendable () -> Void) {
  var attributes = pthread_attr_t()
  precondition(pthread_attr_init(&attributes) == 0, "pthread_attr_init")
  defer { pthread_attr_destroy(&attributes) }
  let result = pthread_attr_setstacksize(&attributes, byteCount)
  precondition(result == 0, "stack of \(byteCount): \(result)")
  var thread = pthread_t()
  let job = Unmanaged.passRetained(Job(body)).toOpaque()
  let created = pthread_create(
    &thread, &attributes,
    { argument in
      Unmanaged<Job>.fromOpaque(argument!).takeRetainedValue().body()
      return nil
    }, job)
  precondition(created == 0, "pthread_create: \(created)")
  pthread_join(thread, nil)
}
