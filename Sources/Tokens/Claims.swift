// The claims of a verified token about its bearer.

/// The claims that the server acts on, as `TokenVerifier.verify` returns them.
package struct Claims: Sendable, Equatable {
  /// The bearer's user id, or nil when no claim holds a usable one.
  ///
  /// 1 to 128 bytes of UTF-8 without control characters.
  package var userID: String?
  /// Whether the bearer may publish.
  package var isPublisher: Bool
  /// Whether the bearer may manage API keys; only a publisher may.
  package var isAdmin: Bool
  /// The names in `scope`, `scopes`, `role` and `roles`, in this order, at most 64.
  package var scopes: [String]
  /// Names and patterns of rooms, as in the claim `rooms`; empty without that claim.
  ///
  /// At most 128.
  package var rooms: [String]
  /// `exp` as written in the token, without the leeway; `TokenVerifier.endSeconds` adds it.
  ///
  /// From 0 to the end of the year 9999, so that converting it to milliseconds cannot overflow.
  package var expiresAtSeconds: Int64?
  /// Distinguishes bearers without a user id.
  package var bearer: Bearer

  /// The identity of a bearer apart from its user id.
  package enum Bearer: Sendable, Hashable {
    /// The text of `sub`, which need not be a user id.
    case subject(String)
    /// No text in `sub`: the identifier of the key that signed the token, if that has one.
    case key(String?)
  }

  package init(
    userID: String?, isPublisher: Bool, isAdmin: Bool = false, scopes: [String],
    rooms: [String] = [], expiresAtSeconds: Int64?, bearer: Bearer = .key(nil)
  ) {
    self.userID = userID
    self.isPublisher = isPublisher
    self.isAdmin = isAdmin
    self.scopes = scopes
    self.rooms = rooms
    self.expiresAtSeconds = expiresAtSeconds
    self.bearer = bearer
  }
}
