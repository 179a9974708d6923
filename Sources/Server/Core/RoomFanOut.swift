// Fan-out to a room: the price of a broadcast, for those who are in it.
//
// Frames for rooms go to a log of their own in each fan-out group. What is said in one room, one
// message after the other, is a burst: one range of that log for each group, which is everybody's
// in the room and is written down nowhere else. At the flush it goes straight from the log to each
// member, as a broadcast does. Only when something else comes in between (another room speaks, a
// member is told something of its own, or goes) is the burst put into the members' outboxes, so
// that everyone gets everything in the order in which it happened.
//
// Invariant: what is in the burst is in no member's outbox, and is newer than all that is.

internal import Broadcast
internal import Glibc
internal import Notifications
internal import Reactor
internal import Wire

/// A room as one shard sees it: its connections here.
final class LocalRoom {
  let name: RoomName
  /// The places of its members, lowest first.
  private(set) var members: [UInt32] = []
  /// How many of them are in each fan-out group.
  private(set) var groupCounts: [Int]

  init(name: RoomName, groupCount: Int) {
    self.name = name
    groupCounts = [Int](repeating: 0, count: groupCount)
  }

  func insert(_ slot: UInt32, group: FanOutGroupID) {
    let index = self.index(of: slot)
    precondition(index == members.count || members[index] != slot, "\(slot) is in the room")
    members.insert(slot, at: index)
    groupCounts[group.index] += 1
  }

  func remove(_ slot: UInt32, group: FanOutGroupID) {
    let index = self.index(of: slot)
    precondition(index < members.count && members[index] == slot, "\(slot) is not in the room")
    members.remove(at: index)
    groupCounts[group.index] -= 1
  }

  func contains(_ slot: UInt32) -> Bool {
    let index = self.index(of: slot)
    return index < members.count && members[index] == slot
  }

