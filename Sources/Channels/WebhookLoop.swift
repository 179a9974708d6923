// The turns of the thread that sends webhooks.

internal import Cryptography
internal import Notifications
internal import Reactor

/// The loop of the sending thread; confined to it.
final class WebhookLoop {
  /// The longest wait: bounds how late a change of the clock is noticed.
  private static let waitMilliseconds: Int64 = 1_000
  /// The pause after the store has refused a query or a command.
  private static let pauseMilliseconds: Int64 = 100

  /// An attempt in flight.
  private struct Flight {
    let attempt: WebhookAttempt
    let startedAt: UInt64
  }

  private let context: WebhookContext
  private let inbox: WebhookInbox
  private let observed: WebhookObservations
  private let queue: WebhookQueue
  private var random: RandomWords
  /// Nil until there is an endpoint.
  private var http: OutgoingHTTP?
  private var flights: [UInt64: Flight] = [:]
  private var lastID: UInt64 = 0
  private var isStopping = false
  private var isReadingEndpoints = false
  /// Whether the endpoints may have changed since they were last read.
  private var mustReadEndpoints = true
  /// Callers that wait for the endpoints that are read next, and those of the read under way.
  private var nextWaiting: [@Sendable () -> Void] = []
  private var waiting: [@Sendable () -> Void] = []
  private var mustSweep = true
  private var reportedTypes = WebhookTypes.none
  private var isSweeping = false
  /// Until then the store is not asked, in milliseconds of the monotonic clock.
  private var pausedUntil: UInt64 = 0

  init(_ context: WebhookContext, _ inbox: WebhookInbox, _ observed: WebhookObservations) {
    self.context = context
    self.inbox = inbox
    self.observed = observed
    queue = WebhookQueue(context.limits, context.schedule)
    random = RandomWords(kernel: context.kernel)
  }

  func run() {
    while true {
      for message in inbox.take() { take(message) }
      if isStopping { return end() }
      if context.kernel.monotonicMilliseconds >= pausedUntil { askStore() }
      begin()
      wait()
    }
  }

  private func end() {
    inbox.clearWaker()
    http?.stop()
    for done in waiting + nextWaiting { done() }
  }

  // MARK: Messages

  private func take(_ message: WebhookMessage) {
    switch message {
    case .news(let news):
      if news.contains(.changes) { mustReadEndpoints = true }
      if news.contains(.deliveries) { queue.noteNews() }
    case .reload(let done):
      mustReadEndpoints = true
      nextWaiting.append(done)
    case .endpoints(let endpoints):
      isReadingEndpoints = false
      guard let endpoints else {
        mustReadEndpoints = true
        nextWaiting = waiting + nextWaiting
        waiting = []
        return pause()
      }
      apply(endpoints)
    case .page(let read, let due):
      if due == nil { pause() }
      queue.take(due, of: read)
    case .saved(let isSaved):
      if !isSaved { pause() }
      queue.saved(isSaved)
    case .swept(let hasMore):
      isSweeping = false
      mustSweep = hasMore
    case .stop:
      isStopping = true
    }
  }

  private func apply(_ endpoints: [WebhookEndpoint]) {
    let gone = Set(queue.update(endpoints))
    // guard: deleted-endpoint-cancelled
    for (id, flight) in flights where gone.contains(flight.attempt.lane) {
      http?.cancel(id)
      flights[id] = nil
    }
    if !gone.isEmpty {
      mustSweep = true
      observed.forget(Set(endpoints.map(\.id)))
    }
    if !endpoints.isEmpty, http == nil { openHTTP() }
    var types = WebhookTypes.none
    for endpoint in endpoints where endpoint.isEnabled { types.formUnion(endpoint.types) }
    if types != reportedTypes {
      reportedTypes = types
      context.report(.types(types))
    }
    for done in waiting { done() }
    waiting = []
  }

  private func openHTTP() {
    do {
      let http = try OutgoingHTTP(
        policy: context.policy,
        limits: context.limits.outgoing(endpointCount: WebhookEndpoint.countLimit),
        kernel: context.kernel)
      self.http = http
      inbox.setWaker { http.wake() }
    } catch {
      context.report(.error("webhooks cannot be sent: \(error)"))
    }
  }

  // MARK: The store

  private func askStore() {
    readEndpoints()
    for read in queue.nextReads(at: context.kernel.wallMilliseconds) { ask(read) }
    saveResults()
    disableEndpoints()
    sweep()
  }

  private func readEndpoints() {
    guard mustReadEndpoints, !isReadingEndpoints else { return }
    mustReadEndpoints = false
    isReadingEndpoints = true
    waiting = nextWaiting
    nextWaiting = []
    let inbox = inbox
    let isTaken = context.store.read(.outbox(.webhooks)) { answer in
      if case .outbox(.webhooks(let endpoints)) = answer {
        inbox.post(.endpoints(endpoints))
      } else {
        inbox.post(.endpoints(nil))
      }
    }
    if !isTaken { inbox.post(.endpoints(nil)) }
  }

  private func ask(_ read: WebhookRead) {
    let inbox = inbox
    let isTaken = context.store.read(.outbox(read.query)) { answer in
      if case .outbox(.due(let due)) = answer {
        inbox.post(.page(read, due))
      } else {
        inbox.post(.page(read, nil))
      }
    }
    if !isTaken { inbox.post(.page(read, nil)) }
  }

