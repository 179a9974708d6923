// One epoll instance with its wake-up, for the server's shards and the load client.

internal import CReactor

/// Readiness of one descriptor.
package struct PollEvent: Sendable {
  /// The slot under which the descriptor was added.
  package let slot: UInt32
  /// The generation under which the descriptor was added.
  ///
  /// An event with another generation than the slot's current one belongs to a connection that
  /// ended earlier in the same batch.
  package let generation: UInt32
  package let readiness: Interest

  /// Data has arrived or the connection has ended: receiving shows which.
  package var isReadable: Bool { readiness.contains(.readable) || readiness.contains(.hangup) }
  /// The send buffer has room.
  package var isWritable: Bool { readiness.contains(.writable) }
}

/// Waits for many descriptors at once.
///
/// The kernel removes a closed descriptor automatically.
@safe package final class Poller: @unchecked Sendable {
  // Sendable so that it can be created before its thread: after start only that one thread calls
  // it, and other threads use a `PollerWaker`.

  /// The most events of one wait.
  ///
  /// Further events are reported by the next wait.
  package static let capacity = Int(CL_EVENTS_LIMIT)

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
  /// Throws when the kernel is out of resources.
  package func add(
    _ fd: Int32, _ interest: Interest, slot: UInt32, generation: UInt32 = 0
  ) throws(SystemError) {
    let result = unsafe cl_reactor_add(raw, fd, interest.rawValue, slot, generation)
    _ = try SystemError.check(result, "epoll_ctl")
  }

  /// Changes the interest in a watched `fd`.
  ///
  /// Throws when the kernel is out of resources.
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

  /// Waits up to a time (-1: without limit) and returns the number of events.
  ///
  /// Read them with `event(_:)`.
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
    // SAFETY: the index is checked above, and all events are initialised.
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

  /// Ends the current or the next wait.
  package func wake() {
    // SAFETY: cl_reactor_wake is the one function of a reactor that any thread may call.
    unsafe cl_reactor_wake(poller.raw)
  }
}
