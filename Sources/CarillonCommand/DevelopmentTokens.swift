// The tokens that a server for development makes by itself: those that a person pastes, and those
// of the demo's page.
//
// Signed with the secret that the server was started with, so they are worth as much as any other
// token, and are told to this machine alone.

internal import Server
internal import Tokens

/// Signs tokens of a day's length.
struct DevelopmentTokens: Sendable {
  private let policy: TokenPolicy
  private let secret: [UInt8]

  /// `policy` is the server's own: what it asks of tokens, these have.
  init(_ policy: TokenPolicy, secret: String) {
    self.policy = policy
    self.secret = Array(secret.utf8)
  }

  /// A token of `user` from a second since 1970 on.
  func token(_ user: String, scopes: [String] = [], at nowSeconds: Int64) -> String {
    TokenSigner.sign(
      userID: user, scopes: scopes, rooms: ["*"], issuedAtSeconds: nowSeconds,
      expiresAtSeconds: nowSeconds + 86_400, secret: secret, algorithm: policy.keys[0].algorithm,
      issuer: policy.issuer, audience: policy.audience)
  }

  /// The tokens of the demo's page, made anew for each who asks: it may be open for days.
  @Sendable func demo(at nowSeconds: Int64) -> DemoTokens {
    DemoTokens(
      users: ["alice", "bob"].map { ($0, token($0, at: nowSeconds)) },
      publisher: token("backend", scopes: ["publish"], at: nowSeconds))
  }
}
