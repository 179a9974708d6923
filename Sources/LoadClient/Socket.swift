// The client's side of a TCP connection, and the only place that hands bytes to the kernel.

internal import CReactor
internal import Glibc

/// What became of an attempt to receive or to send.
package enum Transfer: Equatable {
  /// So many bytes went over; never 0.
  case bytes(Int)
  /// Nothing now: the reactor says when.
  case wouldBlock
  /// The server has closed its side.
  case closed
  /// The connection broke, with this errno.
  case failed(Int32)
}

/// A nonblocking TCP connection to a server.
///
/// Confined to the thread that uses it. Closed when it goes away, if it was not before.
package final class Socket {
  package let descriptor: Int32
  private var isOpen = true

  /// Begins to connect; the descriptor is writable once connected.
  package init(connectingTo server: ServerURL) throws(ClientError) {
    // SAFETY: the kernel table is never freed, and the host is copied before the call returns.
    let result = unsafe cl_connect(cl_kernel_real(), server.numericHost, server.port)
    guard result >= 0 else { throw .system(call: "connect", code: -result) }
    descriptor = result
  }

  deinit { close() }

  /// The errno that a finished attempt to connect failed with; nil when the connection stands.
  package func connectFailure() -> Int32? {
    // SAFETY: the descriptor is open: callers hold the socket, and closing forgets it.
    let result = unsafe cl_connect_result(cl_kernel_real(), descriptor)
    return result == 0 ? nil : -result
  }

  /// Receives into `bytes` from `offset` on, as much as there is room.
  package func receive(into bytes: inout [UInt8], at offset: Int) -> Transfer {
    precondition(offset < bytes.count, "no room at \(offset) of \(bytes.count)")
    let count = unsafe bytes.withUnsafeMutableBytes { buffer in
      // SAFETY: `offset` lies inside the buffer, and no more than what follows it is written.
      unsafe cl_recv(
        cl_kernel_real(), descriptor, buffer.baseAddress! + offset, buffer.count - offset)
    }
    return count == 0 ? .closed : transfer(of: count)
  }

  /// Sends the bytes of `bytes` from `offset` on, as many as the kernel takes.
  package func send(_ bytes: [UInt8], from offset: Int = 0) -> Transfer {
    precondition(offset < bytes.count, "nothing to send at \(offset) of \(bytes.count)")
    let count = unsafe bytes.withUnsafeBytes { buffer in
      // SAFETY: `offset` lies inside the buffer, and no more than what follows it is read.
      unsafe cl_send(
        cl_kernel_real(), descriptor, buffer.baseAddress! + offset, buffer.count - offset)
    }
    return transfer(of: count)
  }

  /// Closes the connection in order.
  package func close() {
    guard isOpen else { return }
    isOpen = false
    // SAFETY: open until here, and never again used.
    unsafe cl_close(cl_kernel_real(), descriptor)
  }

  /// Closes the connection with a reset, which leaves no port behind in TIME_WAIT.
  package func abort() {
    guard isOpen else { return }
    isOpen = false
    // SAFETY: open until here, and never again used.
    unsafe cl_abort(cl_kernel_real(), descriptor)
  }

  private func transfer(of result: Int) -> Transfer {
    if result > 0 { return .bytes(result) }
    return result == -Int(EAGAIN) ? .wouldBlock : .failed(Int32(-result))
  }
}

/// The clock and the random source of the kernel table.
package enum Host {
  /// Nanoseconds of the monotonic clock.
  package static func nanoseconds() -> UInt64 {
    // SAFETY: the kernel table is never freed.
    unsafe cl_monotonic_ns(cl_kernel_real())
  }

  /// Random bytes, fit for a masking key or a run's name.
  package static func randomBytes(count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    unsafe bytes.withUnsafeMutableBytes { buffer in
      guard let start = buffer.baseAddress else { return }
      // SAFETY: the buffer is writable for `count` bytes.
      unsafe cl_random(cl_kernel_real(), start, count)
    }
    return bytes
  }
}
