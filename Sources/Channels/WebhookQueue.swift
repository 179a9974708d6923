// Which deliveries to read, to attempt and to save next: the decisions of the thread that sends
// webhooks, without its input and output.
//
// All endpoints share the places for attempts in flight. Each has two of its own, and may take of
// the shared ones while it has at most half of those that are free. So an endpoint that answers
// nothing holds few of them, and the others find one at once.

internal import Notifications

/// A page that is due to be read from the store.
struct WebhookRead: Sendable {
  enum Kind { case first, retries }

  let lane: Int64
  let kind: Kind
  let query: OutboxQuery
  /// The number of news when it was asked for.
  fileprivate let newsCount: Int
  /// The lane's generation when it was asked for.
  fileprivate let generation: Int
}

/// What becomes of a delivery after an attempt.
enum AttemptOutcome: Sendable, Equatable {
  case delivered(status: Int)
  /// `retryAfterSeconds` is the receiver's wish.
  case failed(status: Int?, reason: String, retryAfterSeconds: Int64?)
  /// The receiver says that the endpoint is gone.
  case gone(status: Int)
  /// The stored message is damaged, so none of it was sent.
  case damaged
}

/// The endpoints and their deliveries in memory.
///
/// A value of one thread; times are milliseconds since 1970, as in the store.
final class WebhookQueue {
  /// A result that the store has not saved.
  private struct Result {
    let result: DeliveryResult
    let isRetry: Bool
  }

  private let limits: WebhookLimits
  private let schedule: RetrySchedule
  private var lanes: [Int64: WebhookLane] = [:]
  /// The keys of the endpoints, oldest first; the first has the next turn.
  private var turns: [Int64] = []
  private var newsCount = 0
  private(set) var inFlightCount = 0
  private var results: [Result] = []
  /// The results that the store is saving.
  private var saving: [Result] = []
  /// Endpoints to disable, with the reason.
  private(set) var disabled: [(id: WebhookID, reason: WebhookEndpoint.DisabledReason)] = []

  init(_ limits: WebhookLimits, _ schedule: RetrySchedule) {
    self.limits = limits
    self.schedule = schedule
  }

  // MARK: Endpoints

  /// Takes the endpoints as they are in the store; returns the keys of those that were deleted.
  func update(_ endpoints: [WebhookEndpoint]) -> [Int64] {
    var gone = Set(lanes.keys)
    for endpoint in endpoints {
      gone.remove(endpoint.key)
      if let lane = lanes[endpoint.key] {
        lane.endpoint = endpoint
        // Dead deliveries may be due again.
        lane.retry(at: 0)
        if !endpoint.isEnabled { lane.dropQueued() }
      } else {
        lanes[endpoint.key] = WebhookLane(endpoint, limits)
        turns.append(endpoint.key)
      }
    }
    for key in gone {
      inFlightCount -= lanes[key]?.inFlightCount ?? 0
      lanes[key] = nil
    }
    turns.removeAll { gone.contains($0) }
    results.removeAll { gone.contains($0.result.webhook) }
    disabled = []
    return Array(gone)
  }

  /// Notes that the store has new deliveries.
  func noteNews() {
    newsCount += 1
    for lane in lanes.values { lane.mayHaveFirst = true }
  }

  func endpoint(of key: Int64) -> WebhookEndpoint? { lanes[key]?.endpoint }

  // MARK: Reading

  /// The pages that are due to be read now.
  func nextReads(at now: Int64) -> [WebhookRead] {
    guard unsettledCount < limits.unsettledRows else { return [] }
    var reads: [WebhookRead] = []
    for key in turns {
      guard let lane = lanes[key] else { continue }
      if lane.wantsFirst {
        lane.isReadingFirst = true
        reads.append(
          WebhookRead(
            lane: key, kind: .first,
            query: .first(webhook: key, after: lane.cursor, limit: limits.pageRows),
            newsCount: newsCount, generation: lane.generation))
      }
      if lane.wantsRetries(at: now) {
        lane.beginRetries()
        reads.append(
          WebhookRead(
            lane: key, kind: .retries,
            query: .retries(webhook: key, dueBy: now, limit: limits.pageRows / 4),
            newsCount: newsCount, generation: lane.generation))
      }
    }
    return reads
  }

  /// Takes the page of a read; nil when the store could not be read, and the read is repeated.
  func take(_ due: DueDeliveries?, of read: WebhookRead) {
    guard let lane = lanes[read.lane] else { return }
    switch read.kind {
    case .first: lane.isReadingFirst = false
    case .retries: lane.isReadingRetries = false
    }
    guard let due else {
      if read.kind == .retries { lane.retry(at: 0) }
      return
    }
    // What an endpoint that is disabled meanwhile leaves is read again when it is enabled.
    guard lane.endpoint.isEnabled, read.generation == lane.generation else { return }
    switch read.kind {
    case .first:
      lane.takeFirst(due)
      lane.mayHaveFirst = due.hasMore || read.newsCount != newsCount
    case .retries:
      lane.takeRetries(due)
    }
    lane.checkInvariants()
  }

