// Header fields, read line by line as they arrive: RFC 9112, section 5.
//
// One scanner for the three kinds of field sections: request heads, response heads, trailers. It
// keeps offsets into bytes that the caller holds, and remembers how far it has scanned, so a head
// that arrives byte by byte costs one pass in total. It refuses line folding, bare LF and white
// space before the colon, which RFC 9112 lets a recipient repair: a proxy in front of the server
// may interpret the repaired text differently.

/// The position of one field in the bytes of its head.
struct HTTPField: Sendable {
  var nameStart: UInt32
  var nameEnd: UInt32
  var valueStart: UInt32
  var valueEnd: UInt32

  var nameCount: Int { Int(nameEnd &- nameStart) }
  var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
  var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
}

/// The state of a field section in progress.
///
/// Invariant: `position` never decreases, and every offset in `fields` is at or below it.
struct HTTPFieldScanner: Sendable {
  private enum Stage: UInt8 {
    case lineStart, name, leadingSpace, value, lineFeed, lastLineFeed
  }

  private(set) var fields: [HTTPField] = []
  private(set) var position: Int
  private var stage = Stage.lineStart
  private var current = HTTPField(nameStart: 0, nameEnd: 0, valueStart: 0, valueEnd: 0)
  private let limits: HTTPLimits

  /// A scanner for the fields that begin at `position`.
  init(at position: Int, limits: HTTPLimits) {
    self.position = position
    self.limits = limits
  }

  /// Continues the scan; true once it has read the empty line that ends the section.
  ///
  /// `position` is then the first byte after it. `bytes` must begin with those of the previous
  /// call.
  mutating func scan(_ bytes: borrowing Span<UInt8>) throws(HTTPViolation) -> Bool {
    // Offsets are kept in 32 bits, and no byte past the limit is read.
    let end = min(bytes.count, limits.headBytes, Int(Int32.max))
    while position < end {
      switch stage {
      case .lineStart:
        try beginLine(bytes[position])
      case .name:
        try scanName(bytes, to: end)
      case .leadingSpace:
        if HTTPCharacter.isWhiteSpace(bytes[position]) {
          position += 1
        } else {
          current.valueStart = UInt32(position)
          stage = .value
        }
      case .value:
        try scanValue(bytes, to: end)
      case .lineFeed, .lastLineFeed:
        guard bytes[position] == HTTPCharacter.lineFeed else {
          throw .malformed("carriage return without line feed")
        }
        position += 1
        if stage == .lastLineFeed { return true }
        fields.append(current)
        stage = .lineStart
      }
    }
    // guard: request-head-bytes
    guard position < limits.headBytes else {
      throw .headTooLarge("head over \(limits.headBytes) bytes")
    }
    return false
  }

  private mutating func beginLine(_ byte: UInt8) throws(HTTPViolation) {
    if byte == HTTPCharacter.carriageReturn {
      position += 1
      stage = .lastLineFeed
      return
    }
    // A name's first character is checked here, so that a name is never empty and a line that
    // begins with white space (a fold, or a line before the first field) is never a field.
    guard HTTPCharacter.isToken(byte) else {
      throw .malformed(
        HTTPCharacter.isWhiteSpace(byte) ? "folded header line" : "invalid header name")
    }
    // guard: header-field-count
    guard fields.count < limits.fieldCount else {
      throw .headTooLarge("over \(limits.fieldCount) header fields")
    }
    if fields.isEmpty { fields.reserveCapacity(min(16, limits.fieldCount)) }
    current.nameStart = UInt32(position)
    stage = .name
  }

  private mutating func scanName(
    _ bytes: borrowing Span<UInt8>, to end: Int
  ) throws(HTTPViolation) {
    let start = Int(current.nameStart)
    let stop = start + min(end - start, limits.fieldNameBytes)
    var index = position
    while index < stop, HTTPCharacter.isToken(bytes[index]) { index += 1 }
    position = index
    guard index < end else { return }
    guard bytes[index] == HTTPCharacter.colon else {
      if HTTPCharacter.isToken(bytes[index]) {
        throw .headTooLarge("header name over \(limits.fieldNameBytes) bytes")
      }
      throw .malformed("invalid header name")
    }
    current.nameEnd = UInt32(index)
    position = index + 1
    stage = .leadingSpace
  }

  private mutating func scanValue(
    _ bytes: borrowing Span<UInt8>, to end: Int
  ) throws(HTTPViolation) {
    let start = Int(current.valueStart)
    // guard: header-value-bytes
    let stop = start + min(end - start, limits.fieldValueBytes)
    // guard: header-value-scanned-once
    var index = position
    while index < stop, HTTPCharacter.isFieldValue(bytes[index]) { index += 1 }
    position = index
    guard index < end else { return }
    guard bytes[index] == HTTPCharacter.carriageReturn else {
      if HTTPCharacter.isFieldValue(bytes[index]) {
        throw .headTooLarge("header value over \(limits.fieldValueBytes) bytes")
      }
      throw .malformed("invalid character in header value")
    }
    position = index + 1
    // The value excludes trailing white space. It is skipped once, here at the line's end, and not
    // for each byte that arrives.
    while index > start, HTTPCharacter.isWhiteSpace(bytes[index - 1]) { index -= 1 }
    current.valueEnd = UInt32(index)
    stage = .lineFeed
  }
}
