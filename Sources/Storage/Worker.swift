// A thread with a mailbox: the shape of the journal and of each reader.
//
// The end is a message like any other, behind everything that was handed in before it. So there is
// no flag to race with, and what was accepted is finished.

internal import Broadcast
internal import CReactor

/// The table of system calls, handed from thread to thread.
@safe struct KernelTable: @unchecked Sendable {
  // Unchecked: the table is constant and outlives the process's threads.
  let pointer: UnsafePointer<cl_kernel>

  init(_ pointer: UnsafePointer<cl_kernel>?) {
    unsafe self.pointer = pointer ?? cl_kernel_real()
  }

  /// The time of day, in milliseconds since 1970.
  var wallMilliseconds: Int64 { unsafe cl_wall_ms(pointer) }
}

/// An eventfd that one thread sleeps on.
@safe private final class Wakeup: Sendable {
  private let kernel: KernelTable
  private let descriptor: Int32

  init(_ kernel: KernelTable) throws(StoreError) {
    self.kernel = kernel
    descriptor = unsafe cl_wakeup_create(kernel.pointer)
    guard descriptor >= 0 else { throw .system(call: "eventfd", code: -descriptor) }
  }

  deinit {
    unsafe cl_close(kernel.pointer, descriptor)
  }

  func signal() {
    unsafe cl_wakeup_signal(kernel.pointer, descriptor)
  }

  func wait() {
    _ = unsafe cl_wakeup_wait(kernel.pointer, descriptor, -1)
  }
}

/// What a new thread runs.
///
/// It belongs to that thread once it runs.
private final class ThreadBody {
  let run: () -> Void

  init(_ run: @escaping () -> Void) {
    self.run = run
  }
}

/// One thread that works on what others put into its mailbox.
@safe final class Worker<Message: Sendable>: @unchecked Sendable {
  // Unchecked: mailbox and parker are Sendable; `thread` is set by `start` before anyone else has
  // the worker, and read once, by the one call of `stop`.

  private enum Item: Sendable {
    case message(Message)
    case stop
  }

  private let mailbox: Mailbox<Item>
  private let parker: Parker
  private let wakeup: Wakeup
  private var thread: OpaquePointer?

  init(capacity: Int, kernel: KernelTable) throws(StoreError) {
    let wakeup = try Wakeup(kernel)
    self.wakeup = wakeup
    parker = Parker(wake: { wakeup.signal() })
    mailbox = Mailbox(capacity: capacity, parker: parker)
  }

  /// Hands a message in.
  ///
  /// False when the mailbox is full.
  func offer(_ message: Message) -> Bool {
    mailbox.offer(.message(message))
  }

  /// Messages that wait; may be stale.
  var depth: Int { mailbox.count }

  /// Starts the thread.
  ///
  /// `process` gets what was waiting, at most `batchLimit` at once; it is let
  /// go of on the thread, before `stop` returns.
  func start(
    name: String, batchLimit: Int, process: sending @escaping ([Message]) -> Void
  ) throws(StoreError) {
    let body = ThreadBody { self.run(batchLimit: batchLimit, process) }
    let context = unsafe Unmanaged.passRetained(body).toOpaque()
    let enter: @convention(c) (UnsafeMutableRawPointer?) -> Void = { context in
      guard let context = unsafe context else { return }
      // SAFETY: the reference that `start` retained for this thread.
      let body = unsafe Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue()
      body.run()
    }
    // SAFETY: `context` is retained for the thread; the name is copied.
    let result = unsafe cl_thread_start(name, -1, enter, context, &thread)
    guard result == 0 else {
      // SAFETY: no thread has it.
      unsafe Unmanaged<ThreadBody>.fromOpaque(context).release()
      throw .system(call: "pthread_create", code: -result)
    }
  }

  /// Waits until everything that was handed in is done and the thread is gone.
  ///
  /// Once only.
  func stop() {
    guard let thread = unsafe thread else { return }
    mailbox.append(.stop)
    // SAFETY: started, and joined nowhere else.
    unsafe cl_thread_join(thread)
    unsafe self.thread = nil
  }

  private func run(batchLimit: Int, _ process: ([Message]) -> Void) {
    var batch: [Message] = []
    var isStopping = false
    while !isStopping {
      let count = mailbox.drain(limit: batchLimit) { item in
        switch item {
        case .message(let message): batch.append(message)
        case .stop: isStopping = true
        }
      }
      if !batch.isEmpty {
        process(batch)
        batch.removeAll(keepingCapacity: true)
      }
      if count == 0 && parker.park(unless: { mailbox.hasWork }) {
        wakeup.wait()
        parker.resume()
      }
    }
  }
}
