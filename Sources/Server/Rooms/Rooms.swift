// The rooms of a shard: those that its connections are in, and those that it owns.
//
// A shard knows the rooms of its own connections. The members of a room over all shards are known
// to its owner shard, which replies to every request by mailbox; with one shard that is this
// shard's own mailbox. A client may request a room and leave it again before the first reply.
// Replies come in the order of the requests, and the client's last request takes effect when no
// reply is outstanding. Until then the client gets no message of the room.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Wire

/// The members of a room on one shard.
private struct LocalRoom {
  let name: RoomName
  let members: SlotList
}

/// The recipients of a room's event on one shard.
enum RoomRecipients {
  /// All members.
  case members(SlotList)
  case slots([UInt32])
}

/// The rooms of a shard.
///
/// Invariant: `local` has a room exactly while a connection of this shard is in it; its members are
/// the connections with an entry that is inside.
final class Rooms: ShardComponent {
  /// Code and message of the error for a request about a room that the client is not in.
  private static let notInRoom = ("not_in_room", "you are not in this room")

  let context: ShardContext
  private let admission: AdmissionControl
  private let recorder: EventRecorder
  private var local: [TextKey: LocalRoom] = [:]
  private let owner: RoomOwner
  private var receipts = PresenceReceipts()

  init(_ context: ShardContext, _ admission: AdmissionControl, _ recorder: EventRecorder) {
    self.context = context
    self.admission = admission
    self.recorder = recorder
    let limits = context.core.configuration.limits
    owner = RoomOwner(
      roomsLimit: max(1, limits.roomsLimit / context.core.mailboxes.count),
      presenceMembersLimit: limits.presenceMembersLimit, shares: context.core.quotas.roomShares)
  }

  /// Traps in a debug build when a room has other members than its connections say.
  func checkInvariants() {
    owner.checkInvariants()
    for room in local.values {
      assert(!room.members.slots.isEmpty, "a room without members is kept")
      for slot in room.members.slots {
        let entry = table[slot].membership.flatMap { membership in
          membership.index(of: room.name).map { membership.entries[$0] }
        }
        assert(table.isOpen(slot) && entry?.isInside == true, "\(slot) is not in its room")
      }
    }
    table.forEachSlot { slot in
      for name in names(at: slot) {
        assert(
          local[TextKey(name)]?.members.slots.contains(slot) == true,
          "the room of \(slot) does not have it")
      }
    }
  }

  /// The names of the rooms that the connection at `slot` is in.
  func names(at slot: UInt32) -> [RoomName] {
    table[slot].membership?.entries.filter(\.isInside).map(\.name) ?? []
  }

  // MARK: Messages of a room

  /// The connections of this shard that get an event of a room; nil if none is in it.
  ///
  /// `user` is a user that does not get it, or nil.
  func recipients(
    of event: Event, in name: RoomName, except user: UserID?, among users: Users
  ) -> RoomRecipients? {
    guard let room = local[TextKey(name)] else { return nil }
    let own = user.map { users.slots(of: $0) } ?? []
    if case .presence(let update) = event.body, update.updateID != 0 {
      let missing = receipts.missing(update.updateID, among: room.members.slots)
      return .slots(Rooms.slots(missing, without: own))
    }
    if own.contains(where: room.members.contains) {
      return .slots(Rooms.slots(room.members.slots, without: own))
    }
    return .members(room.members)
  }

  /// A set, because one user may have as many connections as a room has members.
  private static func slots(_ slots: [UInt32], without own: [UInt32]) -> [UInt32] {
    let own = Set(own)
    return slots.filter { !own.contains($0) }
  }

  /// Moves a member of rooms to another fan-out group, before `delivery` does.
  func move(_ slot: UInt32, to group: FanOutGroupID) {
    for name in names(at: slot) {
      local[TextKey(name)]?.members.remove(slot, group: delivery[slot].group)
      local[TextKey(name)]?.members.insert(slot, group: group)
    }
  }

  // MARK: Requests of clients

  /// Refuses a caller whose token does not name all of `rooms`, if the policy is `claimed`.
  func mayEnter(_ rooms: [RoomName], _ caller: Caller) throws(Refusal) {
    guard core.configuration.roomPolicy == .claimed else { return }
    // guard: query-rooms-in-token
    guard rooms.allSatisfy({ RoomPattern.matches(caller.rooms, $0) }) else {
      metrics.add(.roomsRefused)
      throw Refusal(403, "forbidden", "the token does not name all of these rooms")
    }
  }

