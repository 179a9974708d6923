// Latencies of any number of deliveries in a fixed amount of memory.
//
// Each power of two is divided into 64 buckets, so a value read from the histogram is at most 1.6 %
// above the recorded one, from nanoseconds to centuries. Recording takes a few instructions, cheap
// enough for ten million deliveries a second.

internal import Algorithms

/// Counts of values, with their extremes and their mean.
///
/// Invariant: `count` is the sum of all buckets; `minimum <= maximum` when it is not zero.
package struct LatencyHistogram: Sendable {
  private var values = Histogram(BucketScale(bits: 6))
  package private(set) var count: UInt64 = 0
  package private(set) var minimum = UInt64.max
  package private(set) var maximum: UInt64 = 0
  private var sum: Double = 0

  package init() {}

  /// Records a value `times` times.
  package mutating func record(_ value: UInt64, times: UInt64 = 1) {
    guard times > 0 else { return }
    values.add(value, times: times)
    count &+= times
    sum += Double(value) * Double(times)
    if value < minimum { minimum = value }
    if value > maximum { maximum = value }
  }

  /// Adds all values of another histogram.
  package mutating func merge(_ other: LatencyHistogram) {
    values.add(other.values)
    count &+= other.count
    sum += other.sum
    minimum = min(minimum, other.minimum)
    maximum = max(maximum, other.maximum)
  }

  /// The least value that `fraction` of all values do not exceed, rounded up to its bucket.
  ///
  /// 0 when the histogram is empty; never above `maximum`.
  package func quantile(_ fraction: Double) -> UInt64 {
    guard count > 0 else { return 0 }
    let exact = (fraction * Double(count)).rounded(.up)
    let rank = exact < 1 ? 1 : exact >= Double(count) ? count : UInt64(exact)
    return values.bucket(ofRank: rank).map { min(upperBound(of: $0), maximum) } ?? maximum
  }

  package var mean: Double { count == 0 ? 0 : sum / Double(count) }

  /// The nonempty buckets, lowest first: their bounds, both inclusive, and their counts.
  package var filled: [(lower: UInt64, upper: UInt64, count: UInt64)] {
    values.counts.indices.filter { values.counts[$0] > 0 }.map { bucket in
      (values.scale.lowerBound(of: bucket), upperBound(of: bucket), values.counts[bucket])
    }
  }

  /// The greatest value in a bucket; the last one ends at 2^64.
  private func upperBound(of bucket: Int) -> UInt64 {
    values.scale.lowerBound(of: bucket + 1) &- 1
  }
}
