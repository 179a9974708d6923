// Fan-out: an event becomes finished frames once, and every connection it reaches gets a position.
//
// A fan-out group is an encoding (a dialect with or without cursors) and the sessions that get it.
// Each has one shared log, which holds only frames that are for everyone of the group; so what a
// connection still has to get of it is one range, [sharedThrough, end), and a broadcast touches no
// connection at all until it is flushed. Frames for one user go to the shard's direct log, and the
// connection's outbox names their range.
//
// Invariant: between two flushes at most `Shard.flushBytes` and one event more are appended to a
// log, which is less than its capacity: nothing is overwritten before it was sent or copied.

internal import Broadcast
internal import Notifications
internal import Wire

/// One encoding of events, and the sessions that get it.
final class FanOutGroup {
  let id: FanOutGroupID
  let dialect: any Dialect
  /// Whether its clients are told their cursors.
  let sendsCursors: Bool
  /// Open sessions, walked in the order in which they came.
  var members = SlotSet()
  /// Frames for all members.
  let log: FrameLog
  /// The log's end at the last flush.
  var flushedEnd: UInt64 = 0
  /// Frames for those of rooms.
  let roomLog: FrameLog
  /// The end of the rooms' log at the last flush.
  var roomFlushedEnd: UInt64 = 0
  /// Ends of frames that the logs still hold.
  var frameEnds = FrameEnds()
  var roomFrameEnds = FrameEnds()
  var writer: FrameWriter

  init(id: FanOutGroupID, _ encoding: FanOutEncoding, capacity: Int) {
    self.id = id
    dialect = encoding.dialect
    sendsCursors = encoding.epoch != nil
    log = FrameLog(capacity: capacity)
    roomLog = FrameLog(capacity: capacity)
    writer = FrameWriter(epoch: encoding.epoch, framing: dialect.framing)
  }
}

/// Ends of recent frames of a log, oldest first, to find where one that was sent in part ends.
struct FrameEnds {
  /// Of small frames not each is noted, so that there are thousands of ends to a log at the most.
  private static let leastStep: UInt64 = 256

  private var ends: [UInt64] = []
  private var dropped = 0

  /// Notes a frame's end and forgets those that the log no longer holds.
  mutating func append(_ end: UInt64, logStart: UInt64) {
    if let last = ends.last, end - last < FrameEnds.leastStep { return }
    while dropped < ends.count, ends[dropped] <= logStart { dropped += 1 }
    if dropped > 64, dropped > ends.count / 2 {
      ends.removeFirst(dropped)
      dropped = 0
    }
    ends.append(end)
  }

  /// An end at or behind `position`: of the frame in which it lies, or of one soon behind that; nil
  /// where the log's own end is the next.
  func end(at position: UInt64) -> UInt64? {
    var low = dropped
    var high = ends.count
    while low < high {
      let middle = (low + high) / 2
      if ends[middle] < position { low = middle + 1 } else { high = middle }
    }
    return low < ends.count ? ends[low] : nil
  }
}

/// Where one group's frames of an event are in the direct log, [from, to), and how many they are.
private struct DirectRange {
  let from: UInt64
  let to: UInt64
  let frameCount: Int
}

extension Shard {
  /// Whether enough is waiting for everyone that one more look for input is cheap beside it.
  var hasLargeFanOut: Bool {
    let isLarge =
      (pendingRoomBatch?.room.members.count ?? 0) >= 64
      || fanOutGroups.all.contains { $0.log.end != $0.flushedEnd && $0.members.count >= 64 }
    return isLarge
      && fanOutGroups.all.allSatisfy {
        $0.log.end - $0.flushedEnd < Shard.flushBytes / 2
          && $0.roomLog.end - $0.roomFlushedEnd < Shard.flushBytes / 2
      }
  }

