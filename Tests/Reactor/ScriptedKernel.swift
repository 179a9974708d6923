// The real kernel with scripted clocks and random bytes.

import CReactor
import Glibc

@testable import Reactor

/// A kernel table with stopped clocks and with random bytes that count up from zero.
final class ScriptedKernel {
  /// The time of both clocks, in nanoseconds.
  var nanoseconds = 0
  private var nextByte: UInt8 = 0
  private let table = UnsafeMutablePointer<cl_kernel>.allocate(capacity: 1)

  var kernel: Kernel { Kernel(table: UnsafePointer(table)) }

  init() {
    table.initialize(to: cl_kernel_real().pointee)
    table.pointee.context = Unmanaged.passUnretained(self).toOpaque()
    table.pointee.clock_gettime = { context, clock, time in
      let script = Unmanaged<ScriptedKernel>.fromOpaque(context!).takeUnretainedValue()
      // The clocks differ by a day, so a test notices when the code uses the wrong one.
      let day = clock == CLOCK_REALTIME ? 86_400 : 0
      time.pointee = timespec(
        tv_sec: day + script.nanoseconds / 1_000_000_000,
        tv_nsec: script.nanoseconds % 1_000_000_000)
      return 0
    }
    table.pointee.getrandom = { context, bytes, count, _ in
      let script = Unmanaged<ScriptedKernel>.fromOpaque(context!).takeUnretainedValue()
      for index in 0..<count {
        bytes.storeBytes(of: script.nextByte, toByteOffset: index, as: UInt8.self)
        script.nextByte &+= 1
      }
      return count
    }
  }

  deinit { table.deallocate() }
}
