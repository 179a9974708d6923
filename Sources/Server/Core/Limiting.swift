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
  func admit(_ slot: UInt32) throws(AdmissionRefusal) {
    let peer = table[slot].peer
    let quotas = core.quotas
    let isUnknown = quotas.countsUnauthenticated(from: peer)
    // guard: unauthenticated-bounded
    if isUnknown, unauthenticatedCount >= quotas.unauthenticatedLimit { throw .unauthenticated }
    if try quotas.enter(from: peer, at: now.nanosecondsOfMilliseconds) {
      table[slot].flags.insert(.countedByAddress)
    }
    if isUnknown {
      table[slot].flags.insert(.unauthenticated)
      unauthenticatedCount += 1
    }
    table[slot].messages = quotas.countsMessages(from: peer) ? TokenBucket() : .unlimited
  }

  /// Answers a connection that came too many, and ends it.
  func reject(_ slot: UInt32, _ refusal: AdmissionRefusal) {
    let answer = answer(to: refusal)
    // guard: turned-away-bounded
    guard rejectedCount < core.configuration.limits.rejectedPerShardLimit else {
      return drop(slot)
    }
    rejectedCount += 1
    table[slot].flags.insert(.rejected)
    table[slot].state = .closing
    var response = answer.response
    response.fields.append(("Date", date()))
    response.write(keepsAlive: false, isHead: false, into: &table[slot].privateBytes)
    closeWhenSent(slot)
  }

  /// What a connection that came too many is told; it is counted as such.
  func answer(to refusal: AdmissionRefusal) -> Answer {
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

  /// Gives back what the connection at `slot` had of the quotas.
  func leaveQuotas(_ slot: UInt32) {
    // guard: quotas-returned-at-end
    uncountSession(at: slot)
    authenticated(slot)
    let flags = table[slot].flags
    if flags.contains(.rejected) { rejectedCount -= 1 }
    if flags.contains(.countedByAddress) {
      core.quotas.leave(table[slot].peer, at: now.nanosecondsOfMilliseconds)
    }
    table[slot].flags.remove([.rejected, .countedByAddress])
  }

  /// The connection at `slot` has shown who it is, or has ended.
  func authenticated(_ slot: UInt32) {
    guard table[slot].flags.contains(.unauthenticated) else { return }
    table[slot].flags.remove(.unauthenticated)
    unauthenticatedCount -= 1
  }

  // MARK: Sessions of a user

  /// Counts a session or a waiting poll that is about to begin; false when there is no room for it.
  func countSession(of user: UserID, at slot: UInt32) -> Bool {
    guard core.quotas.countsSessions(from: table[slot].peer) else { return true }
    switch core.quotas.begin(user, at: shardConnectionID(of: slot)) {
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
    table[slot].user = user
    table[slot].flags.insert(.countedByUser)
    return true
  }

  /// The session at `slot` is over.
  func uncountSession(at slot: UInt32) {
    guard table[slot].flags.contains(.countedByUser) else { return }
    table[slot].flags.remove(.countedByUser)
    core.quotas.end(table[slot].user, at: shardConnectionID(of: slot))
  }

  /// Ends a session whose user has begun one more than it may have.
  func endReplaced(_ slot: UInt32) {
    if table[slot].state == .session {
      // guard: newest-session-closes-oldest
      close(slot, code: 1008, reason: "replaced by a newer connection")
    } else if let poll = (table[slot].task as? Exchange)?.poll {
      // guard: newest-session-ends-waiting-poll
      end(poll, at: slot)
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

  /// Takes a message or a control frame of the session at `slot`.
  ///
  /// False when there were too many: then the client was told so, or its connection closed.
  func takeMessage(isText: Bool = false, at slot: UInt32) -> Bool {
    let draw = table[slot].messages.draw(
      core.quotas.messageRate, at: now.nanosecondsOfMilliseconds)
    guard draw != .within else { return true }
    let group = fanOutGroups[table[slot].group]
    metrics.add(.messagesRefused)
    // guard: message-flood-closes
    guard draw == .over, group.dialect.forgivesTooManyMessages else {
      metrics.add(.messageFloods)
      close(slot, code: 1008, reason: "too many messages")
      return false
    }
    // One that does not read what it is told gets no queue of it.
    // guard: no-error-to-blocked-client
    guard isText, !table[slot].flags.contains(.blocked) else { return false }
    sendError(
      "rate_limited", "too many messages: this one was not taken, send fewer", at: slot)
    return false
  }

  /// The seconds that `nanoseconds` take, rounded up; a refusal is never for no time at all.
  static func wholeSeconds(_ nanoseconds: UInt64) -> UInt64 {
    // guard: retry-after-rounds-up
    max(1, nanoseconds / 1_000_000_000 + (nanoseconds % 1_000_000_000 == 0 ? 0 : 1))
  }
}
