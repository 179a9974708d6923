// Tokens that arrive in a message: the first one of a client that was upgraded without a token, and
// fresh ones of sessions that outlive their first token.
//
// A message with an invalid token, or with another user's, ends the connection: the session does
// not continue with fewer rights.

internal import Notifications

/// A client that was upgraded without a token.
final class PendingAuthentication: HoldsAssembly {
  /// The cursor that it asked to resume from.
  let since: String?
  var assembly: MessageAssembly?

  init(since: String?) { self.since = since }
}

extension Shard {
  /// Gives a client that was upgraded without a token the time to send one.
  func awaitToken(since: String?, at slot: UInt32) {
    table[slot].flags.insert(.awaitsToken)
    table[slot].task = PendingAuthentication(since: since)
    table[slot].deadline = now + core.configuration.limits.authenticationTimeoutMilliseconds
    scheduleTimer(slot)
  }

  /// Handles the token of an `auth` message.
  func take(token: String, at slot: UInt32) {
    let pending = table[slot].task as? PendingAuthentication
    guard let caller = try? caller(of: token), let user = caller.user,
      pending != nil || user == table[slot].user
    else {
      let dialect = fanOutGroups[table[slot].group].dialect
      return close(slot, code: dialect.expiryCloseCode, reason: "invalid or expired token")
    }
    if let pending {
      table[slot].flags.remove(.awaitsToken)
      table[slot].task = nil
      authenticated(slot)
      // guard: session-quota-in-band-token
      guard countSession(of: user, at: slot) else {
        return close(slot, code: 1008, reason: "too many connections of this user")
      }
      admit(caller, since: pending.since, at: slot)
    } else {
      // guard: fresh-token-extends-session
      table[slot].tokenEnd = caller.end
      scheduleTimer(slot)
      if table.contains(slot) { setClaimedRooms(caller.rooms, at: slot) }
    }
  }
}
