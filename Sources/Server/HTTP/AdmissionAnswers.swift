// The answers to clients that are over a limit: 429 with the time after which to retry, or 503
// where the server itself is full.

internal import Notifications

extension AdmissionControl {
  /// The answer to a session over its user's limit.
  var tooManySessions: Answer { .tooManySessions(tooManySessionsText) }
}

extension Answer {
  /// Retry time in seconds where it is unknown when there will be room.
  private static let retrySeconds: UInt64 = 5

  /// The answer to a session over its user's limit, with this text.
  static func tooManySessions(_ text: String) -> Answer {
    .tooMany("too_many_connections", text, afterSeconds: retrySeconds)
  }

  /// The answer to a connection over a limit.
  static func refusing(_ refusal: AdmissionRefusal, by quotas: Quotas) -> Answer {
    switch refusal {
    case .address:
      .tooMany(
        "too_many_connections", "an address has at most \(quotas.addressLimit) connections",
        afterSeconds: retrySeconds)
    case .addressRate(let wait):
      .tooMany(
        "rate_limited",
        "an address opens at most \(quotas.connectRate.perSecond) connections a second",
        afterSeconds: wholeSeconds(wait))
    case .unauthenticated:
      .unavailable("busy", "too many connections lack a token")
    }
  }

  /// The answer to a publisher over its rate, with the nanoseconds to wait.
  static func tooManyPublishes(wait: UInt64, by quotas: Quotas) -> Answer {
    .tooMany(
      "rate_limited", "at most \(quotas.publishRate.perSecond) publishes a second",
      afterSeconds: wholeSeconds(wait))
  }

  /// The answer to a user over its rate of requests, with the nanoseconds to wait.
  static func tooManyRequests(wait: UInt64, by quotas: Quotas) -> Answer {
    .tooMany(
      "rate_limited", "a user makes at most \(quotas.requestRate.perSecond) requests a second",
      afterSeconds: wholeSeconds(wait))
  }

  /// The answer to an address with too many wrong tokens, with the nanoseconds to wait.
  static func tooManyBadTokens(wait: UInt64, by quotas: Quotas) -> Answer {
    .tooMany(
      "rate_limited",
      "an address presents at most \(quotas.badTokenRate.perSecond) wrong tokens a second",
      afterSeconds: wholeSeconds(wait))
  }

  /// The time in whole seconds, rounded up; at least 1, since a refusal always asks for a wait.
  static func wholeSeconds(_ nanoseconds: UInt64) -> UInt64 {
    // guard: retry-after-rounds-up
    max(1, nanoseconds / 1_000_000_000 + (nanoseconds % 1_000_000_000 == 0 ? 0 : 1))
  }
}
