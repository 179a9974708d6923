// How long a publish takes to a socket: what is measured, and how it is told.
//
// An event carries the moment at which the request that published it was taken: the beginning of
// the look at the sockets that brought it. A shard that hands frames of the event to somebody notes
// that moment, and the end of the flush that sends them is looked at once for all of them. So a
// turn that carried events costs one look at the clock, a connection none, and the time includes
// reading the request, the store's disk where there is a store between, the ring, and every send of
// the flush. It ends where the bytes are the kernel's: what the network and the client add is not
// in it, nor how long a client that is behind takes (such clients are counted as blocked and as
// slow consumers). Each event counts once on each shard that had somebody for it, however many
// those were. Not measured is what nobody published (a change of the inbox, typing, presence), what
// a poll is answered with, and what is for everyone and stored, which each session reads from the
// store.
//
// Times fall into buckets of a logarithmic scale, eight to each power of two, so that none is wider
// than an eighth of its time; what is told of them is the upper end of a bucket.

/// The scale of the buckets, in microseconds.
enum LatencyScale {
  /// The lowest eight have a microsecond each; the last has all from 2^26 µs, 67 s, on.
  static let bucketCount = 193

  /// The bucket of a time.
  static func bucket(nanoseconds: UInt64) -> Int {
    let time = nanoseconds / 1_000
    guard time >= 8 else { return Int(time) }
    let exponent = 63 - time.leadingZeroBitCount
    guard exponent < 26 else { return bucketCount - 1 }
    return (exponent - 2) * 8 + Int(time >> UInt64(exponent - 3)) & 7
  }

  /// The shortest time of a bucket, which is where the one before it ends.
  static func lowerEnd(of bucket: Int) -> Int {
    bucket < 8 ? bucket : (8 + bucket % 8) << (bucket / 8 - 1)
  }

  /// Where a bucket ends; of the last, which has no end, where it begins.
  static func upperEnd(of bucket: Int) -> Int { lowerEnd(of: min(bucket + 1, bucketCount - 1)) }

  /// The ends that are told to a scrape, each a power of two and so the end of a bucket: 32 µs to
  /// 16.8 s.
  static let reportedExponents = 5...24

  /// How many buckets end at 2^`exponent` µs or before.
  static func bucketCount(below exponent: Int) -> Int { (exponent - 2) * 8 }
}

/// Times that were counted, by their buckets.
struct LatencyCounts: Equatable {
  var counts = [Int](repeating: 0, count: LatencyScale.bucketCount)
  var sumNanoseconds = 0

  /// How many there are.
  var count: Int { counts.reduce(0, &+) }

  /// Adds what was counted elsewhere.
  mutating func add(_ other: LatencyCounts) {
    for index in counts.indices { counts[index] &+= other.counts[index] }
    sumNanoseconds &+= other.sumNanoseconds
  }

  /// What came since an earlier reading of the same counters.
  func since(_ earlier: LatencyCounts) -> LatencyCounts {
    var difference = self
    for index in counts.indices { difference.counts[index] &-= earlier.counts[index] }
    difference.sumNanoseconds &-= earlier.sumNanoseconds
    return difference
  }

  /// The time in microseconds within which so many of a hundred were done; 0 of none.
  func percentile(_ percent: Int) -> Int {
    let count = count
    guard count > 0 else { return 0 }
    // Rounded up: of three, half are done with the second.
    let rank = count / 100 * percent + (count % 100 * percent + 99) / 100
    var done = 0
    for (bucket, more) in counts.enumerated() {
      done += more
      if done >= rank { return LatencyScale.upperEnd(of: bucket) }
    }
    return LatencyScale.upperEnd(of: LatencyScale.bucketCount - 1)
  }

  /// What the console shows of them.
  var summary: LatencySummary {
    let highest = counts.lastIndex { $0 > 0 }
    return LatencySummary(
      count: count, median: percentile(50), percentile99: percentile(99),
      longest: highest.map(LatencyScale.upperEnd) ?? 0)
  }
}

/// A second's times in short, in microseconds, each rounded up to the end of its bucket.
struct LatencySummary: Equatable {
  var count = 0
  var median = 0
  var percentile99 = 0
  var longest = 0
}
