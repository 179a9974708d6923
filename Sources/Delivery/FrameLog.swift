// The frame log: finished frames of one dialect on one shard, written once, sent to many.
//
// A contiguous byte ring. Positions count bytes since the start and never wrap (2^64 bytes at 100
// GB/s take five years), so a position names the same byte for ever, and one comparison shows
// whether it is still held. The log waits for no consumer: bytes leave the window whether or not
// they were sent, and a slow consumer then resumes from the store. An owner that has sent all may
// rewind the log: it holds nothing then, and the next byte goes to offset 0. So a log with little
// to send at a time uses few pages of its memory, however much it has sent.
//
//     start                                   end          two pieces where a range wraps:
//       v                                      v
//     +-+--------+------------+----------------+-+         +======+------------+=====+
//     | | frame  |   frame    |     frame      | |         |second|            |first|
//     +-+--------+------------+----------------+-+         +======+------------+=====+

/// One contiguous byte ring of finished frames, confined to its shard.
///
/// Its memory is allocated on the first append, so a dialect that no client uses costs nothing.
///
/// Invariant: `origin <= start`; `end - start <= capacity`; the bytes `[start, end)` are held, byte
/// `p` at offset `(p - origin) & (capacity - 1)`.
@safe final class FrameLog {
  let capacity: Int
  /// The position after the newest byte.
  private(set) var end: UInt64 = 0
  /// The position of a byte at offset 0: the end when the log was last rewound.
  private var origin: UInt64 = 0
  private var memory: UnsafeMutableRawPointer?

  /// Makes an empty log of `capacity` bytes, a power of two.
  init(capacity: Int) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0, "capacity \(capacity)")
    self.capacity = capacity
    unsafe self.memory = nil
  }

  deinit {
    // SAFETY: the owner is gone, and no pointer into the log outlives `withBytes`.
    unsafe memory?.deallocate()
  }

  /// The oldest position still held.
  var start: UInt64 {
    end - origin > UInt64(capacity) ? end - UInt64(capacity) : origin
  }

  /// Appends bytes at the end, overwriting the oldest ones.
  ///
  /// At most `capacity` bytes: a longer frame would overwrite its own start and be sent torn.
  func append(_ bytes: borrowing Span<UInt8>) {
    let count = bytes.count
    precondition(count <= capacity, "\(count) bytes into a log of \(capacity)")
    guard count > 0 else { return }
    let memory = unsafe allocatedMemory()
    let offset = self.offset(of: end)
    let firstCount = min(count, capacity - offset)
    // SAFETY: `offset + firstCount <= capacity` and the rest is at most `count - firstCount <=
    // offset`, both in the memory; the source is outside of it, because the memory is private to
    // this log.
    unsafe bytes.withUnsafeBytes { source in
      guard let base = source.baseAddress else { return }
      unsafe (memory + offset).copyMemory(from: base, byteCount: firstCount)
      unsafe memory.copyMemory(from: base + firstCount, byteCount: count - firstCount)
    }
    end += UInt64(count)
    checkInvariants()
  }

  /// Lends the bytes `[from, to)` as one piece, or as two where the ring wraps.
  ///
  /// The second piece is empty where there is only one. Neither is valid after `body` or after an
  /// append. Asking for bytes that are no longer held is a programming error: compare with `start`
  /// first.
  func withBytes<R>(
    from: UInt64, to: UInt64, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> R
  ) -> R {
    precondition(
      start <= from && from <= to && to <= end, "[\(from), \(to)) of [\(start), \(end))")
    let empty = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    guard from < to, let memory = unsafe memory else { return unsafe body(empty, empty) }
    let count = Int(to - from)
    let offset = self.offset(of: from)
    let firstCount = min(count, capacity - offset)
    // SAFETY: both pieces are within the memory, as in `append`, and were written, because the
    // range is within `[start, end)`.
    let first = unsafe UnsafeRawBufferPointer(start: memory + offset, count: firstCount)
    guard firstCount < count else { return unsafe body(first, empty) }
    let second = unsafe UnsafeRawBufferPointer(start: memory, count: count - firstCount)
    return unsafe body(first, second)
  }

  /// Copies the bytes `[from, to)` out; `destination` has room for them.
  func copy(from: UInt64, to: UInt64, into destination: UnsafeMutableRawPointer) {
    unsafe withBytes(from: from, to: to) { first, second in
      // SAFETY: the caller vouches for `to - from` bytes, the sum of both pieces.
      if let base = first.baseAddress {
        unsafe destination.copyMemory(from: base, byteCount: first.count)
      }
      if let base = second.baseAddress {
        unsafe (destination + first.count).copyMemory(from: base, byteCount: second.count)
      }
    }
  }

  /// Drops all bytes, so that the next ones are written from offset 0 on.
  ///
  /// No byte before `end` can be read afterwards. Positions go on.
  func rewind() {
    origin = end
    checkInvariants()
  }

  private func offset(of position: UInt64) -> Int {
    Int((position - origin) & UInt64(capacity - 1))
  }

  private func allocatedMemory() -> UnsafeMutableRawPointer {
    if let memory = unsafe memory { return unsafe memory }
    // SAFETY: not initialized, and never read before it is written: see `withBytes`. Whole lines,
    // so that copies of frames run aligned.
    let fresh = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 64)
    unsafe memory = fresh
    return unsafe fresh
  }

  private func checkInvariants() {
    assert(origin <= start)
    assert(start <= end)
    assert(end - start <= UInt64(capacity))
    assert(unsafe end == 0 || memory != nil)
  }
}
