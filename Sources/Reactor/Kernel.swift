// The kernel table as a Swift value: clocks, the random source and the calls on one descriptor.
//
// This target is the only Swift code that calls `cl_` functions. It is the product's only source of
// clocks and random numbers, so a simulated kernel controls both and a run can be repeated. Every
// handle of this target owns the C object that it wraps, so nothing is released twice, and a failed
// call is a `SystemError` that names the call.

internal import CReactor
internal import Glibc

/// The system calls that a server makes, its clocks and its random source.
@safe package struct Kernel: @unchecked Sendable {
  // Sendable because the table is immutable after start and its functions, like the system calls
  // they represent, may be called from any thread.
  let table: UnsafePointer<cl_kernel>

  /// The real kernel.
  package static let real = unsafe Kernel(table: cl_kernel_real())

  /// A kernel with the caller's table, which must outlive every object made with it.
  ///
  /// Tests use it to script the table.
  init(table: UnsafePointer<cl_kernel>) {
    unsafe self.table = unsafe table
  }

  // MARK: Clocks and random numbers

  /// Monotonic time, for intervals.
  package var monotonicMilliseconds: UInt64 { unsafe cl_monotonic_ms(table) }
  /// Monotonic time in nanoseconds, for intervals.
  package var monotonicNanoseconds: UInt64 { unsafe cl_monotonic_ns(table) }
  /// Time of day, since 1970.
  package var wallMilliseconds: Int64 { unsafe cl_wall_ms(table) }

  /// Random bytes, suitable for keys.
  package func randomBytes(count: Int) -> [UInt8] {
    precondition(count >= 0, "\(count) random bytes")
    guard count > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: count)
    unsafe bytes.withUnsafeMutableBytes { unsafe fillRandomly($0) }
    return bytes
  }

  /// Two random words, for an id that cannot be guessed.
  ///
  /// For one that is made seldom, or is a secret; a thread that makes many has `RandomWords`.
  package func randomWords() -> (UInt64, UInt64) {
    var words: (UInt64, UInt64) = (0, 0)
    unsafe withUnsafeMutableBytes(of: &words) { unsafe fillRandomly($0) }
    return words
  }

  /// Overwrites all bytes of `buffer` with random ones: the real kernel uses getrandom.
  ///
  /// The one use of the table's random source. `buffer` is not empty.
  func fillRandomly(_ buffer: UnsafeMutableRawBufferPointer) {
    guard let start = buffer.baseAddress else { return }
    // SAFETY: the buffer is not empty, writable for its count, and the caller's alone.
    unsafe cl_random(table, start, buffer.count)
  }

  // MARK: Limits

  /// The number of files that this process may have open; their descriptors are below it.
  package var openFilesLimit: Int { unsafe Int(clamping: cl_open_files_limit(table)) }

  // MARK: Sockets

  /// Begins a nonblocking connection to a numeric address and returns its descriptor.
  ///
  /// The descriptor is writable once the connection is established or has failed.
  package func connect(to numericHost: String, port: UInt16) throws(SystemError) -> Int32 {
    // SAFETY: the host is copied before the call returns.
    try SystemError.check(unsafe cl_connect(table, numericHost, port), "connect")
  }

  /// The errno of a failed connection attempt; nil when it succeeded.
  package func connectFailure(_ fd: Int32) -> Int32? {
    let result = unsafe cl_connect_result(table, fd)
    return result == 0 ? nil : -result
  }

  /// Receives into the free part of `buffer`.
  ///
  /// Returns the number of bytes, 0 at end of stream, or a negated errno.
  package func receive(
    _ fd: Int32, into buffer: borrowing ScratchBuffer, at offset: Int, limit: Int
  ) -> Int {
    // SAFETY: `region` checks that offset + limit lies inside the buffer.
    let region = unsafe buffer.region(at: offset, count: limit)
    return unsafe cl_recv(table, fd, region.baseAddress!, region.count)
  }

  /// Receives into `bytes` from `offset` to its end.
  ///
  /// Returns the number of bytes, 0 at end of stream, or a negated errno.
  package func receive(_ fd: Int32, into bytes: inout [UInt8], at offset: Int) -> Int {
    precondition(offset >= 0 && offset < bytes.count, "no room at \(offset) of \(bytes.count)")
    return unsafe bytes.withUnsafeMutableBytes { buffer in
      // SAFETY: `offset` lies inside the buffer, and no more than the rest of it is written.
      unsafe cl_recv(table, fd, buffer.baseAddress! + offset, buffer.count - offset)
    }
  }

  /// Sends `bytes`.
  ///
  /// Returns the number of bytes that the kernel accepted, or a negated errno.
  package func send(_ fd: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    // SAFETY: an empty buffer may have no address and is not sent.
    guard let base = bytes.baseAddress, bytes.count > 0 else { return 0 }
    return unsafe cl_send(table, fd, base, bytes.count)
  }

  /// Sends two pieces with one call.
  ///
  /// Returns the number of bytes that the kernel accepted, or a negated errno.
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

  /// Sends `bytes` from `offset` on.
  ///
  /// Returns the number of bytes that the kernel accepted, or a negated errno.
  package func send(_ fd: Int32, _ bytes: [UInt8], from offset: Int) -> Int {
    precondition(
      offset >= 0 && offset < bytes.count, "nothing to send at \(offset) of \(bytes.count)")
    return unsafe bytes.withUnsafeBytes { buffer in
      // SAFETY: `offset` lies inside the buffer, and no more than the rest of it is read.
      unsafe cl_send(table, fd, buffer.baseAddress! + offset, buffer.count - offset)
    }
  }

  /// Bounds the bytes that the kernel accepts for the connection beyond those it may send now.
  ///
  /// A kernel without TCP_NOTSENT_LOWAT keeps its own bound.
  package func limitUnsent(_ fd: Int32, to byteCount: UInt32) {
    _ = unsafe cl_limit_unsent(table, fd, byteCount)
  }

  /// Whether the peer has had a zero window for at least this time, with data waiting for it.
  package func hasZeroWindow(_ fd: Int32, milliseconds: UInt32) -> Bool {
    unsafe cl_has_zero_window(table, fd, milliseconds)
  }

  /// Milliseconds since the peer last took bytes that the kernel holds for it.
  ///
  /// `UInt32.max` where the kernel cannot tell.
  package func millisecondsSinceProgress(_ fd: Int32) -> UInt32 {
    unsafe cl_ms_since_progress(table, fd)
  }

  /// Sends end of stream to the peer.
  package func shutdownWrite(_ fd: Int32) { unsafe cl_shutdown_write(table, fd) }
  /// Closes the descriptor.
  package func close(_ fd: Int32) { unsafe cl_close(table, fd) }
  /// Closes the descriptor with a reset.
  package func abort(_ fd: Int32) { unsafe cl_abort(table, fd) }

  // MARK: Sleeping

  /// Sleeps for 200 microseconds so that other threads run.
  ///
  /// Never call it on a shard's thread.
  package func pause() { usleep(200) }

  /// Sleeps until the monotonic clock shows `end`, in milliseconds.
  ///
  /// Returns immediately when `end` is in the past. `UInt64.max` means without limit.
  package func sleep(until end: UInt64) {
    while monotonicMilliseconds < end {
      // The kernel's largest time is less than `UInt64.max`: the sleep is clamped and repeated.
      let seconds = min(end / 1_000, UInt64(Int32.max))
      var time = timespec()
      time.tv_sec = Int(seconds)
      time.tv_nsec = seconds == end / 1_000 ? Int(end % 1_000) * 1_000_000 : 0
      // A handled signal may end the sleep early: the loop checks the clock again.
      _ = unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil)
    }
  }
}
