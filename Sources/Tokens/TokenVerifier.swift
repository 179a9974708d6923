// Verification of JSON Web Tokens: RFC 7515, RFC 7519, and the practices of RFC 8725.
//
// The order is the security argument:
//
//     size → three parts → header → key → signature → payload → times → issuer, audience → claims
//
// No part of the payload is decoded before its signature by a configured key is verified, so a
// client without a key reaches only the code that splits the text and reads the header. Three
// members of the header matter: `alg`, which must equal the key's; `kid`, which is looked up among
// the configured keys and nowhere else; and `crit`: a token that has it is refused. `jku`, `x5u`,
// `jwk` and `x5c` are never read: a token cannot supply its own key or make the server fetch one.

internal import Wire

/// Verifies tokens against a policy.
///
/// A value without mutable state: any thread may use any copy. Verifying reads no clock, file or
/// network.
package struct TokenVerifier: Sendable {
  /// The longest token that is examined, in bytes.
  package static let tokenBytesLimit = 8_192
  /// The most scopes and roles, or audiences, that a token may name.
  package static let nameCountLimit = 64
  /// The claims that may hold the user's id; the first that is present counts.
  static let userClaims = ["sub", "user_id", "userId", "id"]
  /// The most rooms that a token may name.
  package static let roomCountLimit = 128

  package let policy: TokenPolicy

  /// A policy without keys that has no source of keys, or with a leeway that is negative or over a
  /// day, is a programming error.
  ///
  /// Two keys with the same identifier are allowed: during a rotation both are tried, and so are
  /// all keys without an identifier.
  package init(policy: TokenPolicy) {
    precondition(!policy.keys.isEmpty || policy.hasKeySource, "no key is configured")
    precondition(
      (0...86_400).contains(policy.leewaySeconds), "leeway of \(policy.leewaySeconds) s")
    self.policy = policy
  }

  /// The claims of `token`, if it is valid at `nowSeconds` since 1970.
  ///
  /// With L for the leeway: `exp` holds while `now < exp + L`, `nbf` and `iat` from `now >= nbf -
  /// L` on. Costs one HMAC or one verification of a signature over the token for each key with the
  /// token's identifier and algorithm, until one accepts it.
  package func verify(_ token: String, nowSeconds: Int64) throws(TokenError) -> Claims {
    // guard: token-bytes
    let token = try CompactToken(token, bytesLimit: Self.tokenBytesLimit)
    let keys = try candidateKeys(header: MemberTable(token.header()))
    let signature = try token.signature()
    // guard: empty-signature
    guard let key = keys.first(where: { $0.accepts(signature, over: token.signedBytes) }) else {
      throw .badSignature
    }
    let claims = try MemberTable(token.payload())
    let expiresAtSeconds = try checkTimes(claims, nowSeconds: nowSeconds)
    try checkIssuer(claims)
    try checkAudience(claims)
    let scopes = try scopes(claims)
    let isPublisher = Self.hasOne(of: policy.publisherScopes, in: scopes)
    return Claims(
      userID: try userID(claims),
      isPublisher: isPublisher,
      // guard: admin-scope
      isAdmin: isPublisher && Self.hasOne(of: policy.adminScopes, in: scopes),
      scopes: scopes,
      rooms: try rooms(claims),
      expiresAtSeconds: expiresAtSeconds,
      bearer: try bearer(claims, key))
  }

  private static func hasOne(of accepted: [String], in scopes: [String]) -> Bool {
    scopes.contains { scope in accepted.contains { $0.hasSameBytes(as: scope) } }
  }

  /// The first second in which `verify` would refuse these claims as expired; nil means never.
  package func endSeconds(of claims: Claims) -> Int64? {
    claims.expiresAtSeconds.map { $0 + policy.leewaySeconds }
  }

  /// The `exp` of a token that ends at that second, leeway included; nil for `Int64.max`: never.
  package func expirySeconds(endingAt end: Int64) -> Int64? {
    end == .max ? nil : end - policy.leewaySeconds
  }

  /// The keys that may have signed a token with this header; all of them have its algorithm.
  ///
  /// A token that names a key is checked only against the keys with that identifier, and one that
  /// names none only against the keys without: each bad token costs a bounded, known amount of
  /// work. There are two exceptions where the policy has exactly one key:
  ///
  /// - A `kid` is ignored if that key has no identifier and none can be added, because some issuers
  ///   stamp one on the tokens of a shared secret.
  /// - A token without `kid` is checked against that key, as OpenID Connect Core, section 10.1,
  ///   allows for a set of one key.
  private func candidateKeys(header: MemberTable) throws(TokenError) -> [VerificationKey] {
    guard !header.contains("crit") else { throw .unsupportedCritical }
    guard case .string(let algorithm) = try header.value(of: "alg") else { throw .wrongAlgorithm }
    let named: [VerificationKey]
    switch try header.value(of: "kid") {
    case nil:
      named = policy.keys.count == 1 ? policy.keys : policy.keys.filter { $0.identifier == nil }
    case .string(let kid):
      // guard: kid-of-only-key
      let isIgnored =
        !policy.hasKeySource && policy.keys.count == 1 && policy.keys[0].identifier == nil
      // guard: kid-names-a-key
      named = policy.keys.filter { isIgnored || $0.identifier?.hasSameBytes(as: kid) ?? false }
    case .number, .array, .other: throw .malformed
    }
    guard !named.isEmpty else { throw .unknownKey }
    // guard: algorithm-of-the-key
    let candidates = named.filter { $0.algorithm.rawValue.hasSameBytes(as: algorithm) }
    // guard: algorithm-none
    guard !candidates.isEmpty else { throw .wrongAlgorithm }
    return candidates
  }

  /// Checks `exp`, `nbf` and `iat` and returns `exp`.
  ///
  /// No sum here can overflow: dates end with the year 9999, the leeway is at most a day, and `now`
  /// is only compared.
  private func checkTimes(
    _ claims: MemberTable, nowSeconds: Int64
  ) throws(TokenError) -> Int64? {
    let expiry = try seconds("exp", of: claims)
    let notBefore = try seconds("nbf", of: claims)
    let issuedAt = try seconds("iat", of: claims)
    if let expiry {
      // guard: token-exp-second
      guard nowSeconds < expiry + policy.leewaySeconds else { throw .expired }
    } else if policy.requiresExpiry {  // guard: token-exp-required
      throw .missingExpiry
    }
    // guard: token-nbf-second
    if let notBefore, nowSeconds < notBefore - policy.leewaySeconds { throw .notYetValid }
    // guard: token-iat-second
    if let issuedAt, nowSeconds < issuedAt - policy.leewaySeconds { throw .notYetValid }
    return expiry
  }

  private func seconds(_ name: String, of claims: MemberTable) throws(TokenError) -> Int64? {
    switch try claims.value(of: name) {
    case nil: return nil
    case .number(let number):
      guard let seconds = NumericDate.seconds(number) else { throw .malformed }
      return seconds
    case .string, .array, .other: throw .malformed
    }
  }

  private func checkIssuer(_ claims: MemberTable) throws(TokenError) {
    guard let expected = policy.issuer else { return }
    guard case .string(let issuer) = try claims.value(of: "iss"),
      issuer.hasSameBytes(as: expected)
    else { throw .wrongIssuer }
  }

  private func checkAudience(_ claims: MemberTable) throws(TokenError) {
    guard let expected = policy.audience else { return }
    switch try claims.value(of: "aud") {
    case .string(let audience):
      guard audience.hasSameBytes(as: expected) else { throw .wrongAudience }
    case .array(let audiences):
      guard audiences.count <= Self.nameCountLimit else { throw .tooLarge }
      guard audiences.contains(where: { $0?.hasSameBytes(as: expected) ?? false }) else {
        throw .wrongAudience
      }
    case nil, .number, .other: throw .wrongAudience
    }
  }

  /// The names in the four claims that grant rights.
  ///
  /// A string names several, separated by spaces (RFC 8693, section 4.2) or commas; an element of
  /// an array names one. A value of another type names nothing and so grants nothing.
  private func scopes(_ claims: MemberTable) throws(TokenError) -> [String] {
    var scopes: [String] = []
    for name in ["scope", "scopes", "role", "roles"] {
      switch try claims.value(of: name) {
      case .string(let names):
        // By bytes: as Characters, a separator would merge with a combining mark after it.
        let parts = names.utf8.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: ",") }
        scopes += parts.map { String(Substring($0)) }
      case .array(let names):
        guard names.count <= Self.nameCountLimit else { throw .tooLarge }
        scopes += names.compactMap { $0 }
      case nil, .number, .other: continue
      }
      guard scopes.count <= Self.nameCountLimit else { throw .tooLarge }
    }
    return scopes
  }

  /// The names in the claim `rooms`: a string is one name, whatever its characters.
  private func rooms(_ claims: MemberTable) throws(TokenError) -> [String] {
    switch try claims.value(of: "rooms") {
    case .string(let name): return [name]
    case .array(let names):
      guard names.count <= Self.roomCountLimit else { throw .tooLarge }
      return names.compactMap { $0 }
    case nil, .number, .other: return []
    }
  }

  private func bearer(
    _ claims: MemberTable, _ key: VerificationKey
  ) throws(TokenError) -> Claims.Bearer {
    guard case .string(let subject) = try claims.value(of: "sub") else {
      return .key(key.identifier)
    }
    return .subject(subject)
  }

  /// The first claim of a user id that is present, if it holds a usable one.
  ///
  /// A claim that is present but unusable is not skipped: an issuer that writes `"sub": null`
  /// states that there is no user, and the next claim may belong to another namespace.
  private func userID(_ claims: MemberTable) throws(TokenError) -> String? {
    let names = policy.userClaim.map { [$0] } ?? Self.userClaims
    guard let name = names.first(where: claims.contains) else { return nil }
    switch try claims.value(of: name) {
    case .string(let text): return UserIDs.isValid(text) ? text : nil
    case .number(let number): return UserIDs.decimal(number)
    case nil, .array, .other: return nil
    }
  }
}
