// Why a text of public keys is refused.
//
// A fault carries no part of the text: the text may be a private key by mistake, and the fault is
// printed and logged.

package import Cryptography

/// The reason why a key, or a whole text of keys, is refused.
package enum KeyFault: Error, Equatable, Sendable {
  /// Longer than `KeyDocument.bytesLimit`.
  case tooLong
  /// Without a key.
  case noKey
  /// More than `KeyDocument.keyCountLimit`.
  case tooManyKeys
  /// More than `KeyDocument.alikeCountLimit` with the same algorithm and identifier.
  case tooManyAlike
  /// Neither a PEM block nor white space nor the name of an algorithm with a colon.
  case notPEM
  /// A PEM block without its end, or that is not base64.
  case damagedBlock
  case certificate
  case privateKey
  /// A PEM block of another kind than `PUBLIC KEY`.
  case otherBlock
  /// The name before a PEM block is not that of an algorithm.
  case unknownAlgorithm
  /// The key cannot be used with the algorithm that is configured for it.
  case algorithmOfAnotherKind(SigningAlgorithm)
  /// Not one JSON object, or one with a member twice.
  case notObject
  /// `keys` is not an array.
  case noKeys
  /// A required member is absent, or not base64url.
  case member(StaticText)
  /// `kty` or `crv` is none of those that are supported.
  case unknownType
  /// `use` is not `sig`, or `key_ops` has no `verify`.
  case otherUse
  /// A symmetric key.
  case secret
  /// The numbers are not a usable key.
  case unusable(PublicKeyFault)

  /// The name of a member, as in the source.
  package enum StaticText: String, Sendable {
    case alg, kid, kty, crv, n, e, x, y, use
    case keyOps = "key_ops"
  }

  /// Whether a set without this key can be used: the key is for another purpose, or unusable.
  ///
  /// Not so a secret or private key, which is public with the set: its publisher must know.
  var concernsOneKey: Bool {
    switch self {
    case .unknownAlgorithm, .algorithmOfAnotherKind, .member, .unknownType, .otherUse, .unusable:
      true
    case .tooLong, .noKey, .tooManyKeys, .tooManyAlike, .notPEM, .damagedBlock, .certificate,
      .privateKey, .otherBlock, .notObject, .noKeys, .secret:
      false
    }
  }

  /// The fault in words: what is wrong, and the remedy where there is one.
  package var text: String {
    switch self {
    case .tooLong: "the text has more than \(KeyDocument.bytesLimit) bytes"
    case .noKey: "there is no key that verifies signatures"
    case .tooManyKeys: "there are more than \(KeyDocument.keyCountLimit) keys"
    case .tooManyAlike:
      "more than \(KeyDocument.alikeCountLimit) keys have the same algorithm and no kid, or the "
        + "same kid: give each a kid"
    case .notPEM:
      "the text is neither PEM (-----BEGIN PUBLIC KEY-----) nor JSON nor @ and the path of a file"
    case .damagedBlock: "a PEM block has no end, or is not base64"
    case .certificate:
      "this is a certificate; take its key out: openssl x509 -pubkey -noout -in FILE"
    case .privateKey:
      "this is a PRIVATE key: keep it with the issuer, replace it if others could read it here, "
        + "and set the public one: openssl pkey -pubout -in FILE"
    case .otherBlock:
      "the PEM block is not a PUBLIC KEY; of an RSA PUBLIC KEY make one: "
        + "openssl rsa -RSAPublicKey_in -pubout -in FILE"
    case .unknownAlgorithm:
      "the algorithm is none of "
        + SigningAlgorithm.allCases.filter { $0.hash == nil }.map(\.rawValue).joined(
          separator: ", ")
    case .algorithmOfAnotherKind(let algorithm):
      "the key cannot be used with \(algorithm.rawValue)"
    case .notObject: "the text is not one JSON object without repeated members"
    case .noKeys: "keys is not an array of objects"
    case .member(let name): "the member \(name.rawValue) is absent or malformed"
    case .unknownType: "kty and crv are none of RSA, EC (P-256, P-384, P-521) and OKP (Ed25519)"
    case .otherUse: "use or key_ops says that the key does not verify signatures"
    case .secret: "this is a secret (oct), which belongs in JWT_SECRET and never in a set of keys"
    case .unusable(let fault): fault.text
    }
  }
}
