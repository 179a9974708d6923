// Signs with new private keys, also in ways that no issuer should: made with OpenSSL directly,
// because the product only verifies.

import COpenSSL

/// A new private key.
package final class TestSigner: @unchecked Sendable {
  // Sendable because signing only reads the key (openssl-threads(7)) and nothing else changes.
  private let key: OpaquePointer
  /// The bytes of each half of an ECDSA signature; 0 for other keys.
  private let halfByteCount: Int
  /// The SubjectPublicKeyInfo of the public key.
  package let publicKey: [UInt8]

  package enum Kind: Sendable {
    case rsa(bits: Int, exponent: UInt = 65_537)
    case elliptic(name: String, coordinateByteCount: Int)
    case ed25519

    package static let p256 = Kind.elliptic(name: "P-256", coordinateByteCount: 32)
    package static let p384 = Kind.elliptic(name: "P-384", coordinateByteCount: 48)
    package static let p521 = Kind.elliptic(name: "P-521", coordinateByteCount: 66)
  }

  package enum Padding: Sendable {
    case pkcs1
    case pss(saltByteCount: Int, mask: String)
  }

  package init(_ kind: Kind) {
    let name: String
    switch kind {
    case .rsa:
      name = "RSA"
      halfByteCount = 0
    case .elliptic(_, let count):
      name = "EC"
      halfByteCount = count
    case .ed25519:
      name = "ED25519"
      halfByteCount = 0
    }
    let context = EVP_PKEY_CTX_new_from_name(nil, name, nil)
    defer { EVP_PKEY_CTX_free(context) }
    precondition(EVP_PKEY_keygen_init(context) == 1)
    switch kind {
    case .rsa(let bits, let exponent):
      precondition(EVP_PKEY_CTX_set_rsa_keygen_bits(context, Int32(bits)) == 1)
      let number = BN_new()
      defer { BN_free(number) }
      BN_set_word(number, exponent)
      precondition(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, number) == 1)
    case .elliptic(let curve, _):
      precondition(EVP_PKEY_CTX_set_group_name(context, curve) == 1)
    case .ed25519: break
    }
    var made: OpaquePointer?
    precondition(EVP_PKEY_generate(context, &made) == 1)
    key = made!
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = i2d_PUBKEY(key, &bytes)
    publicKey = Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
    CRYPTO_free(bytes, #file, #line)
  }

  deinit { EVP_PKEY_free(key) }

  /// A signature in the form of JOSE; `hash` is nil for Ed25519.
  package func sign(
    _ message: [UInt8], hash: String? = "SHA2-256", padding: Padding = .pkcs1
  ) -> [UInt8] {
    let context = EVP_MD_CTX_new()
    defer { EVP_MD_CTX_free(context) }
    var settings: OpaquePointer?
    precondition(EVP_DigestSignInit_ex(context, &settings, hash, nil, nil, key, nil) == 1)
    if case .pss(let saltByteCount, let mask) = padding {
      precondition(EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1)
      precondition(EVP_PKEY_CTX_set_rsa_mgf1_md_name(settings, mask, nil) == 1)
      precondition(EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, Int32(saltByteCount)) == 1)
    }
    var signature = [UInt8](repeating: 0, count: 2_048)
    var count = signature.count
    precondition(EVP_DigestSign(context, &signature, &count, message, message.count) == 1)
    signature.removeLast(signature.count - count)
    return halfByteCount > 0 ? raw(signature) : signature
  }

  /// The DER of an ECDSA signature, as OpenSSL makes it.
  package func signDER(_ message: [UInt8], hash: String) -> [UInt8] {
    let context = EVP_MD_CTX_new()
    defer { EVP_MD_CTX_free(context) }
    precondition(EVP_DigestSignInit_ex(context, nil, hash, nil, nil, key, nil) == 1)
    var signature = [UInt8](repeating: 0, count: 2_048)
    var count = signature.count
    precondition(EVP_DigestSign(context, &signature, &count, message, message.count) == 1)
    return Array(signature.prefix(count))
  }

  /// RSA's private operation on a block as long as the modulus.
  package func signBlock(_ block: [UInt8]) -> [UInt8] {
    let context = EVP_PKEY_CTX_new(key, nil)
    defer { EVP_PKEY_CTX_free(context) }
    precondition(EVP_PKEY_sign_init(context) == 1)
    precondition(EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1)
    var signature = [UInt8](repeating: 0, count: 2_048)
    var count = signature.count
    precondition(EVP_PKEY_sign(context, &signature, &count, block, block.count) == 1)
    return Array(signature.prefix(count))
  }

  /// r and s of a DER signature, each as long as a coordinate.
  private func raw(_ der: [UInt8]) -> [UInt8] {
    var rest = der.dropFirst(der[1] == 0x81 ? 3 : 2)
    var halves: [UInt8] = []
    for _ in 0..<2 {
      let count = Int(rest[rest.startIndex + 1])
      let number = rest.dropFirst(2).prefix(count).drop { $0 == 0 }
      halves += [UInt8](repeating: 0, count: halfByteCount - number.count) + number
      rest = rest.dropFirst(2 + count)
    }
    return halves
  }
}
