// Free memory goes back to the kernel some time after much of it was freed.

internal import Reactor

/// When to trim the heap.
///
/// Without a trim the heap keeps the memory of many clients that left or caught up at once. It
/// counts bytes, not connections: a few clients with long backlogs free as much as a thousand
/// without.
struct HeapTrim {
  /// Freed bytes that may stay in the heap.
  static let byteLimit = 512 * 1_024
  /// Time from the free that passes the limit to the trim.
  static let delayMilliseconds: UInt64 = 5_000

  /// Approximate bytes that were freed since the last trim.
  private var freedByteCount = 0
  /// When the next trim is due; nil if none is.
  private(set) var dueAt: UInt64?

  /// Counts freed bytes, and schedules a trim once they are many.
  mutating func noteFreed(_ byteCount: Int, at now: UInt64) {
    freedByteCount += byteCount
    if freedByteCount >= HeapTrim.byteLimit, dueAt == nil {
      dueAt = now + HeapTrim.delayMilliseconds
    }
  }

  /// Trims the heap if that is due.
  mutating func trim(at now: UInt64) {
    guard let dueAt, now >= dueAt else { return }
    self = HeapTrim()
    ProcessResources.returnFreeMemory()
  }
}
