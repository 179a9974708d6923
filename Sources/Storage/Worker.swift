// A thread with a mailbox: the shape of the journal and of each reader.
//
// Stopping is a message like any other, queued after all earlier messages. So there is no flag to
// race with, and every accepted message is processed.

internal import Broadcast
internal import Reactor

/// How a worker goes on after processing messages.
enum WorkerTurn {
  /// Wait for messages.
  case wait
  /// Process again, with the messages that have arrived or without any.
  case again
}

/// One thread that processes the messages in its mailbox.
final class Worker<Message: Sendable>: @unchecked Sendable {
  // Unchecked: all properties but `thread` are constant and Sendable. `thread` is touched by
  // `start` and `stop` alone, each called once by the worker's owner, the second after the first
  // has returned; `run`, on the new thread, does not touch it.

  private enum Item: Sendable {
    case message(Message)
    case stop
  }

  /// Messages that the mailbox holds; a further one is refused.
  let depthLimit: Int
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
    depthLimit = capacity
    parker = Parker(wake: { wakeup.signal() })
    mailbox = Mailbox(capacity: capacity, parker: parker)
  }

  /// Enqueues a message.
  ///
  /// Returns false when the mailbox is full, or has `limit` messages.
  func offer(_ message: Message, within limit: Int = .max) -> Bool {
    mailbox.offer(.message(message), within: limit)
  }

  /// Messages in the mailbox; may be stale.
  var depth: Int { mailbox.count }

  /// Starts the thread.
  ///
  /// `process` gets the waiting messages, at most `batchLimit` at once; none only if its last turn
  /// asked to go on. It is released on the thread, before `stop` returns.
  func start(
    name: String, batchLimit: Int, hasLowPriority: Bool = false,
    process: sending @escaping ([Message]) -> WorkerTurn
  ) throws(StoreError) {
    do throws(SystemError) {
      thread = try Thread(name: name) {
        if hasLowPriority { Thread.lowerPriority() }
        self.run(batchLimit: batchLimit, process)
      }
    } catch {
      throw StoreError(error)
    }
  }

  /// Waits until every enqueued message is processed and the thread has ended.
  ///
  /// Call it once only.
  func stop() {
    guard let thread else { return }
    mailbox.append(.stop)
    thread.join()
    self.thread = nil
  }

  private func run(batchLimit: Int, _ process: ([Message]) -> WorkerTurn) {
    var batch: [Message] = []
    var isStopping = false
    var turn = WorkerTurn.wait
    while !isStopping || turn != .wait {
      let count = mailbox.drain(limit: batchLimit) { item in
        switch item {
        case .message(let message): batch.append(message)
        case .stop: isStopping = true
        }
      }
      if !batch.isEmpty || turn != .wait {
        turn = process(batch)
        batch.removeAll(keepingCapacity: true)
      }
      if count == 0 && turn == .wait && !isStopping && parker.park(unless: { mailbox.hasWork }) {
        wakeup.wait()
        parker.resume()
      }
    }
  }
}
