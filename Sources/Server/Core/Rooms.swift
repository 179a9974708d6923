// Rooms as a connection knows them: what it asks for, and what it is in.
//
// A shard knows its own connections' rooms. Who is in a room over all shards its home shard knows,
// and answers every question about it by mailbox; with one shard that is this shard's own mailbox.
// A client may ask for a room and leave it again before the first answer is there: answers come in
// the order of the questions, and what the client wanted last is what holds when none is awaited
// any more. Until then nothing that is said in the room reaches it.

internal import Broadcast
internal import Notifications
internal import Wire

/// Who may enter which room.
package enum RoomPolicy: String, Sendable {
  /// Anybody any room.
  case open
  /// Only rooms that the claim `rooms` of the token names.
  case claimed
}

/// The rooms of one connection.
///
/// Invariant: `names` has each room once, those the client is in and those that an answer is
/// awaited for.
final class Membership {
  struct Entry {
    let name: RoomName
    /// Whether the client wants to be in it.
    var isWanted = true
    /// Whether it hears what is said in it.
    var isInside = false
    /// Whether the home had let it in when it last answered.
    var isEntered = false
    /// Answers that are awaited, and how many of them say whether it is let in.
    var awaited = 0
    var entering = 0
  }

  var entries: [Entry] = []
  /// What the token's claim names; nil when every room may be entered.
  var allowed: [String]?

  func index(of name: RoomName) -> Int? {
    entries.firstIndex { TextKey($0.name) == TextKey(name) }
  }

  func mayEnter(_ name: RoomName) -> Bool {
    allowed.map { RoomPattern.matches($0, name) } ?? true
  }
}

extension Shard {
  /// Rooms that a query may name.
  private static let namedRoomsLimit = 128
  /// What a room is told with when it cannot be had.
  private static let notInRoom = ("not_in_room", "you are not in this room")

  /// The names of the rooms that the connection at `slot` hears.
  func rooms(at slot: UInt32) -> [RoomName] {
    table[slot].membership?.entries.filter(\.isInside).map(\.name) ?? []
  }

  /// The rooms that `rooms=` in a query names, parted by commas, for a session to begin in.
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

  /// Refuses a caller whose token does not name all of `rooms`, where it has to.
  func mayEnter(_ rooms: [RoomName], _ caller: Caller) throws(Refusal) {
    guard core.configuration.roomPolicy == .claimed else { return }
    // guard: query-rooms-in-token
    guard rooms.allSatisfy({ RoomPattern.matches(caller.rooms, $0) }) else {
      metrics.add(.roomsRefused)
      throw Refusal(403, "forbidden", "the token does not name all of these rooms")
    }
  }

  /// Takes over what a token says of rooms, when the session begins and when a fresh one comes.
  func setClaimedRooms(_ claimed: [String], at slot: UInt32) {
    guard core.configuration.roomPolicy == .claimed else { return }
    let membership = table[slot].membership ?? Membership()
    table[slot].membership = membership
    membership.allowed = claimed
    for entry in membership.entries where entry.isWanted && !membership.mayEnter(entry.name) {
      leave(entry.name, at: slot)
      guard table.contains(slot), table[slot].state == .session else { return }
    }
  }

