// Five minutes of metrics, for a console that has just connected.
//
// The first shard takes one sample a second: it reads all shards' counters, as a scrape does, and
// keeps the sums. It costs the delivery of events nothing, and its memory does not depend on the
// number of shards, clients or events. Any shard reads the history, when a console connects to it.
//
// Invariant: every column has `sampleCount` values, at most `MetricsHistory.capacity`, and the
// value at one index of each column belongs to one sample.

internal import Broadcast
internal import Reactor
internal import Wire

/// One sample: gauges and rates over all shards.
struct MetricsSample: Equatable {
  /// The names of the values, in their order.
  static let names =
    ["time"] + gauges.map(\.name) + rates.map(\.name) + ["p50", "p99", "max", "memory"]
  /// Gauges that are sampled.
  static let gauges: [(name: String, gauge: Gauge)] = [
    ("connections", .connections), ("sessions", .sessions), ("users", .users), ("rooms", .rooms),
    ("blocked", .blockedConnections),
  ]
  /// Counters of which the rate is sampled; of several the sum.
  static let rates: [(name: String, counters: [Counter])] = [
    ("delivered", [.framesDelivered]), ("bytes_sent", [.bytesSent]),
    // Stored and transient publishes together: a publisher does not need the difference.
    ("published", [.published, .broadcasts]), ("slow_consumers", [.slowConsumers]),
    ("received", [.framesReceived]),
  ]

  /// The values; nil where nothing was measured.
  let values: [Int?]
}

/// Reads the counters at intervals, and turns the difference into a sample.
struct MetricsSampler {
  static let intervalMilliseconds: UInt64 = 1_000

  /// When the next sample is due.
  private(set) var nextAt: UInt64
  private var sampledAt: UInt64
  /// The totals at the last sample, in the order of `MetricsSample.rates`.
  private var totals: [Int]
  private var latencies: LatencyReadings

  init(at now: UInt64, metrics: [ShardMetrics]) {
    nextAt = now + MetricsSampler.intervalMilliseconds
    sampledAt = now
    totals = MetricsSampler.totals(of: metrics)
    latencies = LatencyReadings(metrics)
  }

  /// Takes the sample of the time since the last one.
  mutating func sample(_ metrics: [ShardMetrics], at now: UInt64, wall: Int64) -> MetricsSample {
    let elapsed = max(1, now - sampledAt)
    let before = totals
    totals = MetricsSampler.totals(of: metrics)
    latencies.read(metrics)
    sampledAt = now
    nextAt += MetricsSampler.intervalMilliseconds
    // After a stall, the missed samples are skipped: this one covers their time.
    if nextAt <= now { nextAt = now + MetricsSampler.intervalMilliseconds }
    var values: [Int?] = [Int(wall)]
    values += MetricsSample.gauges.map { metrics.total($0.gauge) }
    values += zip(totals, before).map { total, earlier in
      MetricsSampler.perSecond(total &- earlier, milliseconds: elapsed)
    }
    // Percentiles do not add up, so these are the slowest shard's.
    let measured = latencies.summaries.filter { $0.count > 0 }
    values.append(measured.map(\.median).max())
    values.append(measured.map(\.percentile99).max())
    values.append(measured.map(\.longest).max())
    values.append(ProcessResources.residentByteCount)
    return MetricsSample(values: values)
  }

  private static func totals(of metrics: [ShardMetrics]) -> [Int] {
    MetricsSample.rates.map { rate in
      rate.counters.reduce(0) { $0 &+ metrics.total($1) }
    }
  }

  /// The rate per second, rounded to a whole number.
  private static func perSecond(_ count: Int, milliseconds: UInt64) -> Int {
    Int((Double(count) * 1_000 / Double(milliseconds)).rounded())
  }
}

/// Each shard's latencies since the reading before.
struct LatencyReadings {
  private(set) var summaries: [LatencySummary]
  private var readings: [LatencyCounts]

  init(_ metrics: [ShardMetrics]) {
    readings = metrics.map(\.latencies)
    summaries = metrics.map { _ in LatencySummary() }
  }

  /// Reads the latencies and summarizes those since the last reading.
  mutating func read(_ metrics: [ShardMetrics]) {
    for (index, shard) in metrics.enumerated() {
      let reading = shard.latencies
      summaries[index] = reading.since(readings[index]).summary
      readings[index] = reading
    }
  }
}

/// The samples of the last five minutes, oldest first.
struct MetricsHistory {
  /// Samples that are kept: five minutes of one a second.
  ///
  /// With them the event is about 45 kB long where every number has many digits, so that it stays
  /// below a client's backlog limit.
  static let capacity = 300

  /// One array for each name, used as a ring.
  private var columns = MetricsSample.names.map { _ in [Int?]() }
  /// Index of the oldest sample, once the ring is full.
  private var oldest = 0

  /// The number of samples.
  var sampleCount: Int { columns[0].count }

  /// Adds a sample, in place of the oldest when there are `capacity`.
  mutating func append(_ sample: MetricsSample) {
    let isFull = sampleCount == MetricsHistory.capacity
    for (column, value) in sample.values.enumerated() {
      if isFull {
        columns[column][oldest] = value
      } else {
        columns[column].append(value)
      }
    }
    if isFull { oldest = (oldest + 1) % MetricsHistory.capacity }
    checkInvariants()
  }

  /// Writes the event of the history.
  func write(to frames: inout FrameWriter) {
    frames.envelope("type", "history") { data in
      data.member("interval", Int(MetricsSampler.intervalMilliseconds))
      for (name, column) in zip(MetricsSample.names, columns) {
        data.member(name, array: column.indices) { data, index in
          data.append(decimalOrNull: column[(oldest + index) % column.count])
        }
      }
    }
  }

  private func checkInvariants() {
    assert(sampleCount <= MetricsHistory.capacity)
    assert(columns.allSatisfy { $0.count == sampleCount })
    assert(oldest < MetricsHistory.capacity)
  }
}

extension [UInt8] {
  /// Writes a number, or `null`.
  mutating func append(decimalOrNull value: Int?) {
    if let value { appendDecimal(value) } else { appendText("null") }
  }
}

extension Shard {
  /// Takes a sample of all shards' metrics if it is due; only the first shard has a sampler.
  func sampleMetrics() {
    guard let dueAt = metricsSampler?.nextAt, now >= dueAt else { return }
    // Updates this shard's own gauges; the others do so in their turns.
    publishGauges()
    guard let sample = metricsSampler?.sample(core.metrics, at: now, wall: wall) else { return }
    core.metricsHistory.withLock { $0.append(sample) }
  }
}
