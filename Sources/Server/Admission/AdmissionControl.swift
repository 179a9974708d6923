// How a shard applies the quotas: admission of connections, limits on sessions, and rates of
// messages, requests and publishes.
//
// A connection over a limit is answered as soon as it is accepted, before anything is read from it.
// It stays open until the peer has had time to read the answer, and the number of such connections
// is bounded.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Reactor

/// The shard's part of the quotas.
///
/// Invariant: `unauthenticatedCount` and `rejectedCount` are the numbers of connections with those
/// flags. A flag records each count that includes the connection, so each is returned once.
final class AdmissionControl: ShardComponent {
  let context: ShardContext
  private let idle: IdleConnections
  /// Connections that have not shown a valid token or key.
  private(set) var unauthenticatedCount = 0
  /// Connections that were rejected and that are still being closed.
  private(set) var rejectedCount = 0
  /// Whether a forwarding header of a proxy that is not trusted has been logged.
  private var hasWarnedOfForwarding = false

  init(_ context: ShardContext, _ idle: IdleConnections) {
    self.context = context
    self.idle = idle
  }

  /// Traps in a debug build when the counts are not those of the connections.
  func checkInvariants() {
    var (unauthenticated, rejected) = (0, 0)
    table.forEachSlot { slot in
      let flags = table[slot].flags
      unauthenticated += flags.contains(.unauthenticated) ? 1 : 0
      rejected += flags.contains(.rejected) ? 1 : 0
    }
    assert(unauthenticated == unauthenticatedCount, "\(unauthenticated) lack a token")
    assert(rejected == rejectedCount, "\(rejected) are rejected")
  }

  // MARK: Connections

  /// Whether the connection at `slot` is a direct one of this machine.
  func isLocal(_ slot: UInt32) -> Bool {
    // guard: forwarded-is-not-local
    table[slot].peer.isLoopback && !table[slot].flags.contains(.forwarded)
  }

  /// Counts a connection that has just been accepted; that of a trusted proxy counts later.
  ///
  /// - Throws: the limit that the connection exceeds.
  func admit(_ slot: UInt32) throws(AdmissionRefusal) {
    guard !core.proxies.isTrusted(table[slot].peer) else {
      table[slot].flags.insert(.trustedProxy)
      table[slot].messages = .unlimited
      return
    }
    try count(slot)
  }

  /// Counts a connection for its client; `isRated` is whether it is one more at the connect rate.
  ///
  /// - Throws: the limit that the connection exceeds; the refusal is counted.
  func count(_ slot: UInt32, isRated: Bool = true) throws(AdmissionRefusal) {
    do throws(AdmissionRefusal) {
      try countUncounted(slot, isRated: isRated)
    } catch {
      countRefusal(error)
      throw error
    }
  }

  private func countUncounted(_ slot: UInt32, isRated: Bool) throws(AdmissionRefusal) {
    let (peer, isLocal) = (table[slot].peer, isLocal(slot))
    let quotas = core.quotas
    if try quotas.enter(
      from: peer, isLocal: isLocal, isRated: isRated, at: now.nanosecondsOfMilliseconds)
    {
      table[slot].flags.insert(.countedByAddress)
    }
    if core.fileBudget.countsStrangers(isLocal: isLocal),
      !table[slot].flags.contains(.unauthenticated)
    {
      try countStranger(slot)
    }
    table[slot].messages = quotas.countsMessages(isLocal: isLocal) ? TokenBucket() : .unlimited
  }

  /// Counts a connection without a token, in the place of the one that has been idle longest if
  /// strangers have all of their share.
  private func countStranger(_ slot: UInt32) throws(AdmissionRefusal) {
    if !core.fileBudget.enterStranger() {
      guard idle.closeStranger(), core.fileBudget.enterStranger() else { throw .unauthenticated }
    }
    table[slot].flags.insert(.unauthenticated)
    unauthenticatedCount += 1
  }

  private func countRefusal(_ refusal: AdmissionRefusal) {
    metrics.add(.refusedConnections)
    switch refusal {
    case .address: metrics.add(.refusedByAddress)
    case .addressRate: metrics.add(.refusedByAddressRate)
    case .unauthenticated: metrics.add(.refusedUnauthenticated)
    }
  }

  /// Uncounts the connection at `slot` for its present address, and counts it for `client`, which
  /// is nil for the present address.
  ///
  /// - Throws: the limit that the client exceeds.
  func recount(
    _ client: PeerAddress?, isRated: Bool, at slot: UInt32
  ) throws(AdmissionRefusal) {
    if table[slot].flags.contains(.countedByAddress) {
      table[slot].flags.remove(.countedByAddress)
      // guard: earlier-client-uncounted
      core.quotas.leave(table[slot].peer, at: now.nanosecondsOfMilliseconds)
    }
    if let client { table[slot].peer = client }
    table[slot].flags.insert(.clientCounted)
    try count(slot, isRated: isRated)
  }

