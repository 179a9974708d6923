// The content coding that a client accepts: RFC 9110, sections 8.4.1 and 12.5.3.
//
// For answers that exist in two forms, plain and gzip. A client without Accept-Encoding gets the
// plain form, although any coding would be allowed: such programs rarely inflate.

/// The form in which the bytes of an answer are sent.
package enum ContentCoding: Sendable {
  case identity, gzip

  /// The better coding for a client that sends these values of Accept-Encoding.
  ///
  /// Nil if the client accepts neither. A malformed element is ignored. Linear in the length of the
  /// values.
  package static func preferred(in values: [String]) -> ContentCoding? {
    guard !values.isEmpty else { return .identity }
    var weights = Weights()
    for value in values { weights.take(value) }
    let gzip = weights.gzip ?? weights.others ?? 0
    // guard: coding-of-weight-zero
    if gzip > 0, gzip >= weights.identity ?? 0 { return .gzip }
    // Plain is acceptable unless the client excludes it, by name or with "*".
    let isPlainRefused = (weights.identity ?? weights.others) == 0
    return isPlainRefused ? nil : .identity
  }

  /// A client's weight for each coding, in thousandths; nil if the client does not name it.
  private struct Weights {
    var gzip: Int?
    var identity: Int?
    var others: Int?

    mutating func take(_ value: String) {
      let bytes = value.utf8.span
      var start = 0
      while start < bytes.count {
        var end = start
        while end < bytes.count, bytes[end] != HTTPCharacter.comma { end += 1 }
        takeElement(bytes, start..<end)
        start = end + 1
      }
    }

    /// Takes one element of the list; the first weight for a coding counts.
    private mutating func takeElement(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) {
      var end = range.lowerBound
      while end < range.upperBound, bytes[end] != HTTPCharacter.semicolon { end += 1 }
      let name = HTTPFields.trimmed(bytes, range.lowerBound..<end)
      let parameter = HTTPFields.trimmed(bytes, min(end + 1, range.upperBound)..<range.upperBound)
      let isBare = end == range.upperBound
      guard let weight = isBare ? 1_000 : Weights.weight(bytes, parameter) else { return }
      if HTTPFields.matches(bytes, name, "gzip") || HTTPFields.matches(bytes, name, "x-gzip") {
        gzip = gzip ?? weight
      } else if HTTPFields.matches(bytes, name, "identity") {
        identity = identity ?? weight
      } else if HTTPFields.matches(bytes, name, "*") {
        others = others ?? weight
      }
    }

    /// The thousandths of "q=0.5"; nil when it is not well formed.
    private static func weight(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> Int? {
      let digits = range.dropFirst(2)
      guard let first = digits.first, HTTPCharacter.lowercased(bytes[range.lowerBound]) == 0x71,
        bytes[range.lowerBound + 1] == 0x3D, digits.count <= 5
      else { return nil }
      if digits.count > 1, bytes[first + 1] != 0x2E { return nil }
      var weight = 0
      for place in 0..<4 {
        let index = place == 0 ? first : first + 1 + place
        // A digit that is not written is zero.
        let byte = index < range.upperBound ? bytes[index] : 0x30
        guard HTTPCharacter.isDigit(byte) else { return nil }
        weight = weight * 10 + Int(byte & 0x0F)
      }
      // guard: coding-weight-limit
      return weight <= 1_000 ? weight : nil
    }
  }
}
