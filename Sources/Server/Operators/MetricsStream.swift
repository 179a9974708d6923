// `GET /api/v1/metrics/stream`: every shard's metrics, once a second, for the operator's page.
//
// A watcher is a session in a fan-out group that gets no events. Once a second its shard reads all
// shards' counters and writes one event of a stream. The flush sends it like a broadcast, with the
// same bound on a reader's lag. The read needs no other shard and blocks nothing; the other shards'
// numbers are from their last turn. The first event of a stream is the history; see
// `MetricsHistory.swift`. A watcher is a connection but not a user's session: it is not listed as
// online and does not count toward a user's quota.
//
// Invariant: there is a feed while there is a watcher, and at most a second longer. Without a feed
// no event is written, and no turn is taken for it.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

extension Endpoints {
  /// Admits a publisher as a watcher, up to the limit.
  static func metricsStream(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    guard !shard.drain.hasBegun else {
      throw Refusal(.unavailable("draining", "the server is shutting down"))
    }
    let limit = shard.core.configuration.limits.metricsStreamsPerShardLimit
    guard shard.metricsWatcherCount < limit else {
      throw Refusal(.unavailable("busy", "too many metrics streams, at most \(limit) are served"))
    }
    return .metricsStream
  }
}

/// The state of a shard's metrics events, while it has watchers.
struct MetricsFeed {
  static let intervalMilliseconds: UInt64 = 1_000

  /// When the next event is due.
  var nextAt: UInt64
  /// Each shard's latencies between the last two readings.
  private var latencies: LatencyReadings

  init(at now: UInt64, metrics: [ShardMetrics]) {
    nextAt = now + MetricsFeed.intervalMilliseconds
    latencies = LatencyReadings(metrics)
  }

  /// Reads the latencies and summarizes those since the last reading.
  mutating func read(_ metrics: [ShardMetrics], at now: UInt64) {
    latencies.read(metrics)
    nextAt += MetricsFeed.intervalMilliseconds
    // After a stall, the missed events are skipped.
    if nextAt <= now { nextAt = now + MetricsFeed.intervalMilliseconds }
  }

  /// Writes one event: totals since the start, current gauges, and latencies.
  func write(
    _ metrics: [ShardMetrics], _ server: ServerState, time: Int64, to frames: inout FrameWriter
  ) {
    frames.envelope("type", "metrics") { data in
      data.member("time", Int(time))
      data.member("server") { server.write(into: &$0) }
      data.member("shards", array: zip(metrics, latencies.summaries)) { data, shard in
        data.openObject()
        MetricsFeed.write(shard.0, shard.1, into: &data)
        data.closeObject()
      }
    }
  }

  private static func write(
    _ shard: ShardMetrics, _ latency: LatencySummary, into json: inout [UInt8]
  ) {
    json.member("connections", shard.value(.connections))
    json.member("sessions", shard.value(.sessions))
    json.member("users", shard.value(.users))
    json.member("rooms", shard.value(.rooms))
    json.member("blocked", shard.value(.blockedConnections))
    json.member("delivered", shard.value(.framesDelivered))
    json.member("bytes_sent", shard.value(.bytesSent))
    // Stored and transient publishes together: a publisher does not need the difference.
    json.member("published", shard.value(.published) &+ shard.value(.broadcasts))
    json.member("slow_consumers", shard.value(.slowConsumers))
    json.member("received", shard.value(.framesReceived))
    json.member("latency") { data in
      data.member("count", latency.count)
      data.member("p50", latency.median)
      data.member("p99", latency.percentile99)
      data.member("max", latency.longest)
    }
  }
}

/// The figures of the server as a whole.
struct ServerState {
  private let uptimeSeconds: Int
  private let residentByteCount = ProcessResources.residentByteCount
  private let store: StoreMetrics
  private let status: StoreStatus
  private let isPersistent: Bool

