// Fan-out: an event is encoded once for each group, and each connection gets a range of a log.
//
// A fan-out group is an encoding (a dialect with or without cursors) and the sessions that use it.
// Its shared log holds only frames for all members, so the unsent part of it is one range for each
// connection, [groupCursor, end), and a broadcast touches no connection before the flush. Frames
// for one user go to the shard's direct log, and the connection's outbox names their range.
//
// Invariant: between two flushes at most `Shard.flushBytes` and one more event are appended to a
// log, which is less than its capacity: no byte is overwritten before it was sent or copied.

internal import Algorithms
internal import Broadcast
internal import Notifications
internal import Wire

/// One encoding of events, and the sessions that use it.
final class FanOutGroup {
  let id: FanOutGroupID
  let dialect: any Dialect
  /// Whether its clients receive cursors.
  let sendsCursors: Bool
  /// Whether its sessions keep the position of the last notification sent to them.
  let keepsPositions: Bool
  /// Open sessions, walked in slot order; changed by `join` and `leave` of the shard.
  fileprivate(set) var members = SlotSet()
  /// Frames for all members.
  let log: FrameLog
  /// The end of `log` at the last flush.
  var flushedEnd: UInt64 = 0
  /// Frames for members that are in a room.
  let roomLog: FrameLog
  /// The end of `roomLog` at the last flush.
  var roomFlushedEnd: UInt64 = 0
  /// Whether the group is in the shard's `unflushedGroups`.
  fileprivate var isListedUnflushed = false
  /// Ends of frames that the logs still hold.
  var frameEnds = FrameEnds()
  var roomFrameEnds = FrameEnds()
  var writer: FrameWriter

  init(id: FanOutGroupID, _ encoding: FanOutEncoding, capacity: Int) {
    self.id = id
    dialect = encoding.dialect
    sendsCursors = encoding.cursors != nil
    keepsPositions = encoding.cursors != nil && encoding.dialect is SocketIODialect
    log = FrameLog(capacity: capacity)
    roomLog = FrameLog(capacity: capacity)
    writer = FrameWriter(cursors: encoding.cursors, framing: dialect.framing)
  }

  /// Whether a log holds frames since the last flush.
  fileprivate var hasUnflushedFrames: Bool {
    log.end != flushedEnd || roomLog.end != roomFlushedEnd
  }
}

/// Ends of recent frames of a log, oldest first, to find the end of a partly sent frame.
struct FrameEnds {
  /// Least distance between two recorded ends.
  ///
  /// Some ends of small frames are skipped, so that a log has at most thousands of them.
  private static let leastStep: UInt64 = 256

  private var ends: [UInt64] = []
  private var dropped = 0

  /// Records a frame's end, and drops the ends that the log no longer holds.
  mutating func append(_ end: UInt64, logStart: UInt64) {
    if let last = ends.last, end - last < FrameEnds.leastStep { return }
    while dropped < ends.count, ends[dropped] <= logStart { dropped += 1 }
    if dropped > 64, dropped > ends.count / 2 {
      ends.removeFirst(dropped)
      dropped = 0
    }
    ends.append(end)
  }

  /// The first recorded end at or after `position`: of the frame that contains it, or of one soon
  /// after that; nil if the log's own end is the next.
  func end(at position: UInt64) -> UInt64? {
    let index = (dropped..<ends.count).partitioningIndex { ends[$0] >= position }
    return index < ends.count ? ends[index] : nil
  }
}

/// The range [from, to) of the direct log with one group's frames of an event, and their number.
private struct DirectRange {
  let from: UInt64
  let to: UInt64
  let frameCount: Int
  /// The offset of the event's notification, if the group's sessions keep it.
  var position: UInt64?
}

extension Shard {
  // MARK: The groups in use
  //
  // A turn looks only at the groups with members or with unflushed frames, which are few.

  /// Adds a session to a group.
  func join(_ group: FanOutGroup, _ slot: UInt32) {
    if group.members.isEmpty { occupiedGroups.append(group) }
    group.members.insert(slot)
  }

  /// Removes a session from a group; false if it was not a member.
  @discardableResult
  func leave(_ group: FanOutGroup, _ slot: UInt32) -> Bool {
    guard group.members.remove(slot) else { return false }
    if group.members.isEmpty { occupiedGroups.removeAll { $0 === group } }
    return true
  }

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
  var hasLargeFanOut: Bool {
    let isLarge =
      (pendingRoomBatch?.room.members.count ?? 0) >= 64
      || unflushedGroups.contains { $0.log.end != $0.flushedEnd && $0.members.count >= 64 }
    return isLarge
      && unflushedGroups.allSatisfy {
        $0.log.end - $0.flushedEnd < Shard.flushBytes / 2
          && $0.roomLog.end - $0.roomFlushedEnd < Shard.flushBytes / 2
      }
  }

