// The thread that sends webhooks.
//
//     store ── observer ──▶ post ──▶ │ turn: messages, reads, attempts, results │ ──▶ store
//                                       ▲ answers of the store   ▼ HTTP
//
// It owns the queue and the HTTP client, and touches the store through its queries and commands
// only, like a shard. Each turn asks for the pages that are due, begins the attempts that may
// begin, and saves the results in batches, one at a time: so the journal never has more than one
// batch of results to write, whatever the endpoints do.
//
// A result that is not saved when the process ends is sent again: at least once.

internal import Broadcast
package import Notifications
package import Reactor

/// What the thread reports.
package enum WebhookNotice: Sendable {
  /// The types that an enabled endpoint wants, when they may have changed.
  case types(WebhookTypes)
  /// A line for the log.
  case error(String)
}

/// Sends the deliveries in the outbox of a store to webhook endpoints.
///
/// Any thread may call its functions; `stop` once, by its owner.
package final class WebhookSender: @unchecked Sendable {
  // Unchecked: all properties but `thread` are constant and Sendable; `thread` is set by `init` and
  // touched by `stop` alone.

  private let inbox: WebhookInbox
  private let observed: WebhookObservations
  private var thread: Thread?

  /// Starts the thread.
  package init(_ context: WebhookContext) throws(SystemError) {
    let inbox = WebhookInbox(wakeup: try Wakeup(kernel: context.kernel))
    let observed = WebhookObservations()
    self.inbox = inbox
    self.observed = observed
    context.store.observeOutbox { inbox.post(.news($0)) }
    thread = try Thread(name: "webhooks") { WebhookLoop(context, inbox, observed).run() }
  }

  /// Calls `done` on the thread once no byte leaves for an endpoint that the store has deleted
  /// before this call.
  package func applyChanges(then done: @escaping @Sendable () -> Void) {
    inbox.post(.reload(done))
  }

  /// The latest deliveries that succeeded, newest first.
  package func recentDeliveries(of id: WebhookID) -> [DeliveredRecord] { observed.recent(of: id) }

  package var metrics: WebhookMetrics { observed.metrics }

  /// Ends the attempts in flight and the thread: before the store is closed.
  package func stop() {
    guard let thread else { return }
    inbox.post(.stop)
    thread.join()
    self.thread = nil
  }
}

/// What the thread is made of.
package struct WebhookContext: Sendable {
  let store: any Store
  let kernel: Kernel
  let schedule: RetrySchedule
  let policy: AddressPolicy
  let userAgent: String
  let limits: WebhookLimits
  let report: @Sendable (WebhookNotice) -> Void

  /// `report` is called on the thread and must not wait.
  package init(
    store: any Store, kernel: Kernel, schedule: RetrySchedule, policy: AddressPolicy,
    userAgent: String, limits: WebhookLimits = WebhookLimits(),
    report: @escaping @Sendable (WebhookNotice) -> Void
  ) {
    self.store = store
    self.kernel = kernel
    self.schedule = schedule
    self.policy = policy
    self.userAgent = userAgent
    self.limits = limits
    self.report = report
  }
}

/// A message to the thread.
enum WebhookMessage: Sendable {
  /// The store has new deliveries, or other endpoints.
  case news(OutboxNews)
  /// Read the endpoints, and call the closure when they are applied.
  case reload(@Sendable () -> Void)
  case endpoints([WebhookEndpoint]?)
  case page(WebhookRead, DueDeliveries?)
  case saved(Bool)
  case swept(hasMore: Bool)
  case stop
}

/// Messages for the thread, and what wakes it.
final class WebhookInbox: Sendable {
  private struct State {
    var messages: [WebhookMessage] = []
    /// Wakes the thread where it waits for transfers; nil while it waits for the wakeup.
    var waker: (@Sendable () -> Void)?
  }

  private let state = Guarded(State())
  private let wakeup: Wakeup

  init(wakeup: Wakeup) {
    self.wakeup = wakeup
  }

  func post(_ message: WebhookMessage) {
    let waker = state.withLock { state in
      // One message for many commits.
      if case .news(let news) = message, case .news(let last)? = state.messages.last {
        state.messages[state.messages.count - 1] = .news(last.union(news))
        return state.waker
      }
      state.messages.append(message)
      return state.waker
    }
    if let waker { waker() } else { wakeup.signal() }
  }

  /// Removes and returns all messages.
  func take() -> [WebhookMessage] {
    state.withLock { state in
      defer { state.messages = [] }
      return state.messages
    }
  }

  /// From now on the thread waits for transfers.
  func setWaker(_ waker: @escaping @Sendable () -> Void) {
    state.withLock { $0.waker = waker }
  }

  /// From now on nothing wakes the thread.
  func clearWaker() { state.withLock { $0.waker = nil } }

  /// Waits for a message.
  func wait(milliseconds: Int32) { wakeup.wait(timeoutMilliseconds: milliseconds) }
}