  init(_ core: ServerCore, at now: UInt64) {
    uptimeSeconds = Int((now - min(now, core.startedAt)) / 1_000)
    store = core.store.metrics
    status = core.store.status
    isPersistent = core.configuration.dataPath != Configuration.inMemory
  }

  func write(into json: inout [UInt8]) {
    json.member("version", CarillonServer.version)
    json.member("uptime", uptimeSeconds)
    json.memberName("memory")
    json.append(decimalOrNull: residentByteCount)
    json.member("store") { json in
      json.member("state", status.name)
      json.member("reason", status.reason)
      json.member("persistent", isPersistent)
      json.member("write_queue", store.writeQueueDepth)
      json.member("write_queue_limit", store.writeQueueLimit)
      json.member("read_queue", store.readQueueDepth)
    }
  }
}

/// The dialect of watchers: they get none of the events of clients.
struct MetricsDialect: Dialect {
  let name = "metrics"
  let path = "/api/v1/metrics/stream"
  let framing: Framing
  let admission = Admission.refusedBeforeUpgrade
  // The event each second keeps the connection alive.
  let heartbeat = Heartbeat(
    pingIntervalMilliseconds: .max / 2, silenceLimitMilliseconds: .max / 2)
  /// Not on the wire, where the stream just ends.
  let expiryCloseCode: UInt16 = 1008

  init(framing: Framing = .chunkedEventStream) { self.framing = framing }

  func write(_ event: Event, to frames: inout FrameWriter) {}
  func write(_ greeting: Greeting, to frames: inout FrameWriter) {}
  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {}
  func writeMissed(_ notification: Notification, _ counts: Counts, to frames: inout FrameWriter) {}
  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {}
}

extension Shard {
  /// Sessions on this shard that watch the metrics.
  var metricsWatcherCount: Int {
    fanOutGroups.metrics.reduce(0) { $0 + delivery.memberCount(of: $1.id) }
  }

  /// Answers the request with a stream and sends its first two events at once.
  func openMetricsStream(_ request: Request) {
    let slot = request.slot
    guard beginStream(request) else { return }
    let encoder = fanOutGroups.metrics(.eventStream(answering: request.head))
    beginSession(at: slot, in: encoder.id)
    table[slot].user = request.caller.user ?? ""
    table[slot].tokenEnd = request.caller.end
    table[slot].connectedAt = wall
    table[slot].deadline = .max
    logBeginning(at: slot)
    connections.scheduleTimer(slot)
    if metricsFeed == nil || metricsWatcherCount == 0 {
      metricsFeed = MetricsFeed(at: now, metrics: core.metrics)
    }
    delivery.join(slot)
    writeMetrics(ServerState(core, at: now), to: encoder, isFirst: true)
    delivery.send(encoder.writer.bytes, to: slot)
  }

  /// Sends an event to the watchers if it is due, and ends the feed if there are none.
  func sendMetrics() {
    guard let feed = metricsFeed, now >= feed.nextAt else { return }
    guard metricsWatcherCount > 0 else {
      metricsFeed = nil
      return
    }
    metricsFeed?.read(core.metrics, at: now)
    let state = ServerState(core, at: now)
    for encoder in fanOutGroups.metrics where delivery.memberCount(of: encoder.id) > 0 {
      writeMetrics(state, to: encoder)
      delivery.append(encoder.writer.bytes, to: encoder.id)
    }
  }

  /// Writes an event with the writer of `encoder`; a stream's first one carries its opening.
  private func writeMetrics(
    _ state: ServerState, to encoder: GroupEncoder, isFirst: Bool = false
  ) {
    // Updates this shard's own gauges; the others do so in their turns.
    publishGauges()
    encoder.writer.removeAll()
    if isFirst {
      encoder.writer.beginStream()
      core.metricsHistory.withLock { $0 }.write(to: &encoder.writer)
    }
    metricsFeed?.write(core.metrics, state, time: wall, to: &encoder.writer)
  }
}
