// A value guarded by a mutex: for the few values that threads share instead of passing messages.
//
// No mutex is taken per notification: the journal locks the store's twice per group, and a shard
// locks those of the quotas and the files when a connection or a session begins, authenticates or
// ends, or a user sends a request, and that of the rooms' counts when a room begins, passes on or
// ends. It is the system's mutex, because the thread sanitizer understands that one.

internal import Glibc

/// A value that any thread may access, one thread at a time.
///
/// `body` must be short and must not call out: it runs with the mutex held.
@safe package final class Guarded<State: Sendable>: @unchecked Sendable {
  // Unchecked: `state` is touched by `withLock` alone, which holds the mutex; `mutex` is constant.
  // `State` is Sendable, because a reference in it may also be held by the caller of `init`, or be
  // returned by a `body`.
  private var state: State
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>

  /// Guards `state` with a mutex of its own.
  package init(_ state: State) {
    self.state = state
    unsafe mutex = .allocate(capacity: 1)
    // SAFETY: just allocated, and the call initializes it.
    let result = unsafe pthread_mutex_init(mutex, nil)
    precondition(result == 0, "pthread_mutex_init: \(result)")
  }

  deinit {
    // SAFETY: a thread that held the mutex would also hold a reference to this object.
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// Calls `body` with exclusive access to the value.
  package func withLock<Result>(_ body: (inout State) -> Result) -> Result {
    // SAFETY: initialized until `deinit`.
    // guard: mutex-locked
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return body(&state)
  }
}
