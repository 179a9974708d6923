// A thread with a mailbox: the shape of the journal and of each reader.
//
// The end is a message like any other, behind everything that was handed in before it. So there is
// no flag to race with, and what was accepted is finished.

internal import Broadcast
internal import Reactor

/// One thread that works on what others put into its mailbox.
final class Worker<Message: Sendable>: @unchecked Sendable {
  // Unchecked: mailbox and parker are Sendable; `thread` is set by `start` before anyone else has
  // the worker, and read once, by the one call of `stop`.

  private enum Item: Sendable {
    case message(Message)
    case stop
  }

  private let mailbox: Mailbox<Item>
  private let parker: Parker
  private let wakeup: Wakeup
  private var thread: Thread?

  init(capacity: Int, kernel: Kernel) throws(StoreError) {
    let wakeup: Wakeup
    do throws(SystemError) {
      wakeup = try Wakeup(kernel: kernel)
    } catch {
      throw StoreError(error)
    }
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
  /// `process` gets the waiting messages, at most `batchLimit` at once; it is released on the
  /// thread, before `stop` returns.
  func start(
    name: String, batchLimit: Int, process: sending @escaping ([Message]) -> Void
  ) throws(StoreError) {
    do throws(SystemError) {
      thread = try Thread(name: name) { self.run(batchLimit: batchLimit, process) }
    } catch {
      throw StoreError(error)
    }
  }

  /// Waits until everything that was handed in is done and the thread is gone.
  ///
  /// Once only.
  func stop() {
    guard let thread else { return }
    mailbox.append(.stop)
    thread.join()
    self.thread = nil
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
