// `GET /api/v1/me`: the caller as the server reads its token.
//
// The user's id depends on the server's settings, so a client that shares data by user cannot take
// it from the token: it asks here.

internal import Notifications
internal import Wire

extension Answer {
  /// The caller's id, its right to publish, and the `exp` of its token.
  ///
  /// The id is null for a key and for a publisher's token without a user.
  /// `expiresAt` is in seconds since 1970, and nil if the token has no `exp`.
  static func of(_ caller: Caller, expiresAt: Int64?) -> Answer {
    .object { data in
      // guard: caller-names-its-user
      data.member("user_id", caller.user)
      data.member("publisher", caller.may(.publish))
      // `exp` is at most the end of the year 9999.
      data.member("expires_at", time: expiresAt.map { $0 * 1_000 })
    }
  }
}
