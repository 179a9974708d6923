// The sockets of a shard, opened before its thread starts.
//
// So a start that fails is an error of the caller's, who has a message for it, and not of a thread.

internal import Reactor

/// A shard's poller, and the acceptors in it.
struct ShardSockets: Sendable {
  let poller: Poller
  let acceptors: [Acceptor]

  /// Makes a poller and acceptors for `listeners`, and owns them.
  ///
  /// If it throws, all of them are closed.
  init(_ listeners: [Listener], kernel: Kernel, limits: Limits) throws(SystemError) {
    var acceptors: [Acceptor] = []
    do throws(SystemError) {
      poller = try Poller(kernel: kernel)
      for (index, listener) in listeners.enumerated() {
        acceptors.append(
          try Acceptor(
            poller: poller, kernel: kernel, fd: listener.fd,
            slot: Connections.listenerSlot - UInt32(index),
            userTimeoutMilliseconds: limits.tcpUserTimeoutMilliseconds,
            unsentBytesLimit: limits.unsentBytesLimit))
      }
    } catch {
      // guard: failed-start-closes-listeners
      for listener in listeners.dropFirst(acceptors.count) { kernel.close(listener.fd) }
      throw error
    }
    self.acceptors = acceptors
  }
}
