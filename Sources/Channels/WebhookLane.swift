// The deliveries of one endpoint that are in memory: in order by subject, and bounded.
//
//     store ── page ──▶ waiting (its subject has an earlier event under way)
//        │                 ▼
//        └─────────────▶ ready ──▶ in flight ──▶ unsettled ──▶ forgotten
//     store ── page ──▶ retries ────▲
//
// Of one subject, one first attempt is under way at a time, so first attempts reach the endpoint
// in the order of their events. A retry is in no such order and holds nothing up.

internal import Algorithms
internal import Notifications

/// One attempt at a delivery.
struct WebhookAttempt: Sendable {
  /// The key of the endpoint's row.
  let lane: Int64
  let delivery: DueDelivery
  let isRetry: Bool
}

/// The deliveries of one endpoint.
///
/// Invariant: `active` has the number of each delivery that was read and is not settled. `busy` has
/// the subjects with a first attempt in `ready` or in flight, and only these have deliveries in
/// `waiting`.
final class WebhookLane {
  var endpoint: WebhookEndpoint
  private let limits: WebhookLimits
  /// The number of the last first attempt that was read.
  private(set) var cursor: Int64 = 0
  /// Whether the store may have first attempts after the cursor.
  var mayHaveFirst = true
  /// When the store may have retries that are due; nil when it has none.
  var nextRetryAt: Int64? = 0
  var isReadingFirst = false
  var isReadingRetries = false

  private var ready = Fifo<DueDelivery>()
  private var waiting: [OutboxEvent.Subject: Fifo<DueDelivery>] = [:]
  private var waitingCount = 0
  private var busy: Set<OutboxEvent.Subject> = []
  private var retries = Fifo<DueDelivery>()
  private var active: Set<Int64> = []
  /// Retries among them.
  private var activeRetryCount = 0
  /// Deliveries whose results were saved since the page of retries was asked for.
  private var settledMeanwhile: Set<Int64> = []
  /// Whether the store has more due retries than those that are under way.
  private var isWaitingForRetries = false

  /// Rises whenever the queued deliveries are dropped.
  private(set) var generation = 0
  private(set) var inFlightCount = 0
  private var retriesInFlightCount = 0
  /// Attempts that may be in flight: halved by a failure, one more after each success.
  private(set) var concurrency: Int
  /// When an attempt last succeeded; nil if none has since the start.
  private(set) var succeededAt: Int64?

  init(_ endpoint: WebhookEndpoint, _ limits: WebhookLimits) {
    self.endpoint = endpoint
    self.limits = limits
    concurrency = limits.endpointInFlight
  }

  /// First attempts that were read and not begun.
  var queuedCount: Int { ready.count + waitingCount }

  /// Whether a further page of first attempts is due.
  var wantsFirst: Bool {
    endpoint.isEnabled && mayHaveFirst && !isReadingFirst && queuedCount <= limits.pageRows / 2
  }

  /// Whether a page of retries is due.
  func wantsRetries(at now: Int64) -> Bool { readsRetriesAt.map { $0 <= now } ?? false }

  /// When a page of retries is due; nil while none is, whatever the time.
  var readsRetriesAt: Int64? {
    guard endpoint.isEnabled, !isReadingRetries, retries.isEmpty else { return nil }
    return nextRetryAt
  }

  /// Begins to read retries: those that are noted from now on may be missing in the page.
  func beginRetries() {
    isReadingRetries = true
    nextRetryAt = nil
    settledMeanwhile = []
  }

  // MARK: Reading

  /// Takes a page of first attempts.
  func takeFirst(_ due: DueDeliveries) {
    cursor = max(cursor, due.through)
    // guard: delivery-read-twice-sent-once
    for delivery in due.rows where active.insert(delivery.sequence).inserted {
      // guard: first-attempts-in-order
      if busy.contains(delivery.subject) {
        waiting[delivery.subject, default: Fifo()].append(delivery)
        waitingCount += 1
      } else {
        busy.insert(delivery.subject)
        ready.append(delivery)
      }
    }
  }

