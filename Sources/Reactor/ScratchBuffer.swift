// A buffer in which one thread receives, parses in place and assembles small pieces.

internal import CReactor

/// A shard's buffer for receiving and for assembling output; no connection owns any of it.
@safe package struct ScratchBuffer: ~Copyable {
  private let bytes: UnsafeMutableRawBufferPointer

  /// Its size.
  package var count: Int { unsafe bytes.count }

  package init(byteCount: Int) {
    unsafe bytes = .allocate(byteCount: byteCount, alignment: 64)
    // Zeroed, so that a span over any part of it covers initialised memory.
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe bytes.deallocate() }

  /// The bytes [offset, offset + count), checked.
  package func region(at offset: Int, count: Int) -> UnsafeMutableRawBufferPointer {
    precondition(
      offset >= 0 && count >= 0 && offset <= self.count - count,
      "\(count) bytes at \(offset) of \(self.count)")
    // SAFETY: the precondition checks the bounds.
    return unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
  }

  /// Calls `body` with the bytes [offset, end).
  ///
  /// It has no type parameters, because the compiler does not specialise them across targets: such
  /// a call would pass its result and its error through type metadata.
  package func read(from offset: Int, to end: Int, _ body: (borrowing Span<UInt8>) -> Void) {
    // SAFETY: `region` checks the bounds; the memory is initialised and confined to one thread.
    let region = unsafe region(at: offset, count: end - offset)
    let typed = unsafe UnsafeBufferPointer(region.assumingMemoryBound(to: UInt8.self))
    body(unsafe typed.span)
  }

  /// Copies `source` to `offset`.
  package func copy(_ source: [UInt8], at offset: Int) {
    // SAFETY: `region` checks the bounds; an array never overlaps the scratch.
    unsafe region(at: offset, count: source.count).copyBytes(from: source)
  }

  /// A copy of the bytes [offset, end).
  package func array(from offset: Int, to end: Int) -> [UInt8] {
    // SAFETY: `region` checks the bounds.
    unsafe Array(region(at: offset, count: end - offset))
  }

  /// Appends the bytes [offset, end) to `array`.
  package func append(from offset: Int, to end: Int, into array: inout [UInt8]) {
    // SAFETY: `region` checks the bounds; an array never overlaps the scratch.
    unsafe array.append(contentsOf: region(at: offset, count: end - offset))
  }

  /// Unmasks [offset, end) in place: RFC 6455, section 5.3.
  package func unmask(from offset: Int, to end: Int, key: UInt32) {
    guard key != 0, end > offset else { return }
    // SAFETY: `region` checks the bounds.
    let region = unsafe region(at: offset, count: end - offset)
    unsafe cl_unmask(region.assumingMemoryBound(to: UInt8.self).baseAddress!, region.count, key, 0)
  }

  /// Feeds [offset, end) to a UTF-8 validation.
  ///
  /// Returns false at the first invalid byte.
  package func feed(_ utf8: inout UTF8Validation, from offset: Int, to end: Int) -> Bool {
    guard end > offset else { return true }
    // SAFETY: `region` checks the bounds.
    let region = unsafe region(at: offset, count: end - offset)
    return unsafe utf8.feed(UnsafeRawBufferPointer(region))
  }
}
