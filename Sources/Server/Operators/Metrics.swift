// Metrics of a running server: every delivery, every refusal and every disconnect with its reason.
//
// Each shard has counters of its own, which only its thread writes and the thread that answers a
// scrape reads. All accesses are relaxed: a scrape may be slightly stale, and no counter orders any
// other memory. The set of series is fixed at start: no label has a value from outside, so a client
// cannot add a series.

internal import Synchronization

/// The events that are counted.
enum Counter: Int, CaseIterable {
  case accepted, acceptPauses, refusedConnections
  case refusedByAddress, refusedByAddressRate, refusedUnauthenticated
  case sessionsRefused, sessionsReplaced, messagesRefused, messageFloods, publishesRefused
  case requests, refusedRequests, requestsRefusedByRate
  case sessionsOpened, sessionsClosed
  case framesDelivered, bytesSent, framesReceived, bytesReceived
  case published, relayedLost, broadcasts, ringFull
  case slowConsumers, timedOut, idleClosed, tokensExpired, protocolViolations, originsRefused
  case resets
  case replays, resyncs, historyLosses, replayedNotifications, catchUps
  case droppedPongs, roomsRefused, presenceDropped, webhookEventsLost
  case engineUpgrades, connectionsHandedOver, roomsNotPersisted
  case storeTimeouts, pagesRefused
  case keysRefusedUnknown, keysRefusedExpired, keysRefusedRevoked, keysRefusedVerb
  case keysRefusedType
  case tokensRefusedByRate, keySetsFetched, keySetFailures

  /// The name of the series, without its prefix.
  var name: String {
    switch self {
    case .accepted: "connections_accepted_total"
    case .acceptPauses: "accept_pauses_total"
    case .refusedConnections: "connections_refused_total"
    case .refusedByAddress: "connections_refused_address_total"
    case .refusedByAddressRate: "connections_refused_address_rate_total"
    case .refusedUnauthenticated: "connections_refused_unauthenticated_total"
    case .sessionsRefused: "sessions_refused_user_total"
    case .sessionsReplaced: "sessions_replaced_total"
    case .messagesRefused: "messages_refused_rate_total"
    case .messageFloods: "disconnects_message_rate_total"
    case .publishesRefused: "publishes_refused_rate_total"
    case .requests: "http_requests_total"
    case .refusedRequests: "http_requests_refused_total"
    case .requestsRefusedByRate: "http_requests_refused_rate_total"
    case .sessionsOpened: "sessions_opened_total"
    case .sessionsClosed: "sessions_closed_total"
    case .framesDelivered: "frames_delivered_total"
    case .bytesSent: "bytes_sent_total"
    case .framesReceived: "frames_received_total"
    case .bytesReceived: "bytes_received_total"
    case .published: "notifications_published_total"
    case .relayedLost: "relayed_notifications_lost_total"
    case .broadcasts: "broadcasts_total"
    case .ringFull: "publishes_refused_ring_full_total"
    case .slowConsumers: "disconnects_slow_consumer_total"
    case .timedOut: "disconnects_timeout_total"
    case .idleClosed: "disconnects_idle_total"
    case .tokensExpired: "disconnects_token_expired_total"
    case .protocolViolations: "disconnects_protocol_violation_total"
    case .originsRefused: "origins_refused_total"
    case .resets: "disconnects_reset_total"
    case .replays: "replays_total"
    case .resyncs: "resyncs_total"
    case .historyLosses: "history_losses_total"
    case .replayedNotifications: "replayed_notifications_total"
    case .catchUps: "catch_ups_total"
    case .droppedPongs: "pongs_dropped_total"
    case .roomsRefused: "rooms_refused_total"
    case .presenceDropped: "presence_untold_total"
    case .webhookEventsLost: "webhook_events_lost_total"
    case .engineUpgrades: "engine_upgrades_total"
    case .connectionsHandedOver: "connections_handed_over_total"
    case .roomsNotPersisted: "rooms_unkept_total"
    case .storeTimeouts: "store_timeouts_total"
    case .pagesRefused: "pages_refused_memory_total"
    case .keysRefusedUnknown: "keys_refused_unknown_total"
    case .keysRefusedExpired: "keys_refused_expired_total"
    case .keysRefusedRevoked: "keys_refused_revoked_total"
    case .keysRefusedVerb: "keys_refused_verb_total"
    case .keysRefusedType: "keys_refused_type_total"
    case .tokensRefusedByRate: "tokens_refused_rate_total"
    case .keySetsFetched: "key_sets_fetched_total"
    case .keySetFailures: "key_set_failures_total"
    }
  }
}

/// The values that rise and fall.
enum Gauge: Int, CaseIterable {
  case connections, sessions, users, rooms, blockedConnections, pageBytes, unauthenticated
  case draining

