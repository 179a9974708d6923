// Rates: so many a second, and now and then more at once.
//
// A bucket of tokens is one number: the time at which it will be full again (the generic cell rate
// algorithm, ITU-T I.371). Taking a token puts that time off by what a token takes to come back,
// and may not put it further away than a whole bucket takes. A bucket whose time has passed is
// full, so one that is not there is the same as a full one. Time is in nanoseconds and comes in as
// a value; sums stop at the end of time in place of passing it.

/// How often something may be done.
package struct RateLimit: Sendable, Equatable {
  /// The largest of both numbers: a bucket of that size, refilled at one a second, is still far
  /// from the end of a word.
  package static let highest = 1_000_000
  /// No limit.
  package static let off = RateLimit(perSecond: 0, burst: 0)

  /// Tokens that come back in a second; 0: nothing is limited.
  package let perSecond: Int
  /// Tokens in a full bucket.
  package let burst: Int

  /// So many a second, and after a pause so many at once.
  package init(perSecond: Int, burst: Int) {
    precondition((0...RateLimit.highest).contains(perSecond), "\(perSecond) a second")
    precondition((0...RateLimit.highest).contains(burst), "\(burst) at once")
    precondition(perSecond == 0 || burst > 0, "a bucket without room for a token")
    self.perSecond = perSecond
    self.burst = burst
  }

  /// Whether nothing is limited.
  package var isOff: Bool { perSecond == 0 }

  /// What a token takes to come back; never asked of one that is off.
  fileprivate var tokenNanoseconds: UInt64 { 1_000_000_000 / UInt64(perSecond) }
  /// What an empty bucket takes to be full.
  fileprivate var bucketNanoseconds: UInt64 { tokenNanoseconds * UInt64(burst) }
}

/// Tokens of one caller.
struct TokenBucket: Equatable {
  /// A caller that is not counted.
  static let unlimited = TokenBucket(fullAt: .max)
  /// Buckets that a caller may be in debt before it is nothing but a flood.
  static let floodFactor: UInt64 = 10

  /// When the bucket is full again.
  private var fullAt: UInt64 = 0

  /// A full bucket.
  init() {}

  private init(fullAt: UInt64) { self.fullAt = fullAt }

  /// What became of one that was drawn on credit.
  enum RateLimitDecision: Equatable {
    /// There was a token.
    case within
    /// There was none.
    case over
    /// There was none, and the caller has gone on like that for many buckets' worth.
    case flood
  }

  /// Whether no token is missing.
  func isFull(at now: UInt64) -> Bool { fullAt <= now }

  /// Takes a token.
  ///
  /// Nil when there was one, else how long it takes until there is; nothing is taken then, so
  /// whoever waits as long is served.
  mutating func take(_ limit: RateLimit, at now: UInt64) -> UInt64? {
    let next = max(fullAt, now).addingUpToMax(limit.tokenNanoseconds)
    let horizon = now.addingUpToMax(limit.bucketNanoseconds)
    // guard: empty-bucket-refuses
    guard next <= horizon else { return next - horizon }
    fullAt = next
    return nil
  }

  /// Takes a token, on credit if there is none.
  ///
  /// Who goes on regardless gets deeper into debt, until that is called a flood.
  mutating func draw(_ limit: RateLimit, at now: UInt64) -> RateLimitDecision {
    guard self != .unlimited else { return .within }
    let bucket = limit.bucketNanoseconds
    let next = max(fullAt, now).addingUpToMax(limit.tokenNanoseconds)
    guard next > now.addingUpToMax(bucket) else {
      fullAt = next
      return .within
    }
    // The debt stops where the flood begins.
    guard next <= now.addingUpToMax(bucket * TokenBucket.floodFactor) else { return .flood }
    fullAt = next
    return .over
  }
}

/// Buckets of many callers, in bounded memory.
///
/// A bucket that is full again is forgotten: at the latest when there is no room for another. While
/// there are `capacity` that are not full, callers that are not known share one.
///
/// Invariant: `count <= capacity`.
struct BucketTable<Key: Hashable> {
  /// Buckets that are kept before any are looked through.
  private static var smallest: Int { 1_024 }
  /// Time between two times that all are looked through, which takes 2 ms for 65,536.
  private static var sweepNanoseconds: UInt64 { 1_000_000_000 }

  private let limit: RateLimit
  private let capacity: Int
  private var buckets: [Key: TokenBucket] = [:]
  private var shared = TokenBucket()
  /// How many there are when full ones are looked for.
  private var sweepCount: Int
  private var nextSweep: UInt64 = 0

  init(limit: RateLimit, capacity: Int) {
    self.limit = limit
    self.capacity = capacity
    sweepCount = min(capacity, BucketTable.smallest)
  }

  /// Buckets that are remembered.
  var count: Int { buckets.count }

  /// Takes a token of the caller's.
  ///
  /// Nil when there was one, else the nanoseconds until there is.
  mutating func take(_ key: Key, at now: UInt64) -> UInt64? {
    if limit.isOff { return nil }
    if var known = buckets[key] {
      let wait = known.take(limit, at: now)
      buckets[key] = known
      return wait
    }
    // guard: full-buckets-removed
    // guard: bucket-sweep-interval
    if buckets.count >= sweepCount, now >= nextSweep { forgetFull(at: now) }
    // guard: bucket-count
    guard buckets.count < capacity else { return shared.take(limit, at: now) }
    var bucket = TokenBucket()
    let wait = bucket.take(limit, at: now)
    buckets[key] = bucket
    return wait
  }

  /// Forgets the caller's bucket if it is full.
  mutating func forget(_ key: Key, at now: UInt64) {
    if let bucket = buckets[key], bucket.isFull(at: now) { buckets[key] = nil }
  }

  /// Forgets all that are full.
  mutating func forgetFull(at now: UInt64) {
    buckets = buckets.filter { !$0.value.isFull(at: now) }
    sweepCount = min(capacity, max(BucketTable.smallest, 2 * buckets.count))
    nextSweep = now.addingUpToMax(BucketTable.sweepNanoseconds)
  }
}

extension UInt64 {
  /// The sum, or the largest number when it is larger.
  fileprivate func addingUpToMax(_ other: UInt64) -> UInt64 {
    // guard: time-addition-saturates
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }

  /// This time in milliseconds, in nanoseconds; the largest number when it is larger.
  var nanosecondsOfMilliseconds: UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: 1_000_000)
    return overflow ? .max : product
  }
}
