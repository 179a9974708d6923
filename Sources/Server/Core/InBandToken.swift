// Tokens that come in a message: the first one of a client that was upgraded without, and fresh
// ones of sessions that want to outlive the token they began with.
//
// Nobody is downgraded: a message whose token is not good, or another user's, ends the connection.

internal import Notifications

/// A client that was upgraded without a token.
final class Candidate: HoldsAssembly {
  /// What it asked to resume.
  let since: String?
  var assembly: MessageAssembly?

  init(since: String?) { self.since = since }
}

extension Shard {
  /// Gives a client that was upgraded without a token the time to bring one.
  func awaitToken(since: String?, at place: UInt32) {
    table[place].flags.insert(.awaitsToken)
    table[place].task = Candidate(since: since)
    table[place].deadline = now + core.configuration.limits.authenticationTimeoutMilliseconds
    scheduleTimer(place)
  }

  /// Takes the token of an `auth` message.
  func take(token: String, at place: UInt32) {
    let candidate = table[place].task as? Candidate
    guard let caller = try? caller(of: token), let user = caller.user,
      candidate != nil || user == table[place].user
    else {
      let dialect = fanOutGroups[table[place].group].dialect
      return close(place, code: dialect.expiryCloseCode, reason: "invalid or expired token")
    }
    if let candidate {
      table[place].flags.remove(.awaitsToken)
      table[place].task = nil
      authenticated(place)
      // guard: session-quota-in-band-token
      guard countSession(of: user, at: place) else {
        return close(place, code: 1008, reason: "too many connections of this user")
      }
      admit(caller, since: candidate.since, at: place)
    } else {
      // guard: fresh-token-extends-session
      table[place].tokenEnd = caller.end
      scheduleTimer(place)
      if table.contains(place) { setClaimedRooms(caller.rooms, at: place) }
    }
  }
}
