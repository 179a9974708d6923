// Fan-out: an event is encoded once for each fan-out group, and queued for its audience.

internal import Delivery
internal import Notifications
internal import Wire

/// The range of the direct log with one group's frames of an event, and their number.
private struct DirectRange {
  let bytes: Range<UInt64>
  let frameCount: Int
  /// The offset of the event's notification, if the group's sessions keep it.
  var position: UInt64?
}

/// Delivers events to the sessions and polls of a shard.
///
/// Invariant: the members of an audience get its events in the order of the ring. One that replays,
/// or that is not greeted, gets an event of the store once: now, or from its next read. The members
/// of a fan-out group are the greeted sessions of users, and those that watch the metrics.
final class FanOut: ShardComponent {
  let context: ShardContext
  private let users: Users
  private let rooms: Rooms
  private let reads: SessionReads
  private let polls: Polls
  /// Slots of one event's user; kept between events to reuse its memory.
  private var slots: [UInt32] = []

  init(
    _ context: ShardContext, _ users: Users, _ rooms: Rooms, _ reads: SessionReads, _ polls: Polls
  ) {
    self.context = context
    self.users = users
    self.rooms = rooms
    self.reads = reads
    self.polls = polls
  }

  /// Traps in a debug build when a session gets events without being greeted, or the reverse.
  func checkInvariants() {
    table.forEachSlot { slot in
      guard table[slot].state == .session else { return }
      let kind = encoder(of: slot).kind
      let isListed = table[slot].flags.contains(.listed)
      assert(isListed == (kind == .withCursors || kind == .withoutCursors), "\(slot) is \(kind)")
      let isGreeted = isListed && !delivery[slot].flags.contains(.handshakePending)
      assert(
        delivery.isMember(slot) == (isGreeted || kind == .watcher),
        "\(slot) is greeted and gets no events, or gets them before")
    }
  }

  /// Delivers `event` to its audience on this shard.
  func deliver(_ event: Event) {
    let framesBefore = metrics.value(.framesDelivered)
    pass(event)
    if let takenAt = event.takenAt, metrics.value(.framesDelivered) != framesBefore {
      delivery.awaitFlush(takenAt: takenAt)
    }
  }

  private func pass(_ event: Event) {
    if let offset = event.offset { reads.noteApplied(through: offset) }
    switch event.audience {
    case .everyone:
      switch event.body {
      // The shard takes probes, which have no audience.
      case .probe: break
      case .storedForEveryone, .expiredForEveryone: catchUp(event)
      default: broadcast(event)
      }
    case .user(let user):
      deliver(event, toUser: user)
    case .users(let users):
      for user in users { deliver(event, toUser: user) }
    case .room(let room, let user):
      switch rooms.recipients(of: event, in: room, except: user, among: users) {
      case .members(let members): deliver(event, to: members)
      case .slots(let slots): deliver(event, to: slots)
      case nil: break
      }
    }
  }

  /// Brings all sessions up to date after a notification for everyone was stored or expired.
  private func catchUp(_ event: Event) {
    guard let offset = event.offset else { return }
    table.forEachSlot { slot in
      switch table[slot].state {
      // Only listed sessions, which have a user. A session that still awaits its token would read
      // without one, and the user that it gets later would be sent that result.
      case .session where table[slot].flags.contains(.listed):
        reads.catchUp(event, offset, at: slot)
      case .http:
        polls.wake(event, at: slot)
      case .session, .free, .closing, .lingering, .ended:
        break
      }
    }
  }

  private func broadcast(_ event: Event) {
    delivery.materializeBatch()
    for id in delivery.occupiedGroups {
      let encoder = fanOutGroups[id]
      encoder.encode(event)
      guard encoder.writer.count > 0 else { continue }
      delivery.append(encoder.writer.bytes, to: id)
      metrics.add(.framesDelivered, delivery.memberCount(of: id) * encoder.writer.count)
    }
  }

  /// Delivers `event` to all members of a room on this shard.
  private func deliver(_ event: Event, to members: SlotList) {
    for encoder in fanOutGroups.all where members.count(in: encoder.id) > 0 {
      encoder.encode(event)
      guard encoder.writer.count > 0 else { continue }
      delivery.append(encoder.writer.bytes, to: encoder.id, of: members)
      metrics.add(.framesDelivered, members.count(in: encoder.id) * encoder.writer.count)
    }
  }

  private func deliver(_ event: Event, toUser user: UserID) {
    guard users.isConnected(user) else { return }
    // A copy, because a poll that is answered leaves the directory.
    slots.removeAll(keepingCapacity: true)
    users.forEachSlot(of: user) { slots.append($0) }
    deliver(event, to: slots)
  }

  /// Delivers `event` to the sessions and waiting polls at `slots`.
  func deliver(_ event: Event, to slots: [UInt32]) {
    let written = writeDirect(event, for: slots)
    for slot in slots {
      guard table[slot].state == .session else {
        polls.wake(event, at: slot)
        continue
      }
      guard reads.admits(event, at: slot) else { continue }
      guard let range = written[delivery[slot].group.index] else { continue }
      delivery.queueDirect(range.bytes, at: slot)
      metrics.add(.framesDelivered, range.frameCount)
      if let position = range.position {
        table[slot].engineLink.socketIO?.keepPosition(position, at: slot)
      }
    }
  }

  /// Appends `event` to the direct log, once for each group of the sessions at `slots`.
  ///
  /// Returns the range for each group: nil if no session is in the group, or if its dialect has no
  /// frame for the event.
  private func writeDirect(_ event: Event, for slots: [UInt32]) -> [DirectRange?] {
    var written = [DirectRange?](repeating: nil, count: fanOutGroups.all.count)
    var encoders: [GroupEncoder] = []
    var byteCount = 0
    for slot in slots where table[slot].state == .session {
      let encoder = encoder(of: slot)
      guard !encoders.contains(where: { $0 === encoder }) else { continue }
      encoders.append(encoder)
      encoder.encode(event)
      byteCount += encoder.writer.bytes.count
    }
    delivery.makeDirectRoom(for: byteCount)
    for encoder in encoders where encoder.writer.count > 0 {
      let bytes = delivery.appendDirect(encoder.writer.bytes)
      var range = DirectRange(bytes: bytes, frameCount: encoder.writer.count)
      if encoder.keepsPositions, case .stored(let notification, _) = event.body {
        range.position = notification.offset
      }
      written[encoder.id.index] = range
    }
    return written
  }
}
