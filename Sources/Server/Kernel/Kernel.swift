// Safe handles over the reactor in C: the kernel table, epoll, timers, the listener, threads.
//
// Only this folder calls `cl_` functions. Every handle owns what it wraps, so nothing is released
// twice, and a failed call is a `SystemError` that names itself.

internal import CReactor
internal import Glibc

/// A system call that failed for a reason outside this program.
package struct SystemError: Error, CustomStringConvertible {
  /// The call's name.
  package let call: StaticString
  /// Its errno, positive.
  package let code: Int32

  package var description: String { "\(call) failed with errno \(code)" }

  /// Throws when `result` is a negated errno, else returns it.
  static func check(_ result: Int32, _ call: StaticString) throws(SystemError) -> Int32 {
    guard result >= 0 else { throw SystemError(call: call, code: -result) }
    return result
  }
}

/// The system calls that a server makes, its clocks and its random source.
@safe struct Kernel: @unchecked Sendable {
  // Sendable because the table is immutable after start and its functions may be called from any
  // thread, as the system calls they stand for.
  let table: UnsafePointer<cl_kernel>

  /// The real kernel.
  static let real = unsafe Kernel(table: cl_kernel_real())

  init(table: UnsafePointer<cl_kernel>) {
    unsafe self.table = unsafe table
  }

  /// Time for intervals; it never goes back.
  var monotonicMilliseconds: UInt64 { unsafe cl_monotonic_ms(table) }
  /// Time for intervals, in nanoseconds.
  var monotonicNanoseconds: UInt64 { unsafe cl_monotonic_ns(table) }
  /// Time of day, since 1970.
  var wallMilliseconds: Int64 { unsafe cl_wall_ms(table) }

  /// Bounds what is taken for the connection beyond what may be sent at once.
  ///
  /// A kernel that does not know of such bounds has its own.
  func limitUnsent(_ fd: Int32, to byteCount: UInt32) {
    _ = unsafe cl_limit_unsent(table, fd, byteCount)
  }

  /// Whether the client has read nothing for so long, though there was something to read.
  func isAsleep(_ fd: Int32, milliseconds: UInt32) -> Bool {
    unsafe cl_is_asleep(table, fd, milliseconds)
  }

  /// Lets other threads run for a moment.
  ///
  /// Never on a shard's thread.
  func pause() { usleep(200) }

  /// Two random words, enough for an id.
  func randomWords() -> (UInt64, UInt64) {
    var words: (UInt64, UInt64) = (0, 0)
    // SAFETY: the two words are initialised and exactly 16 bytes; nobody else sees them.
    unsafe withUnsafeMutableBytes(of: &words) { bytes in
      unsafe cl_random(table, bytes.baseAddress!, bytes.count)
    }
    return words
  }

  /// Receives into the free part of `buffer`.
  ///
  /// 0 at end of stream, negative a negated errno.
  func receive(_ fd: Int32, into buffer: borrowing ScratchBuffer, at offset: Int, limit: Int) -> Int
  {
    // SAFETY: `region` checks that offset + limit lies inside the buffer.
    let region = unsafe buffer.region(at: offset, count: limit)
    return unsafe cl_recv(table, fd, region.baseAddress!, region.count)
  }

  /// Sends `bytes`.
  ///
  /// How many were taken, or a negated errno.
  func send(_ fd: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    // SAFETY: an empty buffer may have no address and is not sent.
    guard let base = bytes.baseAddress, bytes.count > 0 else { return 0 }
    return unsafe cl_send(table, fd, base, bytes.count)
  }

