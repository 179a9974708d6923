// The tokens that a development server issues itself: those to paste into a terminal, and those of
// the demo page.
//
// They are signed with the server's own secret, so they are as valid as any other token, and only
// this machine receives them.

internal import Server
internal import Tokens

/// Signs tokens that are valid for a day.
struct DevelopmentTokens: Sendable {
  private let policy: TokenPolicy
  private let secret: [UInt8]

  /// `policy` is the server's own; the tokens satisfy it.
  init(_ policy: TokenPolicy, secret: String) {
    self.policy = policy
    self.secret = Array(secret.utf8)
  }

  /// A token of `user`, issued at this time in seconds since 1970.
  func token(_ user: String, scopes: [String] = [], at nowSeconds: Int64) -> String {
    TokenSigner.sign(
      userID: user, scopes: scopes, rooms: ["*"], issuedAtSeconds: nowSeconds,
      expiresAtSeconds: nowSeconds + 86_400, secret: secret, algorithm: policy.keys[0].algorithm,
      issuer: policy.issuer, audience: policy.audience)
  }

  /// The tokens of the demo page, new for each request because the server may run for days.
  @Sendable func demo(at nowSeconds: Int64) -> DemoTokens {
    DemoTokens(
      users: ["alice", "bob"].map { ($0, token($0, at: nowSeconds)) },
      publisher: token("backend", scopes: ["publish"], at: nowSeconds))
  }
}
