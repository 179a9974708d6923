// Checks whether a client already has the answer: RFC 9110, sections 8.8.3 and 13.1.2.

/// The tag of one representation of one answer.
package enum EntityTag {
  /// Whether If-None-Match fields with these values match the tag `opaque`, or any tag.
  ///
  /// `opaque` comes without its quotes. The comparison is the weak one, as this field requires.
  /// Tags after a malformed part of a value are ignored: at worst the answer is sent again. Linear
  /// in the length of the values.
  package static func isNamed(_ opaque: String, in values: [String]) -> Bool {
    if values == ["*"] { return true }
    for value in values {
      let bytes = value.utf8.span
      var position = 0
      while let tag = next(bytes, &position) {
        if isEqual(opaque, bytes, tag) { return true }
      }
    }
    return false
  }

  /// The range between the next tag's quotes; a tag may contain commas.
  private static func next(_ bytes: borrowing Span<UInt8>, _ position: inout Int) -> Range<Int>? {
    while position < bytes.count,
      bytes[position] == HTTPCharacter.comma || HTTPCharacter.isWhiteSpace(bytes[position])
    {
      position += 1
    }
    if position + 1 < bytes.count, bytes[position] == 0x57, bytes[position + 1] == 0x2F {
      position += 2
    }
    guard position < bytes.count, bytes[position] == HTTPCharacter.quote else { return nil }
    let start = position + 1
    var end = start
    while end < bytes.count, bytes[end] != HTTPCharacter.quote { end += 1 }
    guard end < bytes.count else { return nil }
    position = end + 1
    return start..<end
  }

  private static func isEqual(
    _ opaque: String, _ bytes: borrowing Span<UInt8>, _ range: Range<Int>
  ) -> Bool {
    let expected = opaque.utf8.span
    guard range.count == expected.count else { return false }
    for index in 0..<expected.count where bytes[range.lowerBound + index] != expected[index] {
      return false
    }
    return true
  }
}
