// The poller of the server, with the client's sockets and errors.

internal import Reactor

extension Poller {
  /// A poller for sockets, each in a slot of the caller's.
  static func forSockets() throws(ClientError) -> Poller {
    do throws(SystemError) { return try Poller() } catch { throw ClientError(error) }
  }

  /// Watches a socket for something to receive, and for room to send when asked to.
  func add(_ socket: Socket, slot: UInt32, forWriting: Bool) throws(ClientError) {
    do throws(SystemError) {
      try add(socket.descriptor, Self.interest(forWriting), slot: slot)
    } catch {
      throw ClientError(error)
    }
  }

  /// Changes whether a watched socket is watched for room to send.
  func modify(_ socket: Socket, slot: UInt32, forWriting: Bool) throws(ClientError) {
    do throws(SystemError) {
      try modify(socket.descriptor, Self.interest(forWriting), slot: slot)
    } catch {
      throw ClientError(error)
    }
  }

  /// Stops watching a socket that is about to be closed.
  func remove(_ socket: Socket) {
    // False for one that is not watched any more, as the caller wants it.
    remove(socket.descriptor)
  }

  /// Waits up to a time (-1: for ever) and says how many events there are.
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
