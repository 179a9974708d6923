// The framing of a message: RFC 9112, section 6.
//
// Request smuggling needs two readers that disagree about where a message ends. So every ambiguous
// framing is refused: a Content-Length that is not one plain number, given once; any transfer
// coding but a single "chunked"; both at once. A credential or an Idempotency-Key that is given
// twice is refused here too, for the same reason: a proxy may have checked the other one.

/// The fields of a head that concern the message's body and its connection.
struct HTTPFraming {
  private(set) var contentLength: Int?
  private(set) var isChunked = false
  private var transferCoding: Range<Int>?
  private(set) var host: Range<Int>?
  private(set) var closesConnection = false
  private(set) var keepsConnection = false
  private(set) var expectsContinue = false
  private(set) var expectsOther = false
  /// Whether a proxy has sent the message on.
  private(set) var isForwarded = false

  init(
    _ fields: [HTTPField], in bytes: borrowing Span<UInt8>, minorVersion: Int
  ) throws(HTTPViolation) {
    var hasKey = false
    var hasAuthorization = false
    var hasIdempotencyKey = false
    for field in fields {
      // The name's length alone rules out almost every field; few names are compared.
      switch field.nameCount {
      case 3 where HTTPFields.matches(bytes, field.name, "via"):
        isForwarded = true
      case 4 where HTTPFields.matches(bytes, field.name, "host"):
        guard host == nil else { throw .malformed("more than one Host") }
        host = field.value
      case 6 where HTTPFields.matches(bytes, field.name, "expect"):
        acceptExpectation(field.value, in: bytes)
      case 9 where HTTPFields.matches(bytes, field.name, "x-api-key"):
        // guard: single-api-key
        guard !hasKey else { throw .malformed("more than one X-API-Key") }
        hasKey = true
      case 9
      where HTTPFields.matches(bytes, field.name, "forwarded")
        || HTTPFields.matches(bytes, field.name, "x-real-ip"):
        isForwarded = true
      case 10 where HTTPFields.matches(bytes, field.name, "connection"):
        if HTTPFields.hasToken("close", in: bytes, field.value) { closesConnection = true }
        if HTTPFields.hasToken("keep-alive", in: bytes, field.value) { keepsConnection = true }
      case 13 where HTTPFields.matches(bytes, field.name, "authorization"):
        // guard: single-authorization
        guard !hasAuthorization else { throw .malformed("more than one Authorization") }
        hasAuthorization = true
      case 14 where HTTPFields.matches(bytes, field.name, "content-length"):
        // A second one is refused even if it is equal: RFC 9110 allows that, and no client sends
        // it.
        guard contentLength == nil else { throw .malformed("more than one Content-Length") }
        contentLength = try HTTPFraming.length(field.value, in: bytes)
      case 15 where HTTPFields.matches(bytes, field.name, "idempotency-key"):
        // guard: single-idempotency-key
        guard !hasIdempotencyKey else { throw .malformed("more than one Idempotency-Key") }
        hasIdempotencyKey = true
      case 17 where HTTPFields.matches(bytes, field.name, "transfer-encoding"):
        guard transferCoding == nil else { throw .malformed("more than one Transfer-Encoding") }
        transferCoding = field.value
      case 15, 16, 17:
        // X-Forwarded-For, -Host, -Port and -Proto.
        if HTTPFields.hasPrefix("x-forwarded-", in: bytes, field.name) { isForwarded = true }
      default:
        break
      }
    }
    if let transferCoding {
      try acceptTransferCoding(transferCoding, in: bytes, minorVersion: minorVersion)
    }
  }

  // The order of the checks matters: a message with two framings is malformed whatever the coding
  // is. Only a single well-formed coding, in a version that has codings, is merely unsupported
  // (501).
  private mutating func acceptTransferCoding(
    _ value: Range<Int>, in bytes: borrowing Span<UInt8>, minorVersion: Int
  ) throws(HTTPViolation) {
    guard contentLength == nil else {
      throw .malformed("Content-Length together with Transfer-Encoding")
    }
    // HTTP/1.0 has no transfer codings, so an HTTP/1.0 hop has not interpreted this one.
    guard minorVersion > 0 else { throw .malformed("Transfer-Encoding in HTTP/1.0") }
    isChunked = HTTPFields.matches(bytes, value, "chunked")
    if isChunked { return }
    // A list must end with "chunked", but may contain other codings; and implementations differ in
    // reading parameters and quotes. So only a single token is accepted here.
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

  /// The number in a Content-Length; one that does not fit an Int is refused.
  ///
  /// A leading zero is refused as well: some readers interpret it as octal.
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
