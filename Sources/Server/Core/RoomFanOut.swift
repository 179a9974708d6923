// Fan-out to a room, which costs a member as little as a broadcast does.
//
// Each fan-out group has a separate log for room frames. Consecutive messages of one room form the
// pending room batch: one range of that log for each group, shared by all members of the room and
// recorded nowhere else. The flush sends it straight from the log to each member, as it does a
// broadcast. The batch is copied as ranges into the members' outboxes only when something else
// comes in between (a message in another room, a frame for one member, a member that leaves), so
// each member gets its frames in the order of the events.
//
// Invariant: the frames of the pending room batch are in no member's outbox, and are newer than all
// frames there.

internal import Algorithms
internal import Broadcast
internal import Glibc
internal import Notifications
internal import Reactor
internal import Wire

/// The members of a room on one shard.
final class LocalRoom {
  let name: RoomName
  /// The slots of the members, in ascending order.
  private(set) var members: [UInt32] = []
  /// The number of members in each fan-out group.
  private(set) var groupCounts: [Int]

  init(name: RoomName, groupCount: Int) {
    self.name = name
    groupCounts = [Int](repeating: 0, count: groupCount)
  }

  func insert(_ slot: UInt32, group: FanOutGroupID) {
    let index = self.index(of: slot)
    precondition(index == members.count || members[index] != slot, "\(slot) is already in the room")
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

  /// The index of `slot` in `members`, or the index at which to insert it.
  private func index(of slot: UInt32) -> Int {
    members.indices.partitioningIndex { members[$0] >= slot }
  }
}

/// The latest messages of one room, in no outbox yet, and where they start in each group's log.
struct PendingRoomBatch {
  let room: LocalRoom
  var from: [UInt64]
}

extension Shard {
  /// Delivers `event` to the members of a room on this shard.
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
      // A batch is at most as long as a client's backlog may be. A client that takes nothing in
      // this turn gets its send buffer raised at that length; a longer batch would end it.
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
      listUnflushed(group)
      group.roomLog.append(group.writer.bytes.span)
      group.roomFrameEnds.append(group.roomLog.end, logStart: group.roomLog.start)
      metrics.add(.framesDelivered, room.groupCounts[group.id.index] * group.writer.count)
    }
  }

  /// Returns the members without this presence update so far, and records that they get it now.
  ///
  /// One update goes to several rooms, and a connection may be in more than one of them. Only the
  /// latest updates are remembered, which covers the updates in flight at one time; a duplicate is
  /// harmless.
  private func notNotified(_ members: [UInt32], on updateID: UInt64) -> [UInt32] {
    var latest = recentPresenceUpdates.first { $0.number == updateID }?.notified ?? SlotSet()
    let notNotified = members.filter { latest.insert($0) }
    recentPresenceUpdates.removeAll { $0.number == updateID }
    if recentPresenceUpdates.count == Shard.recentPresenceUpdatesLimit {
      recentPresenceUpdates.removeFirst()
    }
    recentPresenceUpdates.append((updateID, latest))
    return notNotified
  }

  /// Presence updates of which a shard remembers the notified connections.
  static let recentPresenceUpdatesLimit = 8

  /// Returns `slots` without those of `user`.
  private func others(than user: UserID?, among slots: [UInt32]) -> [UInt32] {
    let left = user.map { Set(directory.slots(of: $0)) } ?? []
    return slots.filter { !left.contains($0) }
  }

  /// Moves the pending room batch into the outboxes of the room's members.
  func materializeRoomBatch() {
    guard let current = pendingRoomBatch else { return }
    pendingRoomBatch = nil
    for slot in current.room.members {
      let group = table[slot].group
      queue(
        log: .rooms(of: group), from: current.from[group.index],
        to: fanOutGroups[group].roomLog.end, at: slot)
    }
  }

  /// Materializes the pending room batch if `slot` is a member; call it before a frame for `slot`.
  func materializeRoomBatch(for slot: UInt32) {
    guard let current = pendingRoomBatch, table[slot].membership != nil, current.room.contains(slot)
    else { return }
    materializeRoomBatch()
  }

  /// Sends the pending room batch straight from the logs to its members.
  ///
  /// The same loop as for a broadcast: see `flushShared`.
  func flushRoomBatch() {
    if let current = pendingRoomBatch {
      pendingRoomBatch = nil
      for group in unflushedGroups where group.roomLog.end != current.from[group.id.index] {
        flush(current, to: group)
      }
    }
    for group in unflushedGroups { group.roomFlushedEnd = group.roomLog.end }
  }

  private func flush(_ pendingRoomBatch: PendingRoomBatch, to group: FanOutGroup) {
    let (id, logID) = (group.id, LogID.rooms(of: group.id))
    let (from, end) = (pendingRoomBatch.from[id.index], group.roomLog.end)
    let (byteCount, sharedEnd) = (Int(end - from), group.log.end)
    let members = pendingRoomBatch.room.members
    let kernel = kernel
    let table = table
    var sentToAll = 0
    // SAFETY: the log is not appended to while its bytes are walked. A member is open, and sending
    // ends no connection. The pointer to it is not kept past its iteration of the loop.
    unsafe group.roomLog.withBytes(from: from, to: end) { first, second in
      for slot in members {
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

  /// Queues the rest of the batch for a member whose socket took only a part.
  ///
  /// On a socket error it gives the connection up.
  private func sentInPart(
    _ sent: Int, of range: (from: UInt64, to: UInt64), in logID: LogID, at slot: UInt32
  ) {
    guard sent >= 0 || sent == -Int(EAGAIN) else { return fail(slot) }
    metrics.add(.bytesSent, max(0, sent))
    table[slot].outbox.append(
      log: logID, from: range.from + UInt64(max(0, sent)), to: range.to)
    table[slot].flags.insert(.queued)
    block(slot)
    checkBacklog(at: slot)
  }
}
