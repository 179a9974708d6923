// Reads JSON strings: RFC 8259, section 7.
//
// Taking a string checks all of it (escapes, surrogate pairs, UTF-8) and copies nothing; only a
// caller that needs the text pays for making it. Most strings have no escapes: then the text is one
// copy of the bytes.

/// A checked string: the range of its contents, and whether they contain escapes.
struct JSONStringToken {
  /// Between the quotation marks.
  let range: Range<Int>
  let hasEscapes: Bool
}

extension JSONReader {
  /// Takes a string; the reader must be at its opening quotation mark.
  mutating func takeString() throws(JSONViolation) -> JSONStringToken {
    assert(peek() == UInt8(ascii: "\""))
    position += 1
    let start = position
    var hasEscapes = false
    while position < end {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        position += 1
        return JSONStringToken(range: start..<(position - 1), hasEscapes: hasEscapes)
      case UInt8(ascii: "\\"):
        hasEscapes = true
        try takeEscape()
      case 0x00...0x1F:
        throw violation("control character in a string")
      case 0x20...0x7F:
        position += 1
      default:
        try takeMultibyteScalar()
      }
    }
    throw violation("unterminated string")
  }

  /// The text of a string that was taken.
  func text(of token: JSONStringToken) -> String {
    guard token.hasEscapes else {
      return String(decoding: bytes[token.range], as: UTF8.self)
    }
    var text: [UInt8] = []
    text.reserveCapacity(token.range.count)
    var index = token.range.lowerBound
    while index < token.range.upperBound {
      let byte = bytes[index]
      index += 1
      if byte == UInt8(ascii: "\\") {
        appendEscape(at: &index, to: &text)
      } else {
        text.append(byte)
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  private mutating func takeEscape() throws(JSONViolation) {
    position += 1
    switch peek() {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
      UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      position += 1
    case UInt8(ascii: "u"):
      position += 1
      try takeUnicodeEscape()
    case nil: throw violation("unterminated string")
    default: throw violation("unknown escape")
    }
  }

  /// Takes the digits of a `\u` escape and, after a high surrogate, the escape of its low one.
  ///
  /// A lone surrogate is not a character and has no UTF-8. It is refused, not replaced: a
  /// replacement would make two different documents equal.
  private mutating func takeUnicodeEscape() throws(JSONViolation) {
    let start = position
    switch try takeHexadecimal() {
    case 0xD800...0xDBFF:
      guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
        throw violation("lone surrogate", at: start)
      }
      guard 0xDC00...0xDFFF ~= (try takeHexadecimal()) else {
        throw violation("lone surrogate", at: start)
      }
    case 0xDC00...0xDFFF: throw violation("lone surrogate", at: start)
    default: break
    }
  }

  private mutating func takeHexadecimal() throws(JSONViolation) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(), let digit = hexadecimalValue(byte) else {
        throw violation("hexadecimal digit expected")
      }
      value = value << 4 | digit
      position += 1
    }
    return value
  }

  private func hexadecimalValue(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
    default: nil
    }
  }

  /// Takes one scalar of two to four bytes, by the table of RFC 3629, section 4.
  ///
  /// The first byte already excludes most overlong forms, surrogates and values past U+10FFFF. The
  /// rest are excluded by the range of the second byte, which depends on the first.
  private mutating func takeMultibyteScalar() throws(JSONViolation) {
    let start = position
    let length: Int
    let second: ClosedRange<UInt8>
    switch bytes[position] {
    case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
    case 0xE0: (length, second) = (3, 0xA0...0xBF)
    case 0xE1...0xEC, 0xEE...0xEF: (length, second) = (3, 0x80...0xBF)
    case 0xED: (length, second) = (3, 0x80...0x9F)
    case 0xF0: (length, second) = (4, 0x90...0xBF)
    case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
    case 0xF4: (length, second) = (4, 0x80...0x8F)
    default: throw violation("invalid UTF-8")
    }
    guard end - start >= length, second ~= bytes[start + 1] else {
      throw violation("invalid UTF-8")
    }
    for index in (start + 2)..<(start + length) {
      guard bytes[index] & 0xC0 == 0x80 else { throw violation("invalid UTF-8") }
    }
    position = start + length
  }

  /// Appends the text of an escape; moves `index` from after its backslash to after its end.
  ///
  /// `takeEscape` has already checked the escape, so this function checks nothing again.
  private func appendEscape(at index: inout Int, to text: inout [UInt8]) {
    let letter = bytes[index]
    index += 1
    switch letter {
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var value = checkedHexadecimal(at: &index)
      if 0xD800...0xDBFF ~= value {
        index += 2
        value = 0x10000 + (value - 0xD800) << 10 + (checkedHexadecimal(at: &index) - 0xDC00)
      }
      if let scalar = Unicode.Scalar(value) { text.append(contentsOf: UTF8.encode(scalar)!) }
    default: text.append(letter)
    }
  }

  private func checkedHexadecimal(at index: inout Int) -> UInt32 {
    var value: UInt32 = 0
    for offset in 0..<4 {
      value = value << 4 | (hexadecimalValue(bytes[index + offset]) ?? 0)
    }
    index += 4
    return value
  }
}
