// The epoll reactor, the timer wheel, the listener and threads, as Swift handles.

internal import CReactor

/// Wakes a reactor from any thread.
@safe struct ReactorWaker: @unchecked Sendable {
  // Sendable because cl_reactor_wake is the one function of a reactor that any thread may call,
  // and whoever holds a waker also holds the reactor alive: `ServerCore` keeps both until the
  // last thread has ended.
  private let reactor: OpaquePointer

  fileprivate init(_ reactor: OpaquePointer) { unsafe self.reactor = unsafe reactor }

  /// Ends the present or next wait.
  func wake() { unsafe cl_reactor_wake(reactor) }
}

/// One epoll with its wake-up.
@safe final class Reactor: @unchecked Sendable {
  // Sendable so that it can be made before its thread: after start only the shard's own thread
  // calls it, and others hold a `ReactorWaker`.
  fileprivate let raw: OpaquePointer
  private let events: UnsafeMutablePointer<cl_event>
  private static let capacity = 1_024

  init(kernel: Kernel) throws(SystemError) {
    var made: OpaquePointer?
    _ = try SystemError.check(unsafe cl_reactor_create(kernel.table, &made), "epoll_create1")
    unsafe raw = unsafe made!
    unsafe events = .allocate(capacity: Reactor.capacity)
    unsafe events.initialize(repeating: cl_event(), count: Reactor.capacity)
  }

  deinit {
    unsafe cl_reactor_destroy(raw)
    unsafe events.deallocate()
  }

  var waker: ReactorWaker { unsafe ReactorWaker(raw) }

  /// Watches `fd`.
  ///
  /// False when the kernel has no room.
  func add(_ fd: Int32, _ interest: Interest, place: UInt32, generation: UInt32) -> Bool {
    unsafe cl_reactor_add(raw, fd, interest.rawValue, place, generation) >= 0
  }

  /// Changes what `fd` is watched for.
  ///
  /// False when the kernel has no room.
  func modify(_ fd: Int32, _ interest: Interest, place: UInt32, generation: UInt32) -> Bool {
    unsafe cl_reactor_modify(raw, fd, interest.rawValue, place, generation) >= 0
  }

  /// Watches `fd` no longer.
  ///
  /// False when the kernel knows of no such thing.
  func remove(_ fd: Int32) -> Bool {
    unsafe cl_reactor_remove(raw, fd) >= 0
  }

  /// Waits and returns how many events there are; read them with `event(_:)`.
  func wait(timeoutMilliseconds: Int32) throws(SystemError) -> Int {
    // SAFETY: `events` has room for `capacity`.
    Int(
      try SystemError.check(
        unsafe cl_reactor_wait(raw, events, Int32(Reactor.capacity), timeoutMilliseconds),
        "epoll_wait"))
  }

  /// Event `index` of the last wait.
  func event(_ index: Int) -> cl_event {
    precondition(index >= 0 && index < Reactor.capacity)
    // SAFETY: checked just above; all of it is initialised.
    return unsafe events[index]
  }
}

/// What a connection is watched for.
struct Interest: OptionSet {
  let rawValue: UInt32
  static let readable = Interest(rawValue: UInt32(CL_READABLE))
  static let writable = Interest(rawValue: UInt32(CL_WRITABLE))
  static let hangup = Interest(rawValue: UInt32(CL_HANGUP))
}

/// One timer for each place of a slab.
@safe struct TimerWheel: ~Copyable {
  private let raw: OpaquePointer

  /// Ticks of 50 ms, so that no timer is later than that; 1,024 slots are 51 s around.
  init(now: UInt64) {
    unsafe raw = unsafe cl_wheel_create(now, 50, 1_024)!
  }

  deinit { unsafe cl_wheel_destroy(raw) }

  /// Sets the one timer of `place`.
  ///
  /// False when out of memory.
  func schedule(_ place: UInt32, at deadline: UInt64) -> Bool {
    unsafe cl_wheel_schedule(raw, place, deadline) >= 0
  }

  func cancel(_ place: UInt32) { unsafe cl_wheel_cancel(raw, place) }

  /// Fills `due` from the front with places whose time has come and returns how many.
  func expire(now: UInt64, into due: inout [UInt32]) -> Int {
    // SAFETY: the array is not empty and the callee writes at most its count.
    unsafe due.withUnsafeMutableBufferPointer { buffer in
      Int(unsafe cl_wheel_expire(raw, now, buffer.baseAddress!, Int32(buffer.count)))
    }
  }

  /// Milliseconds until a timer may be due; -1 when there is none.
  func timeout(now: UInt64) -> Int32 { unsafe cl_wheel_timeout(raw, now) }
}

