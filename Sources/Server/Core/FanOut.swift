// Fan-out: an event is encoded once for each fan-out group, and queued for its audience.

internal import Broadcast
internal import Notifications
internal import Wire

/// The range of the direct log with one group's frames of an event, and their number.
private struct DirectRange {
  let bytes: Range<UInt64>
  let frameCount: Int
  /// The offset of the event's notification, if the group's sessions keep it.
  var position: UInt64?
}

extension Shard {
  /// Delivers `event` to its audience on this shard.
  func deliver(_ event: Event) {
    let framesBefore = metrics.value(.framesDelivered)
    pass(event)
    if !observers.isEmpty { observe(event) }
    if let takenAt = event.takenAt, metrics.value(.framesDelivered) != framesBefore {
      delivery.awaitFlush(takenAt: takenAt)
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
    delivery.materializeRoomBatch()
    for group in delivery.occupiedGroups {
      group.writer.removeAll()
      group.dialect.write(event, to: &group.writer)
      guard group.writer.count > 0 else { continue }
      delivery.append(group.writer.bytes, to: group)
      metrics.add(.framesDelivered, group.members.count * group.writer.count)
    }
  }

  private func deliver(_ event: Event, toUser user: UserID) {
    guard directory.contains(user: user) else { return }
    // A copy, because a poll that is answered leaves the directory.
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
      delivery.queue(log: .direct, range.bytes, at: slot)
      metrics.add(.framesDelivered, range.frameCount)
      if let position = range.position { keepPosition(position, at: slot) }
    }
  }

  /// Appends `event` to the direct log, once for each group of the sessions at `slots`.
  ///
  /// Returns the range for each group: nil if no session is in the group, or if its dialect has no
  /// frame for the event.
  private func writeDirect(_ event: Event, for slots: [UInt32]) -> [DirectRange?] {
    var written = [DirectRange?](repeating: nil, count: fanOutGroups.all.count)
    var groups: [FanOutGroup] = []
    var byteCount = 0
    for slot in slots where table[slot].state == .session {
      let group = fanOutGroups[table[slot].group]
      guard !groups.contains(where: { $0 === group }) else { continue }
      groups.append(group)
      group.writer.removeAll()
      group.dialect.write(event, to: &group.writer)
      byteCount += group.writer.bytes.count
    }
    delivery.makeDirectRoom(for: byteCount)
    for group in groups where group.writer.count > 0 {
      let bytes = delivery.appendDirect(group.writer.bytes)
      var range = DirectRange(bytes: bytes, frameCount: group.writer.count)
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
    delivery.send(group.writer.bytes, to: slot)
  }
}
