// The name under which a session can be taken up again, also on another connection.
//
// The server makes it of random bits, and the client shows it when it comes back. It is not enough
// by itself: a session is its user's, and whoever comes with it has to be that user.

internal import Wire

/// 16 bytes that name a session.
package struct RecoveryID: Hashable, Sendable {
  package let high: UInt64
  package let low: UInt64

  package static let byteCount = 16
  package static let textCount = 22
  /// Time for which the rooms of a session are kept once its connection has ended.
  package static let keptMilliseconds: Int64 = 24 * 60 * 60 * 1_000

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Takes the bytes in their order; nil unless there are 16.
  package init?(bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    high = bytes[..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    low = bytes[8...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  }

  /// Reads what `text` gives, which is the one spelling of an id; nil for anything else.
  package init?(_ text: String) {
    // Counted first, so that a long text is not even looked at.
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

  /// The id as 22 characters of the URL-safe base 64 (RFC 4648, section 5), without padding.
  package var text: String { Base64.encodeURL(bytes) }
}
