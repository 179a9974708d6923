// A value behind a mutex: for the little that threads share besides what they tell each other.
//
// Nothing on the way of a notification waits for one: the journal takes the store's twice a group,
// a shard that of the quotas when a connection comes, a session begins, and either ends. The mutex
// is the system's, because the thread sanitizer understands that one.

internal import Glibc

/// A value that any thread may look at, one at a time.
///
/// `body` must be short and call nobody.
@safe package final class Guarded<State>: @unchecked Sendable {
  // Unchecked: `state` is touched by `withLock` alone, which holds the mutex.
  private var state: State
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>

  /// Puts `state` behind a mutex of its own.
  package init(_ state: State) {
    self.state = state
    unsafe mutex = .allocate(capacity: 1)
    // SAFETY: just allocated, and the call initializes it.
    let result = unsafe pthread_mutex_init(mutex, nil)
    precondition(result == 0, "pthread_mutex_init: \(result)")
  }

  deinit {
    // SAFETY: whoever could hold it would hold a reference to this object.
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// Calls `body` with the value while nobody else has it.
  package func withLock<Result>(_ body: (inout State) -> Result) -> Result {
    // SAFETY: initialized until `deinit`.
    // guard: mutex-locked
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return body(&state)
  }
}