  /// Where `slot` stands, or would stand.
  private func index(of slot: UInt32) -> Int {
    var low = 0
    var high = members.count
    while low < high {
      let middle = (low + high) / 2
      if members[middle] < slot { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// What is being said in one room, and where it begins in each group's log.
struct PendingRoomBatch {
  let room: LocalRoom
  var from: [UInt64]
}

extension Shard {
  /// Says `event` to those of a room.
  func deliver(_ event: Event, toRoom name: RoomName, except user: UserID?) {
    guard let room = rooms[TextKey(name)] else { return }
    if case .presence(let update) = event.body, update.updateID != 0 {
      let notNotified = notNotified(room.members, on: update.updateID)
      return deliver(event, to: others(than: user, among: notNotified))
    }
    if let user, directory.slots(of: user).contains(where: room.contains) {
      return deliver(event, to: others(than: user, among: room.members))
    }
    if pendingRoomBatch?.room !== room { materializeRoomBatch() }
    let limit = UInt64(core.configuration.limits.backlogBytesLimit)
    for group in fanOutGroups.all where room.groupCounts[group.id.index] > 0 {
      group.writer.removeAll()
      group.dialect.write(event, to: &group.writer)
      guard group.writer.count > 0 else { continue }
      let added = UInt64(group.writer.bytes.count)
      let begun = pendingRoomBatch?.from[group.id.index] ?? group.roomLog.end
      // A burst is no longer than what a client may be behind: of one that takes nothing of it, all
      // of it becomes its own.
      if group.roomLog.end - group.roomFlushedEnd + added > Shard.flushBytes
        // guard: room-batch-bytes
        || group.roomLog.end - begun + added > limit
      {
        flush()
      }
      if pendingRoomBatch == nil {
        pendingRoomBatch = PendingRoomBatch(
          room: room, from: fanOutGroups.all.map { $0.roomLog.end })
      }
      group.roomLog.append(group.writer.bytes.span)
      group.roomFrameEnds.append(group.roomLog.end, logStart: group.roomLog.start)
      metrics.add(.framesDelivered, room.groupCounts[group.id.index] * group.writer.count)
    }
  }

  /// Those of `members` who were not told on this occasion in another room, and now are.
  ///
  /// Of the latest occasions alone, which is enough for those of one moment: to be told twice is
  /// harmless.
  private func notNotified(_ members: [UInt32], on updateID: UInt64) -> [UInt32] {
    var latest = recentPresenceUpdates.first { $0.number == updateID }?.told ?? SlotSet()
    let notNotified = members.filter { latest.insert($0) }
    recentPresenceUpdates.removeAll { $0.number == updateID }
    if recentPresenceUpdates.count == Shard.recentPresenceUpdatesLimit {
      recentPresenceUpdates.removeFirst()
    }
    recentPresenceUpdates.append((updateID, latest))
    return notNotified
  }

  private static let recentPresenceUpdatesLimit = 8

  /// The places without those of `user`.
  private func others(than user: UserID?, among slots: [UInt32]) -> [UInt32] {
    let left = user.map { Set(directory.slots(of: $0)) } ?? []
    return slots.filter { !left.contains($0) }
  }

  /// Puts what is being said in a room into its members' outboxes.
  func materializeRoomBatch() {
    guard let current = pendingRoomBatch else { return }
    pendingRoomBatch = nil
    for slot in current.room.members where table.contains(slot) {
      let group = table[slot].group
      queue(
        log: .rooms(of: group), from: current.from[group.index],
        to: fanOutGroups[group].roomLog.end, at: slot)
    }
  }

  /// The same, if the connection at `slot` is one of them: something of its own comes next.
  ///
  /// False when that has ended the session: it could not be written to, or was too far behind.
  func materializeRoomBatch(for slot: UInt32) -> Bool {
    guard let current = pendingRoomBatch, table[slot].membership != nil, current.room.contains(slot)
    else {
      return true
    }
    materializeRoomBatch()
    return table.contains(slot) && table[slot].state == .session
  }

  /// Sends what is being said in a room straight to its members.
  ///
  /// The same loop as for a broadcast: see `flushShared`.
  func flushRoomBatch() {
    if let current = pendingRoomBatch {
      pendingRoomBatch = nil
      for group in fanOutGroups.all where group.roomLog.end != current.from[group.id.index] {
        flush(current, to: group)
      }
    }
    for group in fanOutGroups.all { group.roomFlushedEnd = group.roomLog.end }
  }

  private func flush(_ pendingRoomBatch: PendingRoomBatch, to group: FanOutGroup) {
    let (id, logID) = (group.id, LogID.rooms(of: group.id))
    let (from, end) = (pendingRoomBatch.from[id.index], group.roomLog.end)
    let (byteCount, sharedEnd) = (Int(end - from), group.log.end)
    let members = pendingRoomBatch.room.members
    let kernel = kernel
    let table = table
    var sentToAll = 0
    // SAFETY: the log is not appended to while its bytes are walked, a place is looked at while it
    // is taken, and its address is not kept past its turn of the loop.
    unsafe group.roomLog.withBytes(from: from, to: end) { first, second in
      for slot in members where table.contains(slot) {
        let connection = unsafe table.pointer(to: slot)
        guard unsafe connection.pointee.group == id else { continue }
        if unsafe connection.pointee.flags.isDisjoint(
          with: [.blocked, .queued, .polling, .secondaryNamespace, .handshakePending]),
          unsafe connection.pointee.groupCursor == sharedEnd
        {
          let sent = unsafe kernel.send(connection.pointee.fd, first, second)
          if sent == byteCount {
            sentToAll += 1
          } else {
            sentInPart(sent, of: (from, end), in: logID, at: slot)
          }
        } else {
          queue(log: logID, from: from, to: end, at: slot)
        }
      }
    }
    metrics.add(.bytesSent, sentToAll * byteCount)
  }

  /// A member took less than what was said.
  private func sentInPart(
    _ sent: Int, of range: (from: UInt64, to: UInt64), in logID: LogID, at slot: UInt32
  ) {
    guard sent >= 0 || sent == -Int(EAGAIN) else { return drop(slot, counting: .resets) }
    metrics.add(.bytesSent, max(0, sent))
    table[slot].outbox.append(
      log: logID, from: range.from + UInt64(max(0, sent)), to: range.to)
    table[slot].flags.insert(.queued)
    block(slot)
    if table.contains(slot) { checkBacklog(at: slot) }
  }
}
