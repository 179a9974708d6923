// Keys and their algorithms: RFC 7515, section 4.1; RFC 8725, section 3.1.
//
// A key carries its algorithm. A token only names one, and that name is compared with the key's; it
// never selects the algorithm. That rules out both `alg: none` and the confusion of a public key
// with an HMAC secret: the bytes of a public key are never used as a secret, because its material
// is another case than that of a secret, and each case has its own verification.

internal import Cryptography

/// A key that tokens may be signed with.
///
/// Printing, interpolating, reflecting or dumping one shows its algorithm and its identifier, never
/// its material.
package struct VerificationKey: Sendable {
  /// What signatures are compared or verified with; private, so that nothing can print it.
  private enum Material: Sendable {
    case hmac(secret: [UInt8])
    case publicKey(PublicKey)
  }

  /// The only algorithm that this key is used with.
  package let algorithm: SigningAlgorithm
  /// The `kid` by which tokens name this key, or nil for a key without a name.
  package let identifier: String?
  private let material: Material

  /// A secret shared with the issuer of the tokens.
  ///
  /// The empty secret is a programming error, because any client can guess it, and so is an
  /// algorithm of public keys. A secret shorter than RFC 7518, section 3.2, requires is accepted;
  /// see `isShort`.
  package static func hmac(
    secret: [UInt8], algorithm: SigningAlgorithm = .hs256, identifier: String? = nil
  ) -> VerificationKey {
    precondition(!secret.isEmpty, "the secret of \(algorithm.rawValue) is empty")
    precondition(algorithm.hash != nil, "\(algorithm.rawValue) has no secret")
    return VerificationKey(
      algorithm: algorithm, identifier: identifier, material: .hmac(secret: secret))
  }

  /// The public key with these numbers.
  ///
  /// Without an algorithm, it is the curve's, and RS256 for RSA.
  static func publicKey(
    _ numbers: PublicKeyNumbers, algorithm: SigningAlgorithm? = nil, identifier: String? = nil
  ) throws(KeyFault) -> VerificationKey {
    let algorithm = algorithm ?? SigningAlgorithm(standardOf: numbers.kind)
    // guard: algorithm-fits-key
    guard algorithm.fits(numbers.kind) else { throw .algorithmOfAnotherKind(algorithm) }
    do throws(PublicKeyFault) {
      return VerificationKey(
        algorithm: algorithm, identifier: identifier,
        material: .publicKey(try PublicKey(numbers)))
    } catch {
      throw .unusable(error)
    }
  }

  /// Whether the secret is shorter than the digest, which RFC 7518, section 3.2, forbids.
  ///
  /// Some deployments use such a secret, so it is accepted, and the server warns about it once.
  package var isShort: Bool {
    switch material {
    case .hmac(let secret): secret.count < algorithm.secretByteCount
    case .publicKey: false
    }
  }

  /// Whether it is a secret, not a public key.
  package var isSecret: Bool {
    switch material {
    case .hmac: true
    case .publicKey: false
    }
  }

  /// Whether `signature` is this key's over `message`.
  ///
  /// For a secret, its duration does not depend on how much of the signature is right; a public key
  /// has nothing that a duration could reveal.
  func accepts(_ signature: [UInt8], over message: ArraySlice<UInt8>) -> Bool {
    accepts(signature, over: message, as: algorithm)
  }

  /// Whether `signature` would be this key's if it had that algorithm.
  func accepts(
    _ signature: [UInt8], over message: ArraySlice<UInt8>, as algorithm: SigningAlgorithm
  ) -> Bool {
    switch (material, algorithm.method) {
    case (.hmac(let secret), .hmac(let hash)):
      let expected = HMAC.authenticate(message, key: secret, using: hash)
      return ConstantTime.areEqual(signature, expected)
    case (.publicKey(let key), .signature(let scheme)):
      return scheme.fits(key.kind) && key.isValid(signature, over: message, as: scheme)
    case (.hmac, .signature), (.publicKey, .hmac):
      return false
    }
  }

  // MARK: Diagnosis

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
    case .publicKey: nil
    }
  }

  /// Whether `signature` has the form in which OpenSSL writes an ECDSA signature, which is not that
  /// of a token.
  func isDER(_ signature: [UInt8]) -> Bool {
    switch material {
    case .hmac: false
    case .publicKey(let key):
      if case .elliptic = key.kind {
        signature.first == 0x30 && signature.count != key.signatureByteCount
      } else {
        false
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
