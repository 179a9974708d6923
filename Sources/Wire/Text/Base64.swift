// Base 64: RFC 4648, sections 4 and 5.
//
// Decoding is strict, so that every value has exactly one accepted spelling: no white space, no
// foreign characters, padding exactly where the alphabet asks for it, unused bits zero (section
// 3.5). Where a signature covers the text, a second spelling would be a second valid token.

/// Bytes as text of 64 characters.
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
    var text = encode(bytes, alphabet: standardAlphabet)
    while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
    return String(decoding: text, as: UTF8.self)
  }

  /// Encodes with the URL-safe alphabet, without padding.
  package static func encodeURL(_ bytes: [UInt8]) -> String {
    String(decoding: encode(bytes, alphabet: urlAlphabet), as: UTF8.self)
  }

  /// Decodes the standard alphabet with its padding; nil unless the text is exactly right.
  package static func decode(_ text: String) -> [UInt8]? {
    let span = text.utf8.span
    guard span.count % 4 == 0 else { return nil }
    var count = span.count
    // At most two: with three the quantum's one digit is refused below, as is any `=` further in.
    while count > 0, span.count - count < 2, span[count - 1] == UInt8(ascii: "=") { count -= 1 }
    return decode(span.extracting(first: count), values: standardValues)
  }

  /// Decodes the URL-safe alphabet without padding; nil unless the text is exactly right.
  package static func decodeURL(_ text: borrowing Span<UInt8>) -> [UInt8]? {
    decode(text, values: urlValues)
  }

  private static func encode(_ bytes: [UInt8], alphabet: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count / 3 + 1) * 4)
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
    return text
  }

  private static func decode(_ text: borrowing Span<UInt8>, values: [UInt8]) -> [UInt8]? {
    // One digit over is six bits: less than a byte.
    guard text.count % 4 != 1 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3 + 2)
    var pending: UInt32 = 0
    var pendingBits: UInt32 = 0
    for index in 0..<text.count {
      let value = values[Int(text[index])]
      guard value != foreign else { return nil }
      pending = pending << 6 | UInt32(value)
      pendingBits += 6
      if pendingBits >= 8 {
        pendingBits -= 8
        bytes.append(UInt8(truncatingIfNeeded: pending >> pendingBits))
        pending &= (1 << pendingBits) - 1
      }
    }
    guard pending == 0 else { return nil }
    return bytes
  }

  private static func values(of alphabet: [UInt8]) -> [UInt8] {
    var values = [UInt8](repeating: foreign, count: 256)
    for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
    return values
  }
}
