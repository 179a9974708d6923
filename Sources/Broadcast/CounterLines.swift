// Atomic counters, each alone in its cache lines.
//
// If two cores write neighbouring counters in one cache line, every write moves that line between
// the cores. Each counter gets two lines, because the adjacent-line prefetcher of x86 fetches in
// pairs.

internal import Synchronization

/// A row of 64-bit atomic counters that share no cache line.
///
/// Invariant: `memory` holds `count` initialized counters, `stride` bytes apart.
@safe struct CounterLines: ~Copyable, @unchecked Sendable {
  // Proof of Sendable: `memory` and `count` never change, and the contents of `memory` are only
  // ever reached as `Atomic`.
  private static var stride: Int { 128 }

  private let memory: UnsafeMutableRawPointer
  let count: Int

  init(count: Int, initialValue: UInt64) {
    precondition(count > 0, "count \(count)")
    self.count = count
    // SAFETY: fresh memory of `count` strides; each counter is initialized at the start of its own
    // stride, which is large and aligned enough for it, before any other thread can have the
    // address.
    unsafe memory = UnsafeMutableRawPointer.allocate(
      byteCount: count * Self.stride, alignment: Self.stride)
    for index in 0..<count {
      unsafe (memory + index * Self.stride)
        .bindMemory(to: Atomic<UInt64>.self, capacity: 1)
        .initialize(to: Atomic(initialValue))
    }
  }

  deinit {
    // SAFETY: `deinit` runs when no other thread has a reference; Atomic<UInt64> is trivial.
    unsafe memory.deallocate()
  }

  /// The counter at `index`; valid as long as this row is.
  subscript(index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    assert(0 <= index && index < count)
    // SAFETY: in bounds by the assertion (callers check the indices that they are given); bound by
    // `init`.
    return unsafe (memory + index * Self.stride).assumingMemoryBound(to: Atomic<UInt64>.self)
  }
}
