// A connection that goes from one shard to another, with the bytes that were read of it and not
// looked at.
//
// The kernel deals connections out to the shards, and a request may be for something that lives on
// another. It is not carried there and its answer back: the connection moves, and is from then on
// the other's, so that whatever the client asks next is where it belongs. One that is handed over
// has nothing under way and nothing to be sent.

internal import Broadcast
internal import Notifications
internal import Reactor

/// A connection on its way between two shards.
struct HandedConnection: Sendable {
  let fd: Int32
  let peer: PeerAddress
  /// What was read of it and is to be looked at first.
  let unread: [UInt8]
  let messages: TokenBucket
  let deadline: UInt64
  let isCountedByAddress: Bool
  let isUnauthenticated: Bool
  let isUsedBefore: Bool
}

extension Shard {
  /// Gives the connection at `slot` to another shard, which begins with `unread`.
  func migrateOut(_ slot: UInt32, unread: [UInt8], to shard: Int) {
    // What an earlier request on it was answered goes first.
    flush(slot)
    guard table.contains(slot) else { return }
    guard table[slot].queuedByteCount == 0, table[slot].state == .http,
      poller.remove(table[slot].fd)
    else { return drop(slot, counting: .resets) }
    let flags = table[slot].flags
    let limits = core.configuration.limits
    let handed = HandedConnection(
      fd: table[slot].fd, peer: table[slot].peer, unread: unread,
      messages: table[slot].messages, deadline: now + limits.headTimeoutMilliseconds,
      isCountedByAddress: flags.contains(.countedByAddress),
      isUnauthenticated: flags.contains(.unauthenticated),
      isUsedBefore: flags.contains(.usedBefore))
    // It takes along what it was counted as.
    authenticated(slot)
    table[slot].flags.remove(.countedByAddress)
    table[slot].fd = -1
    drop(slot)
    metrics.add(.connectionsHandedOver)
    core.mailboxes[shard].append(.handedOver(handed))
  }

  /// Takes a connection from another shard.
  func migrateIn(_ handed: HandedConnection) {
    let limits = core.configuration.limits
    let slot =
      drain == nil || !acceptors.isEmpty
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
    table[slot].interest = UInt8(Interest.readable.rawValue)
    if handed.isCountedByAddress { table[slot].flags.insert(.countedByAddress) }
    if handed.isUsedBefore { table[slot].flags.insert(.usedBefore) }
    if handed.isUnauthenticated {
      table[slot].flags.insert(.unauthenticated)
      unauthenticatedCount += 1
    }
    let id = table.id(of: slot)
    do throws(SystemError) {
      try poller.add(handed.fd, .readable, slot: id.slot, generation: id.generation)
    } catch {
      return drop(slot, counting: .resets)
    }
    scheduleTimer(slot)
    guard table.contains(slot) else { return }
    // At this turn's end: now others are being handed what is theirs.
    table[slot].partial = handed.unread
    resumable.append(id)
  }
}
