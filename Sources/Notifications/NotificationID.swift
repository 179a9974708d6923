// The id of a notification: a UUID of version 7, RFC 9562, section 5.7.
//
// Time and randomness are parameters. Ids increase with time, so the store's index over them grows
// at its end and an insertion touches a page that is in memory.

/// A UUID; version 7 if Carillon made it.
package struct NotificationID: Hashable, Sendable {
  package let high: UInt64
  package let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Makes a version 7 id from 48 bits of time and 74 of the 128 random bits.
  ///
  /// A time before 1970 counts as 1970; bits beyond the 48th (the year 10889) are cut off.
  package init(milliseconds: Int64, random: (UInt64, UInt64)) {
    let time = UInt64(max(0, milliseconds)) & 0xFFFF_FFFF_FFFF
    high = (time << 16) | 0x7000 | (random.0 & 0x0FFF)
    low = 0x8000_0000_0000_0000 | (random.1 & 0x3FFF_FFFF_FFFF_FFFF)
  }

  /// Parses the 36 characters of a UUID of any version, in upper or lower case.
  package init?(_ text: String) {
    let utf8 = text.utf8
    guard utf8.count == 36 else { return nil }
    var words: (UInt64, UInt64) = (0, 0)
    var digits = 0
    var position = 0
    for byte in utf8 {
      if position == 8 || position == 13 || position == 18 || position == 23 {
        guard byte == UInt8(ascii: "-") else { return nil }
      } else {
        guard let digit = Self.hexValue(byte) else { return nil }
        if digits < 16 {
          words.0 = (words.0 << 4) | digit
        } else {
          words.1 = (words.1 << 4) | digit
        }
        digits += 1
      }
      position += 1
    }
    high = words.0
    low = words.1
  }

  /// The id as 36 lowercase characters.
  package var text: String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(36)
    appendText(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Appends the same characters as `text`, without allocating a string.
  package func appendText(to bytes: inout [UInt8]) {
    for nibble in 0..<32 {
      if nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20 {
        bytes.append(UInt8(ascii: "-"))
      }
      let word = nibble < 16 ? high : low
      let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (nibble & 15))) & 15
      bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + (digit - 10))
    }
  }

  private static func hexValue(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
  }
}
