// Delivery: bytes on their way to connections.
//
// It knows slots, groups of slots and logs of frames, but no user, no room's name and no HTTP. An
// event is encoded once for each fan-out group. Frames for all members of a group go to its shared
// log: the unsent part of it is one range for each connection, [groupCursor, end), and a broadcast
// touches no connection before the flush. Frames for single connections go to the direct log, and
// the outbox of each connection names their range.
//
//     SendTable.swift       the slots, and the part of a connection that sending uses
//     Delivery.swift        groups, queueing
//     Sockets.swift         which slot has a socket, and what epoll watches for
//     GroupMembership.swift sessions and their groups
//     PrivateBytes.swift    answers, last frames, and the packets that polls take
//     Transport.swift       the seam for encryption
//     PendingBatch.swift    the latest messages of one room
//     Flush.swift           sending
//     Backpressure.swift    connections that take less than they are sent

package import Reactor

/// The part of a shard that sends.
///
/// Invariant: between two flushes at most `flushBytes` and one more event are appended to a log,
/// which is less than its capacity: no byte is overwritten before it was sent or copied.
///
/// Invariant: no function ends a connection or calls another part of the shard. `report` lists the
/// connections with news, and the shard handles it once in each turn.
///
/// Not Sendable: it belongs to the shard's thread.
package final class Delivery {
  /// Bytes added to a frame log before a flush in the middle of a turn: far enough below a log's
  /// capacity that the log never overwrites unsent frames.
  package static let flushBytes: UInt64 = 256 * 1_024
  /// Bytes by which a log may grow past `flushBytes` between two flushes: twice the longest event.
  ///
  /// The parsers bound an event. With each text at its limit and every byte of it escaped, neither
  /// a notification (`Draft`) nor a live message (`BroadcastFields`) takes 64 KiB in any encoding.
  /// Only the direct log may grow by more, for an event in several encodings or a list of ids:
  /// `flush(before:)` gets that size first. `send` puts a longer reply into the private buffer of
  /// its connection.
  package static let largestFrameBytes = 128 * 1_024

  package let table = SendTable()
  let kernel: Kernel
  let poller: Poller
  let limits: DeliveryLimits
  /// All groups of the shard, each at the index of its id.
  let groups: [FanOutGroup]
  /// Monotonic time of this turn.
  package var now: UInt64
  /// The news of the connections since the shard last took it.
  var report = DeliveryReport()

  /// Frames for single connections: replies, greetings, a user's notifications.
  let direct: FrameLog
  var directFlushed: UInt64 = 0
  var directFrameEnds = FrameEnds()
  /// The groups with members, in no order.
  package internal(set) var occupiedGroups: [FanOutGroupID] = []
  /// The groups with frames appended since the last flush.
  private(set) var unflushedGroups: [FanOutGroup] = []
  /// The latest messages of one room, in no outbox yet.
  var pendingBatch: PendingBatch?
  /// Connections with queued bytes of their own, flushed one by one.
  var dirty = SlotSet()
  /// Blocked connections with pinned ranges.
  var pinned = SlotSet()
  /// For each log, a position at or before the oldest pinned range; nil if none is pinned.
  var pinnedFrom: [UInt64?]
  package internal(set) var blockedCount = 0
  /// Unsent private bytes of all blocked connections, each counted at its last send.
  package internal(set) var blockedBytes = 0
  /// When the server accepted the events with unflushed frames, for the latency metric.
  ///
  /// At most as many runs as a turn takes events from the ring.
  var unflushed: [(takenAt: UInt64, count: Int)] = []
  /// The transports of the connections that have one, by slot.
  var transports: [UInt32: any Transport] = [:]
  /// The buffer in which small pieces are joined for one send.
  let gathered = ScratchBuffer(byteCount: 64 * 1_024)

  /// Delivery for a shard with `groupCount` fan-out groups, at most `groupCountLimit`.
  ///
  /// `limits` must let a log hold a client's largest backlog besides one turn's frames.
  package init(
    kernel: Kernel, poller: Poller, limits: DeliveryLimits, groupCount: Int, now: UInt64
  ) {
    // A client's largest backlog, one turn's frames and a large frame: so a log never overwrites
    // frames that a client still has to get.
    precondition(
      limits.frameLogCapacity
        >= Int(Delivery.flushBytes) + limits.backlogBytesLimit + Delivery.largestFrameBytes,
      "frame log of \(limits.frameLogCapacity) bytes")
    precondition(groupCount <= Delivery.groupCountLimit, "\(groupCount) groups")
    self.kernel = kernel
    self.poller = poller
    self.limits = limits
    self.now = now
    groups = (0..<groupCount).map {
      FanOutGroup(id: FanOutGroupID(index: $0), capacity: limits.frameLogCapacity)
    }
    direct = FrameLog(capacity: limits.frameLogCapacity)
    pinnedFrom = [UInt64?](repeating: nil, count: LogID.count(ofGroups: groupCount))
  }

  /// Groups that a shard may have: a `LogID` is one byte.
  package static let groupCountLimit = Int(UInt8.max) / 2

  /// The sending part of the connection at `slot`, which must be taken.
  package subscript(slot: UInt32) -> SendState {
    unsafeAddress { unsafe UnsafePointer(table.pointer(to: slot)) }
  }

  /// The group of the session at `slot`.
  func group(of slot: UInt32) -> FanOutGroup { groups[table[slot].group.index] }

  /// The number of members of a group.
  package func memberCount(of group: FanOutGroupID) -> Int { groups[group.index].members.count }

  /// Whether the session at `slot` is a member of its group.
  package func isMember(_ slot: UInt32) -> Bool { group(of: slot).members.contains(slot) }

  /// Whether a flush or a handling of the report is due.
  package var hasWork: Bool { !dirty.isEmpty || !report.isEmpty }

  /// Forgets the connection at `slot`, which ends.
  package func release(_ slot: UInt32) {
    if table[slot].flags.contains(.blocked) { blockedCount -= 1 }
    countBlocked(0, at: slot)
    dirty.remove(slot)
    unpin(slot)
    _ = detachTransport(of: slot)
  }

  // MARK: The groups in use
  //
  // A turn looks only at the groups with members or with unflushed frames, which are few.

  /// Lists a group to whose log frames are appended, for the next flush.
  func listUnflushed(_ group: FanOutGroup) {
    guard !group.isListedUnflushed else { return }
    group.isListedUnflushed = true
    unflushedGroups.append(group)
  }

  /// Removes the groups that a flush has sent.
  func unlistFlushed() {
    unflushedGroups.removeAll { group in
      group.isListedUnflushed = group.hasUnflushedFrames
      return !group.isListedUnflushed
    }
  }

  /// Whether the pending fan-out is so large that one more poll for input costs little beside it.
  ///
  /// False also when a log has half of `flushBytes` pending: then the flush is due.
  package var hasLargeFanOut: Bool {
    let isLarge =
      (pendingBatch?.room.slots.count ?? 0) >= 64
      || unflushedGroups.contains { $0.log.end != $0.flushedEnd && $0.members.count >= 64 }
    return isLarge
      && unflushedGroups.allSatisfy {
        $0.log.end - $0.flushedEnd < Delivery.flushBytes / 2
          && $0.roomLog.end - $0.roomFlushedEnd < Delivery.flushBytes / 2
      }
  }

  // MARK: Queueing

  /// Appends frames for all members of a group to its log.
  package func append(_ frames: [UInt8], to id: FanOutGroupID) {
    let group = groups[id.index]
    if group.log.end - group.flushedEnd + UInt64(frames.count) > Delivery.flushBytes { flush() }
    listUnflushed(group)
    group.log.append(frames.span)
    group.frameEnds.append(group.log.end, logStart: group.log.start)
  }

  /// Appends frames to the log for single connections, and returns their range.
  ///
  /// Nothing may flush before the range is queued: a flush would count it as sent. So a caller that
  /// appends several times calls `makeDirectRoom` first, with the bytes of all of them.
  package func appendDirect(_ frames: [UInt8]) -> Range<UInt64> {
    let from = direct.end
    direct.append(frames.span)
    directFrameEnds.append(direct.end, logStart: direct.start)
    return from..<direct.end
  }

  /// Flushes if `byteCount` more bytes in the direct log would exceed `flushBytes`.
  package func makeDirectRoom(for byteCount: Int) {
    guard direct.end - directFlushed + UInt64(byteCount) > Delivery.flushBytes else { return }
    // guard: flush-before-long-event
    flush(before: UInt64(byteCount))
  }

  /// Rewinds the direct log if all its bytes were sent or copied.
  ///
  /// Call it at the end of a turn, where no function holds a range that it has not queued. Nearly
  /// every turn then writes to the same few pages, which stay in the cache; without it the
  /// greetings of many clients would touch the whole log. The logs of groups are not rewound: the
  /// cursor of a blocked member may be anywhere in its group's log.
  package func rewindDirectLog() {
    // A range is in the outbox of a connection that is dirty, or blocked and then pinned.
    // guard: direct-log-rewound-when-sent
    guard dirty.isEmpty, pinned.isEmpty, directFlushed == direct.end else { return }
    direct.rewind()
  }

  /// Queues a range of the direct log for the session at `slot`.
  package func queueDirect(_ range: Range<UInt64>, at slot: UInt32) {
    queue(log: .direct, range, at: slot)
  }

  /// Queues the range of a log after the bytes that the session at `slot` already has.
  func queue(log id: LogID, _ range: Range<UInt64>, at slot: UInt32) {
    // guard: nothing-queued-for-given-up-connection
    // guard: nothing-before-greeting
    guard table[slot].flags.contains(.takesFrames), !range.isEmpty,
      table[slot].flags.isDisjoint(with: .givenUp),
      id.isDirect || !table[slot].flags.contains(.handshakePending)
    else { return }
    materializeBatch(for: slot)
    let count = range.count
    // Flush now and not at the end of the turn once half the backlog limit would be exceeded. Bytes
    // that a client then does not take are copied to its private bytes: as many times the backlog
    // limit as the user has devices.
    let limit = limits.backlogBytesLimit / 2
    let waiting = queuedByteCount(of: slot)
    // guard: answers-flushed-while-made
    if !table[slot].flags.contains(.blocked), waiting > 0, waiting + count > limit {
      flush(slot)
    }
    if table[slot].flags.contains(.blocked) {
      // Check before queueing, so that bytes that exceed the limit are never stored.
      checkBacklog(at: slot, adding: count)
      guard table[slot].flags.isDisjoint(with: .givenUp) else { return }
      if !mayPin(slot) {
        takePrivately(slot)
        return copyToPrivateBytes(log(id), from: range.lowerBound, to: range.upperBound, at: slot)
      }
    }
    let group = group(of: slot)
    if table[slot].flags.contains(.handshakePending) { table[slot].groupCursor = group.log.end }
    if table[slot].groupCursor != group.log.end {
      table[slot].outbox.append(
        log: .everyone(of: group.id), from: table[slot].groupCursor, to: group.log.end)
      table[slot].groupCursor = group.log.end
    }
    table[slot].outbox.append(log: id, from: range.lowerBound, to: range.upperBound)
    if table[slot].flags.contains(.blocked) { pin(slot) }
    markQueued(slot)
  }

  /// Queues finished frames for the session at `slot` alone.
  ///
  /// It does nothing once the session has ended or closes.
  package func send(_ frames: [UInt8], to slot: UInt32) {
    guard !frames.isEmpty, table[slot].flags.contains(.takesFrames) else { return }
    if frames.count > Delivery.largestFrameBytes || table[slot].flags.contains(.isReplaying) {
      return appendPrivateBytes(frames, to: slot)
    }
    makeDirectRoom(for: frames.count)
    queueDirect(appendDirect(frames), at: slot)
  }

  /// Appends finished frames to the session's private bytes, after everything queued for it.
  package func appendPrivateBytes(_ frames: [UInt8], to slot: UInt32) {
    guard table[slot].flags.contains(.takesFrames),
      table[slot].flags.isDisjoint(with: .givenUp)
    else { return }
    takePrivately(slot)
    table[slot].privateBytes.append(contentsOf: frames)
    markQueued(slot)
    // Replies add up, in addition to a page of missed notifications. Past the backlog limit they
    // are sent during the turn; `flushPrivateBytes`, unlike `flush`, does not also read the next
    // page of a replay.
    let limit = limits.backlogBytesLimit + limits.pageBytesLimit
    // guard: resumed-answers-flushed
    if !table[slot].flags.contains(.blocked), table[slot].queuedByteCount > limit {
      flushPrivateBytes(slot)
    }
    if table[slot].flags.contains(.blocked) { checkBacklog(at: slot) }
  }

  /// Adds `slot` to the connections that this turn's flush writes to.
  package func markQueued(_ slot: UInt32) {
    guard table[slot].generation != 0 else { return }
    table[slot].flags.insert(.queued)
    if table[slot].flags.contains(.blocked) { return }
    dirty.insert(slot)
  }

  /// Adds a slot without a socket to them, also while it is blocked: a poll has come for it, which
  /// may be answered.
  package func markPollable(_ slot: UInt32) {
    table[slot].flags.insert(.queued)
    dirty.insert(slot)
  }

  /// The log that the id of an outbox range names.
  func log(_ id: LogID) -> FrameLog {
    switch id.owner {
    case .direct: direct
    case .everyone(let group): groups[group.index].log
    case .rooms(let group): groups[group.index].roomLog
    }
  }

  /// Ends of the frames in the log that the id of an outbox range names.
  func frameEnds(of id: LogID) -> FrameEnds {
    switch id.owner {
    case .direct: directFrameEnds
    case .everyone(let group): groups[group.index].frameEnds
    case .rooms(let group): groups[group.index].roomFrameEnds
    }
  }

  /// Copies the unsent tail of the group's shared log to the private bytes of `slot`.
  func takeSharedTail(at slot: UInt32) {
    guard table[slot].flags.contains(.takesFrames) else { return }
    materializeBatch(for: slot)
    let group = group(of: slot)
    // The log may have overwritten the tail of a connection that was given up.
    // guard: no-tail-after-giving-up
    if !table[slot].flags.isDisjoint(with: [.handshakePending, .failed, .tooSlow]) {
      table[slot].groupCursor = group.log.end
    }
    let from = table[slot].groupCursor
    guard from != group.log.end else { return }
    copyOutOutbox(at: slot)
    copyToPrivateBytes(group.log, from: from, to: group.log.end, at: slot)
    table[slot].groupCursor = group.log.end
    table[slot].flags.insert(.queued)
  }

  /// Moves the outbox's ranges to the private bytes, so that the connection needs no log.
  func copyOutOutbox(at slot: UInt32) {
    guard !table[slot].outbox.isEmpty else { return }
    for index in 0..<table[slot].outbox.rangeCount {
      let range = table[slot].outbox[index]
      copyToPrivateBytes(log(range.log), from: range.from, to: range.to, at: slot)
    }
    table[slot].outbox.removeAll()
  }

  /// Appends the range [from, to) of a log to the private bytes of `slot`.
  func copyToPrivateBytes(_ log: FrameLog, from: UInt64, to: UInt64, at slot: UInt32) {
    let count = Int(to - from)
    makeRoom(for: count, at: slot)
    let start = table[slot].privateBytes.count
    table[slot].privateBytes.append(contentsOf: repeatElement(0, count: count))
    // SAFETY: `count` bytes were just appended at `start`, and an array overlaps no log.
    unsafe table[slot].privateBytes.withUnsafeMutableBytes { bytes in
      unsafe log.copy(from: from, to: to, into: bytes.baseAddress! + start)
    }
    table[slot].flags.insert(.queued)
  }
}