  /// The name of the series, without its prefix.
  var name: String {
    switch self {
    case .connections: "connections"
    case .sessions: "sessions"
    case .users: "users"
    case .rooms: "rooms"
    case .blockedConnections: "connections_blocked"
    case .pageBytes: "page_bytes"
    case .unauthenticated: "connections_unauthenticated"
    case .draining: "draining"
    }
  }
}

/// The counters of one shard.
final class ShardMetrics: Sendable {
  // One allocation per counter, all made at start: counters of two shards can share a cache line
  // only at the boundary between the shards' allocations.
  private let counters: [AtomicCell]
  private let gauges: [AtomicCell]
  /// Publish latencies to the socket, by the buckets of `LatencyScale`.
  private let latencyBuckets: [AtomicCell]
  private let latencyNanoseconds = AtomicCell()

  init() {
    counters = Counter.allCases.map { _ in AtomicCell() }
    gauges = Gauge.allCases.map { _ in AtomicCell() }
    latencyBuckets = (0..<LatencyScale.bucketCount).map { _ in AtomicCell() }
  }

  /// Adds to a counter.
  ///
  /// Only the shard's own thread may call it.
  func add(_ counter: Counter, _ amount: Int = 1) {
    counters[counter.rawValue].add(amount)
  }

  /// Counts `count` events with this latency.
  ///
  /// Only the shard's own thread may call it.
  func addLatency(nanoseconds: UInt64, count: Int) {
    latencyBuckets[LatencyScale.bucket(nanoseconds: nanoseconds)].add(count)
    latencyNanoseconds.add(Int(truncatingIfNeeded: nanoseconds) &* count)
  }

  /// The latencies so far, slightly stale.
  ///
  /// A reading during an update may have its bucket without its sum, or the reverse.
  var latencies: LatencyCounts {
    // relaxed: see the file's opening.
    LatencyCounts(
      counts: latencyBuckets.map { UInt64(truncatingIfNeeded: $0.value.load(ordering: .relaxed)) },
      sumNanoseconds: latencyNanoseconds.value.load(ordering: .relaxed))
  }

  /// Sets a gauge.
  ///
  /// Only the shard's own thread may call it.
  func set(_ gauge: Gauge, _ value: Int) {
    // relaxed: a scrape may see the previous value.
    gauges[gauge.rawValue].value.store(value, ordering: .relaxed)
  }

  /// The counter's current value, slightly stale.
  func value(_ counter: Counter) -> Int {
    // relaxed: see the file's opening.
    counters[counter.rawValue].value.load(ordering: .relaxed)
  }

  /// The gauge's current value, slightly stale.
  func value(_ gauge: Gauge) -> Int {
    // relaxed: see the file's opening.
    gauges[gauge.rawValue].value.load(ordering: .relaxed)
  }
}

private final class AtomicCell: Sendable {
  let value = Atomic<Int>(0)

  /// Adds to the value, which has a single writer.
  func add(_ amount: Int) {
    // relaxed, and a load and a store instead of a read-modify-write: there is one writer.
    value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }
}

extension [ShardMetrics] {
  /// The sum over all shards.
  func total(_ counter: Counter) -> Int { reduce(0) { $0 &+ $1.value(counter) } }
  /// The sum over all shards.
  func total(_ gauge: Gauge) -> Int { reduce(0) { $0 &+ $1.value(gauge) } }
}

/// Admits so many calls a second, from any thread, and counts the rest.
final class RateGate: Sendable {
  private let perSecondLimit: Int
  private let second = Atomic<Int64>(0)
  private let used = Atomic<Int>(0)
  private let refused = Atomic<Int>(0)

  init(perSecondLimit: Int) { self.perSecondLimit = perSecondLimit }

  /// Whether one more is admitted in `second`, and how many were refused since the last admission.
  func admit(second now: Int64) -> (isAdmitted: Bool, suppressed: Int) {
    // relaxed throughout: the counts guard no other memory, and when the second changes two threads
    // may each admit a line more than the limit, which is harmless.
    if second.exchange(now, ordering: .relaxed) != now { used.store(0, ordering: .relaxed) }
    guard used.wrappingAdd(1, ordering: .relaxed).newValue <= perSecondLimit else {
      refused.wrappingAdd(1, ordering: .relaxed)
      return (false, 0)
    }
    return (true, refused.exchange(0, ordering: .relaxed))
  }

  /// Adds to the refused calls: one that was admitted and then dropped, and those reported with it.
  func refuse(_ count: Int) {
    // relaxed: see `admit`.
    refused.wrappingAdd(count, ordering: .relaxed)
  }
}
