// Waiting for a condition without sleeping: a value under a mutex, and a condition variable that is
// signalled at each change of the value.

import Glibc

/// A value that threads change and wait for.
final class Latch<Value>: @unchecked Sendable {
  // Unchecked: `value` is accessed only under the mutex.
  private var value: Value
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init(_ value: Value) {
    self.value = value
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  @discardableResult
  func change<Result>(_ body: (inout Value) -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    defer { pthread_cond_broadcast(changed) }
    return body(&value)
  }

  var current: Value { change { $0 } }

  /// Waits until `condition` holds.
  ///
  /// There is no time-out: the suite's time limit ends a test that waits in vain.
  func wait(until condition: (Value) -> Bool) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while !condition(value) { pthread_cond_wait(changed, mutex) }
  }
}
