// Token buckets as tables of times: when a token is there, how long the next one takes, and the end
// of time.

import TestSupport
import Testing

@testable import Server

@Suite("Rates: token buckets")
struct RateLimitTests {
  private static let second: UInt64 = 1_000_000_000

  /// Takes tokens until there is none and returns how many there were.
  private func takeAll(
    _ bucket: inout TokenBucket, _ limit: RateLimit, at now: UInt64
  ) -> Int {
    var count = 0
    while bucket.take(limit, at: now) == nil { count += 1 }
    return count
  }

  @Test(
    "a full bucket has exactly its tokens, at any time",
    arguments: [
      (1, 1), (20, 100), (50, 200), (3, 7), (7, 1), (1_000_000, 1), (1, 1_000),
    ], [0, 1, 12_345_678_901, UInt64.max / 2])
  func burst(rate: (perSecond: Int, burst: Int), now: UInt64) {
    let limit = RateLimit(perSecond: rate.perSecond, burst: rate.burst)
    var bucket = TokenBucket()
    #expect(bucket.isFull(at: now))
    #expect(takeAll(&bucket, limit, at: now) == rate.burst)
    #expect(!bucket.isFull(at: now))
  }

  @Test func `tokens come back one by one, and no more than fit`() {
    let limit = RateLimit(perSecond: 20, burst: 100)
    var bucket = TokenBucket()
    #expect(takeAll(&bucket, limit, at: 0) == 100)
    let token = Self.second / 20
    let table: [(now: UInt64, count: Int)] = [
      (token - 1, 0), (token, 1), (token, 0), (2 * token, 1), (12 * token, 10),
      (12 * token + Self.second * 4, 80), (1_000 * Self.second, 100),
    ]
    for (now, count) in table {
      #expect(takeAll(&bucket, limit, at: now) == count, "at \(now)")
    }
  }

  @Test func `a caller that waits as long as reported gets a token, and not a nanosecond sooner`() {
    let limit = RateLimit(perSecond: 3, burst: 2)
    var bucket = TokenBucket()
    var now: UInt64 = 500
    #expect(takeAll(&bucket, limit, at: now) == 2)
    for _ in 0..<100 {
      guard let wait = bucket.take(limit, at: now) else {
        Issue.record("the bucket should be empty at \(now)")
        return
      }
      #expect(wait == 333_333_333)
      #expect(bucket.take(limit, at: now + wait - 1) == 1)
      now += wait
      #expect(bucket.take(limit, at: now) == nil)
    }
  }

  @Test func `an earlier time from another thread takes no token away`() {
    let limit = RateLimit(perSecond: 10, burst: 5)
    var bucket = TokenBucket()
    #expect(takeAll(&bucket, limit, at: 10 * Self.second) == 5)
    #expect(bucket.take(limit, at: 9 * Self.second) == Self.second + Self.second / 10)
    #expect(bucket.take(limit, at: 10 * Self.second + Self.second / 10) == nil)
  }

