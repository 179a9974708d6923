// The algorithms that sign tokens: RFC 7518, section 3.1, and RFC 8037, section 3.1.

internal import Cryptography

/// A signature algorithm by its name.
package enum SigningAlgorithm: String, Sendable, CaseIterable {
  case hs256 = "HS256"
  case hs384 = "HS384"
  case hs512 = "HS512"
  case rs256 = "RS256"
  case rs384 = "RS384"
  case rs512 = "RS512"
  case ps256 = "PS256"
  case ps384 = "PS384"
  case ps512 = "PS512"
  case es256 = "ES256"
  case es384 = "ES384"
  case es512 = "ES512"
  case eddsa = "EdDSA"

  /// The algorithms of a shared secret.
  package static let ofSecrets: [SigningAlgorithm] = [.hs256, .hs384, .hs512]

  /// The operation of an algorithm.
  enum Method {
    case hmac(SHA2)
    case signature(PublicKey.Scheme)
  }

  var method: Method {
    switch self {
    case .hs256: .hmac(.sha256)
    case .hs384: .hmac(.sha384)
    case .hs512: .hmac(.sha512)
    case .rs256: .signature(.pkcs1(.sha256))
    case .rs384: .signature(.pkcs1(.sha384))
    case .rs512: .signature(.pkcs1(.sha512))
    case .ps256: .signature(.pss(.sha256))
    case .ps384: .signature(.pss(.sha384))
    case .ps512: .signature(.pss(.sha512))
    case .es256: .signature(.ecdsa(.sha256))
    case .es384: .signature(.ecdsa(.sha384))
    case .es512: .signature(.ecdsa(.sha512))
    case .eddsa: .signature(.ed25519)
    }
  }

  /// The digest under a code; nil for the algorithms of public keys.
  var hash: SHA2? {
    if case .hmac(let hash) = method { hash } else { nil }
  }

  /// Bytes of a secret, at least: as many as the digest has, RFC 7518, section 3.2.
  ///
  /// 0 for the algorithms of public keys, which have no secret.
  package var secretByteCount: Int { hash?.byteCount ?? 0 }

  /// Whether public keys of this kind sign with it.
  func fits(_ kind: PublicKeyKind) -> Bool {
    switch method {
    case .hmac: false
    case .signature(let scheme): scheme.fits(kind)
    }
  }

  /// The algorithm of a key for which none is configured.
  init(standardOf kind: PublicKeyKind) {
    switch kind {
    case .rsa: self = .rs256
    case .elliptic(.p256): self = .es256
    case .elliptic(.p384): self = .es384
    case .elliptic(.p521): self = .es512
    case .ed25519: self = .eddsa
    }
  }
}
