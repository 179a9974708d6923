// The kernel table as a Swift value: clocks, the random source and the calls on one descriptor.
//
// This target is the only Swift code that calls `cl_` functions. Clocks and random numbers of the
// product come from here and nowhere else, so a simulated kernel decides both and a run can be
// repeated. Every handle of this target owns the C object that it wraps, so nothing is released
// twice, and a failed call is a `SystemError` that names the call.

internal import CReactor
internal import Glibc

/// The system calls that a server makes, its clocks and its random source.
@safe package struct Kernel: @unchecked Sendable {
  // Sendable because the table is immutable after start and its functions may be called from any
  // thread, as the system calls they stand for.
  let table: UnsafePointer<cl_kernel>

  /// The real kernel.
  package static let real = unsafe Kernel(table: cl_kernel_real())

  /// A kernel of the caller's, which must outlive every object made with it.
  ///
  /// For tests, which script the table.
  init(table: UnsafePointer<cl_kernel>) {
    unsafe self.table = unsafe table
  }

  // MARK: Clocks and random numbers

  /// Time for intervals; it never goes back.
  package var monotonicMilliseconds: UInt64 { unsafe cl_monotonic_ms(table) }
  /// Time for intervals, in nanoseconds.
  package var monotonicNanoseconds: UInt64 { unsafe cl_monotonic_ns(table) }
  /// Time of day, since 1970.
  package var wallMilliseconds: Int64 { unsafe cl_wall_ms(table) }

  /// Two random words, enough for an id.
  package func randomWords() -> (UInt64, UInt64) {
    var words: (UInt64, UInt64) = (0, 0)
    // SAFETY: the two words are initialised and exactly 16 bytes; no other thread sees them.
    unsafe withUnsafeMutableBytes(of: &words) { bytes in
      unsafe cl_random(table, bytes.baseAddress!, bytes.count)
    }
    return words
  }

  /// Random bytes, fit for keys: the real kernel's are those of getrandom.
  package func randomBytes(count: Int) -> [UInt8] {
    precondition(count >= 0, "\(count) random bytes")
    guard count > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: count)
    unsafe bytes.withUnsafeMutableBytes { buffer in
      // SAFETY: the buffer is not empty and is writable for its count.
      unsafe cl_random(table, buffer.baseAddress!, buffer.count)
    }
    return bytes
  }

  // MARK: Sockets

  /// Begins a nonblocking connection to a numeric address and returns its descriptor, which is
  /// writable once connected.
  package func connect(to numericHost: String, port: UInt16) throws(SystemError) -> Int32 {
    // SAFETY: the host is copied before the call returns.
    try SystemError.check(unsafe cl_connect(table, numericHost, port), "connect")
  }

  /// The errno that a finished attempt to connect failed with; nil when the connection stands.
  package func connectFailure(_ fd: Int32) -> Int32? {
    let result = unsafe cl_connect_result(table, fd)
    return result == 0 ? nil : -result
  }

  /// Receives into the free part of `buffer`.
  ///
  /// 0 at end of stream, negative a negated errno.
  package func receive(
    _ fd: Int32, into buffer: borrowing ScratchBuffer, at offset: Int, limit: Int
  ) -> Int {
    // SAFETY: `region` checks that offset + limit lies inside the buffer.
    let region = unsafe buffer.region(at: offset, count: limit)
    return unsafe cl_recv(table, fd, region.baseAddress!, region.count)
  }

  /// Receives into `bytes` from `offset` on, as much as there is room.
  ///
  /// 0 at end of stream, negative a negated errno.
  package func receive(_ fd: Int32, into bytes: inout [UInt8], at offset: Int) -> Int {
    precondition(offset >= 0 && offset < bytes.count, "no room at \(offset) of \(bytes.count)")
    return unsafe bytes.withUnsafeMutableBytes { buffer in
      // SAFETY: `offset` lies inside the buffer, and no more than the rest of it is written.
      unsafe cl_recv(table, fd, buffer.baseAddress! + offset, buffer.count - offset)
    }
  }

  /// Sends `bytes`.
  ///
  /// How many were taken, or a negated errno.
  package func send(_ fd: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    // SAFETY: an empty buffer may have no address and is not sent.
    guard let base = bytes.baseAddress, bytes.count > 0 else { return 0 }
    return unsafe cl_send(table, fd, base, bytes.count)
  }

  /// Sends two pieces as one.
  ///
  /// How many bytes were taken, or a negated errno.
  package func send(
    _ fd: Int32, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
  ) -> Int {
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

  /// Sends the bytes of `bytes` from `offset` on.
  ///
  /// How many were taken, or a negated errno.
  package func send(_ fd: Int32, _ bytes: [UInt8], from offset: Int) -> Int {
    precondition(
      offset >= 0 && offset < bytes.count, "nothing to send at \(offset) of \(bytes.count)")
    return unsafe bytes.withUnsafeBytes { buffer in
      // SAFETY: `offset` lies inside the buffer, and no more than the rest of it is read.
      unsafe cl_send(table, fd, buffer.baseAddress! + offset, buffer.count - offset)
    }
  }

  /// Bounds the bytes that the kernel takes for the connection beyond those that it may send at
  /// once.
  ///
  /// A kernel that does not know of such bounds has its own.
  package func limitUnsent(_ fd: Int32, to byteCount: UInt32) {
    _ = unsafe cl_limit_unsent(table, fd, byteCount)
  }

  /// Whether the client has read nothing for so long, though there was something to read.
  package func hasZeroWindow(_ fd: Int32, milliseconds: UInt32) -> Bool {
    unsafe cl_has_zero_window(table, fd, milliseconds)
  }

  /// Says end of stream to the peer.
  package func shutdownWrite(_ fd: Int32) { unsafe cl_shutdown_write(table, fd) }
  /// Closes the descriptor.
  package func close(_ fd: Int32) { unsafe cl_close(table, fd) }
  /// Closes the descriptor with a reset.
  package func abort(_ fd: Int32) { unsafe cl_abort(table, fd) }

  // MARK: Sleeping

  /// Lets other threads run for a moment.
  ///
  /// Never on a shard's thread.
  package func pause() { usleep(200) }

  /// Sleeps until the monotonic clock shows `end`, in milliseconds.
  ///
  /// Returns at once when that time is past. The end of the clock means for ever.
  package func sleep(until end: UInt64) {
    while monotonicMilliseconds < end {
      // The system's last time is before the clock's: such a sleep is begun again.
      let seconds = min(end / 1_000, UInt64(Int32.max))
      var time = timespec()
      time.tv_sec = Int(seconds)
      time.tv_nsec = seconds == end / 1_000 ? Int(end % 1_000) * 1_000_000 : 0
      // Ends at that time, or early at a signal that is handled: then the loop looks again.
      _ = unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil)
    }
  }
}
