// What a shard does at the quotas: who is turned away at the door, who is told so in a session.
//
// Each transport is answered in its own way: before a WebSocket is one, by status 429 with the time
// after which to come back (503 where it is the server that is full); after that, by closing with
// 1008. A connection too many is answered as it is accepted, before anything of it is read; it is
// kept until it has had time to read that, and of such there is a bounded number.

internal import Broadcast
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// Seconds after which to try again where nobody knows when there will be room.
  private static let retrySeconds: UInt64 = 5

  /// The answer to a session past its user's limit.
  static let tooManySessions = Answer.tooMany(
    "too_many_connections", "this user has too many connections", afterSeconds: retrySeconds)

  // MARK: At the door

  /// Counts a connection that has just been accepted.
  func passDoor(_ place: UInt32) throws(DoorRefusal) {
    let peer = table[place].peer
    let quotas = core.quotas
    let isUnknown = quotas.countsUnauthenticated(from: peer)
    // guard: unauthenticated-bounded
    if isUnknown, unauthenticatedCount >= quotas.unauthenticatedLimit { throw .unauthenticated }
    if try quotas.enter(from: peer, at: now.nanosecondsOfMilliseconds) {
      table[place].flags.insert(.countedByAddress)
    }
    if isUnknown {
      table[place].flags.insert(.unauthenticated)
      unauthenticatedCount += 1
    }
    table[place].messages = quotas.countsMessages(from: peer) ? TokenBucket() : .unlimited
  }

  /// Answers a connection that came too many, and ends it.
  func turnAway(_ place: UInt32, _ refusal: DoorRefusal) {
    let answer = answer(to: refusal)
    // guard: turned-away-bounded
    guard turnedAwayCount < core.configuration.limits.turnedAwayPerShardLimit else {
      return drop(place)
    }
    turnedAwayCount += 1
    table[place].flags.insert(.turnedAway)
    table[place].state = .closing
    var response = answer.response
    response.fields.append(("Date", date()))
    response.write(keepsAlive: false, isHead: false, into: &table[place].owned)
    closeWhenSent(place)
  }

  /// What a connection that came too many is told; it is counted as such.
  func answer(to refusal: DoorRefusal) -> Answer {
    metrics.add(.refusedConnections)
    switch refusal {
    case .address:
      metrics.add(.refusedByAddress)
      return .tooMany(
        "too_many_connections", "this address has too many connections",
        afterSeconds: Shard.retrySeconds)
    case .addressRate(let wait):
      metrics.add(.refusedByAddressRate)
      return .tooMany(
        "rate_limited", "this address connects too often",
        afterSeconds: Shard.wholeSeconds(wait))
    case .unauthenticated:
      metrics.add(.refusedUnauthenticated)
      return .unavailable("busy", "too many connections that have not shown a token")
    }
  }

  /// Gives back what the connection at `place` had of the quotas.
  func leaveQuotas(_ place: UInt32) {
    // guard: quotas-returned-at-end
    uncountSession(at: place)
    authenticated(place)
    let flags = table[place].flags
    if flags.contains(.turnedAway) { turnedAwayCount -= 1 }
    if flags.contains(.countedByAddress) {
      core.quotas.leave(table[place].peer, at: now.nanosecondsOfMilliseconds)
    }
    table[place].flags.remove([.turnedAway, .countedByAddress])
  }

  /// The connection at `place` has shown who it is, or has ended.
  func authenticated(_ place: UInt32) {
    guard table[place].flags.contains(.unauthenticated) else { return }
    table[place].flags.remove(.unauthenticated)
    unauthenticatedCount -= 1
  }

  // MARK: Sessions of a user

  /// Counts a session or a waiting poll that is about to begin; false when there is no room for it.
  func countSession(of user: UserID, at place: UInt32) -> Bool {
    guard core.quotas.countsSessions(from: table[place].peer) else { return true }
    switch core.quotas.begin(user, at: shardConnectionID(of: place)) {
    case .refused:
      metrics.add(.sessionsRefused)
      return false
    case .replaces(let oldest):
      metrics.add(.sessionsReplaced)
      // By mail also when it is this shard's: in the midst of one session's beginning another is
      // not ended. Should the oldest end by itself and its connection ask anew before the mail is
      // read, then that poll is answered early.
      core.mailboxes[oldest.shard].append(.replaced(oldest.connection))
    case .admitted:
      break
    }
    table[place].user = user
    table[place].flags.insert(.countedByUser)
    return true
  }

  /// The session at `place` is over.
  func uncountSession(at place: UInt32) {
    guard table[place].flags.contains(.countedByUser) else { return }
    table[place].flags.remove(.countedByUser)
    core.quotas.end(table[place].user, at: shardConnectionID(of: place))
  }

  /// Ends a session whose user has begun one more than it may have.
  func endReplaced(_ place: UInt32) {
    if table[place].state == .session {
      // guard: newest-session-closes-oldest
      close(place, code: 1008, reason: "replaced by a newer connection")
    } else if let poll = (table[place].task as? Exchange)?.poll {
      // guard: newest-session-ends-waiting-poll
      end(poll, at: place)
    }
  }

  // MARK: Rates

  /// Takes a request that publishes, or says when to come back.
  func takePublish(
    by caller: Caller, _ head: HTTPRequestHead, to endpoint: Endpoint
  ) throws(Refusal) {
    // Whatever a publisher posts goes out to somebody.
    // guard: publish-rate
    guard endpoint.access == .publisher, head.method == .post,
      let wait = core.quotas.publish(by: caller.scope, at: now.nanosecondsOfMilliseconds)
    else { return }
    metrics.add(.publishesRefused)
    throw Refusal(
      .tooMany("rate_limited", "too many publishes", afterSeconds: Shard.wholeSeconds(wait)))
  }

  /// Takes a message or a control frame of the session at `place`.
  ///
  /// False when there were too many: then the client was told so, or its connection closed.
  func takeMessage(isText: Bool = false, at place: UInt32) -> Bool {
    let draw = table[place].messages.draw(
      core.quotas.messageRate, at: now.nanosecondsOfMilliseconds)
    guard draw != .within else { return true }
    let group = fanOutGroups[table[place].group]
    metrics.add(.messagesRefused)
    // guard: message-flood-closes
    guard draw == .over, group.dialect.forgivesTooManyMessages else {
      metrics.add(.messageFloods)
      close(place, code: 1008, reason: "too many messages")
      return false
    }
    // One that does not read what it is told gets no queue of it.
    // guard: no-error-to-blocked-client
    guard isText, !table[place].flags.contains(.blocked) else { return false }
    tellError(
      "rate_limited", "too many messages: this one was not taken, send fewer", at: place)
    return false
  }

  /// The seconds that `nanoseconds` take, rounded up; a refusal is never for no time at all.
  static func wholeSeconds(_ nanoseconds: UInt64) -> UInt64 {
    // guard: retry-after-rounds-up
    max(1, nanoseconds / 1_000_000_000 + (nanoseconds % 1_000_000_000 == 0 ? 0 : 1))
  }
}