  /// The client asks to be in a room.
  func join(_ name: RoomName, at slot: UInt32) {
    // Nothing is said to it before it is told where it stands.
    if table[slot].flags.contains(.handshakePending), let replay = table[slot].task as? Replay {
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

  /// The client asks to be in a room no longer.
  func leave(_ name: RoomName, at slot: UInt32) {
    (table[slot].task as? Replay)?.rooms.removeAll { TextKey($0) == TextKey(name) }
    // What was said before is heard; whoever that ends has left all rooms.
    // guard: leaving-member-gets-earlier-messages
    guard materializeRoomBatch(for: slot) else { return }
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

  /// The client says that it types in a room, or has stopped.
  func type(_ isTyping: Bool, in name: RoomName, at slot: UInt32) {
    guard let membership = table[slot].membership, let index = membership.index(of: name),
      membership.entries[index].isInside
    else {
      return sendError(Shard.notInRoom.0, Shard.notInRoom.1, at: slot)
    }
    ask(.type(isTyping), name, at: slot)
  }

  /// The client says how its user wants to be seen.
  func setStatus(_ status: PresenceStatus, at slot: UInt32) {
    tell(.set(status, answerTo: nil), ownerOf: table[slot].user)
  }

  /// Takes the connection at `slot` out of all rooms: it ends.
  func leaveRooms(_ slot: UInt32) {
    // guard: ending-connection-gets-no-batch
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

  /// Takes the answer of a room's home.
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
      // Not where it has left since and asked again: then the next answer decides.
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
    if table[slot].flags.contains(.handshakePending) { return }
    sendError("too_many_rooms", "the server has as many rooms as it may have", at: slot)
  }

  /// One answer fewer is awaited; after the last what the client wants holds.
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
    let room = rooms[TextKey(name)] ?? LocalRoom(name: name, groupCount: fanOutGroups.all.count)
    // A burst is for those who were there when it was said.
    // guard: entering-member-gets-no-earlier-messages
    if pendingRoomBatch?.room === room { materializeRoomBatch() }
    rooms[TextKey(name)] = room
    room.insert(slot, group: table[slot].group)
    tell(.entered(name), ownerOf: table[slot].user)
  }

  private func step(
    outOf index: Int, of membership: Membership, isEnding: Bool, at slot: UInt32
  ) {
    guard membership.entries[index].isInside else { return }
    let name = membership.entries[index].name
    membership.entries[index].isInside = false
    guard let room = rooms[TextKey(name)] else { return }
    room.remove(slot, group: table[slot].group)
    if room.members.isEmpty { rooms[TextKey(name)] = nil }
    tell(.exited(name, isEnding: isEnding), ownerOf: table[slot].user)
  }

  private func ask(_ question: RoomQuestion, _ name: RoomName, at slot: UInt32) {
    ask(question, name, of: table[slot].user, at: slot)
  }

  /// Asks the home of a room for the session or the request at `slot`.
  func ask(_ question: RoomQuestion, _ name: RoomName, of user: UserID, at slot: UInt32) {
    core.mailboxes[core.ownerShard(of: name)].append(
      .room(question, name, user, shardConnectionID(of: slot)))
  }

  /// Tells the home shard of `user` what a connection of the user did.
  func tell(_ note: PresenceNote, ownerOf user: UserID) {
    core.mailboxes[core.ownerShard(of: user)].append(.presence(note, user))
  }

  // MARK: Telling the client

  private func tell(
    _ entries: [Roster.Entry], of name: RoomName, isJoined: Bool, at slot: UInt32
  ) {
    // A client that comes back knows where it was.
    if table[slot].flags.contains(.handshakePending) { return }
    let group = fanOutGroups[table[slot].group]
    group.writer.removeAll()
    group.dialect.write(
      RoomNews(room: name, members: entries.map(\.user), isJoined: isJoined), time: wall,
      to: &group.writer)
    // Those who are there and want to be seen otherwise: whoever comes later was not told.
    for entry in entries where isJoined && entry.status != .online {
      let update = PresenceUpdate(user: entry.user, status: entry.status)
      guard !(TextKey(entry.user) == TextKey(table[slot].user)) else { continue }
      group.dialect.write(
        Event(audience: .user(table[slot].user), body: .presence(update), timestamp: wall),
        to: &group.writer)
    }
    send(group.writer.bytes, to: slot)
  }

  /// Tells the client what is wrong with what it asked, in a dialect that has a word for it.
  func sendError(_ code: String, _ message: String, at slot: UInt32) {
    let group = fanOutGroups[table[slot].group]
    group.writer.removeAll()
    group.dialect.writeError(code, message, time: wall, to: &group.writer)
    send(group.writer.bytes, to: slot)
  }
}