  /// Delivers `event` to its audience on this shard.
  func deliver(_ event: Event) {
    let framesBefore = metrics.value(.framesDelivered)
    pass(event)
    if !observers.isEmpty { observe(event) }
    if let takenAt = event.takenAt, metrics.value(.framesDelivered) != framesBefore {
      awaitFlush(takenAt: takenAt)
    }
  }

  /// Records when the server took an event, to measure its latency once its frames are flushed.
  private func awaitFlush(takenAt: UInt64) {
    // Events of one turn often have the same time, so equal times share one entry.
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
    // Writing may flush and so end sessions, which changes the list.
    for group in occupiedGroups where !group.members.isEmpty {
      group.writer.removeAll()
      group.dialect.write(event, to: &group.writer)
      guard group.writer.count > 0 else { continue }
      appendWritten(to: group)
      metrics.add(.framesDelivered, group.members.count * group.writer.count)
    }
  }

  /// Appends the frames that the group's writer holds to the shared log of `group`.
  func appendWritten(to group: FanOutGroup) {
    if group.log.end - group.flushedEnd + UInt64(group.writer.bytes.count) > Shard.flushBytes {
      flush()
    }
    listUnflushed(group)
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

  /// Delivers `event` to the sessions and waiting polls at `slots`.
  func deliver(_ event: Event, to slots: [UInt32]) {
    let written = writeDirect(event, for: slots)
    for slot in slots {
      guard table[slot].state == .session else {
        wakePoll(event, at: slot)
        continue
      }
      guard admits(event, at: slot) else { continue }
      guard let range = written[table[slot].group.index] else { continue }
      queue(log: .direct, from: range.from, to: range.to, at: slot)
      metrics.add(.framesDelivered, range.frameCount)
      if let position = range.position { keepPosition(position, at: slot) }
    }
  }

  /// Appends `event` to the direct log, once for each group of the sessions at `slots`.
  ///
  /// Returns the range for each group: nil if no session is in the group, or if its dialect has no
  /// frame for the event. Any flush comes before the first append: a flush between an append and
  /// the `queue` calls would count the range as flushed although no outbox names it yet.
  private func writeDirect(_ event: Event, for slots: [UInt32]) -> [DirectRange?] {
    var written = [DirectRange?](repeating: nil, count: fanOutGroups.all.count)
    var byteCount = 0
    for slot in slots where table[slot].state == .session {
      let group = fanOutGroups[table[slot].group]
      guard written[group.id.index] == nil else { continue }
      written[group.id.index] = DirectRange(from: 0, to: 0, frameCount: 0)
      group.writer.removeAll()
      group.dialect.write(event, to: &group.writer)
      byteCount += group.writer.bytes.count
    }
    let isFlushed = flushDirectIfFull(adding: byteCount)
    for group in fanOutGroups.all where written[group.id.index] != nil {
      // The flush may have used this group's writer for other frames.
      if isFlushed {
        group.writer.removeAll()
        group.dialect.write(event, to: &group.writer)
      }
      let (from, frameCount) = (direct.end, group.writer.count)
      if frameCount > 0 { appendDirect(group.writer.bytes) }
      guard frameCount > 0 else {
        written[group.id.index] = nil
        continue
      }
      var range = DirectRange(from: from, to: direct.end, frameCount: frameCount)
      if group.keepsPositions, case .stored(let notification, _) = event.body {
        range.position = notification.offset
      }
      written[group.id.index] = range
    }
    return written
  }

  /// Whether the session at `slot` gets `event` now; a replay records the events that it defers.
  private func admits(_ event: Event, at slot: UInt32) -> Bool {
    guard let offset = event.offset else { return !table[slot].flags.contains(.handshakePending) }
    if let replay = table[slot].activity.replay {
      return replay.admits(event, offset: offset)
    }
    // Its greeting reads the store later, and so includes this event.
    if table[slot].flags.contains(.handshakePending) { return false }
    if let fetch = table[slot].activity.fetch { fetch.changedThrough = offset }
    return true
  }

  /// Flushes if `byteCount` more bytes in the direct log would exceed `flushBytes`; whether it did.
  @discardableResult
  private func flushDirectIfFull(adding byteCount: Int) -> Bool {
    guard direct.end - directFlushed + UInt64(byteCount) > Shard.flushBytes else { return false }
    // guard: flush-before-long-event
    flush(before: UInt64(byteCount))
    return true
  }

  /// Queues the range [from, to) of a log after the bytes that the session at `slot` already has.
  func queue(log id: LogID, from: UInt64, to: UInt64, at slot: UInt32) {
    // guard: nothing-queued-for-given-up-connection
    // guard: nothing-before-greeting
    guard table[slot].state == .session, from != to, table[slot].flags.isDisjoint(with: .givenUp),
      id.isDirect || !table[slot].flags.contains(.handshakePending)
    else { return }
    materializeRoomBatch(for: slot)
    let count = Int(to - from)
    // Flush now and not at the end of the turn once half the backlog limit would be exceeded. Bytes
    // that a client then does not take are copied to its private bytes: as many times the backlog
    // limit as the user has devices.
    let limit = core.configuration.limits.backlogBytesLimit / 2
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
        takeSharedTail(at: slot)
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

  /// Writes messages in the encoding of the session's group, and queues them for it.
  ///
  /// Like `send`, it does nothing once the session has ended or closes.
  func write(to slot: UInt32, _ body: (inout FrameWriter) -> Void) {
    guard table[slot].state == .session else { return }
    let group = fanOutGroups[table[slot].group]
    group.writer.removeAll()
    let replay = table[slot].activity.replay
    group.writer.opening = replay?.takeOpening()
    body(&group.writer)
    // No event was written, so the next one carries the opening.
    replay?.opening = group.writer.opening
    send(group.writer.bytes, to: slot)
  }

  /// Queues finished frames for the session at `slot` alone.
  func send(_ frames: [UInt8], to slot: UInt32) {
    guard !frames.isEmpty, table[slot].state == .session else { return }
    if frames.count > Shard.largestFrameBytes || table[slot].activity.isReplay {
      return appendPrivateBytes(frames, to: slot)
    }
    flushDirectIfFull(adding: frames.count)
    let from = direct.end
    appendDirect(frames)
    queue(log: .direct, from: from, to: direct.end, at: slot)
  }

  private func appendDirect(_ frames: [UInt8]) {
    direct.append(frames.span)
    directFrameEnds.append(direct.end, logStart: direct.start)
  }

  /// Appends finished frames to the session's private bytes, after everything queued for it.
  func appendPrivateBytes(_ frames: [UInt8], to slot: UInt32) {
    guard table[slot].state == .session, table[slot].flags.isDisjoint(with: .givenUp) else {
      return
    }
    takeSharedTail(at: slot)
    copyOutOutbox(at: slot)
    table[slot].privateBytes.append(contentsOf: frames)
    markQueued(slot)
    // Replies add up, in addition to a page of missed notifications. Past the backlog limit they
    // are sent during the turn; `flushPrivateBytes`, unlike `flush`, does not also read the next
    // page of a replay.
    let limit = core.configuration.limits.backlogBytesLimit + Shard.missedBytesLimit
    // guard: resumed-answers-flushed
    if !table[slot].flags.contains(.blocked), table[slot].queuedByteCount > limit {
      flushPrivateBytes(slot)
    }
    if table[slot].flags.contains(.blocked) { checkBacklog(at: slot) }
  }

  /// Adds `slot` to the connections that this turn's flush writes to.
  func markQueued(_ slot: UInt32) {
    guard table[slot].state != .ended else { return }
    table[slot].flags.insert(.queued)
    if table[slot].flags.contains(.blocked) { return }
    dirty.insert(slot)
  }

  /// The log that the id of an outbox range names.
  func log(_ id: LogID) -> FrameLog {
    switch id.owner {
    case .direct: direct
    case .everyone(let group): fanOutGroups[group].log
    case .rooms(let group): fanOutGroups[group].roomLog
    }
  }

  /// Ends of the frames in the log that the id of an outbox range names.
  func frameEnds(of id: LogID) -> FrameEnds {
    switch id.owner {
    case .direct: directFrameEnds
    case .everyone(let group): fanOutGroups[group].frameEnds
    case .rooms(let group): fanOutGroups[group].roomFrameEnds
    }
  }

  /// Copies the unsent tail of the group's shared log to the private bytes of `slot`.
  func takeSharedTail(at slot: UInt32) {
    guard table[slot].state == .session else { return }
    materializeRoomBatch(for: slot)
    let group = fanOutGroups[table[slot].group]
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
