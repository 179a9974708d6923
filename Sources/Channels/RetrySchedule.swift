// When a failed delivery is tried again.

/// A text that is no retry schedule.
package enum RetryScheduleError: Error, CaseIterable, CustomStringConvertible {
  case count
  case delay

  package var description: String {
    switch self {
    case .count: "a retry schedule has 1 to 20 delays"
    case .delay: "a delay is a whole number with s, m, h or d, from 1s to 7d, as in 5s,5m,2h"
    }
  }
}

/// The delays between the attempts of a delivery.
///
/// Invariant: there are 1 to 20 delays, each of 1 s to 7 days.
package struct RetrySchedule: Equatable, Sendable, CustomStringConvertible {
  /// Delays of a schedule.
  package static let delayCountLimit = 20
  /// The longest delay.
  package static let longestDelaySeconds: Int64 = 604_800
  /// The part of a delay by which it is longer at most.
  private static let jitterDivisor: UInt64 = 10
  /// Bytes of the longest text.
  private static let textBytesLimit = 256
  private static let digitCountLimit = 6

  /// That of Standard Webhooks: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
  package static let standard = RetrySchedule([
    5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
  ])

  /// The delays after the first failure, the second, and so on.
  package let delaySeconds: [Int64]

  private init(_ delaySeconds: [Int64]) { self.delaySeconds = delaySeconds }

  /// The text that `init(parsing:)` takes.
  package var description: String {
    delaySeconds.map { seconds in
      for (unit, factor) in [("d", 86_400), ("h", 3_600), ("m", 60)] as [(String, Int64)] {
        if seconds.isMultiple(of: factor) { return "\(seconds / factor)\(unit)" }
      }
      return "\(seconds)s"
    }.joined(separator: ",")
  }

  /// Parses delays that are separated by commas, as in `5s,5m,2h,1d`.
  package init(parsing text: String) throws(RetryScheduleError) {
    // Before the text is split.
    guard text.utf8.count <= RetrySchedule.textBytesLimit else { throw .count }
    let parts = text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    guard parts.count <= RetrySchedule.delayCountLimit else { throw .count }
    delaySeconds = try parts.map(RetrySchedule.seconds)
  }

  /// The delay before the next attempt, in milliseconds; nil when there is none.
  ///
  /// `failureCount` is the number of attempts that have failed. Jitter of up to 10 % is added,
  /// chosen by `random`. A `Retry-After` replaces the delay if it is longer; it has at most 24 h.
  package func delayMilliseconds(
    failureCount: Int, random: UInt64, retryAfterSeconds: Int64? = nil
  ) -> Int64? {
    precondition(failureCount > 0, "\(failureCount) failures")
    guard failureCount <= delaySeconds.count else { return nil }
    let delay = delaySeconds[failureCount - 1] * 1_000
    let range = UInt64(delay) / RetrySchedule.jitterDivisor + 1
    // The high word of the product is uniform in the range.
    let jitter = Int64(random.multipliedFullWidth(by: range).high)
    // guard: retry-after-bounded
    let asked = min(max(0, retryAfterSeconds ?? 0), OutgoingLimits.retryAfterSecondsLimit) * 1_000
    return max(delay + jitter, asked)
  }

  private static func seconds(_ text: Substring.UTF8View) throws(RetryScheduleError) -> Int64 {
    let digits = text.dropLast()
    // guard: retry-delay-digits
    guard (1...digitCountLimit).contains(digits.count),
      digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      digits.first != UInt8(ascii: "0"), let unit = text.last,
      let number = Int64(Substring(digits)),
      let factor = factor(of: unit)
    else { throw .delay }
    // At most 999,999 days, which cannot overflow.
    let seconds = number * factor
    guard seconds <= longestDelaySeconds else { throw .delay }
    return seconds
  }

  private static func factor(of unit: UInt8) -> Int64? {
    switch unit {
    case UInt8(ascii: "s"): 1
    case UInt8(ascii: "m"): 60
    case UInt8(ascii: "h"): 3_600
    case UInt8(ascii: "d"): 86_400
    default: nil
    }
  }
}
