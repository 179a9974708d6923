// The compact serialization of a signed token: RFC 7515, sections 3.1 and 7.1.
//
//     base64url(header) "." base64url(payload) "." base64url(signature)
//
// Exactly three parts, each in its one spelling: no padding, no foreign character, the unused bits
// of the last character zero. So a token has one spelling only, and a list of revoked tokens cannot
// be bypassed by a token that differs in an insignificant bit.

internal import Wire

/// The three parts of a token, found but not decoded.
///
/// Invariant: `bytes` holds exactly two dots, the first at `headerEnd` and the second at
/// `payloadEnd`.
struct CompactToken {
  private let bytes: [UInt8]
  private let headerEnd: Int
  private let payloadEnd: Int

  /// Looks at each byte once; `text` is at most `bytesLimit` bytes.
  init(_ text: String, bytesLimit: Int) throws(TokenError) {
    guard text.utf8.count <= bytesLimit else { throw .tooLarge }
    bytes = Array(text.utf8)
    let dot = UInt8(ascii: ".")
    guard let first = bytes.firstIndex(of: dot),
      let second = bytes[(first + 1)...].firstIndex(of: dot),
      !bytes[(second + 1)...].contains(dot)
    else { throw .malformed }
    headerEnd = first
    payloadEnd = second
  }

  /// The bytes that the signature covers: the first two parts as they were sent.
  var signedBytes: ArraySlice<UInt8> { bytes[..<payloadEnd] }

  /// The header's JSON.
  func header() throws(TokenError) -> [UInt8] { try decoded(0..<headerEnd) }

  /// The payload's JSON; not to be read before the signature is verified.
  func payload() throws(TokenError) -> [UInt8] { try decoded((headerEnd + 1)..<payloadEnd) }

  /// The signature's bytes.
  func signature() throws(TokenError) -> [UInt8] { try decoded((payloadEnd + 1)..<bytes.count) }

  private func decoded(_ range: Range<Int>) throws(TokenError) -> [UInt8] {
    guard let decoded = Base64.decodeURL(bytes.span.extracting(range)) else { throw .malformed }
    return decoded
  }
}
