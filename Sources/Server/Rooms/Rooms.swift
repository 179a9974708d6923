// The rooms of a connection: those it requested and those it is in.
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

/// The rooms that a client may enter.
package enum RoomPolicy: String, Sendable {
  /// Any client may enter any room.
  case open
  /// A client may enter only rooms that the claim `rooms` of its token names.
  case claimed
}

/// The rooms of one connection.
///
/// Invariant: `entries` has each room once: the rooms that the client is in and those with an
/// outstanding reply.
final class Membership {
  struct Entry {
    let name: RoomName
    /// Whether the client's last request was to be in it.
    var isWanted = true
    /// Whether the connection gets the room's messages.
    var isInside = false
    /// Whether the connection was a member at the owner shard's last reply.
    var isEntered = false
    /// Replies outstanding in all, and those to `enter` among them.
    var awaited = 0
    var entering = 0
  }

  var entries: [Entry] = []
  /// Patterns of the token's claim `rooms`; nil when every room may be entered.
  var allowed: [String]?
  /// Rooms beyond these that an embedding program put the connection into.
  private var granted: [RoomName] = []

  func index(of name: RoomName) -> Int? {
    entries.firstIndex { TextKey($0.name) == TextKey(name) }
  }

  func mayEnter(_ name: RoomName) -> Bool {
    allowed.map { RoomPattern.matches($0, name) || isGranted(name) } ?? true
  }

  /// Allows a room that the token does not name, for at most `limit` such rooms.
  func grant(_ name: RoomName, limit: Int) {
    if !mayEnter(name), granted.count < limit { granted.append(name) }
  }

  /// Takes back a room that `grant` allowed.
  func revoke(_ name: RoomName) { granted.removeAll { TextKey($0) == TextKey(name) } }

  /// Whether the last request was to be in the room.
  func isWanted(_ name: RoomName) -> Bool { index(of: name).map { entries[$0].isWanted } ?? false }

  private func isGranted(_ name: RoomName) -> Bool {
    granted.contains { TextKey($0) == TextKey(name) }
  }
}

extension Shard {
  /// Rooms that a query may name.
  static let namedRoomsLimit = 128
  /// Code and message of the error for a request about a room that the client is not in.
  private static let notInRoom = ("not_in_room", "you are not in this room")

  /// The names of the rooms that the connection at `slot` is in.
  func rooms(at slot: UInt32) -> [RoomName] {
    table[slot].membership?.entries.filter(\.isInside).map(\.name) ?? []
  }

  /// Parses `rooms=` of a query: the rooms to join at the session's start, separated by commas.
  static func rooms(
    in query: QueryString, for dialect: any Dialect
  ) throws(Refusal) -> [RoomName] {
    guard dialect.supportsRooms, let text = query["rooms"], !text.isEmpty else { return [] }
    // By bytes: as Characters, a comma would merge with a combining mark after it.
    let names = text.utf8.split(
      separator: UInt8(ascii: ","), maxSplits: namedRoomsLimit, omittingEmptySubsequences: false
    ).map { String(Substring($0)) }
    guard names.count <= namedRoomsLimit else {
      throw .malformed("rooms: at most \(namedRoomsLimit)")
    }
    guard names.allSatisfy({ RoomNames.isValid($0) }) else {
      throw .malformed("rooms: each 1 to \(RoomNames.byteCountLimit) bytes, none empty")
    }
    return names
  }

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