  private func saveResults() {
    guard let results = queue.nextResults() else { return }
    submit(.settle(results)) { outcome in
      .saved(outcome == .outbox(.saved))
    }
  }

  private func disableEndpoints() {
    for (id, reason) in queue.takeDisabled() {
      var change = WebhookChange()
      change.disabledReason = .some(reason)
      context.report(.error("webhook \(id) is disabled: \(reason.name)"))
      submit(.change(id, change, at: context.kernel.wallMilliseconds)) { _ in .news(.changes) }
    }
  }

  private func sweep() {
    guard mustSweep, !isSweeping else { return }
    isSweeping = true
    submit(.sweep) { outcome in
      guard case .outbox(.changed(_, let hasMore)) = outcome else { return .swept(hasMore: true) }
      return .swept(hasMore: hasMore)
    }
  }

  private func submit(
    _ command: OutboxCommand, _ message: @escaping @Sendable (StoreOutcome) -> WebhookMessage
  ) {
    let inbox = inbox
    let isTaken = context.store.submit(.outbox(command)) { inbox.post(message($0)) }
    if !isTaken { inbox.post(message(.unavailable(reason: "the store's queue is full"))) }
  }

  private func pause() {
    pausedUntil = context.kernel.monotonicMilliseconds + UInt64(Self.pauseMilliseconds)
  }

  // MARK: Attempts

  private func begin() {
    guard let http else { return }
    while let attempt = queue.nextAttempt() {
      guard let request = request(for: attempt) else { continue }
      lastID += 1
      guard http.start(request, id: lastID) else {
        finish(
          attempt,
          .failed(
            status: nil, reason: OutgoingFailure.unavailable.rawValue,
            retryAfterSeconds: nil), milliseconds: 0)
        continue
      }
      flights[lastID] = Flight(
        attempt: attempt, startedAt: context.kernel.monotonicMilliseconds)
    }
    observed.set(inFlight: flights.count)
  }

  /// The request of an attempt; nil when it cannot be made, and the attempt has ended.
  private func request(for attempt: WebhookAttempt) -> OutgoingRequest? {
    guard let endpoint = queue.endpoint(of: attempt.lane), let body = attempt.delivery.body else {
      finish(attempt, .damaged, milliseconds: 0)
      return nil
    }
    let now = context.kernel.wallMilliseconds
    let id = attempt.delivery.messageID
    let signature = WebhookSignature.fields(
      id: id, seconds: now / 1_000, body: body, secrets: endpoint.secrets(at: now))
    do {
      return try OutgoingRequest(
        .post, Destination(endpoint.url),
        fields: [
          ("Content-Type", "application/json"), ("User-Agent", context.userAgent),
        ] + signature, body: body, timeoutMilliseconds: WebhookLimits.attemptMilliseconds)
    } catch {
      let reason = "the request cannot be made: \(error)"
      finish(
        attempt, .failed(status: nil, reason: reason, retryAfterSeconds: nil),
        milliseconds: 0)
      return nil
    }
  }

  private func wait() {
    let now = context.kernel.wallMilliseconds
    var milliseconds = Self.waitMilliseconds
    if let next = queue.nextRetryAt { milliseconds = min(milliseconds, max(0, next - now)) }
    let monotonic = context.kernel.monotonicMilliseconds
    if monotonic < pausedUntil {
      milliseconds = min(Self.waitMilliseconds, Int64(pausedUntil - monotonic))
    }
    guard let http else {
      // Without an endpoint there is nothing but messages, and a read that failed.
      return inbox.wait(milliseconds: monotonic < pausedUntil ? Int32(milliseconds) : -1)
    }
    for result in http.wait(milliseconds: Int32(milliseconds)) {
      guard let flight = flights.removeValue(forKey: result.id) else { continue }
      let duration = context.kernel.monotonicMilliseconds - flight.startedAt
      finish(flight.attempt, AttemptOutcome(result.outcome), milliseconds: Int64(duration))
    }
  }

  private func finish(
    _ attempt: WebhookAttempt, _ outcome: AttemptOutcome, milliseconds: Int64
  ) {
    let now = context.kernel.wallMilliseconds
    let endpoint = queue.endpoint(of: attempt.lane)
    let word = random.pair().0
    guard let endpoint,
      let result = queue.end(attempt, outcome, at: now, random: word)
    else { return }
    observed.note(result.outcome)
    if case .delivered(let status) = outcome {
      observed.note(
        DeliveredRecord(
          sequence: result.sequence, messageID: attempt.delivery.messageID,
          type: attempt.delivery.type, attempts: result.attempts, status: status, time: now,
          milliseconds: milliseconds), of: endpoint.id)
    }
  }
}

extension AttemptOutcome {
  /// The outcome by the rules of Standard Webhooks: 2xx is success, a redirect is a failure, and
  /// 410 ends the endpoint.
  init(_ outcome: OutgoingOutcome) {
    switch outcome {
    case .failed(let failure):
      self = .failed(status: nil, reason: failure.rawValue, retryAfterSeconds: nil)
    case .answered(let answer):
      switch answer.status {
      case 200...299: self = .delivered(status: answer.status)
      case 410: self = .gone(status: answer.status)
      default:
        self = .failed(
          status: answer.status, reason: "answered \(answer.status)",
          retryAfterSeconds: answer.retryAfterSeconds)
      }
    }
  }
}