  /// Applies the room claim of a token, at the session's start and at each token refresh.
  ///
  /// The connection leaves the rooms that the new claim does not name.
  func setClaimedRooms(_ claimed: [String], at slot: UInt32) {
    guard core.configuration.roomPolicy == .claimed else { return }
    let membership = table[slot].membership ?? Membership()
    table[slot].membership = membership
    membership.allowed = claimed
    for entry in membership.entries where entry.isWanted && !membership.mayEnter(entry.name) {
      leave(entry.name, at: slot)
    }
  }

  /// Handles the client's request to join a room, or that of an embedding program for it.
  ///
  /// A room that the program has the client open does not count for its user.
  func join(_ name: RoomName, at slot: UInt32, isOfProgram: Bool = false) {
    // Nothing would take a connection out that is closing; its read may have been refused.
    // guard: closing-session-joins-nothing
    guard table[slot].state == .session else { return }
    // The greeting comes first: until then the replay keeps the name.
    if delivery[slot].flags.contains(.handshakePending), let replay = table[slot].activity.replay {
      return replay.hold(name, limit: limits.roomsPerConnectionLimit)
    }
    let isCounted = !isOfProgram && core.quotas.countsRooms(isLocal: admission.isLocal(slot))
    let enter: RoomQuestion = isCounted ? .enter : .enterUncounted
    let membership = table[slot].membership ?? Membership()
    // guard: requested-rooms-in-token
    guard membership.mayEnter(name) else {
      metrics.add(.roomsRefused)
      return sendError("forbidden", "your token does not name this room", at: slot)
    }
    if let index = membership.index(of: name) {
      let isNew = !membership.entries[index].isWanted
      membership.entries[index].isWanted = true
      membership.entries[index].awaited += 1
      if isNew { membership.entries[index].entering += 1 }
      return ask(isNew ? enter : .look, name, at: slot)
    }
    let limit = limits.roomsPerConnectionLimit
    // guard: rooms-per-connection
    guard membership.entries.count < limit else {
      metrics.add(.roomsRefused)
      return sendError("too_many_rooms", "a connection is in at most \(limit) rooms", at: slot)
    }
    membership.entries.append(Membership.Entry(name: name, awaited: 1, entering: 1))
    table[slot].membership = membership
    ask(enter, name, at: slot)
  }

  /// Handles the client's request to leave a room.
  func leave(_ name: RoomName, at slot: UInt32) {
    table[slot].activity.replay?.rooms.removeAll { TextKey($0) == TextKey(name) }
    // Earlier messages still go to this member.
    // guard: leaving-member-gets-earlier-messages
    delivery.materializeBatch(for: slot)
    guard let membership = table[slot].membership, let index = membership.index(of: name),
      membership.entries[index].isWanted
    else {
      return sendError(Rooms.notInRoom.0, Rooms.notInRoom.1, at: slot)
    }
    membership.entries[index].isWanted = false
    membership.entries[index].awaited += 1
    step(outOf: index, of: membership, isEnding: false, at: slot)
    ask(.leave, name, at: slot)
  }

  /// Handles the client's message that it is typing in a room, or has stopped.
  func type(_ isTyping: Bool, in name: RoomName, at slot: UInt32) {
    guard let membership = table[slot].membership, let index = membership.index(of: name),
      membership.entries[index].isInside
    else {
      return sendError(Rooms.notInRoom.0, Rooms.notInRoom.1, at: slot)
    }
    ask(.type(isTyping), name, at: slot)
  }

  /// Handles the client's request to set its user's status.
  func setStatus(_ status: PresenceStatus, at slot: UInt32) {
    notify(ownerOf: table[slot].user, .set(status, answerTo: nil))
  }

  /// Takes the ending connection at `slot` out of all rooms.
  func leaveAll(_ slot: UInt32) {
    guard let membership = table[slot].membership else { return }
    for index in membership.entries.indices {
      step(outOf: index, of: membership, isEnding: true, at: slot)
      if membership.entries[index].isWanted {
        ask(.abandon, membership.entries[index].name, at: slot)
      }
    }
    table[slot].membership = nil
  }

  // MARK: Answers

