// Control characters, which have no place in ids, links and texts that an answer repeats.

extension String {
  /// Whether the text has 1 to `byteCountLimit` bytes and no control character.
  package func isName(byteCountLimit: Int) -> Bool {
    1...byteCountLimit ~= utf8.count && !hasControlCharacter
  }

  /// Whether the text has a control character (category Cc: U+0000-001F and U+007F-009F).
  package var hasControlCharacter: Bool {
    var previous: UInt8 = 0
    for byte in utf8 {
      if byte < 0x20 || byte == 0x7F { return true }
      // U+0080-009F are C2 80 to C2 9F.
      if previous == 0xC2 && byte < 0xA0 { return true }
      previous = byte
    }
    return false
  }
}
