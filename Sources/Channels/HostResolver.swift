// The thread that resolves names.
//
// libcurl's own resolver would start a thread for each name, and would connect to addresses that
// the policy has not seen. Debian's libcurl has no c-ares. Here one thread resolves names one after
// another, so a slow name server delays the names after it, and no transfer with a known name.

internal import Broadcast
internal import Reactor

/// Resolves names on a thread of its own.
///
/// One thread, the owner, calls all functions; the answers come back through a mailbox.
///
/// Invariant: each accepted lookup has one answer, unless `stop` is called before it.
final class HostResolver {
  /// Finds the addresses of a name; it may block, and runs on the resolver's thread.
  typealias Lookup = @Sendable (String) -> [PeerAddress]

  /// The addresses of a name.
  struct Answer: Sendable {
    let name: String
    /// In the order of preference; nil if the lookup was not made, because it waited too long.
    let addresses: [PeerAddress]?
  }

  private enum Item: Sendable {
    /// A name, and the monotonic time in milliseconds after which the answer is useless.
    case name(String, until: UInt64)
    case stop
  }

  private let names: Mailbox<Item>
  private let answers: Mailbox<Answer>
  /// Whether the lookups that wait are skipped.
  private let isStopped = Guarded(false)
  private var thread: Thread?

  /// Starts the thread; at most `capacity` lookups wait or have an answer that is not taken.
  ///
  /// `owner` is unparked when an answer arrives.
  init(
    capacity: Int, kernel: Kernel, owner: Parker, lookup: @escaping Lookup
  ) throws(SystemError) {
    let wakeup = try Wakeup(kernel: kernel)
    let parker = Parker(wake: { wakeup.signal() })
    let names = Mailbox<Item>(capacity: capacity, parker: parker)
    let answers = Mailbox<Answer>(capacity: capacity, parker: owner)
    self.names = names
    self.answers = answers
    let isStopped = isStopped
    thread = try Thread(name: "resolver") {
      var isStopping = false
      while !isStopping {
        let count = names.drain(limit: 1) { item in
          switch item {
          case .stop:
            isStopping = true
          case .name(let name, let end):
            // guard: late-lookups
            let isLate = kernel.monotonicMilliseconds >= end || isStopped.withLock { $0 }
            // Bounded by the names: each is looked up once at a time.
            answers.append(Answer(name: name, addresses: isLate ? nil : lookup(name)))
          }
        }
        if count == 0 && parker.park(unless: { names.hasWork }) {
          wakeup.wait()
          parker.resume()
        }
      }
    }
  }

  /// Ends the thread.
  ///
  /// It waits for the lookup in progress, which `/etc/resolv.conf` bounds, and drops the others.
  func stop() {
    guard let thread else { return }
    isStopped.withLock { $0 = true }
    names.append(.stop)
    thread.join()
    self.thread = nil
  }

  /// Queues a lookup; false if `capacity` lookups wait.
  func offer(_ name: String, until end: UInt64) -> Bool { names.offer(.name(name, until: end)) }

  /// Whether there is an answer.
  var hasAnswers: Bool { answers.hasWork }

  /// Takes all answers.
  func takeAnswers(_ body: (Answer) -> Void) { _ = answers.drain(limit: .max, body) }
}
