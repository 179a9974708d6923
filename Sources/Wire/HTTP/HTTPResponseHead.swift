// Response heads, for clients: RFC 9112, section 4.
//
// For the command's own client. As strict as the request side, so that our own tools detect server
// output that another client would reject.

/// The head of one response.
package struct HTTPResponseHead: Sendable {
  package let status: UInt16
  package let minorVersion: Int
  /// The size of the head on the wire, with the empty line that ends it.
  package let byteCount: Int
  package let contentLength: Int?
  package let isChunked: Bool
  /// Whether the server will read another request from this connection.
  package let keepsAlive: Bool
  package let fields: HTTPFields

  /// The first value of a field; `name` is lower case.
  package func value(of name: String) -> String? { fields.value(of: name) }
}

/// Reads one response head from bytes that arrive in pieces.
///
/// The status of a violation has no meaning here; its reason does.
package struct HTTPResponseHeadParser: Sendable {
  private let limits: HTTPLimits
  private var position = 0
  private var minorVersion = 0
  private var status: UInt16 = 0
  private var isInFields = false
  private var scanner: HTTPFieldScanner
  private var violation: HTTPViolation?

  package init(limits: HTTPLimits = HTTPLimits()) {
    self.limits = limits
    scanner = HTTPFieldScanner(at: 0, limits: limits)
  }

  /// Makes the parser ready for the next response.
  package mutating func reset() {
    self = HTTPResponseHeadParser(limits: limits)
  }

  /// Continues with `bytes`: everything received since the first byte of this response.
  ///
  /// Nil while the head is incomplete.
  package mutating func parse(
    _ bytes: borrowing Span<UInt8>
  ) throws(HTTPViolation) -> HTTPResponseHead? {
    if let violation { throw violation }
    do {
      if !isInFields, try !scanStatusLine(bytes) { return nil }
      guard try scanner.scan(bytes) else { return nil }
      return try makeHead(bytes)
    } catch {
      violation = error
      throw error
    }
  }

  private func makeHead(_ bytes: borrowing Span<UInt8>) throws(HTTPViolation) -> HTTPResponseHead {
    let framing = try HTTPFraming(scanner.fields, in: bytes, minorVersion: minorVersion)
    let count = scanner.position
    let copy = [UInt8](capacity: count) { output in
      for index in 0..<count { output.append(bytes[index]) }
    }
    return HTTPResponseHead(
      status: status, minorVersion: minorVersion, byteCount: count,
      contentLength: framing.contentLength, isChunked: framing.isChunked,
      keepsAlive: !framing.closesConnection && (minorVersion > 0 || framing.keepsConnection),
      fields: HTTPFields(bytes: copy, fields: scanner.fields))
  }

  // Returns true once the whole line is read.
  private mutating func scanStatusLine(
    _ bytes: borrowing Span<UInt8>
  ) throws(HTTPViolation) -> Bool {
    let end = min(bytes.count, limits.headBytes)
    while position < end {
      let byte = bytes[position]
      guard accept(byte, isAfterReturn: position > 0 && bytes[position - 1] == 0x0D) else {
        throw .malformed("malformed status line")
      }
      position += 1
      if byte == HTTPCharacter.lineFeed {
        guard status >= 100 else { throw .malformed("malformed status line") }
        scanner = HTTPFieldScanner(at: position, limits: limits)
        isInFields = true
        return true
      }
    }
    guard position < limits.headBytes else {
      throw .headTooLarge("head over \(limits.headBytes) bytes")
    }
    return false
  }

  // Whether the byte is valid at `position` of "HTTP/1.1 200 OK" and the line's end. A server that
  // omits the reason often omits the space before it too.
  private mutating func accept(_ byte: UInt8, isAfterReturn: Bool) -> Bool {
    switch position {
    case 0..<7:
      return byte == [0x48, 0x54, 0x54, 0x50, 0x2F, 0x31, 0x2E][position]
    case 7:
      minorVersion = byte == 0x30 ? 0 : 1
      return HTTPCharacter.isDigit(byte)
    case 8:
      return byte == HTTPCharacter.space
    case 9...11:
      // Three digits, so that the number cannot overflow its type.
      guard HTTPCharacter.isDigit(byte) else { return false }
      status = status * 10 + UInt16(byte &- 0x30)
      return true
    case 12:
      return byte == HTTPCharacter.space || byte == HTTPCharacter.carriageReturn
    default:
      if isAfterReturn { return byte == HTTPCharacter.lineFeed }
      return byte == HTTPCharacter.carriageReturn || HTTPCharacter.isFieldValue(byte)
    }
  }
}