/// A listening socket that rests when the machine has run out of something.
@safe final class Acceptor {
  private let raw: OpaquePointer

  /// Adds the listening `fd` to `reactor` under (`place`, 0) and owns it from then on.
  ///
  /// `unsentBytesLimit` is what the kernel takes for a connection beyond what it may send.
  init(
    reactor: Reactor, kernel: Kernel, fd: Int32, place: UInt32, userTimeoutMilliseconds: UInt32,
    unsentBytesLimit: UInt32
  ) throws(SystemError) {
    _ = try SystemError.check(
      unsafe cl_limit_unsent(kernel.table, fd, unsentBytesLimit), "setsockopt")
    var made: OpaquePointer?
    _ = try SystemError.check(
      unsafe cl_acceptor_create(reactor.raw, fd, place, 0, userTimeoutMilliseconds, &made),
      "epoll_ctl")
    unsafe raw = unsafe made!
  }

  deinit { unsafe cl_acceptor_destroy(raw) }

  /// A new connection's descriptor, or a negated errno: see cl_acceptor_accept.
  func accept(now: UInt64, peer: inout cl_address) -> Int32 {
    unsafe cl_acceptor_accept(raw, now, &peer)
  }

  /// Milliseconds until `resume` is wanted; -1 when it is not paused.
  func timeout(now: UInt64) -> Int32 { unsafe cl_acceptor_timeout(raw, now) }
  func resume(now: UInt64) { unsafe cl_acceptor_resume(raw, now) }
  /// How often it had to rest.
  var pauses: UInt64 { unsafe cl_acceptor_pauses(raw) }
}

/// A listening socket that no reactor watches yet.
struct Listener {
  /// Its descriptor.
  let fd: Int32
  /// The port it is bound to.
  let port: UInt16

  /// Listens; a further one is beside a listener of this process on the same port.
  init(
    kernel: Kernel, host: String, port: UInt16, isFurther: Bool = false
  ) throws(SystemError) {
    let result =
      isFurther
      ? unsafe cl_listen_beside(kernel.table, host, port, 4_096)
      : unsafe cl_listen(kernel.table, host, port, 4_096)
    fd = try SystemError.check(result, "listen")
    self.port = UInt16(
      truncatingIfNeeded: try SystemError.check(
        unsafe cl_local_port(kernel.table, fd), "getsockname"))
  }
}

/// A thread that runs one closure to its end.
@safe final class Thread: @unchecked Sendable {
  // Sendable because the handle is only joined, once, by the thread that ends the server.
  private var raw: OpaquePointer?

  /// Starts `body` on a thread of that name (at most 15 bytes), pinned to `processor` if given.
  init(name: String, processor: Int?, _ body: @escaping @Sendable () -> Void)
    throws(SystemError)
  {
    let box = unsafe Unmanaged.passRetained(ThreadBody(body))
    // SAFETY: the box is retained here and released by the trampoline on the new thread, or below
    // when there is no new thread.
    let result = unsafe cl_thread_start(
      name, Int32(processor ?? -1), runThreadBody, box.toOpaque(), &raw)
    if result < 0 { unsafe box.release() }
    _ = try SystemError.check(result, "pthread_create")
  }

  /// Waits for its end.
  func join() {
    guard let handle = unsafe raw else { return }
    unsafe raw = nil
    unsafe cl_thread_join(handle)
  }
}

/// Carries a closure through C.
private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private nonisolated func runThreadBody(_ context: UnsafeMutableRawPointer?) {
  // SAFETY: `context` is the box that `Thread.init` retained, exactly once.
  let body = unsafe Unmanaged<ThreadBody>.fromOpaque(context!).takeRetainedValue()
  body.run()
}

extension cl_utf8 {
  /// Whether no character is left unfinished.
  var isComplete: Bool {
    var copy = self
    return unsafe cl_utf8_complete(&copy)
  }
}

extension cl_address {
  /// The address without its port, as text.
  var text: String {
    var copy = self
    // SAFETY: 64 bytes are more than the 46 that an address takes.
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      let count = unsafe cl_address_text(&copy, buffer.baseAddress!, buffer.count)
      let bytes = unsafe UnsafeRawBufferPointer(buffer).prefix(Int(max(0, count)))
      return unsafe String(decoding: bytes, as: UTF8.self)
    }
  }

  /// Whether this is an address of the machine itself.
  var isLoopback: Bool {
    if family == 4 { return bytes.0 == 127 }
    return family == 6 && text == "::1"
  }
}
