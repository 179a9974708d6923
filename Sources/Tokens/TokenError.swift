// Why a token was refused.
//
// A refusal is a bare name: it carries no part of the token, so it may be logged, counted and sent
// in an answer.

/// A reason to refuse a token.
package enum TokenError: Error, Equatable, Sendable, CaseIterable {
  /// Not a compact JWS of strict base64url and strict JSON, or a claim of the wrong type.
  case malformed
  /// Longer than `TokenVerifier.tokenBytesLimit`, or with more scopes or audiences than allowed.
  case tooLarge
  /// `alg` is not exactly the algorithm of the key.
  case wrongAlgorithm
  /// `kid` names no configured key, or is absent where every key has an identifier.
  case unknownKey
  /// `crit` is present: it demands an extension, and none is understood.
  case unsupportedCritical
  /// No key made this signature.
  case badSignature
  /// `exp` is in the past by the leeway or more.
  case expired
  /// `nbf` or `iat` is in the future by more than the leeway.
  case notYetValid
  /// There is no `exp`, and the policy demands one.
  case missingExpiry
  /// `iss` is not the configured issuer.
  case wrongIssuer
  /// `aud` does not name the configured audience.
  case wrongAudience
}