  /// Hands `event` to the sessions that it is for.
  func deliver(_ event: Event) {
    let framesBefore = metrics.value(.framesDelivered)
    pass(event)
    if let takenAt = event.takenAt, metrics.value(.framesDelivered) != framesBefore {
      awaitFlush(takenAt: takenAt)
    }
  }

  /// Notes when an event was taken that is measured when it has been sent.
  private func awaitFlush(takenAt: UInt64) {
    // What was published in one turn was taken at one moment.
    if let last = unflushed.indices.last, unflushed[last].takenAt == takenAt {
      unflushed[last].count += 1
    } else {
      unflushed.append((takenAt, 1))
    }
  }

  private func pass(_ event: Event) {
    if let offset = event.offset { appliedOffset = max(appliedOffset, offset) }
    switch event.audience {
    case .everyone:
      switch event.body {
      case .probe(let number): readinessProbeReturned(number)
      case .storedForEveryone, .expiredForEveryone: catchUp(event)
      default: broadcast(event)
      }
    case .user(let user):
      deliver(event, toUser: user)
    case .users(let users):
      for user in users { deliver(event, toUser: user) }
    case .room(let room, let user):
      deliver(event, toRoom: room, except: user)
    }
  }

  private func broadcast(_ event: Event) {
    materializeRoomBatch()
    for group in fanOutGroups.all where !group.members.isEmpty {
      group.writer.removeAll()
      group.dialect.write(event, to: &group.writer)
      guard group.writer.count > 0 else { continue }
      appendWritten(to: group)
      metrics.add(.framesDelivered, group.members.count * group.writer.count)
    }
  }

  /// Puts what was just written for all members of `group` where the flush finds it.
  func appendWritten(to group: FanOutGroup) {
    if group.log.end - group.flushedEnd + UInt64(group.writer.bytes.count) > Shard.flushBytes {
      flush()
    }
    group.log.append(group.writer.bytes.span)
    group.frameEnds.append(group.log.end, logStart: group.log.start)
  }

  private func deliver(_ event: Event, toUser user: UserID) {
    guard directory.contains(user: user) else { return }
    // A copy, because a delivery may end a session, and so change the directory.
    slots.removeAll(keepingCapacity: true)
    directory.forEachSlot(of: user) { slots.append($0) }
    deliver(event, to: slots)
  }

  /// Hands `event` to what is at `slots`: sessions, and polls that wait.
  func deliver(_ event: Event, to slots: [UInt32]) {
    let written = writeDirect(event, for: slots)
    for slot in slots where table.contains(slot) {
      guard table[slot].state == .session else {
        wakePoll(event, at: slot)
        continue
      }
      guard admits(event, at: slot) else { continue }
      guard let range = written[table[slot].group.index] else { continue }
      queue(log: .direct, from: range.from, to: range.to, at: slot)
      metrics.add(.framesDelivered, range.frameCount)
    }
  }

  /// Puts `event` into the direct log, once for each group of the sessions at `slots`, and says
  /// where: nil for a group that none of them is in, or that has no words for it.
  ///
  /// All of it behind one flush: that would overtake nothing in the middle, but must not come
  /// between a range and those who are to be sent it.
  private func writeDirect(_ event: Event, for slots: [UInt32]) -> [DirectRange?] {
    var written = [DirectRange?](repeating: nil, count: fanOutGroups.all.count)
    var byteCount = 0
    for slot in slots where table.contains(slot) && table[slot].state == .session {
      let group = fanOutGroups[table[slot].group]
      guard written[group.id.index] == nil else { continue }
      written[group.id.index] = DirectRange(from: 0, to: 0, frameCount: 0)
      group.writer.removeAll()
      group.dialect.write(event, to: &group.writer)
      byteCount += group.writer.bytes.count
    }
    let isFlushed = flushDirectIfFull(adding: byteCount)
    for group in fanOutGroups.all where written[group.id.index] != nil {
      // The flush may have had other words for somebody of this group.
      if isFlushed {
        group.writer.removeAll()
        group.dialect.write(event, to: &group.writer)
      }
      let (from, frameCount) = (direct.end, group.writer.count)
      if frameCount > 0 { appendDirect(group.writer.bytes) }
      written[group.id.index] =
        frameCount > 0 ? DirectRange(from: from, to: direct.end, frameCount: frameCount) : nil
    }
    return written
  }

