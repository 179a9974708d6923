// What a verified token says about its bearer.

/// The claims that the server acts on, as `TokenVerifier.verify` returns them.
package struct Claims: Sendable, Equatable {
  /// Who the bearer is, or nil when no claim holds a usable user id.
  ///
  /// 1 to 128 bytes of UTF-8 without control characters.
  package var userID: String?
  /// Whether the bearer may publish.
  package var isPublisher: Bool
  /// What `scope`, `scopes`, `role` and `roles` name, in this order, at most 64.
  package var scopes: [String]
  /// Names and patterns of rooms, as the claim `rooms` has them; empty without it.
  ///
  /// At most 128.
  package var rooms: [String]
  /// `exp` as it stands in the token, the leeway not added; `TokenVerifier.endSeconds` adds it.
  ///
  /// From 0 to the end of the year 9999, so that it survives being turned into milliseconds.
  package var expiresAtSeconds: Int64?

  package init(
    userID: String?, isPublisher: Bool, scopes: [String], rooms: [String] = [],
    expiresAtSeconds: Int64?
  ) {
    self.userID = userID
    self.isPublisher = isPublisher
    self.scopes = scopes
    self.rooms = rooms
    self.expiresAtSeconds = expiresAtSeconds
  }
}