  /// Handles a reply of a room's owner shard to the session at `slot`.
  ///
  /// - Returns: whether the rooms of the session may have changed.
  func take(_ answer: RoomAnswer, of name: RoomName, at slot: UInt32) -> Bool {
    guard table[slot].state == .session, let membership = table[slot].membership,
      let index = membership.index(of: name)
    else { return false }
    var isSettled = false
    switch answer {
    case .entered(let entries):
      membership.entries[index].entering -= 1
      membership.entries[index].isEntered = true
      isSettled = settle(index, of: membership, at: slot)
      send(entries, of: name, isJoined: true, at: slot)
    case .seen(let entries):
      let entry = membership.entries[index]
      isSettled = settle(index, of: membership, at: slot)
      // guard: refused-room-not-entered
      if entry.isEntered {
        send(entries, of: name, isJoined: true, at: slot)
      } else {
        sendRefusal(isOfShare: entry.isShareUsed, at: slot)
      }
    case .left(let entries):
      membership.entries[index].isEntered = false
      isSettled = settle(index, of: membership, at: slot)
      send(entries, of: name, isJoined: false, at: slot)
    case .full, .shareUsed:
      var isShareUsed = false
      if case .shareUsed = answer { isShareUsed = true }
      membership.entries[index].isShareUsed = isShareUsed
      membership.entries[index].entering -= 1
      // If the client has left and requested the room again, the next reply decides.
      // guard: last-answer-decides-room
      if membership.entries[index].entering == 0 { withdraw(index, of: membership, at: slot) }
      isSettled = settle(index, of: membership, at: slot)
      metrics.add(.roomsRefused)
      sendRefusal(isOfShare: isShareUsed, at: slot)
    case .typed, .notInRoom:
      break
    }
    return isSettled
  }

  /// Withdraws the client's request for a full room.
  private func withdraw(_ index: Int, of membership: Membership, at slot: UInt32) {
    guard membership.entries[index].isWanted else { return }
    membership.entries[index].isWanted = false
    // The owner shard remembers the refusal until then.
    // guard: refusal-is-forgotten
    ask(.abandon, membership.entries[index].name, at: slot)
  }

  private func sendRefusal(isOfShare: Bool, at slot: UInt32) {
    if delivery[slot].flags.contains(.handshakePending) { return }
    let text =
      isOfShare
      ? "you opened \(core.quotas.roomLimit) rooms: leave some, or join one that has members"
      : "the server has reached its room limit"
    sendError("too_many_rooms", text, at: slot)
  }

  /// Counts one reply; after the last outstanding one, applies the client's last request.
  ///
  /// - Returns: whether it was the last one.
  private func settle(_ index: Int, of membership: Membership, at slot: UInt32) -> Bool {
    membership.entries[index].awaited -= 1
    guard membership.entries[index].awaited == 0 else { return false }
    if membership.entries[index].isWanted {
      step(into: index, of: membership, at: slot)
    } else {
      membership.entries.remove(at: index)
      if membership.entries.isEmpty, membership.allowed == nil { table[slot].membership = nil }
    }
    return true
  }

  private func step(into index: Int, of membership: Membership, at slot: UInt32) {
    guard !membership.entries[index].isInside else { return }
    let name = membership.entries[index].name
    membership.entries[index].isInside = true
    let room =
      local[TextKey(name)]
      ?? LocalRoom(
        name: name, members: SlotList(groupCount: fanOutGroups.all.count))
    // The pending batch is only for connections that were members when it was published.
    // guard: entering-member-gets-no-earlier-messages
    delivery.materializeBatch(of: room.members)
    local[TextKey(name)] = room
    room.members.insert(slot, group: delivery[slot].group)
    notify(ownerOf: table[slot].user, .entered(name))
  }

  private func step(
    outOf index: Int, of membership: Membership, isEnding: Bool, at slot: UInt32
  ) {
    guard membership.entries[index].isInside else { return }
    let name = membership.entries[index].name
    membership.entries[index].isInside = false
    guard let room = local[TextKey(name)] else { return }
    room.members.remove(slot, group: delivery[slot].group)
    if room.members.slots.isEmpty { local[TextKey(name)] = nil }
    notify(ownerOf: table[slot].user, .exited(name, isEnding: isEnding))
  }

  private func ask(_ question: RoomQuestion, _ name: RoomName, at slot: UInt32) {
    ask(question, name, of: table[slot].user, at: slot)
  }

