// The seam for encryption: a transport may stand between a connection's queue and its socket.
//
//     queue ──────────────────▶ socket     plain: nothing stands between
//     queue ──▶ transport ────▶ socket     the transport changes the bytes, and may hold some
//
// A plain connection has no transport: its bytes go from the log to the socket with one system
// call, and the loops that send to many test for a transport with the same instruction as for the
// other flags. A connection with a transport takes no part in these loops, because its bytes are
// its own: it is flushed by itself, like a connection with queued bytes.

internal import Glibc
package import Reactor

/// Carries the bytes of one connection to its socket.
///
/// Confined to the shard's thread.
package protocol Transport: AnyObject {
  /// Whether it holds bytes that the socket has not accepted.
  var holdsBytes: Bool { get }

  /// Sends the bytes that it holds, then takes more: `first`, then `second`; either may be empty.
  ///
  /// It takes nothing while it holds bytes, so it never holds more than one call gave it.
  /// - Returns: the number of bytes taken, or a negated errno; -EAGAIN if it can take none now.
  func send(
    _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, to fd: Int32,
    _ kernel: Kernel
  ) -> Int
}

extension Delivery {
  /// Has `transport` carry all bytes that the connection at `slot`, which has a socket, is sent.
  ///
  /// The connection cannot be moved to another shard.
  package func attach(_ transport: any Transport, to slot: UInt32) {
    transports[slot] = transport
    table[slot].flags.insert(.hasTransport)
  }

  /// Removes the transport of the connection at `slot`, if it has one, and returns it.
  func detachTransport(of slot: UInt32) -> (any Transport)? {
    guard table[slot].flags.contains(.hasTransport) else { return nil }
    table[slot].flags.remove(.hasTransport)
    return transports.removeValue(forKey: slot)
  }

  /// Sends two pieces to the connection at `slot`, through its transport if it has one.
  ///
  /// - Returns: the number of bytes taken, or a negated errno.
  func transmit(
    _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, to slot: UInt32
  ) -> Int {
    let fd = table[slot].fd
    guard table[slot].flags.contains(.hasTransport), let transport = transports[slot] else {
      return unsafe kernel.send(fd, first, second)
    }
    return unsafe transport.send(first, second, to: fd, kernel)
  }

  /// Sends one piece to the connection at `slot`, through its transport if it has one.
  func transmit(_ bytes: UnsafeRawBufferPointer, to slot: UInt32) -> Int {
    let empty = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    return unsafe transmit(bytes, empty, to: slot)
  }

  /// Sends the bytes that the connection's transport holds; whether it holds none any more.
  func flushTransport(_ slot: UInt32) -> Bool {
    guard table[slot].flags.contains(.hasTransport), let transport = transports[slot],
      transport.holdsBytes
    else { return true }
    let empty = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    let result = unsafe transmit(empty, empty, to: slot)
    guard result >= 0 || result == -Int(EAGAIN) else {
      fail(slot)
      return false
    }
    guard transport.holdsBytes else { return true }
    block(slot)
    return false
  }
}
