// The numbers of a public key, and which of them are a key that may verify signatures.
//
// A key comes from a PEM file or a JSON document, so its numbers are input. They are checked here,
// before OpenSSL sees them: sizes first, so that the cost of a verification is bounded.
//
// RSA: 2,048 to 8,192 bits, because shorter keys can be factored and longer ones make a token
// expensive; an odd exponent from 3 to 2^31 - 1, because with the exponent 1 every message is its
// own signature, and because a long exponent makes a verification as slow as a signature.
//
// Ed25519: RFC 8032 lets a verifier accept points of small order. With such a key one signature is
// valid for many messages or for all, without any private key, so it is refused (RFC 8725, section
// 3.4, asks for the check of all cryptographic inputs).

/// A curve of RFC 7518, section 6.2.1.1.
package enum EllipticCurve: Sendable, CaseIterable {
  case p256
  case p384
  case p521

  /// The bytes of a coordinate, and of each half of a signature.
  package var coordinateByteCount: Int {
    switch self {
    case .p256: 32
    case .p384: 48
    case .p521: 66
    }
  }
}

/// The kind of a public key, which decides with which algorithms it can be used.
package enum PublicKeyKind: Sendable, Equatable {
  case rsa
  case elliptic(EllipticCurve)
  case ed25519
}

/// The reason why numbers are not a usable public key.
package enum PublicKeyFault: Error, Equatable, Sendable, CaseIterable {
  /// The modulus has fewer bits than `PublicKeyNumbers.modulusBits`, or more, or is even.
  case modulus
  /// The exponent is even, less than 3 or over 2^31 - 1.
  case exponent
  /// A coordinate has another length than its curve's.
  case coordinateLength
  /// The numbers are not a point on the curve.
  case notOnCurve
  /// The point has a small order: anybody can sign for it.
  case smallOrder
  /// Not the DER of a SubjectPublicKeyInfo.
  case encoding
  /// The key is for another algorithm than RSA, ECDSA on P-256, P-384 and P-521, and Ed25519.
  case unsupportedKind

  /// The fault in words.
  package var text: String {
    switch self {
    case .modulus:
      "the RSA modulus must be odd and have "
        + "\(PublicKeyNumbers.modulusBits.lowerBound) to \(PublicKeyNumbers.modulusBits.upperBound)"
        + " bits"
    case .exponent: "the RSA exponent must be an odd number from 3 to 2147483647"
    case .coordinateLength: "a coordinate has another length than its curve demands"
    case .notOnCurve: "the point is not on the curve"
    case .smallOrder: "the point has a small order, so anybody could sign"
    case .encoding: "the key is not the DER of a SubjectPublicKeyInfo"
    case .unsupportedKind:
      "the key is none of RSA, EC on P-256, P-384 or P-521 (uncompressed), and Ed25519"
    }
  }
}

/// The numbers of a public key, big-endian without further structure.
package enum PublicKeyNumbers: Sendable, Equatable {
  /// The accepted lengths of an RSA modulus.
  package static let modulusBits = 2_048...8_192
  /// The bytes of the longest accepted exponent.
  private static let exponentByteCount = 4

  /// Both without leading zeros.
  case rsa(modulus: [UInt8], exponent: [UInt8])
  /// Both of the curve's length.
  case elliptic(EllipticCurve, x: [UInt8], y: [UInt8])
  /// The encoded point of RFC 8032, section 5.1.2: 32 bytes.
  case ed25519([UInt8])

  package var kind: PublicKeyKind {
    switch self {
    case .rsa: .rsa
    case .elliptic(let curve, _, _): .elliptic(curve)
    case .ed25519: .ed25519
    }
  }

  /// Checks everything that needs no arithmetic on a curve.
  func check() throws(PublicKeyFault) {
    switch self {
    case .rsa(let modulus, let exponent):
      // guard: rsa-modulus-bits
      guard Self.modulusBits.contains(Self.bitCount(modulus)), modulus.last.map({ $0 & 1 }) == 1
      else { throw .modulus }
      let isShort = exponent.count <= Self.exponentByteCount && exponent.first != 0
      let value = isShort ? exponent.reduce(UInt64(0)) { $0 * 256 + UInt64($1) } : 0
      // guard: rsa-exponent
      guard value % 2 == 1, (3...UInt64(Int32.max)).contains(value) else { throw .exponent }
    case .elliptic(let curve, let x, let y):
      guard x.count == curve.coordinateByteCount, y.count == curve.coordinateByteCount else {
        throw .coordinateLength
      }
    case .ed25519(let point):
      guard point.count == 32 else { throw .coordinateLength }
      // guard: ed25519-small-order
      guard !Self.hasSmallOrder(point) else { throw .smallOrder }
    }
  }

  /// The bits of a big-endian number from its first one on; 0 for a number with leading zeros.
  private static func bitCount(_ number: [UInt8]) -> Int {
    guard let first = number.first, first != 0 else { return 0 }
    // Bounded first: the caller's array is not.
    guard number.count <= modulusBits.upperBound / 8 else { return .max }
    return number.count * 8 - first.leadingZeroBitCount
  }

  /// The y coordinates, little-endian, of the eight points with an order of at most 8.
  ///
  /// Orders 4, 1, 8, 8 and 2. The sign of x is not a part of them.
  private static let smallOrders: [[UInt8]] = [
    [UInt8](repeating: 0, count: 32),
    [1] + [UInt8](repeating: 0, count: 31),
    [
      0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98,
      0xF0, 0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53,
      0xFC, 0x05,
    ],
    [
      0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67,
      0x0F, 0x2A, 0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC,
      0x03, 0x7A,
    ],
    [0xEC] + [UInt8](repeating: 0xFF, count: 30) + [0x7F],
  ]

  private static func hasSmallOrder(_ point: [UInt8]) -> Bool {
    var y = point
    y[31] &= 0x7F
    return smallOrders.contains(y)
  }
}
