// An eventfd that one thread sleeps on.

internal import CReactor

/// Wakes one sleeping thread; a signal before the sleep ends it at once.
package final class Wakeup: Sendable {
  private let kernel: Kernel
  /// For a poll beside other descriptors.
  let descriptor: Int32

  package init(kernel: Kernel = .real) throws(SystemError) {
    self.kernel = kernel
    descriptor = try SystemError.check(unsafe cl_wakeup_create(kernel.table), "eventfd")
  }

  deinit { kernel.close(descriptor) }

  /// Wakes the thread, now or the next time it sleeps; any thread may call it.
  package func signal() { unsafe cl_wakeup_signal(kernel.table, descriptor) }

  /// Sleeps until signalled or the time (-1: for ever) is over; true when signalled.
  @discardableResult
  package func wait(timeoutMilliseconds: Int32 = -1) -> Bool {
    unsafe cl_wakeup_wait(kernel.table, descriptor, timeoutMilliseconds)
  }
}
