// The settings by which tokens are signed and verified, for `carillon serve`, `token` and `bench`.

internal import Tokens

/// The key and the rules of tokens.
struct TokenSettings: Sendable {
  let policy: TokenPolicy
  let secret: String
  let algorithm: SigningAlgorithm

  static let flags: [Flag] = [
    Flag(
      "jwt-secret", nil, environment: ["JWT_SECRET"], isSecret: true,
      "secret that signs tokens"),
    Flag(
      "jwt-algorithm", "NAME", environment: ["JWT_ALGORITHM"], "HS256, HS384 or HS512 (HS256)"),
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
  init(_ arguments: Arguments, secret: String) throws(UsageError) {
    self.secret = secret
    algorithm = try arguments.signingAlgorithm()
    var policy = TokenPolicy(keys: [.hmac(secret: Array(secret.utf8), algorithm: algorithm)])
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

  /// A token that a server with these settings accepts, for some seconds from `now`.
  ///
  /// Nil when the token would end beyond the clock's range.
  func token(
    of user: String, scopes: [String] = [], rooms: [String] = [], from now: Int64,
    forSeconds seconds: Int64 = 86_400
  ) -> String? {
    let (end, overflow) = now.addingReportingOverflow(seconds)
    guard !overflow else { return nil }
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
