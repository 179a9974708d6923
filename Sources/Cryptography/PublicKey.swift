// Verification of signatures with OpenSSL's EVP: RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 8017), ECDSA
// (FIPS 186-4, in the form of RFC 7518, section 3.4) and Ed25519 (RFC 8032).
//
// OpenSSL does the arithmetic. The form of a signature is checked here where OpenSSL accepts more
// than one: it reads a PSS signature that lacks a leading zero byte as the same number.
//
// Policy: an ECDSA signature (r, n - s) is as valid as (r, s). RFC 7518 does not forbid the larger
// of the two, and issuers do not avoid it, so both are accepted. The bearer of such a token can
// write it in a second way, which grants nothing: the server keeps no list of tokens by their text.

internal import COpenSSL

/// A public key for signatures.
///
/// Verifying is pure and keeps nothing. Its cost depends on the kind and size of the key: a public
/// operation of RSA or of a curve, a hundred times that of an HMAC.
///
/// Invariant: `handle` is a live key of `kind` that this object owns and never changes.
@safe
package final class PublicKey: @unchecked Sendable {
  // Sendable because all properties are constant, and because verifying only reads the EVP_PKEY:
  // each call makes a context of its own, which takes a reference by an atomic count, and what
  // OpenSSL caches in the key (the Montgomery form of the modulus) it sets under a lock of the key
  // (openssl-threads(7)). No function that changes the key is called after `init`.
  private let handle: OpaquePointer
  package let kind: PublicKeyKind
  /// The exact bytes of a signature in its JOSE form.
  package let signatureByteCount: Int

  /// A way to sign; each is for one kind of key.
  package enum Scheme: Sendable, Equatable {
    case pkcs1(SHA2)
    /// The salt is as long as the digest, and the mask is made with the same digest: RFC 7518,
    /// section 3.5.
    case pss(SHA2)
    case ecdsa(SHA2)
    case ed25519
  }

  /// Takes the key with these numbers, if they are one that may be used.
  package init(_ numbers: PublicKeyNumbers) throws(PublicKeyFault) {
    try numbers.check()
    // guard: ed25519-on-curve
    if case .ed25519(let point) = numbers, !Edwards25519.isOnCurve(point) { throw .notOnCurve }
    OpenSSL.start()
    let bytes = SubjectPublicKeyInfo.encode(numbers)
    // SAFETY: `bytes` is alive within the closure; OpenSSL reads its count and moves only the copy
    // of its address. The result is a new key that this object owns.
    let handle = unsafe bytes.withUnsafeBufferPointer { bytes in
      var position = bytes.baseAddress
      return unsafe d2i_PUBKEY(nil, &position, bytes.count)
    }
    // A point that is not on its curve is the only reason that is left.
    guard let handle = unsafe handle else {
      ERR_clear_error()
      throw .notOnCurve
    }
    unsafe self.handle = handle
    kind = numbers.kind
    signatureByteCount =
      switch numbers {
      case .rsa(let modulus, _): modulus.count
      case .elliptic(let curve, _, _): 2 * curve.coordinateByteCount
      case .ed25519: 64
      }
  }

  deinit {
    // SAFETY: the only owner frees its reference, once.
    unsafe EVP_PKEY_free(handle)
  }

  /// Whether `signature` is this key's over `message`.
  ///
  /// A scheme for another kind of key is a programming error.
  package func isValid(
    _ signature: [UInt8], over message: ArraySlice<UInt8>, as scheme: Scheme
  ) -> Bool {
    precondition(scheme.fits(kind), "\(scheme) with a key of \(kind)")
    // guard: signature-byte-count
    guard signature.count == signatureByteCount else { return false }
    var context = VerificationContext()
    // SAFETY: the handle is live, because this object is, and it is of the scheme's kind.
    let isBegun = unsafe context.begin(scheme, handle: handle)
    let isValid = isBegun && context.finish(encoded(signature), message)
    // A refused signature leaves its reasons in a queue of this thread, which is not read.
    if !isValid { ERR_clear_error() }
    return isValid
  }

  /// The signature as OpenSSL takes it: for ECDSA, DER instead of two numbers of fixed length.
  private func encoded(_ signature: [UInt8]) -> [UInt8] {
    guard case .elliptic(let curve) = kind else { return signature }
    let count = curve.coordinateByteCount
    return DER.value(
      .sequence, DER.number(signature.prefix(count)) + DER.number(signature.suffix(count)))
  }
}

extension PublicKey.Scheme {
  /// Whether keys of this kind sign by this scheme.
  package func fits(_ kind: PublicKeyKind) -> Bool {
    switch (self, kind) {
    case (.pkcs1, .rsa), (.pss, .rsa), (.ed25519, .ed25519): true
    case (.ecdsa(let hash), .elliptic(let curve)):
      switch (hash, curve) {
      case (.sha256, .p256), (.sha384, .p384), (.sha512, .p521): true
      default: false
      }
    default: false
    }
  }

  fileprivate var hash: SHA2? {
    switch self {
    case .pkcs1(let hash), .pss(let hash), .ecdsa(let hash): hash
    case .ed25519: nil
    }
  }
}

/// One verification in progress.
///
/// Invariant: `context` is a live context that only this value has.
@safe
private struct VerificationContext: ~Copyable {
  private let context: OpaquePointer

  init() {
    guard let context = unsafe EVP_MD_CTX_new() else { fatalError("EVP_MD_CTX_new failed") }
    unsafe self.context = context
  }

  /// Prepares for a scheme; false when OpenSSL refuses it.
  ///
  /// `handle` is a live key of the scheme's kind, which the context takes a reference to.
  @unsafe
  mutating func begin(_ scheme: PublicKey.Scheme, handle: OpaquePointer) -> Bool {
    // The context owns it.
    var settings: OpaquePointer?
    // SAFETY: the context and the key are live, the name is read during the call only.
    let begun = unsafe EVP_DigestVerifyInit_ex(
      context, &settings, scheme.hash?.name, nil, nil, handle, nil)
    guard begun == 1 else { return false }
    guard case .pss(let hash) = scheme else { return true }
    // SAFETY: `settings` is the context's own, and the name is read during the call only.
    // guard: pss-salt-length
    // guard: pss-mask-digest
    return unsafe EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1
      && EVP_PKEY_CTX_set_rsa_mgf1_md_name(settings, hash.name, nil) == 1
      && EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) == 1
  }

  /// Whether the signature is one over the message.
  mutating func finish(_ signature: [UInt8], _ message: ArraySlice<UInt8>) -> Bool {
    // SAFETY: both buffers are alive within the closure and have the counts that are passed.
    unsafe message.withUnsafeBufferPointer { message in
      unsafe EVP_DigestVerify(
        context, signature, signature.count, message.baseAddress, message.count) == 1
    }
  }

  deinit {
    // SAFETY: the only owner frees it, once.
    unsafe EVP_MD_CTX_free(context)
  }
}
