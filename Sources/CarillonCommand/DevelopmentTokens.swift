// The tokens that a development server issues itself: those to paste into a terminal, and those of
// the demo page.
//
// They are signed with the server's own secret, so they are as valid as any other token, and only
// this machine receives them.

internal import Server

/// Signs tokens that are valid for a day.
struct DevelopmentTokens: Sendable {
  /// The server's own settings; the tokens satisfy them.
  let settings: TokenSettings

  /// A token of `user`, issued at this time in seconds since 1970.
  func token(_ user: String, scopes: [String] = [], at nowSeconds: Int64) -> String {
    // The clock's range is far from its end.
    settings.token(of: user, scopes: scopes, rooms: ["*"], from: nowSeconds) ?? ""
  }

  /// The tokens of the demo page, new for each request because the server may run for days.
  @Sendable func demo(at nowSeconds: Int64) -> DemoTokens {
    DemoTokens(
      users: ["alice", "bob"].map { ($0, token($0, at: nowSeconds)) },
      publisher: token("backend", scopes: ["publish"], at: nowSeconds))
  }
}
