// Adapts the server's poller to the client's sockets and errors.

internal import Reactor

extension Poller {
  /// A poller for sockets; the caller assigns the slots.
  static func forSockets() throws(ClientError) -> Poller {
    do throws(SystemError) { return try Poller() } catch { throw ClientError(error) }
  }

  /// Watches a socket for reading, and with `forWriting` also for writing.
  func add(_ socket: Socket, slot: UInt32, forWriting: Bool) throws(ClientError) {
    do throws(SystemError) {
      try add(socket.descriptor, Self.interest(forWriting), slot: slot)
    } catch {
      throw ClientError(error)
    }
  }

  /// Sets whether a watched socket is also watched for writing.
  func modify(_ socket: Socket, slot: UInt32, forWriting: Bool) throws(ClientError) {
    do throws(SystemError) {
      try modify(socket.descriptor, Self.interest(forWriting), slot: slot)
    } catch {
      throw ClientError(error)
    }
  }

  /// Stops watching a socket that is about to be closed.
  func remove(_ socket: Socket) {
    // False means that the socket was not watched any more, which is the desired state.
    remove(socket.descriptor)
  }

  /// Waits up to a time (-1: without limit) and returns the number of events.
  func wait(milliseconds: Int) throws(ClientError) -> Int {
    do throws(SystemError) {
      return try wait(timeoutMilliseconds: Int32(clamping: milliseconds))
    } catch {
      throw ClientError(error)
    }
  }

  /// Sends all of `bytes` to the one watched socket.
  func send(
    _ bytes: [UInt8], to socket: Socket, until deadline: Deadline
  ) throws(ClientError) {
    var sent = 0
    while sent < bytes.count {
      switch socket.send(bytes, from: sent) {
      case .bytes(let count): sent += count
      case .wouldBlock:
        try modify(socket, slot: 0, forWriting: true)
        guard try wait(until: deadline) else { throw .timedOut("sending") }
        try modify(socket, slot: 0, forWriting: false)
      case .closed: throw .closedByServer
      case .failed(let code): throw .broken(code: code)
      }
    }
  }

  /// Waits for bytes of the one watched socket and receives them into `scratch`.
  ///
  /// Nil when none arrive in time.
  func receive(
    from socket: Socket, into scratch: inout [UInt8], until deadline: Deadline
  ) throws(ClientError) -> ArraySlice<UInt8>? {
    while true {
      switch socket.receive(into: &scratch, at: 0) {
      case .bytes(let count): return scratch[..<count]
      case .wouldBlock:
        guard try wait(until: deadline) else { return nil }
      case .closed: throw .closedByServer
      case .failed(let code): throw .broken(code: code)
      }
    }
  }

  /// Waits for an event; false when none comes in time.
  func wait(until deadline: Deadline) throws(ClientError) -> Bool {
    try wait(milliseconds: deadline.remainingMilliseconds) > 0
  }

  private static func interest(_ forWriting: Bool) -> Interest {
    forWriting ? .readable.union(.writable) : .readable
  }
}
