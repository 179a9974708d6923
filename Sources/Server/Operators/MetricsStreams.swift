// `GET /api/v1/metrics/stream`: every shard's metrics, once a second, for the operator's page.
//
// A watcher is a session in a fan-out group that gets no events. Once a second its shard reads all
// shards' counters and writes one event of a stream. The flush sends it like a broadcast, with the
// same bound on a reader's lag. The read needs no other shard and blocks nothing; the other shards'
// numbers are from their last turn. The first event of a stream is the history; see
// `MetricsHistory.swift`. A watcher is a connection but not a user's session: it is not listed as
// online and does not count toward a user's quota.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

/// The metrics streams of one shard.
///
/// Invariant: there is a feed while there is a watcher, and at most a second longer. Without a feed
/// no event is written, and no turn is taken for it.
final class MetricsStreams: ShardComponent {
  /// Time between two events.
  static let intervalMilliseconds: UInt64 = 1_000

  private struct Feed {
    /// When the next event is due.
    var nextAt: UInt64
    /// Each shard's latencies between the last two readings.
    var latencies: LatencyReadings
  }

  let context: ShardContext
  private var feed: Feed?

  init(_ context: ShardContext) { self.context = context }

  /// Sessions on this shard that watch the metrics.
  var watcherCount: Int {
    fanOutGroups.metrics.reduce(0) { $0 + delivery.memberCount(of: $1.id) }
  }

  /// When the next event is due; nil without a feed.
  var nextAt: UInt64? { feed?.nextAt }

  /// Whether an event is due.
  var isDue: Bool { feed.map { now >= $0.nextAt } ?? false }

  /// Makes the session at `slot` a watcher and sends its first two events, with the opening.
  func add(_ slot: UInt32) {
    if feed == nil || watcherCount == 0 {
      feed = Feed(
        nextAt: now + MetricsStreams.intervalMilliseconds, latencies: LatencyReadings(core.metrics))
    }
    delivery.join(slot)
    let encoder = encoder(of: slot)
    encoder.writer.removeAll()
    encoder.writer.beginStream()
    core.metricsHistory.withLock { $0 }.write(to: &encoder.writer)
    write(ServerState(core, at: now), to: &encoder.writer)
    delivery.send(encoder.writer.bytes, to: slot)
  }

  /// Sends an event to the watchers if it is due, and ends the feed if there are none.
  func send() {
    guard isDue else { return }
    guard watcherCount > 0 else {
      feed = nil
      return
    }
    advance()
    let state = ServerState(core, at: now)
    for encoder in fanOutGroups.metrics where delivery.memberCount(of: encoder.id) > 0 {
      encoder.writer.removeAll()
      write(state, to: &encoder.writer)
      delivery.append(encoder.writer.bytes, to: encoder.id)
    }
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    assert(feed != nil || watcherCount == 0, "a watcher without a feed")
    assert(feed.map { $0.nextAt <= now + MetricsStreams.intervalMilliseconds } ?? true)
  }

  /// Reads the latencies since the last reading; after a stall, the missed events are skipped.
  private func advance() {
    guard let due = feed?.nextAt else { return }
    feed?.latencies.read(core.metrics)
    feed?.nextAt = clock.next(after: due, every: MetricsStreams.intervalMilliseconds)
  }

  /// Writes one event: totals since the start, current gauges, and latencies.
  private func write(_ server: ServerState, to frames: inout FrameWriter) {
    guard let feed else { return }
    frames.envelope("type", "metrics") { data in
      data.member("time", Int(wall))
      data.member("server") { server.write(into: &$0) }
      data.member("shards", array: zip(core.metrics, feed.latencies.summaries)) { data, shard in
        data.openObject()
        MetricsStreams.write(shard.0, shard.1, into: &data)
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

extension Endpoints {
  /// Admits a publisher as a watcher, up to the limit.
  static func metricsStream(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    guard !shard.drain.hasBegun else {
      throw Refusal(.unavailable("draining", "the server is shutting down"))
    }
    let limit = shard.core.configuration.limits.metricsStreamsPerShardLimit
    guard shard.metricsStreams.watcherCount < limit else {
      throw Refusal(.unavailable("busy", "too many metrics streams, at most \(limit) are served"))
    }
    return .metricsStream
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
