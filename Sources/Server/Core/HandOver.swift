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
  /// Gives the connection at `place` to another shard, which begins with `unread`.
  func handOver(_ place: UInt32, unread: [UInt8], to shard: Int) {
    // What an earlier request on it was answered goes first.
    flush(place)
    guard table.contains(place) else { return }
    guard table[place].queuedByteCount == 0, table[place].state == .http,
      poller.remove(table[place].fd)
    else { return drop(place, counting: .resets) }
    let flags = table[place].flags
    let limits = core.configuration.limits
    let handed = HandedConnection(
      fd: table[place].fd, peer: table[place].peer, unread: unread,
      messages: table[place].messages, deadline: now + limits.headTimeoutMilliseconds,
      isCountedByAddress: flags.contains(.countedByAddress),
      isUnauthenticated: flags.contains(.unauthenticated),
      isUsedBefore: flags.contains(.usedBefore))
    // It takes along what it was counted as.
    authenticated(place)
    table[place].flags.remove(.countedByAddress)
    table[place].fd = -1
    drop(place)
    metrics.add(.connectionsHandedOver)
    core.mailboxes[shard].append(.handedOver(handed))
  }

  /// Takes a connection from another shard.
  func adopt(_ handed: HandedConnection) {
    let limits = core.configuration.limits
    let place =
      drain == nil || !acceptors.isEmpty
      ? table.insert(fd: handed.fd, limit: limits.connectionsPerShardLimit) : nil
    guard let place else {
      metrics.add(.refusedConnections)
      if handed.isCountedByAddress {
        core.quotas.leave(handed.peer, at: now.nanosecondsOfMilliseconds)
      }
      return kernel.abort(handed.fd)
    }
    table[place].state = .http
    table[place].peer = handed.peer
    table[place].messages = handed.messages
    table[place].heardAt = now
    table[place].deadline = handed.deadline
    table[place].interest = UInt8(Interest.readable.rawValue)
    if handed.isCountedByAddress { table[place].flags.insert(.countedByAddress) }
    if handed.isUsedBefore { table[place].flags.insert(.usedBefore) }
    if handed.isUnauthenticated {
      table[place].flags.insert(.unauthenticated)
      unauthenticatedCount += 1
    }
    let id = table.id(of: place)
    do throws(SystemError) {
      try poller.add(handed.fd, .readable, slot: id.slot, generation: id.generation)
    } catch {
      return drop(place, counting: .resets)
    }
    scheduleTimer(place)
    guard table.contains(place) else { return }
    // At this turn's end: now others are being handed what is theirs.
    table[place].partial = handed.unread
    resumable.append(id)
  }
}
