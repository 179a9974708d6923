// The settings by which tokens are signed and verified, for `carillon serve`, `token` and `bench`.

internal import Reactor
internal import Tokens

/// The keys and the rules of tokens.
struct TokenSettings: Sendable {
  let policy: TokenPolicy
  /// The secret that signs tokens; nil: they are only verified, with public keys.
  let secret: String?
  /// The algorithm of the secret.
  let algorithm: SigningAlgorithm

  static let flags: [Flag] = [
    Flag(
      "jwt-secret", nil, environment: ["JWT_SECRET"], isSecret: true,
      "secret that signs tokens"),
    Flag(
      "jwt-algorithm", "NAME", environment: ["JWT_ALGORITHM"],
      "algorithm of the secret: HS256, HS384 or HS512 (HS256)"),
    Flag(
      "jwt-public-key", "TEXT|@FILE", environment: ["JWT_PUBLIC_KEY"],
      "public keys that verify tokens: PEM, JWK or JWKS, or @ and the path of a file"),
    Flag(
      "jwt-jwks-url", "URL", environment: ["JWT_JWKS_URL"],
      "a set of public keys that serve fetches again and again: https, or http to this machine"),
    Flag(
      "jwt-jwks-ca", "FILE", environment: ["JWT_JWKS_CA"],
      "certificates in PEM that the server of the set is checked with (the system's)"),
    Flag("jwt-issuer", "TEXT", environment: ["JWT_ISSUER"], "required iss of a token"),
    Flag("jwt-audience", "TEXT", environment: ["JWT_AUDIENCE"], "required value in a token's aud"),
    Flag(
      "jwt-leeway", "SECONDS", environment: ["JWT_LEEWAY"],
      "tolerated clock difference (\(TokenPolicy.leeways.upperBound))"),
    Flag("jwt-user-claim", "NAME", environment: ["JWT_USER_CLAIM"], "the claim with the user's id"),
    Flag(
      "jwt-require-exp", Flag.onOrOff, environment: ["JWT_REQUIRE_EXP"],
      "whether a token must have an exp (on)"),
  ]

  /// Reads the settings; `secret` must not be empty.
  init(_ arguments: Arguments, secret: String?) throws(UsageError) {
    self.secret = secret
    algorithm = try arguments.signingAlgorithm()
    var policy = TokenPolicy(keys: try arguments.publicKeys())
    if let secret { policy.keys.append(.hmac(secret: Array(secret.utf8), algorithm: algorithm)) }
    policy.issuer = arguments.value("jwt-issuer")
    policy.audience = arguments.value("jwt-audience")
    let leeways = TokenPolicy.leeways
    policy.leewaySeconds = Int64(
      try arguments.number(
        "jwt-leeway", in: Int(leeways.lowerBound)...Int(leeways.upperBound),
        otherwise: Int(leeways.upperBound)))
    policy.userClaim = arguments.value("jwt-user-claim")
    policy.requiresExpiry = try arguments.isOn("jwt-require-exp", otherwise: true)
    self.policy = policy
  }

  /// The algorithms and ids of the public keys, as "RS256, ES256 2026-01".
  var publicKeyList: String {
    policy.keys.filter { !$0.isSecret }.map { key in
      let name = key.identifier.map { " " + $0.filter { !$0.isNewline } } ?? ""
      return key.algorithm.rawValue + name
    }.joined(separator: ", ")
  }

  /// A token that a server with these settings accepts, for some seconds from `now`.
  ///
  /// Nil without a secret, and when the token would end beyond the clock's range.
  func token(
    of user: String, scopes: [String] = [], rooms: [String] = [], from now: Int64,
    forSeconds seconds: Int64 = 86_400
  ) -> String? {
    let (end, overflow) = now.addingReportingOverflow(seconds)
    guard let secret, !overflow else { return nil }
    return TokenSigner.sign(
      userID: user, userClaim: policy.userClaim ?? "sub", scopes: scopes, rooms: rooms,
      issuedAtSeconds: now, expiresAtSeconds: end, secret: Array(secret.utf8),
      algorithm: algorithm, issuer: policy.issuer, audience: policy.audience)
  }

  /// The variables that give another command these settings, less the secret and the defaults.
  var variables: [(name: String, value: String)] {
    [
      ("JWT_ALGORITHM", algorithm == .hs256 ? nil : algorithm.rawValue),
      ("JWT_ISSUER", policy.issuer), ("JWT_AUDIENCE", policy.audience),
      ("JWT_USER_CLAIM", policy.userClaim),
    ].compactMap { name, value in value.map { (name, $0) } }
  }
}

extension Arguments {
  /// The public keys that verify tokens; none if the flag is absent.
  fileprivate func publicKeys() throws(UsageError) -> [VerificationKey] {
    guard let (given, source) = sourced("jwt-public-key") else { return [] }
    var text = given
    if given.hasPrefix("@") {
      let path = String(given.dropFirst())
      guard let read = BlockingFile.read(path, bytesLimit: KeyDocument.bytesLimit) else {
        throw UsageError(
          "\(source): cannot read \(path), or it has more than \(KeyDocument.bytesLimit) bytes")
      }
      text = read
    }
    do throws(KeyFault) {
      return try KeyDocument.parse(text)
    } catch {
      throw UsageError("\(source): \(error.text)")
    }
  }
}
