// Keys and their algorithms: RFC 7515, section 4.1; RFC 8725, section 3.1.
//
// A key carries its algorithm. A token only names one, and that name is compared with the key's; it
// never selects the algorithm. That rules out both `alg: none` and the confusion of an RSA public
// key with an HMAC secret, whatever kinds of keys there are.
//
// To add a kind of key (RS, PS, ES or EdDSA; a key of a JWKS is one of these, read from a
// document), add its names to `SigningAlgorithm`, a case to `VerificationKey.Material`, a factory
// beside `hmac`, and the branches that the compiler then asks for, all in this file. The verifier
// uses only `algorithm`, `identifier` and `accepts`, so it does not depend on the kinds.

internal import Cryptography

/// A signature algorithm by its name in RFC 7518, section 3.1.
package enum SigningAlgorithm: String, Sendable, CaseIterable {
  case hs256 = "HS256"
  case hs384 = "HS384"
  case hs512 = "HS512"

  /// Bytes of a secret, at least: as many as the digest has, RFC 7518, section 3.2.
  package var secretByteCount: Int { hash.byteCount }

  /// The digest under the signature.
  var hash: HMAC.Hash {
    switch self {
    case .hs256: .sha256
    case .hs384: .sha384
    case .hs512: .sha512
    }
  }
}

/// A key that tokens may be signed with.
///
/// Printing, interpolating, reflecting or dumping one shows its algorithm and its identifier, never
/// its material.
package struct VerificationKey: Sendable {
  /// The secret part of the key; private, so that nothing can print it.
  private enum Material: Sendable {
    case hmac(secret: [UInt8])
  }

  /// The only algorithm that this key is used with.
  package let algorithm: SigningAlgorithm
  /// The `kid` by which tokens name this key, or nil for the key of tokens that name none.
  package let identifier: String?
  private let material: Material

  /// A secret shared with the issuer of the tokens.
  ///
  /// The empty secret is a programming error, because any client can guess it. A secret shorter
  /// than RFC 7518, section 3.2, requires is accepted; see `isShort`.
  package static func hmac(
    secret: [UInt8], algorithm: SigningAlgorithm = .hs256, identifier: String? = nil
  ) -> VerificationKey {
    precondition(!secret.isEmpty, "the secret of \(algorithm.rawValue) is empty")
    return VerificationKey(
      algorithm: algorithm, identifier: identifier, material: .hmac(secret: secret))
  }

  /// Whether the secret is shorter than the digest, which RFC 7518, section 3.2, forbids.
  ///
  /// Some deployments use such a secret, so it is accepted, and the server warns about it once.
  package var isShort: Bool {
    switch material {
    case .hmac(let secret): secret.count < algorithm.secretByteCount
    }
  }

  /// Whether `signature` is this key's over `message`.
  ///
  /// Its duration does not depend on how much of the signature is right.
  func accepts(_ signature: [UInt8], over message: ArraySlice<UInt8>) -> Bool {
    switch material {
    case .hmac(let secret):
      let expected = HMAC.authenticate(message, key: secret, using: algorithm.hash)
      return ConstantTime.areEqual(signature, expected)
    }
  }

  // MARK: Diagnosis

  /// Whether `signature` would be this key's if it had that algorithm.
  func accepts(
    _ signature: [UInt8], over message: ArraySlice<UInt8>, as algorithm: SigningAlgorithm
  ) -> Bool {
    switch material {
    case .hmac(let secret):
      VerificationKey(
        algorithm: algorithm, identifier: identifier, material: .hmac(secret: secret)
      ).accepts(signature, over: message)
    }
  }

  /// The form of the secret, other than the configured one, that made `signature`.
  func form(accepting signature: [UInt8], over message: ArraySlice<UInt8>) -> SecretForm? {
    switch material {
    case .hmac(let secret):
      SecretForm.allCases.first { form in
        guard let other = form.applied(to: secret), !other.isEmpty else { return false }
        return VerificationKey(
          algorithm: algorithm, identifier: identifier, material: .hmac(secret: other)
        ).accepts(signature, over: message)
      }
    }
  }
}

extension VerificationKey: CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  package var description: String {
    identifier.map { "\(algorithm.rawValue) key \($0)" } ?? "\(algorithm.rawValue) key"
  }

  package var debugDescription: String { description }

  package var customMirror: Mirror { Mirror(self, children: []) }
}
