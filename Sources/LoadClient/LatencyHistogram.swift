// Latencies of any number of deliveries in a fixed amount of memory.
//
// Buckets grow with the value: each power of two is divided into 64, so a value read from the
// histogram is at most 1.6 % above the recorded one, from nanoseconds to centuries. Recording takes
// a few instructions, cheap enough for ten million deliveries a second.

/// Counts of values in logarithmic buckets.
///
/// Invariant: `count` is the sum of all buckets; `minimum <= maximum` when it is not zero.
package struct LatencyHistogram: Sendable {
  /// Buckets per power of two.
  private static let subdivisions = 64
  private static let subdivisionBits = 6

  private var buckets: [UInt64]
  package private(set) var count: UInt64 = 0
  package private(set) var minimum = UInt64.max
  package private(set) var maximum: UInt64 = 0
  private var sum: Double = 0

  package init() {
    buckets = Array(
      repeating: 0, count: (64 - Self.subdivisionBits + 1) * Self.subdivisions)
  }

  /// Records a value `times` times.
  package mutating func record(_ value: UInt64, times: UInt64 = 1) {
    guard times > 0 else { return }
    buckets[Self.bucket(of: value)] &+= times
    count &+= times
    sum += Double(value) * Double(times)
    if value < minimum { minimum = value }
    if value > maximum { maximum = value }
  }

  /// Adds all values of another histogram.
  package mutating func merge(_ other: LatencyHistogram) {
    for index in buckets.indices { buckets[index] &+= other.buckets[index] }
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
    var seen: UInt64 = 0
    for index in buckets.indices {
      seen &+= buckets[index]
      if seen >= rank { return min(Self.upperBound(of: index), maximum) }
    }
    return maximum
  }

  package var mean: Double { count == 0 ? 0 : sum / Double(count) }

  /// The nonempty buckets, lowest first: their bounds, both inclusive, and their counts.
  package var filled: [(lower: UInt64, upper: UInt64, count: UInt64)] {
    buckets.indices.filter { buckets[$0] > 0 }.map { index in
      (Self.lowerBound(of: index), Self.upperBound(of: index), buckets[index])
    }
  }

  /// Each value below 64 has its own bucket; above, the six bits after the leading one select it.
  private static func bucket(of value: UInt64) -> Int {
    if value < UInt64(subdivisions) { return Int(value) }
    let shift = 63 - value.leadingZeroBitCount - subdivisionBits
    return (shift + 1) * subdivisions + Int(value >> UInt64(shift)) - subdivisions
  }

  private static func lowerBound(of bucket: Int) -> UInt64 {
    if bucket < subdivisions { return UInt64(bucket) }
    let shift = bucket / subdivisions - 1
    return UInt64(subdivisions + bucket % subdivisions) << UInt64(shift)
  }

  private static func upperBound(of bucket: Int) -> UInt64 {
    if bucket < subdivisions { return UInt64(bucket) }
    let shift = bucket / subdivisions - 1
    return lowerBound(of: bucket) + ((1 << UInt64(shift)) - 1)
  }
}
