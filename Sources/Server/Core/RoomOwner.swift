// Owner shards: the state of a room, or of a user, over all shards.
//
// Each room and each user has an owner shard, chosen by a hash of its name. The owner of a room
// counts the members and keeps the typing entries; the owner of a user keeps the user's presence.
// All input comes by mailbox, in the order in which each shard sent it, and updates go out by the
// ring.

internal import Broadcast
internal import Notifications

/// A request of a connection to a room's owner shard.
enum RoomQuestion: Sendable {
  case enter, leave
  /// Asks for the members of a room that the connection already requested.
  case look
  case type(Bool)
  /// The connection has ended; no answer.
  case abandon
}

/// The reply of a room's owner shard.
enum RoomAnswer: Sendable {
  case entered([Roster.Entry])
  /// The members, in reply to `look`.
  case seen([Roster.Entry])
  case left([Roster.Entry])
  /// The owner shard has as many rooms as its share of `roomsLimit`.
  case full
  case typed
  case notInRoom
}

/// A message to a user's owner shard.
enum PresenceNote: Sendable {
  case entered(RoomName)
  case exited(RoomName, isEnding: Bool)
  /// A connection in `answerTo` gets a reply: whether the user is connected.
  case set(PresenceStatus, answerTo: ShardConnectionID?)
}

/// A member that is typing in a room, due when its typing expires.
struct TypingEntry: Sendable {
  let room: RoomName
  let user: UserID
}

extension Shard {
  /// Time after which a member counts as no longer typing unless it renews.
  private static let typingMilliseconds: UInt64 = 5_000
  /// Time within which a renewal is ignored, also after a stop.
  ///
  /// Otherwise a client could fill the deadline queue with renewals.
  private static let typingRenewalMilliseconds: UInt64 = 500
  /// Deadlines of the owner shard wake the thread at most once in this time.
  private static let ownerStepMilliseconds: UInt64 = 100
  /// Members listed in a reply to `enter`, `look` or `leave`.
  static let namedMembersLimit = 100
  /// Time from the end of a user's last connection until the user is offline.
  static let graceMilliseconds: UInt64 = 3_000

  /// Replies to a request for a room that this shard owns.
  func answer(
    _ question: RoomQuestion, _ name: RoomName, _ user: UserID, to address: ShardConnectionID
  ) {
    switch question {
    case .enter:
      let share = core.configuration.limits.roomsLimit / core.mailboxes.count
      // guard: rooms-of-server
      guard rosters[TextKey(name)] != nil || rosters.count < max(1, share) else {
        return reply(.full, name, to: address)
      }
      rosters[TextKey(name), default: Roster()].enter(user)
      reply(.entered(named(name)), name, to: address)
    case .look:
      reply(.seen(named(name)), name, to: address)
    case .leave:
      exit(user, from: name)
      reply(.left(named(name)), name, to: address)
    case .abandon:
      exit(user, from: name)
    case .type(let isTyping):
      guard rosters[TextKey(name)]?.contains(user) == true else {
        return reply(.notInRoom, name, to: address)
      }
      setTyping(isTyping, user, in: name)
      reply(.typed, name, to: address)
    }
  }

  private func named(_ name: RoomName) -> [Roster.Entry] {
    rosters[TextKey(name)]?.entries(limit: Shard.namedMembersLimit) ?? []
  }

  private func reply(_ answer: RoomAnswer, _ name: RoomName, to address: ShardConnectionID) {
    core.mailboxes[address.shard].append(
      .roomAnswer(address.connection, answer, name))
  }

  private func exit(_ user: UserID, from name: RoomName) {
    guard rosters[TextKey(name)]?.contains(user) == true else { return }
    let isTyping = rosters[TextKey(name)]?.typingEnd(of: user) != nil
    let isGone = rosters[TextKey(name)]?.exit(user) == true
    if isGone, isTyping { sendTyping(false, user, in: name) }
    if rosters[TextKey(name)]?.isEmpty == true { rosters[TextKey(name)] = nil }
  }