  /// Takes a page of retries.
  func takeRetries(_ due: DueDeliveries) {
    var count = 0
    for delivery in due.rows {
      // The page may be older than the result of its last attempt.
      // guard: retry-settled-meanwhile
      if settledMeanwhile.contains(delivery.sequence) { continue }
      guard active.insert(delivery.sequence).inserted else { continue }
      retries.append(delivery)
      count += 1
    }
    activeRetryCount += count
    settledMeanwhile = []
    if let next = due.nextRetryAt { retry(at: next) }
    guard due.hasMore else { return }
    // A page of retries that are all under way would be read again and again.
    // guard: no-spin-for-retries-in-flight
    if count > 0 { retry(at: 0) } else { isWaitingForRetries = true }
  }

  // MARK: Attempting

  /// The next attempt, if one may begin; first attempts leave half of the places to retries.
  func nextAttempt() -> WebhookAttempt? {
    guard endpoint.isEnabled, inFlightCount < concurrency else { return nil }
    let retryLimit = max(1, concurrency / 2)
    let isRetryTurn = retriesInFlightCount < retryLimit && retries.count > 0
    // A retry goes first only while retries have less than their part.
    if isRetryTurn, ready.count == 0 || retriesInFlightCount * 2 < inFlightCount,
      let delivery = retries.popFirst()
    {
      inFlightCount += 1
      retriesInFlightCount += 1
      return WebhookAttempt(lane: endpoint.key, delivery: delivery, isRetry: true)
    }
    guard let delivery = ready.popFirst() else { return nil }
    inFlightCount += 1
    return WebhookAttempt(lane: endpoint.key, delivery: delivery, isRetry: false)
  }

  /// Ends an attempt: the next event of its subject may follow, whatever the outcome.
  func end(_ attempt: WebhookAttempt, hasSucceeded: Bool, at now: Int64) {
    inFlightCount -= 1
    if attempt.isRetry { retriesInFlightCount -= 1 }
    if hasSucceeded {
      concurrency = min(concurrency + 1, limits.endpointInFlight)
      succeededAt = now
    } else {
      // guard: failing-endpoint-slows-down
      concurrency = max(concurrency / 2, limits.endpointPlaces)
    }
    guard !attempt.isRetry else { return }
    let subject = attempt.delivery.subject
    if let next = waiting[subject]?.popFirst() {
      waitingCount -= 1
      ready.append(next)
      if waiting[subject]?.count == 0 { waiting[subject] = nil }
    } else {
      busy.remove(subject)
    }
  }

  /// Forgets a delivery whose result is in the store.
  func settled(_ sequence: Int64, isRetry: Bool) {
    active.remove(sequence)
    if isReadingRetries { settledMeanwhile.insert(sequence) }
    guard isRetry else { return }
    activeRetryCount -= 1
    guard isWaitingForRetries else { return }
    isWaitingForRetries = false
    retry(at: 0)
  }

  /// Notes that a retry will be due at that time.
  func retry(at time: Int64) { nextRetryAt = min(nextRetryAt ?? .max, time) }

  /// Forgets what was read and not begun, for an endpoint that is disabled: it is read again.
  func dropQueued() {
    // The subjects of attempts in flight stay busy.
    while let delivery = ready.popFirst() {
      active.remove(delivery.sequence)
      busy.remove(delivery.subject)
    }
    while let delivery = retries.popFirst() {
      active.remove(delivery.sequence)
      activeRetryCount -= 1
    }
    for queue in waiting.values { queue.forEach { active.remove($0.sequence) } }
    waiting = [:]
    waitingCount = 0
    generation += 1
    cursor = 0
    mayHaveFirst = true
    nextRetryAt = 0
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    assert(waitingCount == waiting.values.reduce(0) { $0 + $1.count })
    assert(waiting.keys.allSatisfy(busy.contains))
    assert(retriesInFlightCount <= inFlightCount && inFlightCount >= 0)
    assert(retries.count + retriesInFlightCount <= activeRetryCount)
    assert(queuedCount + retries.count + inFlightCount <= active.count)
  }
}
