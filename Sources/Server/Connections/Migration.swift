// Migration of a connection to another shard, with the bytes that were read from it and not parsed.
//
// The kernel distributes connections over the shards, and a request may address a session of
// another shard. The connection moves to that shard for good, instead of its requests and responses
// being forwarded, so the client's next requests arrive where they belong. A migrating connection
// has no request in progress and nothing queued.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Reactor

/// A connection in transit between two shards.
struct HandedConnection: Sendable {
  let fd: Int32
  let peer: PeerAddress
  /// Bytes that were read from it and are to be parsed first.
  let unread: [UInt8]
  let messages: TokenBucket
  let deadline: UInt64
  let counts: MigratedCounts
  /// The flags that it keeps.
  let flags: ConnectionFlags
}

/// Moves connections to other shards, and accepts theirs.
///
/// Invariant: it keeps nothing. A connection is on one shard at a time; its counts move with it, so
/// a connection that leaves has none, and one that arrives has those that it left with.
final class Migration: ShardComponent {
  /// The flags of a connection that a count includes.
  private static let counts: ConnectionFlags = [
    .countedByAddress, .countedByUser, .unauthenticated, .rejected, .listed,
  ]

  let context: ShardContext
  private let connections: Connections
  private let admission: AdmissionControl

  init(_ context: ShardContext, _ connections: Connections, _ admission: AdmissionControl) {
    self.context = context
    self.connections = connections
    self.admission = admission
  }

  /// Moves the connection at `slot` to another shard, which parses `unread` first.
  func move(_ slot: UInt32, unread: [UInt8], to shard: Int) {
    // The responses to its earlier requests go first.
    delivery.flush(slot)
    guard delivery[slot].queuedByteCount == 0, table[slot].state == .http,
      delivery[slot].flags.isDisjoint(with: .givenUp), let fd = delivery.takeSocket(of: slot)
    else { return connections.drop(slot, counting: .resets) }
    let handed = HandedConnection(
      fd: fd, peer: table[slot].peer, unread: unread,
      messages: table[slot].messages, deadline: now + limits.headTimeoutMilliseconds,
      counts: admission.takeCounts(of: slot),
      flags: table[slot].flags.intersection(
        [.usedBefore, .trustedProxy, .forwarded, .clientCounted, .latestAuthenticated]))
    assert(table[slot].flags.isDisjoint(with: Migration.counts), "a count stays behind")
    connections.drop(slot)
    metrics.add(.connectionsHandedOver)
    core.mailboxes[shard].append(.handedOver(handed))
  }

  /// Takes over a connection from another shard; with `isAccepting` false it is refused.
  func accept(_ handed: HandedConnection, isAccepting: Bool) {
    let slot =
      isAccepting ? table.insert(fd: handed.fd, limit: limits.connectionsPerShardLimit) : nil
    guard let slot else {
      metrics.add(.refusedConnections)
      admission.release(handed.counts, of: handed.peer)
      core.fileBudget.noteClosed()
      return kernel.abort(handed.fd)
    }
    table[slot].state = .http
    table[slot].peer = handed.peer
    table[slot].messages = handed.messages
    table[slot].lastReceivedAt = now
    table[slot].deadline = handed.deadline
    table[slot].flags.formUnion(handed.flags)
    assert(table[slot].flags.isDisjoint(with: Migration.counts), "a count comes twice")
    admission.accept(handed.counts, at: slot)
    do throws(SystemError) {
      try delivery.watch(slot)
    } catch {
      return connections.drop(slot, counting: .resets)
    }
    connections.scheduleTimer(slot)
    // Parsed at the end of the turn: the shard is still reading its mailbox.
    connections.resume(slot, with: handed.unread)
  }
}
