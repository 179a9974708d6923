// The query of a request: `application/x-www-form-urlencoded`, parsed strictly.

/// The names and values of a query.
///
/// At most 64 pairs, searched linearly, so no choice of names makes a lookup slow. A duplicate name
/// is refused: a proxy that takes the other value would see a different request.
package struct QueryString: Sendable {
  private var pairs: [(name: String, value: String)] = []

  /// The most pairs a query may have, empty ones included.
  package static let pairCountLimit = 64

  /// Parses the part of a target after the "?".
  package init(_ raw: String) throws(HTTPViolation) {
    let bytes = raw.utf8.span
    guard !bytes.isEmpty else { return }
    var start = 0
    var pairCount = 0
    while start <= bytes.count {
      pairCount += 1
      // guard: query-pair-count
      guard pairCount <= QueryString.pairCountLimit else {
        throw .malformed("over \(QueryString.pairCountLimit) query parameters")
      }
      var end = start
      var separator: Int?
      while end < bytes.count, bytes[end] != 0x26 {
        if bytes[end] == 0x3D, separator == nil { separator = end }
        end += 1
      }
      if end > start {
        try append(
          bytes, name: start..<(separator ?? end), value: (separator.map { $0 + 1 } ?? end)..<end)
      }
      start = end + 1
    }
  }

  private mutating func append(
    _ bytes: borrowing Span<UInt8>, name: Range<Int>, value: Range<Int>
  ) throws(HTTPViolation) {
    guard let name = Percent.decode(bytes, in: name, plusIsSpace: true),
      let value = Percent.decode(bytes, in: value, plusIsSpace: true)
    else { throw .malformed("invalid encoding in query") }
    guard self[name] == nil else { throw .malformed("query parameter given twice") }
    pairs.append((name, value))
  }

  package var count: Int { pairs.count }

  /// The value of a name; empty if it was given without a value.
  package subscript(name: String) -> String? {
    // guard: query-name-bytes
    for pair in pairs where pair.name.hasSameBytes(as: name) { return pair.value }
    return nil
  }
}
