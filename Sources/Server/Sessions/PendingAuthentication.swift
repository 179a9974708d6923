// Tokens that arrive in a message: the first one of a client that was upgraded without a token, and
// fresh ones of sessions that outlive their first token.
//
// A message with an invalid token, or with another user's, ends the connection: the session does
// not continue with fewer rights.

internal import Notifications
internal import Wire

/// A client that was upgraded without a token.
final class PendingAuthentication {
  /// The cursor that it asked to resume from.
  let since: String?
  var assembly: MessageAssembly?

  init(since: String?) { self.since = since }
}