  /// Sends two pieces as one.
  ///
  /// How many bytes were taken, or a negated errno.
  func send(_ fd: Int32, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Int {
    guard second.count > 0 else { return unsafe send(fd, first) }
    var pieces: (iovec, iovec) = unsafe (iovec(), iovec())
    unsafe pieces.0.iov_base = unsafe UnsafeMutableRawPointer(mutating: first.baseAddress)
    unsafe pieces.0.iov_len = first.count
    unsafe pieces.1.iov_base = unsafe UnsafeMutableRawPointer(mutating: second.baseAddress)
    unsafe pieces.1.iov_len = second.count
    // SAFETY: both pieces are live for the call, and the kernel only reads them.
    return unsafe withUnsafeBytes(of: &pieces) { raw in
      unsafe cl_send_pieces(table, fd, raw.assumingMemoryBound(to: iovec.self).baseAddress!, 2)
    }
  }

  /// Says end of stream to the peer.
  func shutdownWrite(_ fd: Int32) { unsafe cl_shutdown_write(table, fd) }
  /// Closes the descriptor.
  func close(_ fd: Int32) { unsafe cl_close(table, fd) }
  /// Closes the descriptor with a reset.
  func abort(_ fd: Int32) { unsafe cl_abort(table, fd) }
}

/// Memory that one shard reads into and gathers in; no connection owns any of it.
@safe struct ScratchBuffer: ~Copyable {
  private let bytes: UnsafeMutableRawBufferPointer

  /// Its size.
  var count: Int { unsafe bytes.count }

  init(byteCount: Int) {
    unsafe bytes = .allocate(byteCount: byteCount, alignment: 64)
    // Zeroed, so that a span over it is initialised memory from the first byte on.
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe bytes.deallocate() }

  /// The bytes [offset, offset + count), checked.
  func region(at offset: Int, count: Int) -> UnsafeMutableRawBufferPointer {
    precondition(offset >= 0 && count >= 0 && offset <= self.count - count)
    // SAFETY: checked just above.
    return unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
  }

  /// Calls `body` with the first `count` bytes.
  func withSpan<R, E: Error>(
    from offset: Int, to end: Int, _ body: (borrowing Span<UInt8>) throws(E) -> R
  ) throws(E) -> R {
    // SAFETY: `region` checks the bounds; the memory is initialised and confined to this shard.
    let region = unsafe region(at: offset, count: end - offset)
    let typed = unsafe UnsafeBufferPointer(region.assumingMemoryBound(to: UInt8.self))
    return try body(unsafe typed.span)
  }

  /// Copies `source` to `offset`.
  func copy(_ source: [UInt8], at offset: Int) {
    // SAFETY: `region` checks the bounds; an array never overlaps the scratch.
    unsafe region(at: offset, count: source.count).copyBytes(from: source)
  }

  /// A copy of the bytes [offset, end).
  func array(from offset: Int, to end: Int) -> [UInt8] {
    // SAFETY: `region` checks the bounds.
    unsafe Array(region(at: offset, count: end - offset))
  }

  /// Copies the bytes [offset, end) behind `array`.
  func append(from offset: Int, to end: Int, into array: inout [UInt8]) {
    // SAFETY: `region` checks the bounds; an array never overlaps the scratch.
    unsafe array.append(contentsOf: region(at: offset, count: end - offset))
  }

  /// Unmasks [offset, end) in place: RFC 6455, section 5.3.
  func unmask(from offset: Int, to end: Int, key: UInt32) {
    guard key != 0, end > offset else { return }
    // SAFETY: `region` checks the bounds.
    let region = unsafe region(at: offset, count: end - offset)
    unsafe cl_unmask(region.assumingMemoryBound(to: UInt8.self).baseAddress!, region.count, key, 0)
  }

  /// Feeds [offset, end) to a UTF-8 validation.
  ///
  /// False at the first byte that cannot be.
  func feed(_ utf8: inout cl_utf8, from offset: Int, to end: Int) -> Bool {
    guard end > offset else { return true }
    // SAFETY: `region` checks the bounds.
    let region = unsafe region(at: offset, count: end - offset)
    return unsafe cl_utf8_feed(
      &utf8, region.assumingMemoryBound(to: UInt8.self).baseAddress!, region.count)
  }
}
