// The header fields of a parsed message: one copy of its head, and the fields' offsets.
//
// Strings are made on demand only. A head costs two allocations, the bytes and the offsets, however
// many fields it has; most fields are never read.

/// The fields of one message head, in their order.
package struct HTTPFields: Sendable {
  let bytes: [UInt8]
  let fields: [HTTPField]

  init(bytes: [UInt8], fields: [HTTPField]) {
    self.bytes = bytes
    self.fields = fields
  }

  package var count: Int { fields.count }

  /// The first value of a field.
  ///
  /// `name` is lower case. Bytes that are not UTF-8 become U+FFFD: a caller that must distinguish
  /// them uses `valueBytes(of:)`.
  package func value(of name: String) -> String? {
    guard let range = range(of: name) else { return nil }
    return text(range)
  }

  /// The bytes of the first value of a field; `name` is lower case.
  package func valueBytes(of name: String) -> ArraySlice<UInt8>? {
    guard let range = range(of: name) else { return nil }
    return bytes[range]
  }

  /// The values of all fields of this name, in their order; `name` is lower case.
  package func values(of name: String) -> [String] {
    var values: [String] = []
    for field in fields where isNamed(field, name) { values.append(text(field.value)) }
    return values
  }

  /// Whether a field that is a list of tokens contains this one, in any of its lines.
  ///
  /// Letters match in either case (RFC 9110, section 7.6.1). Linear in the length of the values.
  package func hasToken(_ token: String, in name: String) -> Bool {
    for field in fields where isNamed(field, name) {
      if HTTPFields.hasToken(token, in: bytes.span, field.value) { return true }
    }
    return false
  }

  func text(_ range: Range<Int>) -> String {
    String(decoding: bytes[range], as: UTF8.self)
  }

  private func range(of name: String) -> Range<Int>? {
    for field in fields where isNamed(field, name) { return field.value }
    return nil
  }

  private func isNamed(_ field: HTTPField, _ name: String) -> Bool {
    HTTPFields.matches(bytes.span, field.name, name)
  }

  /// Whether the bytes equal this text, ignoring case; `text` is lower case.
  static func matches(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>, _ text: String) -> Bool {
    let expected = text.utf8.span
    guard range.count == expected.count else { return false }
    for index in 0..<expected.count
    where HTTPCharacter.lowercased(bytes[range.lowerBound + index]) != expected[index] {
      return false
    }
    return true
  }

  /// Whether the bytes begin with this text, ignoring case; `text` is lower case.
  static func hasPrefix(
    _ text: String, in bytes: borrowing Span<UInt8>, _ range: Range<Int>
  ) -> Bool {
    let end = range.lowerBound + text.utf8.count
    return end <= range.upperBound && matches(bytes, range.lowerBound..<end, text)
  }

  /// Whether a comma-separated list contains this element; `token` is lower case.
  static func hasToken(
    _ token: String, in bytes: borrowing Span<UInt8>, _ range: Range<Int>
  ) -> Bool {
    var start = range.lowerBound
    while start < range.upperBound {
      var end = start
      while end < range.upperBound, bytes[end] != HTTPCharacter.comma { end += 1 }
      if matches(bytes, trimmed(bytes, start..<end), token) { return true }
      // guard: list-elements-scanned-once
      start = end + 1
    }
    return false
  }

  /// The range without the white space around it.
  static func trimmed(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
    var start = range.lowerBound
    var end = range.upperBound
    while start < end, HTTPCharacter.isWhiteSpace(bytes[start]) { start += 1 }
    while end > start, HTTPCharacter.isWhiteSpace(bytes[end - 1]) { end -= 1 }
    return start..<end
  }
}
