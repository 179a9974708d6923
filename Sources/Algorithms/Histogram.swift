// Counts of any number of values in a fixed amount of memory, in logarithmic buckets.

/// A scale of buckets: each power of two is divided into 2^`bits` buckets.
///
/// So a bucket's values differ by less than one part in 2^`bits`. Each value below 2^`bits` has its
/// own bucket; above, the bits after the leading one select it.
package struct BucketScale: Sendable, Equatable {
  package let bits: Int
  /// All values from 2^`exponentLimit` on share the last bucket; 64 for none.
  package let exponentLimit: Int

  package init(bits: Int, exponentLimit: Int = 64) {
    self.bits = bits
    self.exponentLimit = exponentLimit
  }

  /// The number of buckets.
  package var count: Int {
    (exponentLimit - bits + 1) << bits + (exponentLimit < 64 ? 1 : 0)
  }

  /// The bucket of a value.
  package func bucket(of value: UInt64) -> Int {
    let exponent = 63 - value.leadingZeroBitCount
    guard exponent >= bits else { return Int(value) }
    guard exponent < exponentLimit else { return count - 1 }
    let shift = exponent - bits
    return shift << bits + Int(value >> UInt64(shift))
  }

  /// The least value in a bucket.
  package func lowerBound(of bucket: Int) -> UInt64 {
    let shift = bucket >> bits - 1
    guard shift >= 0 else { return UInt64(bucket) }
    return UInt64(bucket - shift << bits) << UInt64(shift)
  }
}

/// The number of values in each bucket of a scale.
///
/// Invariant: `counts` has an element for each bucket.
package struct Histogram: Sendable, Equatable {
  package let scale: BucketScale
  package private(set) var counts: [UInt64]

  /// Makes a histogram with these counts, or without a value.
  package init(_ scale: BucketScale, counts: [UInt64]? = nil) {
    self.scale = scale
    self.counts = counts ?? Array(repeating: 0, count: scale.count)
    precondition(self.counts.count == scale.count, "\(self.counts.count) of \(scale.count) buckets")
  }

  /// The number of values.
  package var count: UInt64 { counts.reduce(0, &+) }

  /// Counts a value `times` times.
  package mutating func add(_ value: UInt64, times: UInt64) {
    counts[scale.bucket(of: value)] &+= times
  }

  /// Adds the counts of another histogram of the same scale.
  package mutating func add(_ other: Histogram) {
    for bucket in counts.indices { counts[bucket] &+= other.counts[bucket] }
  }

  /// Subtracts the counts of another histogram of the same scale.
  package mutating func subtract(_ other: Histogram) {
    for bucket in counts.indices { counts[bucket] &-= other.counts[bucket] }
  }

  /// The bucket of the value with this rank, where the least value has rank 1.
  ///
  /// Nil when there are fewer values.
  package func bucket(ofRank rank: UInt64) -> Int? {
    var seen: UInt64 = 0
    return counts.firstIndex { count in
      seen &+= count
      return seen >= rank
    }
  }
}