  /// Begins the rejection of the connection at `slot`.
  ///
  /// False at the limit of such connections, and when files are short: then it gets no answer.
  func beginRejection(of slot: UInt32) -> Bool {
    // guard: rejected-connections-bounded
    guard rejectedCount < limits.rejectedPerShardLimit,
      !core.fileBudget.isShort(at: delivery[slot].fd)
    else { return false }
    rejectedCount += 1
    table[slot].flags.insert(.rejected)
    return true
  }

  /// Returns the connection's share of the quotas.
  func leave(_ slot: UInt32) {
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
    core.fileBudget.leaveStranger()
  }

  // MARK: Migration

  /// Takes the counts off the connection at `slot`, which moves to another shard with them.
  func takeCounts(of slot: UInt32) -> MigratedCounts {
    let flags = table[slot].flags
    let counts = MigratedCounts(
      isCountedByAddress: flags.contains(.countedByAddress),
      isUnauthenticated: flags.contains(.unauthenticated))
    // The count over all shards still includes it.
    if counts.isUnauthenticated { unauthenticatedCount -= 1 }
    table[slot].flags.remove([.countedByAddress, .unauthenticated])
    return counts
  }

  /// Gives the connection at `slot` the counts with which it came from another shard.
  func accept(_ counts: MigratedCounts, at slot: UInt32) {
    if counts.isCountedByAddress { table[slot].flags.insert(.countedByAddress) }
    guard counts.isUnauthenticated else { return }
    table[slot].flags.insert(.unauthenticated)
    unauthenticatedCount += 1
  }

  /// Returns the counts of a connection from another shard for which there is no slot.
  func release(_ counts: MigratedCounts, of peer: PeerAddress) {
    if counts.isUnauthenticated { core.fileBudget.leaveStranger() }
    guard counts.isCountedByAddress else { return }
    core.quotas.leave(peer, at: now.nanosecondsOfMilliseconds)
  }

  // MARK: Sessions of a user

  /// The text for a session over its user's limit.
  var tooManySessionsText: String { "a user has at most \(core.quotas.sessionLimit) connections" }

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

  // MARK: Rates

  /// Takes a token for a message or a control frame of the session at `slot`.
  func drawMessage(at slot: UInt32) -> TokenBucket.RateLimitDecision {
    table[slot].messages.draw(core.quotas.messageRate, at: now.nanosecondsOfMilliseconds)
  }

  /// Takes a token for a publish; returns the nanoseconds to wait when there is none.
  func drawPublish(by caller: Caller) -> UInt64? {
    core.quotas.publish(by: caller.scope, at: now.nanosecondsOfMilliseconds)
  }

  /// Takes a token for a user's request at `slot`; returns the nanoseconds to wait when there is
  /// none.
  func drawRequest(by user: UserID, at slot: UInt32) -> UInt64? {
    core.quotas.request(by: user, isLocal: isLocal(slot), at: now.nanosecondsOfMilliseconds)
  }

  /// The nanoseconds until a token from the address of `slot` is verified; nil if it is now.
  func badTokenWait(at slot: UInt32) -> UInt64? {
    core.quotas.badTokenWait(
      of: table[slot].peer, isLocal: isLocal(slot), at: now.nanosecondsOfMilliseconds)
  }

  /// Counts a token with a wrong signature for the address of `slot`.
  func countBadToken(at slot: UInt32) {
    core.quotas.countBadToken(
      of: table[slot].peer, isLocal: isLocal(slot), at: now.nanosecondsOfMilliseconds)
  }

  // MARK: Forwarding

  /// Logs once that a proxy is not trusted.
  func warnOfForwarding(at slot: UInt32) {
    guard !hasWarnedOfForwarding else { return }
    hasWarnedOfForwarding = true
    let isFirst = core.hasWarnedOfForwarding.withLock { hasWarned in
      defer { hasWarned = true }
      return !hasWarned
    }
    // guard: untrusted-header-logged-once
    guard isFirst else { return }
    core.log.write(
      .warning, at: wall,
      """
      warning: a request from \(table[slot].peer.text) has a forwarding header, and this address \
      is not in --trusted-proxies: all its clients count as one address
      """)
  }
}

/// The counts that move with a connection to another shard.
struct MigratedCounts: Sendable {
  let isCountedByAddress: Bool
  let isUnauthenticated: Bool
}
