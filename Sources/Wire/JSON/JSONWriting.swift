// Writes JSON strings: RFC 8259, section 7.
//
// Escapes only the quotation mark, the backslash and the control characters, which RFC 8259
// requires. Everything else is written unchanged: a `String` is valid Unicode, so its UTF-8 is
// valid JSON.

extension String {
  /// At least the bytes of the text in a JSON string, without the quotation marks.
  package var jsonByteCount: Int {
    let span = utf8.span
    var specialCount = 0
    for index in 0..<span.count where [UInt8].needsEscape(span[index]) { specialCount += 1 }
    // The longest escape has six bytes.
    return span.count + 5 * specialCount
  }
}

extension [UInt8] {
  /// Appends a string with its quotation marks, escaped as needed.
  package mutating func appendJSONString(_ text: String) {
    append(UInt8(ascii: "\""))
    let span = text.utf8.span
    // Nearly every string needs no escapes. The compiler can vectorise a loop without an early
    // exit.
    var specials: UInt8 = 0
    for index in 0..<span.count { specials |= Self.needsEscape(span[index]) ? 1 : 0 }
    if specials != 0 {
      for index in 0..<span.count { appendEscaped(span[index]) }
    } else {
      append(contentsOf: text.utf8)
    }
    append(UInt8(ascii: "\""))
  }

  fileprivate static func needsEscape(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
  }

  private mutating func appendEscaped(_ byte: UInt8) {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): appendEscape(byte)
    case 0x08: appendEscape(UInt8(ascii: "b"))
    case 0x09: appendEscape(UInt8(ascii: "t"))
    case 0x0A: appendEscape(UInt8(ascii: "n"))
    case 0x0C: appendEscape(UInt8(ascii: "f"))
    case 0x0D: appendEscape(UInt8(ascii: "r"))
    case 0x00...0x1F:
      appendText("\\u00")
      append(byte < 0x10 ? UInt8(ascii: "0") : UInt8(ascii: "1"))
      let digit = byte & 0x0F
      append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
    default: append(byte)
    }
  }

  private mutating func appendEscape(_ letter: UInt8) {
    append(UInt8(ascii: "\\"))
    append(letter)
  }
}