  @Test(
    "the end of time does not trap",
    arguments: [0, 1, 1_000_000_000, 10_000_000_000_000_000] as [UInt64])
  func endOfTime(before: UInt64) {
    let now = UInt64.max - before
    for limit in [
      RateLimit(perSecond: 1, burst: RateLimit.highest), RateLimit(perSecond: 1, burst: 1),
      RateLimit(perSecond: RateLimit.highest, burst: RateLimit.highest),
    ] {
      var bucket = TokenBucket()
      for _ in 0..<1_000 {
        if let wait = bucket.take(limit, at: now) { #expect(wait > 0) }
        _ = bucket.draw(limit, at: now)
      }
    }
    #expect(UInt64.max.nanosecondsOfMilliseconds == .max)
    #expect((UInt64.max / 1_000_000 + 1).nanosecondsOfMilliseconds == .max)
    #expect(UInt64(1_500).nanosecondsOfMilliseconds == 1_500_000_000)
  }

  @Test func `ten bursts may be drawn on credit, and more is a flood`() {
    let limit = RateLimit(perSecond: 50, burst: 200)
    var bucket = TokenBucket()
    var draws: [TokenBucket.RateLimitDecision] = []
    for _ in 0..<2_100 { draws.append(bucket.draw(limit, at: 0)) }
    #expect(draws.prefix(200).allSatisfy { $0 == .within })
    #expect(draws[200..<2_000].allSatisfy { $0 == .over })
    #expect(draws[2_000...].allSatisfy { $0 == .flood })
    // Rejected draws are owed: one token less than nine bursts' worth later there is still none.
    let token = Self.second / 50
    #expect(bucket.draw(limit, at: 1_800 * token) == .over)
    #expect(bucket.draw(limit, at: 1_802 * token) == .within)
  }

  @Test func `an unlimited bucket never runs out`() {
    var bucket = TokenBucket.unlimited
    let limit = RateLimit(perSecond: 1, burst: 1)
    for now in [0, 1, UInt64.max] {
      for _ in 0..<100 { #expect(bucket.draw(limit, at: now) == .within) }
    }
  }

  @Test func `an invalid rate traps`() async {
    await #expect(processExitsWith: .failure) { _ = RateLimit(perSecond: 1, burst: 0) }
    await #expect(processExitsWith: .failure) { _ = RateLimit(perSecond: -1, burst: 1) }
    await #expect(processExitsWith: .failure) { _ = RateLimit(perSecond: 1, burst: 1_000_001) }
  }
}

@Suite("Rates: buckets of many callers")
struct BucketTableTests {
  private static let second: UInt64 = 1_000_000_000

  @Test func `each caller has a bucket of its own`() {
    var table = BucketTable<Int>(limit: RateLimit(perSecond: 1, burst: 2), capacity: 100)
    for caller in 0..<50 {
      #expect(table.take(caller, at: 0) == nil)
      #expect(table.take(caller, at: 0) == nil)
      #expect(table.take(caller, at: 0) == Self.second)
    }
  }

  @Test func `a table is never larger than its capacity, and further callers share a bucket`() {
    let capacity = 5_000
    var table = BucketTable<Int>(limit: RateLimit(perSecond: 1, burst: 3), capacity: capacity)
    for caller in 0..<capacity { #expect(table.take(caller, at: 0) == nil) }
    #expect(table.count == capacity)
    let served = (capacity..<(capacity + 1_000)).filter { table.take($0, at: 0) == nil }
    #expect(served == [capacity, capacity + 1, capacity + 2])
    #expect(table.count == capacity)
    // Known callers keep their buckets.
    for caller in [0, capacity / 2, capacity - 1] { #expect(table.take(caller, at: 0) == nil) }
    // Full buckets give way; the three that were used since are not full.
    #expect(table.take(-1, at: Self.second) == nil)
    #expect(table.count == 4)
  }

  @Test func `full buckets are removed long before the capacity is reached`() {
    var table = BucketTable<Int>(limit: RateLimit(perSecond: 10, burst: 10), capacity: 65_536)
    for caller in 0..<100_000 {
      // A hundred callers a second; each one's token is back after a tenth of a second.
      #expect(table.take(caller, at: UInt64(caller) * Self.second / 100) == nil)
      #expect(table.count <= 1_200)
    }
    table.forgetFull(at: .max)
    #expect(table.count == 0)
  }

  @Test func `full buckets are not searched for on every caller of a storm`() {
    // A sweep for every caller without room would look at 5,000 buckets 15,000 times.
    var table = BucketTable<Int>(limit: RateLimit(perSecond: 1, burst: 1), capacity: 5_000)
    let work = 4 * 5_000
    var largest = 0
    for caller in 0..<work {
      _ = table.take(caller, at: 0)
      largest = max(largest, table.count)
    }
    #expect(largest == 5_000)
    // The clock stands still, so there is one sweep at most.
    #expect(table.sweptCount <= 5_000)
  }

  @Test func `without a limit no bucket is kept`() {
    var table = BucketTable<Int>(limit: .off, capacity: 10)
    for caller in 0..<100 { #expect(table.take(caller, at: 0) == nil) }
    #expect(table.count == 0)
  }
}