  /// Whether the session at `slot` is to get `event` now; a replay takes note of those it is not.
  private func admits(_ event: Event, at slot: UInt32) -> Bool {
    guard let offset = event.offset else { return !table[slot].flags.contains(.handshakePending) }
    if table[slot].flags.contains(.replaying), let replay = table[slot].task as? Replay {
      return replay.admits(event, offset: offset)
    }
    // What it begins with is read later than this was stored.
    if table[slot].flags.contains(.handshakePending) { return false }
    if let fetch = table[slot].task as? Fetch { fetch.changedThrough = offset }
    return true
  }

  /// Makes room in the direct log, where `byteCount` more would be too many before a flush; whether
  /// there was one.
  @discardableResult
  private func flushDirectIfFull(adding byteCount: Int) -> Bool {
    guard direct.end - directFlushed + UInt64(byteCount) > Shard.flushBytes else { return false }
    // guard: flush-before-long-event
    flush(before: UInt64(byteCount))
    return true
  }

  /// Queues the range [from, to) of a log behind what the session at `slot` has.
  func queue(log id: LogID, from: UInt64, to: UInt64, at slot: UInt32) {
    // guard: nothing-queued-after-close-frame
    // guard: nothing-before-greeting
    guard table[slot].state == .session, from != to, materializeRoomBatch(for: slot),
      id.isDirect || !table[slot].flags.contains(.handshakePending)
    else { return }
    let count = Int(to - from)
    // Not all at the turn's end: what a client then turned out not to take would become bytes of
    // its own, so many times what anybody may be behind as it has devices.
    let limit = core.configuration.limits.backlogBytesLimit / 2
    let waiting = queuedByteCount(of: slot)
    // guard: answers-flushed-while-made
    if !table[slot].flags.contains(.blocked), waiting > 0, waiting + count > limit {
      flush(slot)
      guard table.contains(slot), table[slot].state == .session else { return }
    }
    if table[slot].flags.contains(.blocked) {
      // Before it is held for it: what a client is cut off for is not.
      checkBacklog(at: slot, adding: count)
      guard table.contains(slot), table[slot].state == .session else { return }
      if !mayPin(slot) {
        guard takeSharedTail(at: slot) else { return }
        copyOutOutbox(at: slot)
        return copyToPrivateBytes(log(id), from: from, to: to, at: slot)
      }
    }
    let group = fanOutGroups[table[slot].group]
    if table[slot].flags.contains(.handshakePending) { table[slot].groupCursor = group.log.end }
    if table[slot].groupCursor != group.log.end {
      table[slot].outbox.append(
        log: .everyone(of: group.id), from: table[slot].groupCursor, to: group.log.end)
      table[slot].groupCursor = group.log.end
    }
    table[slot].outbox.append(log: id, from: from, to: to)
    if table[slot].flags.contains(.blocked) { pin(slot) }
    markQueued(slot)
  }

  /// Writes messages in the encoding of the place's group, and queues them for it.
  func write(to slot: UInt32, _ body: (inout FrameWriter) -> Void) {
    let group = fanOutGroups[table[slot].group]
    group.writer.removeAll()
    body(&group.writer)
    send(group.writer.bytes, to: slot)
  }

  /// Queues finished frames for the session at `slot` alone.
  func send(_ frames: [UInt8], to slot: UInt32) {
    guard !frames.isEmpty else { return }
    if frames.count > Shard.largestFrameBytes || table[slot].flags.contains(.replaying) {
      return appendPrivateBytes(frames, to: slot)
    }
    flushDirectIfFull(adding: frames.count)
    // That flush may have ended the connection.
    guard table.contains(slot) else { return }
    let from = direct.end
    appendDirect(frames)
    queue(log: .direct, from: from, to: direct.end, at: slot)
  }

