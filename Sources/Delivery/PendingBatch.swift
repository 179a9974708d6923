// The pending batch: the latest messages of one room, sent straight from the logs.
//
// Each fan-out group has a separate log for room frames. Consecutive messages of one room form the
// pending batch: one range of that log for each group, shared by all members of the room and
// recorded nowhere else. The flush sends it straight from the log to each member, as it does a
// broadcast. The batch is copied as ranges into the members' outboxes only when something else
// comes in between (a message in another room, a frame for one member, a member that leaves), so
// each member gets its frames in the order of the events.
//
// Invariant: the frames of the pending batch are in no member's outbox, and are newer than all
// frames there.

internal import Glibc
internal import Reactor

/// The latest messages of one room, in no outbox yet, and where they start in each group's log.
struct PendingBatch {
  let room: SlotList
  var from: [UInt64]
}

extension Delivery {
  /// Appends frames for the members of a room that are in a group.
  package func append(_ frames: [UInt8], to id: FanOutGroupID, of room: SlotList) {
    let group = groups[id.index]
    if pendingBatch?.room !== room { materializeBatch() }
    let added = UInt64(frames.count)
    let begun = pendingBatch?.from[group.id.index] ?? group.roomLog.end
    // A batch is at most as long as a client's backlog may be. A client that takes nothing in
    // this turn gets its send buffer raised at that length; a longer batch would end it.
    if group.roomLog.end - group.roomFlushedEnd + added > Delivery.flushBytes
      // guard: room-batch-bytes
      || group.roomLog.end - begun + added > UInt64(limits.backlogBytesLimit)
    {
      flush()
    }
    if pendingBatch == nil {
      pendingBatch = PendingBatch(room: room, from: groups.map { $0.roomLog.end })
    }
    listUnflushed(group)
    group.roomLog.append(frames.span)
    group.roomFrameEnds.append(group.roomLog.end, logStart: group.roomLog.start)
  }

  /// Moves the pending batch into the outboxes of the room's members.
  package func materializeBatch() {
    guard let current = pendingBatch else { return }
    pendingBatch = nil
    for slot in current.room.slots {
      let group = table[slot].group
      queue(
        log: .rooms(of: group), current.from[group.index]..<groups[group.index].roomLog.end,
        at: slot)
    }
  }

  /// The same if the batch is of that room; call it before a member joins.
  package func materializeBatch(of room: SlotList) {
    if pendingBatch?.room === room { materializeBatch() }
  }

  /// The same if `slot` is a member; call it before a frame for `slot`.
  package func materializeBatch(for slot: UInt32) {
    if let pendingBatch, pendingBatch.room.contains(slot) { materializeBatch() }
  }

  /// Sends the pending batch straight from the logs to its members.
  ///
  /// The same loop as for a broadcast: see `flushShared`.
  func flushBatch() {
    if let current = pendingBatch {
      pendingBatch = nil
      for group in unflushedGroups where group.roomLog.end != current.from[group.id.index] {
        flush(current, to: group)
      }
    }
    for group in unflushedGroups { group.roomFlushedEnd = group.roomLog.end }
  }

  private func flush(_ pendingBatch: PendingBatch, to group: FanOutGroup) {
    let (id, logID) = (group.id, LogID.rooms(of: group.id))
    let (from, end) = (pendingBatch.from[id.index], group.roomLog.end)
    let (byteCount, sharedEnd) = (Int(end - from), group.log.end)
    let members = pendingBatch.room.slots
    let kernel = kernel
    let table = table
    var sentToAll = 0
    // SAFETY: the log is not appended to while its bytes are walked. A member is open, and sending
    // ends no connection. The pointer to it is not kept past its iteration of the loop.
    unsafe group.roomLog.withBytes(from: from, to: end) { first, second in
      for slot in members {
        let connection = unsafe table.pointer(to: slot)
        guard unsafe connection.pointee.group == id else { continue }
        // guard: room-frames-not-past-transport
        if unsafe connection.pointee.flags.isDisjoint(
          with: SendFlags.flushedAlone.union(.handshakePending)),
          unsafe connection.pointee.groupCursor == sharedEnd
        {
          let sent = unsafe kernel.send(connection.pointee.fd, first, second)
          if sent == byteCount {
            sentToAll += 1
          } else {
            sentInPart(sent, of: (from, end), in: logID, at: slot)
          }
        } else {
          queue(log: logID, from..<end, at: slot)
        }
      }
    }
    report.sentByteCount += sentToAll * byteCount
  }

  /// Queues the rest of the batch for a member whose socket took only a part.
  ///
  /// On a socket error it gives the connection up.
  private func sentInPart(
    _ sent: Int, of range: (from: UInt64, to: UInt64), in logID: LogID, at slot: UInt32
  ) {
    guard sent >= 0 || sent == -Int(EAGAIN) else { return fail(slot) }
    report.sentByteCount += max(0, sent)
    table[slot].outbox.append(
      log: logID, from: range.from + UInt64(max(0, sent)), to: range.to)
    table[slot].flags.insert(.queued)
    block(slot)
    checkBacklog(at: slot)
  }
}
