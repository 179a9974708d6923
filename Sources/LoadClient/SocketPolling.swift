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

  private static func interest(_ forWriting: Bool) -> Interest {
    forWriting ? .readable.union(.writable) : .readable
  }
}