  /// Sends a request to a room's owner shard, for the session or HTTP request at `slot`.
  func ask(_ question: RoomQuestion, _ name: RoomName, of user: UserID, at slot: UInt32) {
    core.mailboxes[core.ownerShard(of: name)].append(
      .room(question, name, user, shardConnectionID(of: slot)))
  }

  /// Sends a presence message about a connection of `user` to the user's owner shard.
  func notify(ownerOf user: UserID, _ note: PresenceNote) {
    core.mailboxes[core.ownerShard(of: user)].append(.presence(note, user))
  }

  // MARK: Messages to the client

  private func send(
    _ entries: [Roster.Entry], of name: RoomName, isJoined: Bool, at slot: UInt32
  ) {
    // A resuming client knows its rooms.
    if delivery[slot].flags.contains(.handshakePending) { return }
    let encoder = encoder(of: slot)
    encoder.writer.removeAll()
    encoder.dialect.write(
      RoomNews(room: name, members: entries.map(\.user), isJoined: isJoined), time: wall,
      to: &encoder.writer)
    // The status of members that are not simply online: a newcomer did not get those updates.
    for entry in entries where isJoined && entry.status != .online {
      let update = PresenceUpdate(user: entry.user, status: entry.status)
      guard !(TextKey(entry.user) == TextKey(table[slot].user)) else { continue }
      encoder.dialect.write(
        Event(audience: .user(table[slot].user), body: .presence(update), timestamp: wall),
        to: &encoder.writer)
    }
    delivery.send(encoder.writer.bytes, to: slot)
  }

  // MARK: Rooms that this shard owns

  /// The number of rooms.
  var ownedCount: Int { owner.roomCount }
  /// When `expire` next has work; nil when it has none.
  var nextDeadline: UInt64? { owner.nextDeadline }

  /// The first `limit` members of a room, and how many there are.
  func members(of room: RoomName, limit: Int) -> RoomMembers {
    owner.members(of: room, limit: limit)
  }

  /// Replies to a request for a room that this shard owns.
  ///
  /// - Returns: the events of the room that it causes, to be published.
  func answer(
    _ question: RoomQuestion, _ name: RoomName, _ user: UserID, to address: ShardConnectionID
  ) -> [Event] {
    let wasOccupied = owner.isOccupied(name)
    let answer = owner.answer(question, name, user, of: address, at: now)
    let isOccupied = owner.isOccupied(name)
    if isOccupied != wasOccupied { recorder.note(room: name, isOccupied: isOccupied) }
    if let answer {
      core.mailboxes[address.shard].append(.roomAnswer(address.connection, answer, name))
    }
    return takeUpdates()
  }

  /// The events that take a presence update to the members of a room that this shard owns.
  func send(_ update: PresenceUpdate, to room: RoomName, isReturn: Bool) -> [Event] {
    owner.send(update, to: room, isReturn: isReturn)
    return takeUpdates()
  }

  /// Counts an update that the ring did not take.
  ///
  /// It is sent again after a second, unless a later one was; and the user's next return goes to
  /// all.
  func noteLost(_ event: Event) {
    metrics.add(.presenceDropped)
    guard case .room(let name, _) = event.audience else { return }
    switch event.body {
    case .presence(let update): owner.noteLost(update, in: name, at: now)
    case .typing(let update): owner.noteLostTyping(update)
    default: break
    }
  }

  /// Ends the typing of members that have not renewed it, and returns the events that are due.
  func expire() -> [Event] {
    owner.expire(at: now)
    return takeUpdates()
  }

  private func takeUpdates() -> [Event] {
    let (updates, droppedCount) = owner.takeUpdates()
    metrics.add(.presenceDropped, droppedCount)
    return updates.map { update in
      Event(
        audience: .room(update.room, except: update.user), body: update.body, timestamp: wall)
    }
  }

  // MARK: Asked by tests only

  /// The members that are typing.
  var typingEntryCount: Int { owner.typingEntryCount }
  /// The members whose typing was sent within the last second.
  var typingWindowCount: Int { owner.typingWindowCount }
  /// The refusals that are remembered.
  var refusedEntryCount: Int { owner.refusedEntryCount }
  /// The user for which each room counts, if it counts for one.
  var roomHolders: [TextKey: UserID] { owner.roomHolders }
  /// The members of each room.
  var members: [TextKey: [UserID]] { owner.members }
}
