// One epoll with its wake-up, for the server's shards and for the load client alike.

internal import CReactor

/// Readiness of one descriptor.
package struct PollEvent: Sendable {
  /// The slot that the descriptor was added with.
  package let slot: UInt32
  /// The generation that it was added with.
  ///
  /// An event whose generation is not the slot's present one is for a connection that ended
  /// earlier in the same batch.
  package let generation: UInt32
  package let readiness: Interest

  /// There is something to receive, or the connection has ended: receiving shows which.
  package var isReadable: Bool { readiness.contains(.readable) || readiness.contains(.hangup) }
  /// There is room to send.
  package var isWritable: Bool { readiness.contains(.writable) }
}

/// Waits for many descriptors at once.
///
/// A descriptor that is closed leaves by itself.
@safe package final class Poller: @unchecked Sendable {
  // Sendable so that it can be made before its thread: after start only that one thread calls it,
  // and others have a `PollerWaker`.

  /// Events that one wait fills at most, which is also the most that the C function fills.
  ///
  /// The others are still ready at the next wait.
  package static let capacity = 512

  let raw: OpaquePointer
  private let events: UnsafeMutablePointer<cl_event>

  package init(kernel: Kernel = .real) throws(SystemError) {
    var made: OpaquePointer?
    _ = try SystemError.check(unsafe cl_reactor_create(kernel.table, &made), "epoll_create1")
    unsafe raw = unsafe made!
    unsafe events = .allocate(capacity: Poller.capacity)
    unsafe events.initialize(repeating: cl_event(), count: Poller.capacity)
  }

  deinit {
    unsafe cl_reactor_destroy(raw)
    unsafe events.deallocate()
  }

  /// Ends this poller's waits from any thread.
  package var waker: PollerWaker { PollerWaker(self) }

  /// Watches `fd`.
  ///
  /// Throws when the kernel has no room.
  package func add(
    _ fd: Int32, _ interest: Interest, slot: UInt32, generation: UInt32 = 0
  ) throws(SystemError) {
    let result = unsafe cl_reactor_add(raw, fd, interest.rawValue, slot, generation)
    _ = try SystemError.check(result, "epoll_ctl")
  }

  /// Changes the interest in a watched `fd`.
  ///
  /// Throws when the kernel has no room.
  package func modify(
    _ fd: Int32, _ interest: Interest, slot: UInt32, generation: UInt32 = 0
  ) throws(SystemError) {
    let result = unsafe cl_reactor_modify(raw, fd, interest.rawValue, slot, generation)
    _ = try SystemError.check(result, "epoll_ctl")
  }

  /// Stops watching `fd`; false when it was not watched.
  @discardableResult
  package func remove(_ fd: Int32) -> Bool {
    unsafe cl_reactor_remove(raw, fd) >= 0
  }

  /// Waits up to a time (-1: for ever) and returns how many events there are; read them with
  /// `event(_:)`.
  package func wait(timeoutMilliseconds: Int32) throws(SystemError) -> Int {
    // SAFETY: `events` has room for `capacity`.
    Int(
      try SystemError.check(
        unsafe cl_reactor_wait(raw, events, Int32(Poller.capacity), timeoutMilliseconds),
        "epoll_wait"))
  }

  /// Event `index` of the last wait.
  package func event(_ index: Int) -> PollEvent {
    precondition(index >= 0 && index < Poller.capacity, "event \(index)")
    // SAFETY: checked just above; all of it is initialised.
    let event = unsafe events[index]
    return PollEvent(
      slot: event.index, generation: event.generation,
      readiness: Interest(rawValue: event.readiness))
  }
}

/// Wakes a poller from any thread.
package struct PollerWaker: Sendable {
  private let poller: Poller

  fileprivate init(_ poller: Poller) { self.poller = poller }

  /// Ends the present or next wait.
  package func wake() {
    // SAFETY: cl_reactor_wake is the one function of a reactor that any thread may call.
    unsafe cl_reactor_wake(poller.raw)
  }
}
