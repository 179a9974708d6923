// Rate limits: so many actions a second, and bursts after a pause.
//
// A token bucket is one number: the time at which it will be full again (the generic cell rate
// algorithm, ITU-T I.371). Taking a token moves that time later by the refill time of one token,
// and may not move it further away than the refill time of a whole bucket. The bucket is full once
// that time has passed, so a missing bucket is the same as a full one. Time is in nanoseconds and
// is passed in as a value; sums saturate instead of overflowing.

/// How often an action is allowed.
package struct RateLimit: Sendable, Equatable {
  /// The largest value of both numbers.
  ///
  /// A bucket of that size, refilled at one token a second, is full in 10^15 ns, far below the end
  /// of a word.
  package static let highest = 1_000_000
  /// No limit.
  package static let off = RateLimit(perSecond: 0, burst: 0)

  /// Tokens refilled in a second; 0 means no limit.
  package let perSecond: Int
  /// Tokens in a full bucket.
  package let burst: Int

  /// Allows `perSecond` actions a second, and after a pause `burst` at once.
  package init(perSecond: Int, burst: Int) {
    precondition((0...RateLimit.highest).contains(perSecond), "rate \(perSecond) out of range")
    precondition((0...RateLimit.highest).contains(burst), "burst \(burst) out of range")
    precondition(perSecond == 0 || burst > 0, "a bucket without room for a token")
    self.perSecond = perSecond
    self.burst = burst
  }

  /// Whether there is no limit.
  package var isOff: Bool { perSecond == 0 }

  /// Refill time of one token; must not be read from a limit that is off.
  fileprivate var tokenNanoseconds: UInt64 { 1_000_000_000 / UInt64(perSecond) }
  /// Refill time of an empty bucket.
  fileprivate var bucketNanoseconds: UInt64 { tokenNanoseconds * UInt64(burst) }
}

extension RateLimit: CustomStringConvertible {
  /// Its spelling in a setting: `N/BURST`, or 0 for no limit.
  package var description: String { isOff ? "0" : "\(perSecond)/\(burst)" }
}

/// Tokens of one caller.
struct TokenBucket: Equatable {
  /// The bucket of a caller that is not counted.
  static let unlimited = TokenBucket(fullAt: .max)
  /// Whole buckets by which `fullAt` may lie in the future before the caller is a flood.
  static let floodFactor: UInt64 = 10

  /// When the bucket is full again.
  private var fullAt: UInt64 = 0

  /// A full bucket.
  init() {}

  private init(fullAt: UInt64) { self.fullAt = fullAt }

  /// The outcome of taking a token on credit.
  enum RateLimitDecision: Equatable {
    /// There was a token.
    case within
    /// There was none; it was taken on credit.
    case over
    /// There was none, and the caller's debt is at its limit.
    case flood
  }

  /// Whether no token is missing.
  func isFull(at now: UInt64) -> Bool { fullAt <= now }

  /// Takes a token.
  ///
  /// Nil when there was one, else the time until there is one. Then nothing is taken, so a caller
  /// that waits that long is served.
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
  /// A caller that does not slow down gets deeper into debt, up to the limit at which it is a
  /// flood.
  mutating func draw(_ limit: RateLimit, at now: UInt64) -> RateLimitDecision {
    guard self != .unlimited else { return .within }
    let bucket = limit.bucketNanoseconds
    let next = max(fullAt, now).addingUpToMax(limit.tokenNanoseconds)
    guard next > now.addingUpToMax(bucket) else {
      fullAt = next
      return .within
    }
    // The debt stops growing at the flood limit.
    guard next <= now.addingUpToMax(bucket * TokenBucket.floodFactor) else { return .flood }
    fullAt = next
    return .over
  }
}

/// Buckets of many callers, in bounded memory.
///
/// Full buckets are removed, at the latest when there is no room for another. While `capacity`
/// buckets are not full, callers without a bucket share one.
///
/// Invariant: `count <= capacity`.
struct BucketTable<Key: Hashable & Sendable> {
  /// Number of buckets below which none are swept.
  private static var smallest: Int { 1_024 }
  /// Time between two sweeps of all buckets; a sweep takes 2 ms for 65,536.
  private static var sweepNanoseconds: UInt64 { 1_000_000_000 }

  private let limit: RateLimit
  private let capacity: Int
  private var buckets: [Key: TokenBucket] = [:]
  private var shared = TokenBucket()
  /// Number of buckets from which on full ones are swept.
  private var sweepCount: Int
  private var nextSweep: UInt64 = 0
  /// Number of buckets that sweeps have looked at, the measure of their work.
  private(set) var sweptCount = 0

  init(limit: RateLimit, capacity: Int) {
    self.limit = limit
    self.capacity = capacity
    sweepCount = min(capacity, BucketTable.smallest)
  }

  /// Number of stored buckets.
  var count: Int { buckets.count }

  /// Takes a token of the caller.
  ///
  /// Nil when there was one, else the nanoseconds until there is one.
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

  /// The nanoseconds until the caller has a token; nil if it has one.
  ///
  /// It takes none.
  func wait(_ key: Key, at now: UInt64) -> UInt64? {
    if limit.isOff { return nil }
    // A caller without a bucket has a full one while there is room for it.
    var bucket = buckets[key] ?? (buckets.count < capacity ? TokenBucket() : shared)
    return bucket.take(limit, at: now)
  }

  /// Removes the caller's bucket if it is full.
  mutating func forget(_ key: Key, at now: UInt64) {
    if let bucket = buckets[key], bucket.isFull(at: now) { buckets[key] = nil }
  }

  /// Removes all full buckets.
  mutating func forgetFull(at now: UInt64) {
    sweptCount += buckets.count
    buckets = buckets.filter { !$0.value.isFull(at: now) }
    sweepCount = min(capacity, max(BucketTable.smallest, 2 * buckets.count))
    nextSweep = now.addingUpToMax(BucketTable.sweepNanoseconds)
  }
}

extension UInt64 {
  /// The sum, or the largest number where it would overflow.
  fileprivate func addingUpToMax(_ other: UInt64) -> UInt64 {
    // guard: time-addition-saturates
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }

  /// This time in milliseconds, in nanoseconds; the largest number where it would overflow.
  var nanosecondsOfMilliseconds: UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: 1_000_000)
    return overflow ? .max : product
  }
}