  /// When a read will be due without a message or the end of an attempt; nil when none will.
  var nextRetryAt: Int64? {
    guard unsettledCount < limits.unsettledRows else { return nil }
    return lanes.values.lazy.compactMap(\.readsRetriesAt).min()
  }

  // MARK: Attempting

  /// The next attempt to begin; nil when none may begin now.
  func nextAttempt() -> WebhookAttempt? {
    // guard: unsettled-results-bound
    guard unsettledCount < limits.unsettledRows else { return nil }
    for (index, key) in turns.enumerated() {
      guard let lane = lanes[key], mayBegin(at: lane), let attempt = lane.nextAttempt() else {
        continue
      }
      inFlightCount += 1
      // The next endpoint has the next turn.
      turns = Array(turns[(index + 1)...] + turns[...index])
      return attempt
    }
    return nil
  }

  private func mayBegin(at lane: WebhookLane) -> Bool {
    if lane.inFlightCount < limits.endpointPlaces { return true }
    let ownCount = lanes.values.reduce(0) {
      $0 + min($1.inFlightCount, limits.endpointPlaces)
    }
    let free = limits.sharedInFlight - (inFlightCount - ownCount)
    // guard: endpoint-has-half-of-free-places
    return lane.inFlightCount - limits.endpointPlaces < free / 2
  }

  /// Ends an attempt.
  ///
  /// `random` is any number, and spreads the retries. Returns the result; nil when the endpoint was
  /// deleted meanwhile.
  func end(
    _ attempt: WebhookAttempt, _ outcome: AttemptOutcome, at now: Int64, random: UInt64
  ) -> DeliveryResult? {
    guard let lane = lanes[attempt.lane] else { return nil }
    inFlightCount -= 1
    let attempts = attempt.delivery.attempts + 1
    var status: Int?
    var text = ""
    var next = DeliveryResult.Outcome.dead
    var hasSucceeded = false
    switch outcome {
    case .delivered(let code):
      (status, next, hasSucceeded) = (code, .delivered, true)
    case .gone(let code):
      (status, text) = (code, "answered \(code)")
      disabled.append((lane.endpoint.id, .gone))
    case .damaged:
      text = "the stored message is damaged"
    case .failed(let code, let reason, let wish):
      (status, text) = (code, reason)
      if let delay = schedule.delayMilliseconds(
        failureCount: attempts, random: random, retryAfterSeconds: wish)
      {
        next = .retry(at: now + delay)
      } else if lane.succeededAt.map({ $0 < attempt.delivery.createdAt }) ?? true {
        // guard: failing-endpoint-disabled
        disabled.append((lane.endpoint.id, .failing))
      }
    }
    lane.end(attempt, hasSucceeded: hasSucceeded, at: now)
    lane.checkInvariants()
    let result = DeliveryResult(
      webhook: attempt.lane, sequence: attempt.delivery.sequence, attempts: attempts,
      outcome: next, status: status, reason: text, time: now)
    results.append(Result(result: result, isRetry: attempt.isRetry))
    return result
  }

  /// The endpoints that have to be disabled, each once.
  func takeDisabled() -> [(id: WebhookID, reason: WebhookEndpoint.DisabledReason)] {
    defer { disabled = [] }
    var seen: Set<WebhookID> = []
    return disabled.filter { seen.insert($0.id).inserted }
  }

  // MARK: Saving

  /// Results that the store has not saved.
  var unsettledCount: Int { results.count + saving.count }

  /// The results to save next; nil when there are none, or while others are being saved.
  func nextResults() -> [DeliveryResult]? {
    guard saving.isEmpty, !results.isEmpty else { return nil }
    saving = Array(results.prefix(limits.settledRows))
    results.removeFirst(saving.count)
    return saving.map(\.result)
  }

  /// Notes whether the results were saved; if not, they are saved later.
  func saved(_ isSaved: Bool) {
    if isSaved {
      for saved in saving {
        guard let lane = lanes[saved.result.webhook] else { continue }
        lane.settled(saved.result.sequence, isRetry: saved.isRetry)
        // Only now: a page that was read before would not have it.
        // guard: retry-noted-when-saved
        if case .retry(let time) = saved.result.outcome { lane.retry(at: time) }
      }
    } else {
      results = saving.filter { lanes[$0.result.webhook] != nil } + results
    }
    saving = []
  }
}
