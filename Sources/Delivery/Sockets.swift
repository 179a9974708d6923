// The sockets of connections: which events epoll watches for, and which slot has a socket.

package import Reactor

extension Delivery {
  /// Has epoll watch the socket of the connection at `slot` for input.
  ///
  /// - Throws: out of kernel memory; the caller ends the connection.
  package func watch(_ slot: UInt32) throws(SystemError) {
    let id = table.id(of: slot)
    table[slot].interest = UInt8(Interest.readable.rawValue)
    try poller.add(table[slot].fd, .readable, slot: id.slot, generation: id.generation)
  }

  /// Takes the socket away from the connection at `slot`, and returns it.
  ///
  /// Nil if epoll refuses that or the connection has a transport, which cannot leave this thread.
  /// The caller owns the socket then, and ends the connection.
  package func takeSocket(of slot: UInt32) -> Int32? {
    guard !table[slot].flags.contains(.hasTransport), poller.remove(table[slot].fd) else {
      return nil
    }
    defer { table[slot].fd = -1 }
    return table[slot].fd
  }

  /// Moves the socket of the connection at `other` to the one at `slot`, which had none.
  ///
  /// - Throws: out of kernel memory; the caller ends the connection at `slot`, which has it.
  package func moveSocket(from other: UInt32, to slot: UInt32) throws(SystemError) {
    if table[slot].flags.contains(.blocked) { unblock(slot) }
    table[slot].flags.remove(.polling)
    table[slot].fd = table[other].fd
    table[other].fd = -1
    if let transport = detachTransport(of: other) { attach(transport, to: slot) }
    table[slot].interest = UInt8(Interest.readable.rawValue)
    let id = table.id(of: slot)
    try poller.modify(table[slot].fd, .readable, slot: id.slot, generation: id.generation)
  }

  /// Reads nothing more from the socket until `resumeReading`.
  package func pauseReading(_ slot: UInt32) {
    table[slot].flags.insert(.readPaused)
    updateInterest(slot)
  }

  package func resumeReading(_ slot: UInt32) {
    table[slot].flags.remove(.readPaused)
    updateInterest(slot)
  }

  /// Notes that no input follows from the socket, which still takes bytes.
  package func inputEnded(_ slot: UInt32) {
    table[slot].flags.insert(.peerEnded)
    updateInterest(slot)
  }

  /// Updates the events that epoll watches for, if this connection can now use others.
  func updateInterest(_ slot: UInt32) {
    var interest = Interest.none
    if table[slot].flags.isDisjoint(with: [.readPaused, .peerEnded]) {
      interest.insert(.readable)
    }
    if table[slot].flags.contains(.blocked) { interest.insert(.writable) }
    guard table[slot].fd >= 0 else { return }
    guard UInt8(interest.rawValue) != table[slot].interest else { return }
    table[slot].interest = UInt8(interest.rawValue)
    let id = table.id(of: slot)
    do throws(SystemError) {
      try poller.modify(table[slot].fd, interest, slot: id.slot, generation: id.generation)
    } catch {
      // Out of kernel memory: a connection that cannot be watched cannot be kept.
      fail(slot)
    }
  }
}
