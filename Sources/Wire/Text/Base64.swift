// Base 64: RFC 4648, sections 4 and 5.
//
// Decoding is strict, so that every value has exactly one accepted spelling: no white space, no
// foreign characters, padding exactly where the alphabet asks for it, unused bits zero (section
// 3.5). Where a signature covers the text, a second spelling would be a second valid token.

/// Encodes bytes as text of 64 characters, and decodes it.
package enum Base64 {
  private static let standardAlphabet = [UInt8](
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let urlAlphabet = [UInt8](
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
  private static let standardValues = values(of: standardAlphabet)
  private static let urlValues = values(of: urlAlphabet)
  private static let foreign: UInt8 = 0xFF

  /// Encodes with the standard alphabet and padding.
  package static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count / 3 + 1) * 4)
    append(bytes, into: &text)
    return String(decoding: text, as: UTF8.self)
  }

  /// Appends the same encoding to existing text.
  package static func append(_ bytes: [UInt8], into text: inout [UInt8]) {
    encode(bytes, alphabet: standardAlphabet, into: &text)
    let padding = (3 - bytes.count % 3) % 3
    text.append(contentsOf: repeatElement(UInt8(ascii: "="), count: padding))
  }

  /// Encodes with the URL-safe alphabet, without padding.
  package static func encodeURL(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count / 3 + 1) * 4)
    encode(bytes, alphabet: urlAlphabet, into: &text)
    return String(decoding: text, as: UTF8.self)
  }

  /// Decodes the standard alphabet with its padding; nil unless the text is exactly right.
  package static func decode(_ text: String) -> [UInt8]? {
    decode(text.utf8.span)
  }

  /// Decodes the standard alphabet with its padding; nil unless the text is exactly right.
  package static func decode(_ text: borrowing Span<UInt8>) -> [UInt8]? {
    // guard: base64-padding
    guard text.count % 4 == 0 else { return nil }
    var count = text.count
    // At most two: with three, the single digit of the quantum is refused below, as is any earlier
    // `=`.
    while count > 0, text.count - count < 2, text[count - 1] == UInt8(ascii: "=") { count -= 1 }
    return decode(text.extracting(first: count), values: standardValues)
  }

  /// Decodes the URL-safe alphabet without padding; nil unless the text is exactly right.
  package static func decodeURL(_ text: borrowing Span<UInt8>) -> [UInt8]? {
    decode(text, values: urlValues)
  }

  private static func encode(_ bytes: [UInt8], alphabet: [UInt8], into text: inout [UInt8]) {
    var index = 0
    while index < bytes.count {
      let taken = min(3, bytes.count - index)
      var quantum: UInt32 = 0
      for offset in 0..<3 {
        quantum = quantum << 8 | (offset < taken ? UInt32(bytes[index + offset]) : 0)
      }
      for digit in 0...taken {
        text.append(alphabet[Int(quantum >> (18 - 6 * UInt32(digit)) & 0x3F)])
      }
      index += taken
    }
  }

  private static func decode(_ text: borrowing Span<UInt8>, values: [UInt8]) -> [UInt8]? {
    // A single remaining digit is six bits, less than a byte.
    // guard: base64-single-character
    guard text.count % 4 != 1 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3 + 2)
    var pending: UInt32 = 0
    var pendingBits: UInt32 = 0
    for index in 0..<text.count {
      let value = values[Int(text[index])]
      // guard: base64-foreign-characters
      guard value != foreign else { return nil }
      pending = pending << 6 | UInt32(value)
      pendingBits += 6
      if pendingBits >= 8 {
        pendingBits -= 8
        bytes.append(UInt8(truncatingIfNeeded: pending >> pendingBits))
        pending &= (1 << pendingBits) - 1
      }
    }
    // guard: base64-spare-bits
    guard pending == 0 else { return nil }
    return bytes
  }

  private static func values(of alphabet: [UInt8]) -> [UInt8] {
    var values = [UInt8](repeating: foreign, count: 256)
    for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
    return values
  }
}
