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
  let isCountedByAddress: Bool
  let isUnauthenticated: Bool
  /// The flags that it keeps.
  let flags: ConnectionFlags
}

extension Shard {
  /// Moves the connection at `slot` to another shard, which parses `unread` first.
  func migrateOut(_ slot: UInt32, unread: [UInt8], to shard: Int) {
    // The responses to its earlier requests go first.
    delivery.flush(slot)
    guard delivery[slot].queuedByteCount == 0, table[slot].state == .http,
      delivery[slot].flags.isDisjoint(with: .givenUp), let fd = delivery.takeSocket(of: slot)
    else { return drop(slot, counting: .resets) }
    let flags = table[slot].flags
    let limits = core.configuration.limits
    let handed = HandedConnection(
      fd: fd, peer: table[slot].peer, unread: unread,
      messages: table[slot].messages, deadline: now + limits.headTimeoutMilliseconds,
      isCountedByAddress: flags.contains(.countedByAddress),
      isUnauthenticated: flags.contains(.unauthenticated),
      flags: flags.intersection([.usedBefore, .trustedProxy, .forwarded, .clientCounted]))
    // The counts that include it move with it.
    authenticated(slot)
    table[slot].flags.remove(.countedByAddress)
    drop(slot)
    metrics.add(.connectionsHandedOver)
    core.mailboxes[shard].append(.handedOver(handed))
  }

  /// Takes over a connection from another shard.
  func migrateIn(_ handed: HandedConnection) {
    let limits = core.configuration.limits
    let slot =
      !drain.hasBegun || !acceptors.isEmpty
      ? table.insert(fd: handed.fd, limit: limits.connectionsPerShardLimit) : nil
    guard let slot else {
      metrics.add(.refusedConnections)
      if handed.isCountedByAddress {
        core.quotas.leave(handed.peer, at: now.nanosecondsOfMilliseconds)
      }
      return kernel.abort(handed.fd)
    }
    table[slot].state = .http
    table[slot].peer = handed.peer
    table[slot].messages = handed.messages
    table[slot].lastReceivedAt = now
    table[slot].deadline = handed.deadline
    if handed.isCountedByAddress { table[slot].flags.insert(.countedByAddress) }
    table[slot].flags.formUnion(handed.flags)
    if handed.isUnauthenticated {
      table[slot].flags.insert(.unauthenticated)
      unauthenticatedCount += 1
    }
    do throws(SystemError) {
      try delivery.watch(slot)
    } catch {
      return drop(slot, counting: .resets)
    }
    scheduleTimer(slot)
    // Parsed at the end of the turn: the shard is still reading its mailbox.
    table[slot].partial = handed.unread
    resumable.append(table.id(of: slot))
  }
}
