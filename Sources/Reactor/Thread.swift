// Threads: the shards', the store's and a benchmark's.

internal import CReactor

/// A thread that runs one closure to its end.
@safe package final class Thread: @unchecked Sendable {
  // Sendable because the handle is only joined, once, by the thread that ends the owner.
  private var raw: OpaquePointer?

  /// Starts `body` on a thread of that name (at most 15 bytes), pinned to `processor` if given.
  ///
  /// `body` is released on the new thread, before `join` returns.
  package init(
    name: String, processor: Int? = nil, _ body: sending @escaping () -> Void
  ) throws(SystemError) {
    let box = unsafe Unmanaged.passRetained(ThreadBody(body))
    // SAFETY: the box is retained here and released by the trampoline on the new thread, or below
    // when there is no new thread. The name is copied.
    let result = unsafe cl_thread_start(
      name, Int32(processor ?? -1), runThreadBody, box.toOpaque(), &raw)
    if result < 0 { unsafe box.release() }
    _ = try SystemError.check(result, "pthread_create")
  }

  /// Waits for its end.
  package func join() {
    guard let handle = unsafe raw else { return }
    unsafe raw = nil
    unsafe cl_thread_join(handle)
  }
}

/// Carries a closure through C to the thread that it belongs to.
private final class ThreadBody {
  let run: () -> Void

  init(_ run: sending @escaping () -> Void) { self.run = run }
}

private nonisolated func runThreadBody(_ context: UnsafeMutableRawPointer?) {
  // SAFETY: `context` is the box that `Thread.init` retained, exactly once.
  let body = unsafe Unmanaged<ThreadBody>.fromOpaque(context!).takeRetainedValue()
  body.run()
}
