// Atomic counters, each alone in its cache lines.
//
// A counter that one core writes and another core's counter next to it make every write a message
// between cores. So each gets two lines: the adjacent-line prefetcher of x86 fetches in pairs.

internal import Synchronization

/// A row of 64-bit atomic counters that share no cache line.
///
/// Invariant: `memory` holds `count` initialized counters, `stride` bytes apart.
@safe struct CounterLines: ~Copyable, @unchecked Sendable {
  // Proof of Sendable: `memory` and `count` never change, and what `memory` holds is only ever
  // reached as `Atomic`.
  private static var stride: Int { 128 }

  private let memory: UnsafeMutableRawPointer
  let count: Int

  init(count: Int, initialValue: UInt64) {
    precondition(count > 0, "count \(count)")
    self.count = count
    // SAFETY: fresh memory of `count` strides; each counter is initialized at the start of its own
    // stride, which is large and aligned enough for it, before anyone else can know the address.
    unsafe memory = UnsafeMutableRawPointer.allocate(
      byteCount: count * Self.stride, alignment: Self.stride)
    for index in 0..<count {
      unsafe (memory + index * Self.stride)
        .bindMemory(to: Atomic<UInt64>.self, capacity: 1)
        .initialize(to: Atomic(initialValue))
    }
  }

  deinit {
    // SAFETY: whoever ends the owner's life is alone with it; Atomic<UInt64> is trivial.
    unsafe memory.deallocate()
  }

  /// The counter at `index`; valid as long as this row is.
  subscript(index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    assert(0 <= index && index < count)
    // SAFETY: in bounds by the assertion (callers check what comes to them); bound by `init`.
    return unsafe (memory + index * Self.stride).assumingMemoryBound(to: Atomic<UInt64>.self)
  }
}
