// HTTP violations by a peer, with the status of the answer.
//
// After any of these the two sides may disagree about where the message ends. Continuing would
// allow request smuggling (RFC 9112, section 11.2), so the caller always answers and closes.

/// A message that is refused: the caller answers with `status` and closes the connection.
package struct HTTPViolation: Error, Equatable {
  package let status: UInt16
  /// Constant text for the answer and the log; never the peer's bytes.
  package let reason: String

  package init(status: UInt16, reason: String) {
    self.status = status
    self.reason = reason
  }

  static func malformed(_ reason: String) -> Self { Self(status: 400, reason: reason) }
  static func headTooLarge(_ reason: String) -> Self { Self(status: 431, reason: reason) }
}
