// What a server demands of a token: everything that the token itself must not decide.

/// The keys, names and times that tokens are held against.
package struct TokenPolicy: Sendable {
  /// The keys tokens may be signed with; never chosen by anything but `alg` and `kid` together.
  package var keys: [VerificationKey]
  /// What `iss` must be, byte for byte, or nil when any issuer will do.
  package var issuer: String?
  /// What `aud` must be or contain, byte for byte, or nil when any audience will do.
  package var audience: String?
  /// By how much the clocks of issuer and server may differ.
  package var leewaySeconds: Int64
  /// The claim that holds the user id; it replaces the usual ones and is not merely tried first.
  ///
  /// A token without this claim has no user id. To fall back on `sub` would let a token whose `sub`
  /// counts in another namespace speak for a stranger.
  package var userClaim: String?
  /// Whether a token without `exp` is refused.
  package var requiresExpiry: Bool
  /// The scopes and roles that make a publisher.
  package var publisherScopes: [String]

  package init(
    keys: [VerificationKey],
    issuer: String? = nil,
    audience: String? = nil,
    leewaySeconds: Int64 = 30,
    userClaim: String? = nil,
    requiresExpiry: Bool = true,
    publisherScopes: [String] = ["publish", "service", "admin"]
  ) {
    self.keys = keys
    self.issuer = issuer
    self.audience = audience
    self.leewaySeconds = leewaySeconds
    self.userClaim = userClaim
    self.requiresExpiry = requiresExpiry
    self.publisherScopes = publisherScopes
  }
}
