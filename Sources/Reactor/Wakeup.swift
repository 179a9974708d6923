// An eventfd on which one thread sleeps.

internal import CReactor

/// Wakes one sleeping thread; after an earlier signal the next sleep ends immediately.
package final class Wakeup: Sendable {
  private let kernel: Kernel
  /// The eventfd, for polling it together with other descriptors.
  let descriptor: Int32

  package init(kernel: Kernel = .real) throws(SystemError) {
    self.kernel = kernel
    descriptor = try SystemError.check(unsafe cl_wakeup_create(kernel.table), "eventfd")
  }

  deinit { kernel.close(descriptor) }

  /// Wakes the thread now, or at its next sleep; any thread may call it.
  package func signal() { unsafe cl_wakeup_signal(kernel.table, descriptor) }

  /// Sleeps until a signal or for at most this time (-1: without limit); true when signalled.
  @discardableResult
  package func wait(timeoutMilliseconds: Int32 = -1) -> Bool {
    unsafe cl_wakeup_wait(kernel.table, descriptor, timeoutMilliseconds)
  }
}
