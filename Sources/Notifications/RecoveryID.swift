// The id with which a client resumes a session, also on another connection.
//
// The server makes it from random bits, and the client presents it on reconnection. It is not a
// credential: a session belongs to its user, and the resuming client must authenticate as that
// user.

internal import Wire

/// 16 bytes that identify a session.
package struct RecoveryID: Hashable, Sendable {
  package let high: UInt64
  package let low: UInt64

  package static let byteCount = 16
  package static let textCount = 22
  /// How long the rooms of a session are kept after its connection ended.
  package static let keptMilliseconds: Int64 = 24 * 60 * 60 * 1_000

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Makes an id from 16 bytes in order; nil for any other count.
  package init?(bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    high = bytes[..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    low = bytes[8...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  }

  /// Parses the canonical spelling produced by `text`; nil for anything else.
  package init?(_ text: String) {
    // Check the length first, so that a long text is never decoded.
    guard text.utf8.count == Self.textCount, let bytes = Base64.decodeURL(text.utf8.span) else {
      return nil
    }
    self.init(bytes: bytes)
  }

  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCount)
    for word in [high, low] {
      for shift in stride(from: UInt64(56), through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> shift))
      }
    }
    return bytes
  }

  /// The id as 22 characters of URL-safe base 64 (RFC 4648, section 5), without padding.
  package var text: String { Base64.encodeURL(bytes) }
}
