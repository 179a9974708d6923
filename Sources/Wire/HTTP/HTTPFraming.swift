// Where a message ends: RFC 9112, section 6.
//
// Two readers that disagree about this are how requests are smuggled, so anything that can be
// read in two ways is refused: a Content-Length that is not one plain number, given once; any
// transfer coding but a single "chunked"; both at once.

/// What the fields of a head say about the message's body and its connection.
struct HTTPFraming {
  private(set) var contentLength: Int?
  private(set) var isChunked = false
  private var transferCoding: Range<Int>?
  private(set) var host: Range<Int>?
  private(set) var closesConnection = false
  private(set) var keepsConnection = false
  private(set) var expectsContinue = false
  private(set) var expectsOther = false

  init(
    _ fields: [HTTPField], in bytes: borrowing Span<UInt8>, minorVersion: Int
  ) throws(HTTPViolation) {
    for field in fields {
      // The length of the name decides almost always; only a handful is compared.
      switch field.nameCount {
      case 4 where HTTPFields.matches(bytes, field.name, "host"):
        guard host == nil else { throw .malformed("more than one Host") }
        host = field.value
      case 6 where HTTPFields.matches(bytes, field.name, "expect"):
        acceptExpectation(field.value, in: bytes)
      case 10 where HTTPFields.matches(bytes, field.name, "connection"):
        if HTTPFields.hasToken("close", in: bytes, field.value) { closesConnection = true }
        if HTTPFields.hasToken("keep-alive", in: bytes, field.value) { keepsConnection = true }
      case 14 where HTTPFields.matches(bytes, field.name, "content-length"):
        // Also a second one that agrees: RFC 9110 allows refusing it, and no client sends it.
        guard contentLength == nil else { throw .malformed("more than one Content-Length") }
        contentLength = try HTTPFraming.length(field.value, in: bytes)
      case 17 where HTTPFields.matches(bytes, field.name, "transfer-encoding"):
        guard transferCoding == nil else { throw .malformed("more than one Transfer-Encoding") }
        transferCoding = field.value
      default:
        break
      }
    }
    if let transferCoding {
      try acceptTransferCoding(transferCoding, in: bytes, minorVersion: minorVersion)
    }
  }

  // The order matters: a message with two framings is malformed whatever the coding is, and only
  // one sound coding, in a version that has them, can be merely unsupported.
  private mutating func acceptTransferCoding(
    _ value: Range<Int>, in bytes: borrowing Span<UInt8>, minorVersion: Int
  ) throws(HTTPViolation) {
    guard contentLength == nil else {
      throw .malformed("Content-Length together with Transfer-Encoding")
    }
    // HTTP/1.0 has no transfer codings, so a hop that speaks it has not understood this one.
    guard minorVersion > 0 else { throw .malformed("Transfer-Encoding in HTTP/1.0") }
    isChunked = HTTPFields.matches(bytes, value, "chunked")
    if isChunked { return }
    // A list has an end that must be "chunked" and may hide one that is not; parameters and
    // quotes are read differently by everyone.
    var isOneToken = !value.isEmpty
    for index in value where !HTTPCharacter.isToken(bytes[index]) { isOneToken = false }
    guard isOneToken else { throw .malformed("Transfer-Encoding is not one coding") }
    throw HTTPViolation(status: 501, reason: "transfer coding not supported")
  }

  private mutating func acceptExpectation(_ value: Range<Int>, in bytes: borrowing Span<UInt8>) {
    if HTTPFields.matches(bytes, value, "100-continue") {
      expectsContinue = true
    } else {
      expectsOther = true
    }
  }

  /// The number that a Content-Length is; one past what an Int holds is refused.
  ///
  /// A leading zero is refused as well: some readers take it for octal.
  static func length(
    _ range: Range<Int>, in bytes: borrowing Span<UInt8>
  ) throws(HTTPViolation) -> Int {
    guard let first = range.first else { throw .malformed("empty Content-Length") }
    guard bytes[first] != 0x30 || range.count == 1 else {
      throw .malformed("Content-Length with leading zero")
    }
    var length = 0
    for index in range {
      let byte = bytes[index]
      guard HTTPCharacter.isDigit(byte) else { throw .malformed("Content-Length not a number") }
      // guard: content-length-overflow
      let (product, isTooLarge) = length.multipliedReportingOverflow(by: 10)
      let (sum, carries) = product.addingReportingOverflow(Int(byte &- 0x30))
      guard !isTooLarge, !carries else { throw .malformed("Content-Length too large") }
      length = sum
    }
    return length
  }
}
