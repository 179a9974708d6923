// The settings by which tokens are signed and verified, for `carillon serve` and `carillon token`.

internal import Tokens

/// The key and the rules of tokens.
struct TokenSettings {
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
    Flag("jwt-leeway", "SECONDS", environment: ["JWT_LEEWAY"], "tolerated clock difference (30)"),
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
    policy.leewaySeconds = Int64(try arguments.number("jwt-leeway", in: 0...30, otherwise: 30))
    policy.userClaim = arguments.value("jwt-user-claim")
    policy.requiresExpiry = try arguments.isOn("jwt-require-exp", otherwise: true)
    self.policy = policy
  }
}
