// Threads, for the shards, the store and the benchmarks.

internal import CReactor

/// A thread that runs one closure and ends.
@safe package final class Thread: @unchecked Sendable {
  // Sendable because `raw` is set before any other thread has the object, and then touched by
  // `join` alone, which the one thread that ends the owner calls.
  private var raw: OpaquePointer?

  /// Runs `body` on a new thread with this name (at most 15 bytes), pinned to `processor` if given.
  ///
  /// `body` is released on the new thread, before `join` returns.
  package init(
    name: String, processor: Int? = nil, _ body: sending @escaping () -> Void
  ) throws(SystemError) {
    let box = unsafe Unmanaged.passRetained(ThreadBody(body))
    // SAFETY: the box is retained here and released by the trampoline on the new thread, or below
    // when the thread could not be started. The name is copied.
    let result = unsafe cl_thread_start(
      name, Int32(processor ?? -1), runThreadBody, box.toOpaque(), &raw)
    if result < 0 { unsafe box.release() }
    _ = try SystemError.check(result, "pthread_create")
  }

  /// Gives the calling thread a low priority (nice value 10) until it ends.
  ///
  /// On a busy processor it gets about a tenth of the time of another thread.
  package static func lowerPriority() { cl_thread_lower_priority() }

  /// Waits until the thread has ended.
  package func join() {
    guard let handle = unsafe raw else { return }
    unsafe raw = nil
    unsafe cl_thread_join(handle)
  }
}

/// The identity of a running thread.
package struct ThreadID: Equatable, Sendable {
  private let number: UInt

  /// The calling thread.
  package static var current: ThreadID { ThreadID(number: cl_thread_self()) }
}

/// Carries a closure through C to its thread.
private final class ThreadBody {
  let run: () -> Void

  init(_ run: sending @escaping () -> Void) { self.run = run }
}

private nonisolated func runThreadBody(_ context: UnsafeMutableRawPointer?) {
  // SAFETY: `context` is the box that `Thread.init` retained, exactly once.
  let body = unsafe Unmanaged<ThreadBody>.fromOpaque(context!).takeRetainedValue()
  body.run()
}
