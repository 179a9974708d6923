// The digests of SHA-2 under codes and signatures: FIPS 180-4.

/// A digest of the SHA-2 family.
package enum SHA2: Sendable, CaseIterable {
  case sha256
  case sha384
  case sha512

  /// The number of bytes of the digest.
  package var byteCount: Int {
    switch self {
    case .sha256: 32
    case .sha384: 48
    case .sha512: 64
    }
  }

  /// The name that OpenSSL's providers know.
  var name: String {
    switch self {
    case .sha256: "SHA2-256"
    case .sha384: "SHA2-384"
    case .sha512: "SHA2-512"
    }
  }
}
