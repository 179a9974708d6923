// Publish latency to the socket: the interval that is measured, and how it is reported.
//
// An event carries the time at which the request that published it was taken: the shard's clock
// reading when it began to handle the sockets that delivered the request. A shard that queues
// frames of the event for a client records that time, and the flush that sends them reads the clock
// once at its end, for all recorded events. So a turn with events costs one clock reading, and a
// connection costs none. The time includes reading the request, the store's disk where the event is
// stored, the ring, and every send of the flush. It ends when the kernel has the bytes. It includes
// neither the network and the client, nor the delay of a client that falls behind (such clients are
// counted as blocked and as slow consumers). Each event counts once on each shard that had a
// recipient for it, however many recipients. Three kinds of delivery are not measured: events
// without a publisher (a change of the inbox, typing, presence), answers to polls, and stored
// notifications for everyone, which each session reads from the store.
//
// Times fall into buckets of a logarithmic scale, eight to each power of two, so that none is wider
// than an eighth of its time. A reported time is the upper end of a bucket.

internal import Algorithms

/// The scale of the buckets, in microseconds.
enum LatencyScale {
  /// The lowest eight have a microsecond each; the last has all times from 2^26 µs, 67 s, on.
  static let buckets = BucketScale(bits: 3, exponentLimit: 26)
  static var bucketCount: Int { buckets.count }

  /// The bucket of a time.
  static func bucket(nanoseconds: UInt64) -> Int { buckets.bucket(of: nanoseconds / 1_000) }

  /// The shortest time in a bucket, which is the end of the bucket before it.
  static func lowerEnd(of bucket: Int) -> Int { Int(buckets.lowerBound(of: bucket)) }

  /// The end of a bucket; for the last, which has none, its beginning.
  static func upperEnd(of bucket: Int) -> Int { lowerEnd(of: min(bucket + 1, bucketCount - 1)) }

  /// Exponents of the bucket ends in a scrape: powers of two, and so ends of buckets, from 32 µs to
  /// 16.8 s.
  static let reportedExponents = 5...24

  /// The number of buckets that end at 2^`exponent` µs or before.
  static func bucketCount(below exponent: Int) -> Int { buckets.bucket(of: 1 << UInt64(exponent)) }
}

/// Counted times, by bucket, and their sum.
struct LatencyCounts: Equatable {
  private var times = Histogram(LatencyScale.buckets)
  private(set) var sumNanoseconds = 0

  init() {}

  init(counts: [UInt64], sumNanoseconds: Int) {
    times = Histogram(LatencyScale.buckets, counts: counts)
    self.sumNanoseconds = sumNanoseconds
  }

  /// The number of counted times in each bucket.
  var counts: [UInt64] { times.counts }
  /// The number of counted times.
  var count: Int { Int(truncatingIfNeeded: times.count) }

  /// Adds the counts of another reading.
  mutating func add(_ other: LatencyCounts) {
    times.add(other.times)
    sumNanoseconds &+= other.sumNanoseconds
  }

  /// The counts added since an earlier reading of the same counters.
  func since(_ earlier: LatencyCounts) -> LatencyCounts {
    var difference = self
    difference.times.subtract(earlier.times)
    difference.sumNanoseconds &-= earlier.sumNanoseconds
    return difference
  }

  /// The time in microseconds within which `percent` of a hundred were done; 0 if there are none.
  func percentile(_ percent: Int) -> Int {
    let count = count
    guard count > 0 else { return 0 }
    // Rounded up: the median of three is the second.
    let rank = count / 100 * percent + (count % 100 * percent + 99) / 100
    let bucket = times.bucket(ofRank: UInt64(rank))
    return LatencyScale.upperEnd(of: bucket ?? LatencyScale.bucketCount - 1)
  }

  /// The figures that the console shows.
  var summary: LatencySummary {
    let highest = counts.lastIndex { $0 > 0 }
    return LatencySummary(
      count: count, median: percentile(50), percentile99: percentile(99),
      longest: highest.map(LatencyScale.upperEnd) ?? 0)
  }
}

/// The latencies of one second, in microseconds, each rounded up to the end of its bucket.
struct LatencySummary: Equatable {
  var count = 0
  var median = 0
  var percentile99 = 0
  var longest = 0
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
