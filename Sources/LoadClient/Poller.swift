// Waiting for many sockets at once: the reactor of the server, seen from the client's side.

internal import CReactor

/// Readiness of one socket.
package struct Readiness {
  /// What the socket was added under.
  package let index: UInt32
  /// There is something to receive, or the connection has ended: receiving tells which.
  package let isReadable: Bool
  package let isWritable: Bool
}

/// An epoll over client sockets, each known by an index of the caller's.
///
/// Confined to one thread. A socket that is closed leaves by itself.
@safe package final class Poller {
  private let reactor: OpaquePointer
  private var events: [cl_event]

  package init(capacity: Int = 1_024) throws(ClientError) {
    var made: OpaquePointer?
    // SAFETY: the kernel table is never freed; the reactor is destroyed in deinit.
    let result = unsafe cl_reactor_create(cl_kernel_real(), &made)
    guard result == 0, let reactor = unsafe made else {
      throw .system(call: "epoll_create1", code: -result)
    }
    unsafe self.reactor = reactor
    events = Array(repeating: cl_event(), count: capacity)
  }

  deinit {
    // SAFETY: made in init and handed to no one.
    unsafe cl_reactor_destroy(reactor)
  }

  /// Watches a socket for something to receive, and for room to send when asked to.
  package func add(_ socket: Socket, index: UInt32, forWriting: Bool) throws(ClientError) {
    // SAFETY: the reactor lives as long as this object.
    let result = unsafe cl_reactor_add(
      reactor, socket.descriptor, Self.interest(forWriting), index, 0)
    guard result == 0 else { throw .system(call: "epoll_ctl", code: -result) }
  }

  /// Changes whether a watched socket is watched for room to send.
  package func modify(_ socket: Socket, index: UInt32, forWriting: Bool) throws(ClientError) {
    // SAFETY: the reactor lives as long as this object.
    let result = unsafe cl_reactor_modify(
      reactor, socket.descriptor, Self.interest(forWriting), index, 0)
    guard result == 0 else { throw .system(call: "epoll_ctl", code: -result) }
  }

  /// Stops watching a socket that is about to be closed.
  package func remove(_ socket: Socket) {
    // SAFETY: the reactor lives as long as this object. A socket that it does not watch any more
    // is what the caller wants.
    _ = unsafe cl_reactor_remove(reactor, socket.descriptor)
  }

  /// Waits up to a time (-1: for ever) and says how many events there are.
  package func wait(milliseconds: Int) throws(ClientError) -> Int {
    let timeout = Int32(clamping: milliseconds)
    // SAFETY: `events` has room for its count, and the reactor lives as long as this object.
    let count = unsafe events.withUnsafeMutableBufferPointer { buffer in
      unsafe cl_reactor_wait(reactor, buffer.baseAddress!, Int32(buffer.count), timeout)
    }
    guard count >= 0 else { throw .system(call: "epoll_wait", code: -count) }
    return Int(count)
  }

  /// One of the events that the last wait found.
  package subscript(position: Int) -> Readiness {
    let event = events[position]
    return Readiness(
      index: event.index,
      isReadable: event.readiness & UInt32(CL_READABLE | CL_HANGUP) != 0,
      isWritable: event.readiness & UInt32(CL_WRITABLE) != 0)
  }

  private static func interest(_ forWriting: Bool) -> UInt32 {
    UInt32(CL_READABLE) | (forWriting ? UInt32(CL_WRITABLE) : 0)
  }
}
