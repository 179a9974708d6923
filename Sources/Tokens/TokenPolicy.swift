// The server's requirements for a token: everything that the token itself must not decide.

/// The keys, names and times that tokens are checked against.
package struct TokenPolicy: Sendable {
  /// The values that a setting may give `leewaySeconds`; the largest is the default.
  package static let leeways: ClosedRange<Int64> = 0...30

  /// The keys tokens may be signed with; only `alg` and `kid` together choose among them.
  package var keys: [VerificationKey]
  /// Whether keys are added and removed while the server runs: `keys` may be empty then, and a key
  /// that is alone is not meant for every `kid`.
  package var hasKeySource = false
  /// The value that `iss` must have, byte for byte, or nil to accept any issuer.
  package var issuer: String?
  /// The value that `aud` must be or contain, byte for byte, or nil to accept any audience.
  package var audience: String?
  /// The largest accepted difference between the clocks of issuer and server.
  package var leewaySeconds: Int64
  /// The claim that holds the user id; it replaces the usual ones and is not merely tried first.
  ///
  /// A token without this claim has no user id. With a fallback to `sub`, a token with a `sub` of
  /// another namespace could act for another user.
  package var userClaim: String?
  /// Whether a token without `exp` is refused.
  package var requiresExpiry: Bool
  /// The scopes and roles that make the bearer a publisher.
  package var publisherScopes: [String]
  /// The scopes and roles that make a publisher an administrator.
  package var adminScopes: [String]

  package init(
    keys: [VerificationKey],
    issuer: String? = nil,
    audience: String? = nil,
    leewaySeconds: Int64 = TokenPolicy.leeways.upperBound,
    userClaim: String? = nil,
    requiresExpiry: Bool = true,
    publisherScopes: [String] = ["publish", "service", "admin"],
    adminScopes: [String] = ["admin"]
  ) {
    self.keys = keys
    self.issuer = issuer
    self.audience = audience
    self.leewaySeconds = leewaySeconds
    self.userClaim = userClaim
    self.requiresExpiry = requiresExpiry
    self.publisherScopes = publisherScopes
    self.adminScopes = adminScopes
  }
}
