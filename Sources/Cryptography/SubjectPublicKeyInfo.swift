// SubjectPublicKeyInfo, the content of a PEM block `PUBLIC KEY`: RFC 5280, section 4.1.2.7, with
// the algorithms of RFC 3279 (RSA), RFC 5480 (EC) and RFC 8410 (Ed25519), in DER.
//
//     SEQUENCE {
//       SEQUENCE { OBJECT IDENTIFIER algorithm, parameters }
//       BIT STRING { 00, key }
//     }
//
// The reader is strict: one spelling of each length, one of each number, nothing after the end, and
// curves only by name (explicit parameters were CVE-2020-0601). The writer makes the same bytes, so
// OpenSSL's decoder, which accepts far more, is given only what was written here.

/// The reader and writer of SubjectPublicKeyInfo.
package enum SubjectPublicKeyInfo {
  /// The most bytes of one key: more than an RSA key of the longest modulus needs.
  package static let bytesLimit = 2_048

  private static let rsa: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01]
  private static let elliptic: [UInt8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01]
  private static let ed25519: [UInt8] = [0x2B, 0x65, 0x70]

  private static func identifier(of curve: EllipticCurve) -> [UInt8] {
    switch curve {
    case .p256: [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]
    case .p384: [0x2B, 0x81, 0x04, 0x00, 0x22]
    case .p521: [0x2B, 0x81, 0x04, 0x00, 0x23]
    }
  }

  /// The numbers in `bytes`, which are all of one key.
  package static func parse(_ bytes: [UInt8]) throws(PublicKeyFault) -> PublicKeyNumbers {
    guard bytes.count <= bytesLimit else { throw .encoding }
    var whole = DERReader(bytes[...])
    var info = DERReader(try whole.take(.sequence))
    try whole.finish()
    var algorithm = DERReader(try info.take(.sequence))
    let name = Array(try algorithm.take(.objectIdentifier))
    // The first byte counts the unused bits of the last.
    let bits = try info.take(.bitString)
    guard bits.first == 0 else { throw .encoding }
    let key = bits.dropFirst()
    try info.finish()
    switch name {
    case rsa:
      guard try algorithm.take(.null).isEmpty else { throw .encoding }
      try algorithm.finish()
      return try rsaNumbers(key)
    case elliptic:
      let curve = Array(try algorithm.take(.objectIdentifier, else: .unsupportedKind))
      try algorithm.finish()
      return try point(key, curve)
    case ed25519:
      try algorithm.finish()
      return .ed25519(Array(key))
    default:
      throw .unsupportedKind
    }
  }

  private static func rsaNumbers(_ key: ArraySlice<UInt8>) throws(PublicKeyFault)
    -> PublicKeyNumbers
  {
    var whole = DERReader(key)
    var numbers = DERReader(try whole.take(.sequence))
    try whole.finish()
    let modulus = try numbers.takeNumber()
    let exponent = try numbers.takeNumber()
    try numbers.finish()
    return .rsa(modulus: modulus, exponent: exponent)
  }

  private static func point(
    _ key: ArraySlice<UInt8>, _ name: [UInt8]
  ) throws(PublicKeyFault) -> PublicKeyNumbers {
    // 4 begins the uncompressed form of SEC 1, section 2.3.3.
    guard let curve = EllipticCurve.allCases.first(where: { identifier(of: $0) == name }),
      key.first == 4
    else { throw .unsupportedKind }
    let coordinates = key.dropFirst()
    guard coordinates.count == 2 * curve.coordinateByteCount else { throw .coordinateLength }
    return .elliptic(
      curve, x: Array(coordinates.prefix(curve.coordinateByteCount)),
      y: Array(coordinates.suffix(curve.coordinateByteCount)))
  }

  /// The bytes of a key; `parse` reads the same numbers from them.
  package static func encode(_ numbers: PublicKeyNumbers) -> [UInt8] {
    let algorithm: [UInt8]
    let key: [UInt8]
    switch numbers {
    case .rsa(let modulus, let exponent):
      algorithm = DER.value(.objectIdentifier, rsa) + DER.value(.null, [])
      key = DER.value(.sequence, DER.number(modulus) + DER.number(exponent))
    case .elliptic(let curve, let x, let y):
      algorithm =
        DER.value(.objectIdentifier, elliptic)
        + DER.value(.objectIdentifier, identifier(of: curve))
      key = [4] + x + y
    case .ed25519(let point):
      algorithm = DER.value(.objectIdentifier, ed25519)
      key = point
    }
    return DER.value(
      .sequence, DER.value(.sequence, algorithm) + DER.value(.bitString, [0] + key))
  }
}
