// `GET /api/v1/metrics/stream`: what every shard counts, once a second, for the operator's page.
//
// A watcher is a session of a group that hears no event: once a second its shard reads all shards'
// counters, writes one event of a stream, and the flush sends it as it does a broadcast, with the
// same bound on how far behind a reader may be. Nobody is asked and nobody waits; the others'
// numbers are of their last turn. A watcher is a connection and no user's session: it is not listed
// among those who are online and has no part in a user's quota.
//
// Invariant: there is a feed while there is a watcher, and at most a second longer. Without one
// nothing is read, nothing is written, and no turn is taken for it.

internal import Notifications
internal import Wire

extension Endpoints {
  /// Lets a publisher watch, if not too many do.
  static func metricsStream(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    guard shard.drain == nil else {
      throw Refusal(.unavailable("draining", "the server is shutting down"))
    }
    let limit = shard.core.configuration.limits.metricsStreamsPerShardLimit
    guard shard.metricsGroup.members.count < limit else {
      throw Refusal(.unavailable("busy", "too many metrics streams, at most \(limit) are served"))
    }
    return .metricsStream
  }
}

/// What a shard that is watched tells its watchers.
struct MetricsFeed {
  static let intervalMilliseconds: UInt64 = 1_000

  /// When the watchers are told next.
  var nextAt: UInt64
  /// Each shard's latencies as they were read last.
  var readings: [LatencyCounts]
  /// And what came in the second before.
  var latencies: [LatencySummary]

  init(at now: UInt64, metrics: [ShardMetrics]) {
    nextAt = now + MetricsFeed.intervalMilliseconds
    readings = metrics.map(\.latencies)
    latencies = metrics.map { _ in LatencySummary() }
  }

  /// Takes what came since the last reading.
  mutating func read(_ metrics: [ShardMetrics], at now: UInt64) {
    for (index, shard) in metrics.enumerated() {
      let reading = shard.latencies
      latencies[index] = reading.since(readings[index]).summary
      readings[index] = reading
    }
    nextAt += MetricsFeed.intervalMilliseconds
    // A thread that was away does not make up for it.
    if nextAt <= now { nextAt = now + MetricsFeed.intervalMilliseconds }
  }

  /// Writes one event: totals since the start, what stands now, and the latencies.
  func write(_ metrics: [ShardMetrics], time: Int64, to frames: inout FrameWriter) {
    frames.text { json in
      json.openObject()
      json.member("type", "metrics")
      json.member("data") { data in
        data.member("time", Int(time))
        data.memberName("shards")
        data.append(0x5B)
        for (index, shard) in metrics.enumerated() {
          if index > 0 { data.append(0x2C) }
          data.openObject()
          MetricsFeed.write(shard, latencies[index], into: &data)
          data.closeObject()
        }
        data.append(0x5D)
      }
      json.closeObject()
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
    // What is stored and what is only told: whoever publishes does not care which.
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

/// How watchers are spoken to: of what clients hear they hear nothing.
struct MetricsDialect: Dialect {
  let name = "metrics"
  let path = "/api/v1/metrics/stream"
  let framing = Framing.eventStream
  let admission = Admission.refusedBeforeUpgrade
  // What is told each second keeps the connection alive.
  let heartbeat = Heartbeat(
    pingIntervalMilliseconds: .max / 2, silenceLimitMilliseconds: .max / 2)
  /// Stands for the end of the stream.
  let expiryCloseCode: UInt16 = 1008

  func write(_ event: Event, to frames: inout FrameWriter) {}
  func write(_ greeting: Greeting, to frames: inout FrameWriter) {}
  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {}
  func writeMissed(_ notification: Notification, _ counts: Counts, to frames: inout FrameWriter) {}
  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {}
  func answer(_ text: [UInt8], time: Int64, to frames: inout FrameWriter) {}
}

extension Shard {
  /// The group of those who watch.
  var metricsGroup: FanOutGroup { fanOutGroups[fanOutGroups.metrics] }

  /// Answers the request with a stream, and with its first event at once.
  func openMetricsStream(_ request: Request) {
    let slot = request.slot
    guard beginStream(request) else { return }
    beginSession(at: slot, in: fanOutGroups.metrics)
    table[slot].user = request.caller.user ?? ""
    table[slot].tokenEnd = request.caller.end
    table[slot].connectedAt = wall
    table[slot].deadline = .max
    logBeginning(at: slot)
    scheduleTimer(slot)
    guard table.contains(slot) else { return }
    if metricsFeed == nil || metricsGroup.members.isEmpty {
      metricsFeed = MetricsFeed(at: now, metrics: core.metrics)
    }
    metricsGroup.members.insert(slot)
    writeMetrics()
    send(metricsGroup.writer.bytes, to: slot)
  }

  /// Tells those who watch how things stand, once a second.
  func sendMetrics() {
    guard let feed = metricsFeed, now >= feed.nextAt else { return }
    guard !metricsGroup.members.isEmpty else {
      metricsFeed = nil
      return
    }
    metricsFeed?.read(core.metrics, at: now)
    writeMetrics()
    appendWritten(to: metricsGroup)
  }

  private func writeMetrics() {
    // This shard's own numbers are of this very moment.
    publishGauges()
    metricsGroup.writer.removeAll()
    metricsFeed?.write(core.metrics, time: wall, to: &metricsGroup.writer)
  }
}
