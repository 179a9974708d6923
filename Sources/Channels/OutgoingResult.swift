// The end of a request to another server.

/// The answer of another server.
package struct OutgoingAnswer: Equatable, Sendable {
  /// From 200 to 599, redirects included.
  package let status: Int
  /// The delay that `Retry-After` asks for, at most a day; nil without a valid one.
  package let retryAfterSeconds: Int64?
  /// `max-age` of Cache-Control; nil without one.
  package let maxAgeSeconds: Int64?
  /// The start of the body, as many bytes as the request keeps.
  package let body: [UInt8]
  /// Whether `body` is the whole body.
  ///
  /// False if it was cut, too long, malformed, or ended early.
  package let isBodyComplete: Bool

  package init(
    status: Int, retryAfterSeconds: Int64? = nil, maxAgeSeconds: Int64? = nil,
    body: [UInt8] = [], isBodyComplete: Bool = true
  ) {
    self.status = status
    self.retryAfterSeconds = retryAfterSeconds
    self.maxAgeSeconds = maxAgeSeconds
    self.body = body
    self.isBodyComplete = isBodyComplete
  }
}

/// The reason why there is no answer.
///
/// The texts are stable: they are stored with a delivery and shown to its owner.
package enum OutgoingFailure: String, Error, Sendable, CaseIterable {
  case nameUnknown = "the name does not resolve"
  case nameTimedOut = "the name did not resolve in time"
  case resolverBusy = "too many names wait to be resolved"
  case addressRefused = "the address is private or reserved"
  case connectFailed = "the connection failed"
  case connectTimedOut = "the connection was not made in time"
  case certificateRefused = "the certificate is not valid"
  case tlsFailed = "the TLS handshake failed"
  case connectionLost = "the connection ended before the answer"
  case timedOut = "the answer did not end in time"
  case malformedAnswer = "the answer is no valid HTTP"
  case headTooLong = "the head of the answer is too long"
  case transferFailed = "the transfer failed"
  case unavailable = "the server cannot send requests"
}

/// The end of a request.
package enum OutgoingOutcome: Equatable, Sendable {
  case answered(OutgoingAnswer)
  case failed(OutgoingFailure)
}

/// A request that has ended.
package struct OutgoingResult: Equatable, Sendable {
  /// The number that `OutgoingHTTP.start` got.
  package let id: UInt64
  package let outcome: OutgoingOutcome

  package init(id: UInt64, outcome: OutgoingOutcome) {
    self.id = id
    self.outcome = outcome
  }
}