  private func appendDirect(_ frames: [UInt8]) {
    direct.append(frames.span)
    directFrameEnds.append(direct.end, logStart: direct.start)
  }

  /// Makes finished frames bytes of the session's own, behind what it has.
  func appendPrivateBytes(_ frames: [UInt8], to slot: UInt32) {
    guard takeSharedTail(at: slot) else { return }
    copyOutOutbox(at: slot)
    table[slot].privateBytes.append(contentsOf: frames)
    markQueued(slot)
    // Answers add up, whatever the client is being sent besides: past what it may be behind they
    // are written in the midst of a turn, where nothing is read on for it yet.
    let limit = core.configuration.limits.backlogBytesLimit + Shard.missedBytesLimit
    // guard: resumed-answers-flushed
    if !table[slot].flags.contains(.blocked), table[slot].queuedByteCount > limit {
      guard flushPrivateBytes(slot) else { return }
    }
    if table[slot].flags.contains(.blocked) { checkBacklog(at: slot) }
  }

  /// Puts `slot` among those that this turn's flush writes to.
  func markQueued(_ slot: UInt32) {
    table[slot].flags.insert(.queued)
    if table[slot].flags.contains(.blocked) { return }
    dirty.insert(slot)
  }

  /// The log that an outbox's range names.
  func log(_ id: LogID) -> FrameLog {
    switch id.owner {
    case .direct: direct
    case .everyone(let group): fanOutGroups[group].log
    case .rooms(let group): fanOutGroups[group].roomLog
    }
  }

  /// Ends of the frames in the log that an outbox's range names.
  func frameEnds(of id: LogID) -> FrameEnds {
    switch id.owner {
    case .direct: directFrameEnds
    case .everyone(let group): fanOutGroups[group].frameEnds
    case .rooms(let group): fanOutGroups[group].roomFrameEnds
    }
  }

  /// Makes the shared frames that `slot` has not been sent part of what it owns.
  ///
  /// False when the session has ended on the way.
  func takeSharedTail(at slot: UInt32) -> Bool {
    guard table[slot].state == .session else { return true }
    guard materializeRoomBatch(for: slot) else { return false }
    let group = fanOutGroups[table[slot].group]
    if table[slot].flags.contains(.handshakePending) { table[slot].groupCursor = group.log.end }
    let from = table[slot].groupCursor
    guard from != group.log.end else { return true }
    copyOutOutbox(at: slot)
    copyToPrivateBytes(group.log, from: from, to: group.log.end, at: slot)
    table[slot].groupCursor = group.log.end
    table[slot].flags.insert(.queued)
    return true
  }

  /// Copies the outbox's ranges behind what the connection owns, so that it needs no log.
  func copyOutOutbox(at slot: UInt32) {
    guard !table[slot].outbox.isEmpty else { return }
    for index in 0..<table[slot].outbox.rangeCount {
      let range = table[slot].outbox[index]
      copyToPrivateBytes(log(range.log), from: range.from, to: range.to, at: slot)
    }
    table[slot].outbox.removeAll()
  }

  func copyToPrivateBytes(_ log: FrameLog, from: UInt64, to: UInt64, at slot: UInt32) {
    let count = Int(to - from)
    makeRoom(for: count, at: slot)
    let start = table[slot].privateBytes.count
    table[slot].privateBytes.append(contentsOf: repeatElement(0, count: count))
    // SAFETY: `count` bytes were just added at `start`, and an array overlaps no log.
    unsafe table[slot].privateBytes.withUnsafeMutableBytes { bytes in
      unsafe log.copy(from: from, to: to, into: bytes.baseAddress! + start)
    }
    table[slot].flags.insert(.queued)
  }
}
