// Percent-encoding: RFC 3986, section 2.1.
//
// Strict, because two readings of one escape would make two users of one id: an incomplete escape,
// or escapes that do not make UTF-8, have no value at all.

/// Percent-encoded text.
package enum Percent {
  /// The text that is written so; nil where an escape is incomplete or the result is not UTF-8.
  ///
  /// `plusIsSpace` is for queries, where forms write a space as "+".
  package static func decode(_ raw: String, plusIsSpace: Bool) -> String? {
    let bytes = raw.utf8.span
    return decode(bytes, in: 0..<bytes.count, plusIsSpace: plusIsSpace)
  }

  /// The text that is written so; nil where an escape is incomplete or the result is not UTF-8.
  package static func decode(_ raw: Substring, plusIsSpace: Bool) -> String? {
    let bytes = raw.utf8.span
    return decode(bytes, in: 0..<bytes.count, plusIsSpace: plusIsSpace)
  }

  /// The text, with everything but letters, digits and "-._~" escaped.
  package static func encode(_ text: String) -> String {
    var encoded: [UInt8] = []
    encoded.reserveCapacity(text.utf8.count)
    for byte in text.utf8 {
      if isUnreserved(byte) {
        encoded.append(byte)
      } else {
        encoded.append(0x25)
        encoded.append(hexDigit(byte >> 4))
        encoded.append(hexDigit(byte & 15))
      }
    }
    return String(decoding: encoded, as: UTF8.self)
  }

  static func decode(
    _ bytes: borrowing Span<UInt8>, in range: Range<Int>, plusIsSpace: Bool
  ) -> String? {
    var decoded: [UInt8] = []
    // The decoded text is never longer than the encoded one.
    decoded.reserveCapacity(range.count)
    var index = range.lowerBound
    while index < range.upperBound {
      let byte = bytes[index]
      index += 1
      if byte == 0x2B, plusIsSpace {
        decoded.append(0x20)
      } else if byte == 0x25 {
        guard isEscape(bytes, at: index - 1, before: range.upperBound),
          let high = HTTPCharacter.hexValue(bytes[index]),
          let low = HTTPCharacter.hexValue(bytes[index + 1])
        else { return nil }
        decoded.append(high << 4 | low)
        index += 2
      } else {
        decoded.append(byte)
      }
    }
    // guard: percent-escapes-are-utf8
    return String(validating: decoded, as: UTF8.self)
  }

  /// Whether the three bytes at `index` are an escape that ends before `end`.
  static func isEscape(_ bytes: borrowing Span<UInt8>, at index: Int, before end: Int) -> Bool {
    index + 2 < end && bytes[index] == 0x25 && HTTPCharacter.hexValue(bytes[index + 1]) != nil
      && HTTPCharacter.hexValue(bytes[index + 2]) != nil
  }

  private static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
    default: false
    }
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x37 + value
  }
}
