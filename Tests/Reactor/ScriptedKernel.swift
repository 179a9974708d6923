// The real kernel with clocks and random bytes that a test chooses.

import CReactor
import Glibc

@testable import Reactor

/// A kernel table whose clocks stand still and whose random bytes count up from zero.
final class ScriptedKernel {
  /// What both clocks show, in nanoseconds.
  var nanoseconds = 0
  private var nextByte: UInt8 = 0
  private let table = UnsafeMutablePointer<cl_kernel>.allocate(capacity: 1)

  var kernel: Kernel { Kernel(table: UnsafePointer(table)) }

  init() {
    table.initialize(to: cl_kernel_real().pointee)
    table.pointee.context = Unmanaged.passUnretained(self).toOpaque()
    table.pointee.clock_gettime = { context, clock, time in
      let script = Unmanaged<ScriptedKernel>.fromOpaque(context!).takeUnretainedValue()
      // A day apart, so that one is not taken for the other.
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
