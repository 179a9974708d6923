// Texts of public keys: JWT_PUBLIC_KEY, and the set that JWT_JWKS_URL names.
//
// A text is PEM, with one or more blocks `PUBLIC KEY` (RFC 7468, section 13), or the JSON of one
// key or of a set of keys (RFC 7517). An algorithm's name with a colon may stand before a block:
//
//     PS256:-----BEGIN PUBLIC KEY-----
//
// A text of the operator is refused for any fault. A fetched set also has keys for other purposes,
// so there only the keys are skipped that cannot be used.

internal import Cryptography
internal import Wire

/// Reads public keys.
package enum KeyDocument {
  /// The longest text, in bytes.
  package static let bytesLimit = 65_536
  /// The most keys in a text.
  package static let keyCountLimit = 64
  /// The most keys of a text that one token may be checked against: as many verifications a token
  /// without a valid signature costs.
  package static let alikeCountLimit = 8

  /// The keys of the operator's text, in its order; at least one.
  package static func parse(_ text: String) throws(KeyFault) -> [VerificationKey] {
    // guard: key-text-bytes
    guard text.utf8.count <= bytesLimit else { throw .tooLong }
    let bytes = Array(text.utf8)
    let isJSON = bytes.first { !isSpace($0) } == UInt8(ascii: "{")
    let keys = try isJSON ? JWKSet.parse(bytes).allKeys() : PEM.parse(bytes)
    return try checked(keys)
  }

  /// The usable keys of a fetched set, and the faults of the others; at least one is usable.
  package static func parseSet(
    _ bytes: [UInt8]
  ) throws(KeyFault) -> (keys: [VerificationKey], skipped: [KeyFault]) {
    // guard: key-set-bytes
    guard bytes.count <= bytesLimit else { throw .tooLong }
    let set = try JWKSet.parse(bytes)
    guard set.isSet else { throw .noKeys }
    return (try checked(set.keys), set.faults)
  }

  private static func checked(_ keys: [VerificationKey]) throws(KeyFault) -> [VerificationKey] {
    guard !keys.isEmpty else { throw .noKey }
    for key in keys {
      let alike = keys.count { other in
        guard other.algorithm == key.algorithm else { return false }
        guard let one = key.identifier, let another = other.identifier else {
          return key.identifier == nil && other.identifier == nil
        }
        return one.hasSameBytes(as: another)
      }
      // guard: keys-alike-count
      guard alike <= alikeCountLimit else { throw .tooManyAlike }
    }
    return keys
  }

  static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
  }
}
