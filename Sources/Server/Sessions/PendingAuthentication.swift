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

extension Shard {
  static let invalidToken = "invalid or expired token"

  /// The reason in a close frame, which a server that explains its refusals makes exact.
  func closeReason(_ reason: String, _ failure: AuthenticationFailure) -> String {
    authenticator.explanation(of: failure).map { "\(reason): \($0.text)" } ?? reason
  }

  /// Gives a client that was upgraded without a token the time to send one.
  func awaitToken(since: String?, at slot: UInt32) {
    setActivity(.authentication(PendingAuthentication(since: since)), at: slot)
    table[slot].deadline = now + core.configuration.limits.authenticationTimeoutMilliseconds
    connections.scheduleTimer(slot)
  }

  /// Handles the token of an `auth` message.
  func take(token: String, at slot: UInt32) {
    let pending = table[slot].activity.authentication
    let caller: Caller
    let user: UserID
    do throws(AuthenticationFailure) {
      (caller, user) = try authenticator.userCaller(of: token, at: slot)
      // guard: fresh-token-same-user
      guard pending != nil || user.hasSameBytes(as: table[slot].user) else { throw .otherUser }
    } catch {
      let dialect = encoder(of: slot).dialect
      return close(
        slot, code: dialect.expiryCloseCode, reason: closeReason(Shard.invalidToken, error))
    }
    if let pending {
      setActivity(.idle, at: slot)
      admission.authenticated(slot)
      // guard: session-quota-in-band-token
      guard admission.countSession(of: user, at: slot) else {
        return close(slot, code: 1008, reason: admission.tooManySessionsText)
      }
      admit(caller, since: pending.since, at: slot)
    } else {
      // guard: fresh-token-extends-session
      table[slot].tokenEnd = caller.end
      connections.scheduleTimer(slot)
      rooms.setClaimedRooms(caller.rooms, at: slot)
    }
  }
}
