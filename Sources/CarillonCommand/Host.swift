// What this machine has and allows.

internal import CReactor

/// The machine.
enum Host {
  /// Processors that this process may run on.
  static var processorCount: Int { max(1, Int(cl_cpu_count())) }

  /// Seconds since 1970.
  static var now: Int64 { unsafe cl_wall_ms(cl_kernel_real()) / 1_000 }

  /// Waits about that long.
  static func pause(milliseconds: Int) {
    let until = unsafe cl_monotonic_ms(cl_kernel_real()) + UInt64(milliseconds)
    while true {
      let now = unsafe cl_monotonic_ms(cl_kernel_real())
      guard now < until else { return }
      _ = cl_signals_wait(Int32(min(until - now, 1_000)))
    }
  }
}