  private func setTyping(_ isTyping: Bool, _ user: UserID, in name: RoomName) {
    var until = isTyping ? now + Shard.typingMilliseconds : nil
    if let latest = until, let watched = rosters[TextKey(name)]?.watchEnd(of: user) {
      // guard: typing-renewal
      if latest < watched + Shard.typingRenewalMilliseconds {
        // The entry that is due at `watched` is already in the queue.
        until = watched
      } else {
        typingEntries.append(TypingEntry(room: name, user: user), at: latest)
      }
    }
    if rosters[TextKey(name)]?.setTyping(user, until: until) == true {
      sendTyping(isTyping, user, in: name)
    }
  }

  private func sendTyping(_ isTyping: Bool, _ user: UserID, in name: RoomName) {
    let update = TypingUpdate(room: name, user: user, isTyping: isTyping)
    tell(.typing(update), in: name, except: user)
  }

  /// Sends a presence update to the members of a room that this shard owns.
  func tell(_ update: PresenceUpdate, in name: RoomName) {
    // Members that enter later get the status from the roster.
    rosters[TextKey(name)]?.set(update.status, of: update.user)
    tell(.presence(update), in: name, except: update.user)
  }

  /// Publishes a member's typing or presence, unless the room exceeds `presenceMembersLimit`.
  private func tell(_ body: Event.Body, in name: RoomName, except user: UserID) {
    let limit = core.configuration.limits.presenceMembersLimit
    guard let count = rosters[TextKey(name)]?.count, count <= limit,
      offer(Event(audience: .room(name, except: user), body: body, timestamp: wall))
    else { return metrics.add(.presenceDropped) }
  }

  /// Handles a presence message about a user that this shard owns.
  func take(_ note: PresenceNote, of user: UserID) {
    switch note {
    case .entered(let room):
      tell(presence.entered(room, user))
    case .exited(let room, let isEnding):
      presence.exited(room, user, isEnding: isEnding, at: now)
    case .set(let status, let address):
      let isConnected = isHere(user)
      if let address {
        core.mailboxes[address.shard].append(
          .roomAnswer(address.connection, isConnected ? .typed : .notInRoom, ""))
      }
      // Keep no status for a user without connections: nothing would remove it.
      if isConnected { tell(presence.set(status, of: user, at: now)) }
    }
  }

  /// Whether a user that this shard owns is connected to any shard, or in the grace period.
  func isHere(_ user: UserID) -> Bool {
    let isConnected =
      core.mailboxes.count == 1
      ? directory.contains(user: user) : userShardCounts[TextKey(user)] != nil
    return isConnected || presence.isInGrace(user)
  }

  /// Processes the expired deadlines of the rooms and users that this shard owns.
  func expireAsOwner() {
    while let notice = presence.expire(at: now) { tell(notice) }
    while let typingEntry = typingEntries.takeFirst(dueAt: now) {
      guard let end = rosters[TextKey(typingEntry.room)]?.typingEnd(of: typingEntry.user),
        end <= now
      else {
        continue
      }
      if rosters[TextKey(typingEntry.room)]?.setTyping(typingEntry.user, until: nil) == true {
        sendTyping(false, typingEntry.user, in: typingEntry.room)
      }
    }
  }

  /// When the thread next has to wake up for `expireAsOwner`; nil when nothing is due.
  ///
  /// Rounded up to `ownerStepMilliseconds`: after a mass departure, one turn for each deadline cost
  /// three times as much as serving the connections did.
  var nextDueAsOwner: UInt64? {
    let step = Shard.ownerStepMilliseconds
    return [presence.nextDeadline, typingEntries.next].compactMap { $0 }.min()
      .map { ($0 + step - 1) / step * step }
  }

  private func tell(_ notice: PresenceTracker.Notice?) {
    guard let notice, !notice.rooms.isEmpty else { return }
    var update = notice.update
    if notice.rooms.count > 1 {
      lastPresenceUpdateID += 1
      // The shard's index in the low byte makes the id unique among owner shards.
      let updateID = lastPresenceUpdateID << 8 | UInt64(index & 0xFF)
      update = PresenceUpdate(user: update.user, status: update.status, updateID: updateID)
    }
    for room in notice.rooms {
      core.mailboxes[core.ownerShard(of: room)].append(.roomPresence(update, room))
    }
  }
}
