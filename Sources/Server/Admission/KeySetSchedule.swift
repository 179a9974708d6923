// When a set of keys is fetched again: ahead of its end, after a failure, and for an unknown key.
//
// Time is monotonic milliseconds and is passed in.

/// The times of the fetches of one set of keys.
///
/// Invariant: for an unknown key, a fetch begins at the earliest `unknownKeyMilliseconds` after the
/// one before it.
struct KeySetSchedule {
  /// The time for which a set is used if its server names none, and the bounds of a named one.
  static let standardLifetimeSeconds: Int64 = 900
  static let shortestLifetimeSeconds: Int64 = 300
  static let longestLifetimeSeconds: Int64 = 86_400
  /// The least time between two fetches, if the second is for an unknown key.
  static let unknownKeyMilliseconds: UInt64 = 10_000
  /// The time until the fetch after the first failure; it doubles with each further one.
  static let firstRetryMilliseconds: UInt64 = 1_000
  static let longestRetryMilliseconds: UInt64 = 60_000

  private var nextAt: UInt64
  private var begunAt: UInt64?
  private var retryMilliseconds = KeySetSchedule.firstRetryMilliseconds

  /// The first fetch is due at once.
  init(at now: UInt64) { nextAt = now }

  /// The time until the next fetch; 0 if it is due.
  func wait(at now: UInt64) -> UInt64 { nextAt > now ? nextAt - now : 0 }

  /// A fetch begins.
  mutating func begin(at now: UInt64) { begunAt = now }

  /// The fetch has succeeded; the next one is due when four fifths of the set's time are over.
  mutating func succeed(at now: UInt64, maxAgeSeconds: Int64?) {
    let lifetime = min(
      max(maxAgeSeconds ?? Self.standardLifetimeSeconds, Self.shortestLifetimeSeconds),
      Self.longestLifetimeSeconds)
    nextAt = now + UInt64(lifetime) * 800
    retryMilliseconds = Self.firstRetryMilliseconds
  }

  /// The fetch has failed.
  mutating func fail(at now: UInt64) {
    nextAt = now + retryMilliseconds
    retryMilliseconds = min(2 * retryMilliseconds, Self.longestRetryMilliseconds)
  }

  /// A token names an unknown key: the issuer may have begun to use a new one.
  mutating func noteUnknownKey() {
    // guard: unknown-key-fetch-interval
    nextAt = min(nextAt, (begunAt ?? 0) + Self.unknownKeyMilliseconds)
  }
}
