// The samples of the metrics' history.
//
// The first shard takes one sample a second: it reads all shards' counters, as a scrape does, and
// keeps the sums. It costs the delivery of events nothing.

internal import Broadcast
internal import Reactor

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

/// Reads the counters at intervals, and adds the differences to the history as samples.
///
/// Invariant: the next sample is due after the last one, by at most the interval.
final class MetricsSampler: ShardComponent {
  static let intervalMilliseconds: UInt64 = 1_000

  let context: ShardContext
  /// When the next sample is due.
  private(set) var nextAt: UInt64
  private var sampledAt: UInt64
  /// The totals at the last sample, in the order of `MetricsSample.rates`.
  private var totals: [Int]
  private var latencies: LatencyReadings

  init(_ context: ShardContext) {
    self.context = context
    sampledAt = context.clock.now
    nextAt = sampledAt + MetricsSampler.intervalMilliseconds
    totals = MetricsSampler.totals(of: context.core.metrics)
    latencies = LatencyReadings(context.core.metrics)
  }

  var isDue: Bool { now >= nextAt }

  /// Adds the sample of the time since the last one, if it is due.
  func sample() {
    guard isDue else { return }
    let sample = take()
    core.metricsHistory.withLock { $0.append(sample) }
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    assert(sampledAt < nextAt)
    assert(nextAt <= sampledAt + MetricsSampler.intervalMilliseconds)
  }

  private func take() -> MetricsSample {
    let elapsed = max(1, now - sampledAt)
    let before = totals
    totals = MetricsSampler.totals(of: core.metrics)
    latencies.read(core.metrics)
    sampledAt = now
    // After a stall, the missed samples are skipped: this one covers their time.
    nextAt = clock.next(after: nextAt, every: MetricsSampler.intervalMilliseconds)
    var values: [Int?] = [Int(wall)]
    values += MetricsSample.gauges.map { core.metrics.total($0.gauge) }
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
