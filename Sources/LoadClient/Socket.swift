// The client's side of a TCP connection; all bytes of the load client go through it.

internal import Glibc
internal import Reactor

/// The outcome of one receive or send call.
package enum Transfer: Equatable {
  /// The number of transferred bytes; never 0.
  case bytes(Int)
  /// The call would block; the poller reports when to retry.
  case wouldBlock
  /// The server has closed its side.
  case closed
  /// The connection broke, with this errno.
  case failed(Int32)
}

/// A nonblocking TCP connection to a server.
///
/// Confined to the thread that uses it. Deinitialisation closes an open connection.
package final class Socket {
  package let descriptor: Int32
  private let kernel = Kernel.real
  private let address: String
  private var isOpen = true

  /// Begins to connect; the descriptor is writable once connected.
  package init(connectingTo server: ServerURL) throws(ClientError) {
    address = server.hostField
    do throws(SystemError) {
      descriptor = try kernel.connect(to: server.numericHost, port: server.port)
    } catch {
      throw .unreachable(address: server.hostField, code: error.code)
    }
  }

  deinit { close() }

  /// Throws when the connection attempt has failed.
  package func checkConnected() throws(ClientError) {
    guard let code = kernel.connectFailure(descriptor) else { return }
    throw .unreachable(address: address, code: code)
  }

  /// Receives into `bytes` from `offset` to its end.
  package func receive(into bytes: inout [UInt8], at offset: Int) -> Transfer {
    let count = kernel.receive(descriptor, into: &bytes, at: offset)
    return count == 0 ? .closed : transfer(of: count)
  }

  /// Sends `bytes` from `offset` on, as many as the kernel accepts.
  package func send(_ bytes: [UInt8], from offset: Int = 0) -> Transfer {
    transfer(of: kernel.send(descriptor, bytes, from: offset))
  }

  /// Closes the connection normally.
  package func close() {
    guard isOpen else { return }
    isOpen = false
    kernel.close(descriptor)
  }

  /// Closes the connection with a reset, which leaves no port in TIME_WAIT.
  package func abort() {
    guard isOpen else { return }
    isOpen = false
    kernel.abort(descriptor)
  }

  private func transfer(of result: Int) -> Transfer {
    if result > 0 { return .bytes(result) }
    return result == -Int(EAGAIN) ? .wouldBlock : .failed(Int32(-result))
  }
}
