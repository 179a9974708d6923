// Clocks that stand still until a test moves them.

import CReactor
// The compiler finds the members of timespec there.
import CSQLite
import Glibc

@testable import Reactor

/// The real kernel with its own time of day and monotonic time.
final class WallClock: @unchecked Sendable {
  // Unchecked: the table is constant once made, and the time is in a latch.

  /// Milliseconds since 1970.
  let now: Latch<Int64>
  /// Monotonic milliseconds.
  let monotonic: Latch<Int64>
  let kernel: Kernel
  /// All clocks ever made: a store uses its kernel until its last descriptor is closed.
  private static let made = Latch<[WallClock]>([])

  init(_ milliseconds: Int64, monotonic: Int64 = 1_000_000) {
    now = Latch(milliseconds)
    self.monotonic = Latch(monotonic)
    let table = UnsafeMutablePointer<cl_kernel>.allocate(capacity: 1)
    table.initialize(to: cl_kernel_real().pointee)
    kernel = Kernel(table: UnsafePointer(table))
    table.pointee.context = Unmanaged.passUnretained(self).toOpaque()
    table.pointee.clock_gettime = { context, clock, time in
      let clocks = Unmanaged<WallClock>.fromOpaque(context!).takeUnretainedValue()
      let now = clock == CLOCK_REALTIME ? clocks.now.current : clocks.monotonic.current
      time.pointee = timespec(tv_sec: Int(now / 1_000), tv_nsec: Int(now % 1_000) * 1_000_000)
      return 0
    }
    Self.made.change { $0.append(self) }
  }
}