  /// Handles the client's request to join a room.
  func join(_ name: RoomName, at slot: UInt32) {
    // The greeting comes first: until then the replay keeps the name.
    if delivery[slot].flags.contains(.handshakePending), let replay = table[slot].activity.replay {
      return replay.hold(name, limit: core.configuration.limits.roomsPerConnectionLimit)
    }
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
      return ask(isNew ? .enter : .look, name, at: slot)
    }
    let limit = core.configuration.limits.roomsPerConnectionLimit
    // guard: rooms-per-connection
    guard membership.entries.count < limit else {
      metrics.add(.roomsRefused)
      return sendError("too_many_rooms", "a connection is in at most \(limit) rooms", at: slot)
    }
    membership.entries.append(Membership.Entry(name: name, awaited: 1, entering: 1))
    table[slot].membership = membership
    ask(.enter, name, at: slot)
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
      return sendError(Shard.notInRoom.0, Shard.notInRoom.1, at: slot)
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
      return sendError(Shard.notInRoom.0, Shard.notInRoom.1, at: slot)
    }
    ask(.type(isTyping), name, at: slot)
  }

  /// Handles the client's request to set its user's status.
  func setStatus(_ status: PresenceStatus, at slot: UInt32) {
    tell(.set(status, answerTo: nil), ownerOf: table[slot].user)
  }

  /// Takes the ending connection at `slot` out of all rooms.
  func leaveRooms(_ slot: UInt32) {
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

  /// Handles a reply of a room's owner shard.
  func take(_ answer: RoomAnswer, of name: RoomName, at slot: UInt32) {
    if table[slot].state == .http { return finishRequest(answer, at: slot) }
    guard table[slot].state == .session, let membership = table[slot].membership,
      let index = membership.index(of: name)
    else { return }
    switch answer {
    case .entered(let entries):
      membership.entries[index].entering -= 1
      membership.entries[index].isEntered = true
      settle(index, of: membership, at: slot)
      tell(entries, of: name, isJoined: true, at: slot)
    case .seen(let entries):
      let isEntered = membership.entries[index].isEntered
      settle(index, of: membership, at: slot)
      // guard: refused-room-not-entered
      if isEntered { tell(entries, of: name, isJoined: true, at: slot) } else { sendFull(slot) }
    case .left(let entries):
      membership.entries[index].isEntered = false
      settle(index, of: membership, at: slot)
      tell(entries, of: name, isJoined: false, at: slot)
    case .full:
      membership.entries[index].entering -= 1
      // If the client has left and requested the room again, the next reply decides.
      // guard: last-answer-decides-room
      if membership.entries[index].entering == 0 { membership.entries[index].isWanted = false }
      settle(index, of: membership, at: slot)
      metrics.add(.roomsRefused)
      sendFull(slot)
    case .typed, .notInRoom:
      break
    }
  }

  private func sendFull(_ slot: UInt32) {
    if delivery[slot].flags.contains(.handshakePending) { return }
    sendError("too_many_rooms", "the server has reached its room limit", at: slot)
  }

  /// Counts one reply; after the last outstanding one, applies the client's last request.
  private func settle(_ index: Int, of membership: Membership, at slot: UInt32) {
    membership.entries[index].awaited -= 1
    guard membership.entries[index].awaited == 0 else { return }
    if membership.entries[index].isWanted {
      step(into: index, of: membership, at: slot)
    } else {
      membership.entries.remove(at: index)
      if membership.entries.isEmpty, membership.allowed == nil { table[slot].membership = nil }
    }
    if table[slot].engine != nil { roomsChanged(at: slot) }
  }

  private func step(into index: Int, of membership: Membership, at slot: UInt32) {
    guard !membership.entries[index].isInside else { return }
    let name = membership.entries[index].name
    membership.entries[index].isInside = true
    let room =
      rooms[TextKey(name)]
      ?? LocalRoom(
        name: name, members: SlotList(groupCount: fanOutGroups.all.count))
    // The pending batch is only for connections that were members when it was published.
    // guard: entering-member-gets-no-earlier-messages
    delivery.materializeBatch(of: room.members)
    rooms[TextKey(name)] = room
    room.members.insert(slot, group: delivery[slot].group)
    tell(.entered(name), ownerOf: table[slot].user)
  }

  private func step(
    outOf index: Int, of membership: Membership, isEnding: Bool, at slot: UInt32
  ) {
    guard membership.entries[index].isInside else { return }
    let name = membership.entries[index].name
    membership.entries[index].isInside = false
    guard let room = rooms[TextKey(name)] else { return }
    room.members.remove(slot, group: delivery[slot].group)
    if room.members.slots.isEmpty { rooms[TextKey(name)] = nil }
    tell(.exited(name, isEnding: isEnding), ownerOf: table[slot].user)
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
  func tell(_ note: PresenceNote, ownerOf user: UserID) {
    core.mailboxes[core.ownerShard(of: user)].append(.presence(note, user))
  }

  // MARK: Messages to the client

  private func tell(
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

  /// Sends the client an error about its request, in dialects that have an error message.
  func sendError(_ code: String, _ message: String, at slot: UInt32) {
    let encoder = encoder(of: slot)
    encoder.writer.removeAll()
    encoder.dialect.writeError(code, message, time: wall, to: &encoder.writer)
    delivery.send(encoder.writer.bytes, to: slot)
  }
}
