// How a shard applies the quotas: admission control for connections, limits on sessions, and rates
// of messages and publishes.
//
// The refusal depends on the transport. Before a WebSocket upgrade it is status 429 with the time
// after which to retry (503 where the server itself is full), afterwards a close with 1008. A
// connection over a limit is answered as soon as it is accepted, before anything is read from it.
// It stays open until the peer has had time to read the answer, and the number of such connections
// is bounded.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// Retry time in seconds where it is unknown when there will be room.
  private static let retrySeconds: UInt64 = 5

  /// The answer to a session over its user's limit.
  var tooManySessions: Answer {
    .tooMany("too_many_connections", tooManySessionsText, afterSeconds: Shard.retrySeconds)
  }
  var tooManySessionsText: String { "a user has at most \(core.quotas.sessionLimit) connections" }

  // MARK: Admission control

  /// Counts a connection that has just been accepted; that of a trusted proxy counts later.
  func admit(_ slot: UInt32) throws(AdmissionRefusal) {
    guard !core.proxies.isTrusted(table[slot].peer) else {
      table[slot].flags.insert(.trustedProxy)
      table[slot].messages = .unlimited
      return
    }
    try count(slot)
  }

  /// Counts a connection for its client; `isRated` is whether it is one more at the connect rate.
  func count(_ slot: UInt32, isRated: Bool = true) throws(AdmissionRefusal) {
    let (peer, isLocal) = (table[slot].peer, isLocal(slot))
    let quotas = core.quotas
    let isUnknown =
      quotas.countsUnauthenticated(isLocal: isLocal)
      && !table[slot].flags.contains(.unauthenticated)
    // guard: unauthenticated-bounded
    if isUnknown, unauthenticatedCount >= quotas.unauthenticatedLimit { throw .unauthenticated }
    if try quotas.enter(
      from: peer, isLocal: isLocal, isRated: isRated, at: now.nanosecondsOfMilliseconds)
    {
      table[slot].flags.insert(.countedByAddress)
    }
    if isUnknown {
      table[slot].flags.insert(.unauthenticated)
      unauthenticatedCount += 1
    }
    table[slot].messages = quotas.countsMessages(isLocal: isLocal) ? TokenBucket() : .unlimited
  }

  /// Answers a connection over a limit, and ends it.
  func reject(_ slot: UInt32, _ refusal: AdmissionRefusal) {
    let answer = answer(to: refusal)
    // guard: rejected-connections-bounded
    guard rejectedCount < core.configuration.limits.rejectedPerShardLimit else {
      return connections.drop(slot)
    }
    rejectedCount += 1
    table[slot].flags.insert(.rejected)
    table[slot].state = .closing
    var response = answer.response
    response.fields += [("Cache-Control", answer.caching), ("Date", clock.date())]
    response.fields += OriginPolicy.fieldsWithoutHead
    delivery.write(at: slot) { response.write(keepsAlive: false, isHead: false, into: &$0) }
    connections.closeWhenSent(slot)
  }

  /// The answer to a connection over a limit, which it also counts.
  func answer(to refusal: AdmissionRefusal) -> Answer {
    metrics.add(.refusedConnections)
    switch refusal {
    case .address:
      metrics.add(.refusedByAddress)
      return .tooMany(
        "too_many_connections", "an address has at most \(core.quotas.addressLimit) connections",
        afterSeconds: Shard.retrySeconds)
    case .addressRate(let wait):
      metrics.add(.refusedByAddressRate)
      return .tooMany(
        "rate_limited",
        "an address opens at most \(core.quotas.connectRate.perSecond) connections a second",
        afterSeconds: Shard.wholeSeconds(wait))
    case .unauthenticated:
      metrics.add(.refusedUnauthenticated)
      let limit = core.quotas.unauthenticatedLimit
      return .unavailable("busy", "at most \(limit) connections of a shard may lack a token")
    }
  }

  /// Returns the connection's share of the quotas.
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

  /// The connection at `slot` has presented a token, or has ended.
  func authenticated(_ slot: UInt32) {
    guard table[slot].flags.contains(.unauthenticated) else { return }
    table[slot].flags.remove(.unauthenticated)
    unauthenticatedCount -= 1
  }

  // MARK: Sessions of a user

  /// Counts a session or a waiting poll that is about to begin; false when its user is at the
  /// limit.
  func countSession(of user: UserID, at slot: UInt32) -> Bool {
    guard core.quotas.countsSessions(isLocal: isLocal(slot)) else { return true }
    switch core.quotas.begin(user, at: shardConnectionID(of: slot)) {
    case .refused:
      metrics.add(.sessionsRefused)
      return false
    case .replaces(let oldest):
      metrics.add(.sessionsReplaced)
      // Sent by mailbox to this shard, too: no session is ended while another one is beginning. If
      // the oldest is a poll that ends by itself, and its connection polls again before the message
      // is read, then that new poll is answered early.
      core.mailboxes[oldest.shard].append(.replaced(oldest.connection))
    case .admitted:
      break
    }
    table[slot].user = user
    table[slot].flags.insert(.countedByUser)
    return true
  }

  /// Uncounts the session at `slot`, if it was counted.
  func uncountSession(at slot: UInt32) {
    guard table[slot].flags.contains(.countedByUser) else { return }
    table[slot].flags.remove(.countedByUser)
    core.quotas.end(table[slot].user, at: shardConnectionID(of: slot))
  }

  /// Ends the oldest session of a user that has begun one more than its limit.
  func endReplaced(_ slot: UInt32) {
    if table[slot].state == .session {
      // guard: newest-session-closes-oldest
      close(slot, code: 1008, reason: "replaced by a newer connection")
    } else if let poll = table[slot].activity.exchange?.poll {
      // guard: newest-session-ends-waiting-poll
      end(poll, at: slot)
    }
  }

  // MARK: Rates

  /// Takes a token for a request that publishes, or refuses it with the time after which to retry.
  func takePublish(
    by caller: Caller, _ head: HTTPRequestHead, to endpoint: Endpoint
  ) throws(Refusal) {
    // Every POST of a publisher reaches clients.
    // guard: publish-rate
    guard endpoint.access == .publisher, head.method == .post,
      let wait = core.quotas.publish(by: caller.scope, at: now.nanosecondsOfMilliseconds)
    else { return }
    metrics.add(.publishesRefused)
    let rate = core.quotas.publishRate.perSecond
    throw Refusal(
      .tooMany(
        "rate_limited", "at most \(rate) publishes a second",
        afterSeconds: Shard.wholeSeconds(wait)))
  }

  /// Takes a token for a message or a control frame of the session at `slot`.
  ///
  /// When there is none, returns false, and sends an error or closes the connection. Only a text
  /// message gets an error.
  func takeMessage(isText: Bool = false, at slot: UInt32) -> Bool {
    let decision = table[slot].messages.draw(
      core.quotas.messageRate, at: now.nanosecondsOfMilliseconds)
    guard decision != .within else { return true }
    let encoder = encoder(of: slot)
    let reason = "at most \(core.quotas.messageRate.perSecond) messages a second"
    metrics.add(.messagesRefused)
    // guard: message-flood-closes
    guard decision == .over, encoder.dialect.forgivesTooManyMessages else {
      metrics.add(.messageFloods)
      close(slot, code: 1008, reason: reason)
      return false
    }
    // A client that does not read its errors must not get a queue of them.
    // guard: no-error-to-blocked-client
    guard isText, !delivery[slot].flags.contains(.blocked) else { return false }
    sendError("rate_limited", "\(reason): this one was dropped", at: slot)
    return false
  }

  /// The time in whole seconds, rounded up; at least 1, since a refusal always asks for a wait.
  static func wholeSeconds(_ nanoseconds: UInt64) -> UInt64 {
    // guard: retry-after-rounds-up
    max(1, nanoseconds / 1_000_000_000 + (nanoseconds % 1_000_000_000 == 0 ? 0 : 1))
  }
}
