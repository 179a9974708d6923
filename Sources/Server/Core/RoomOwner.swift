// Homes: what one shard knows of a room, or of a user, over all shards.
//
// Each room and each user has a home shard, chosen by its name. There a room's members are counted
// and its typists watched, and there a user's presence is kept. Everything comes in by mailbox, in
// the order in which each shard sent it, and what is to be told goes out by the ring.

internal import Broadcast
internal import Notifications

/// What a connection asks of a room's home.
enum RoomQuestion: Sendable {
  case enter, leave
  /// Who is there, asked by one who is.
  case look
  case type(Bool)
  /// The connection has ended; no answer.
  case abandon
}

/// What a room's home answers.
enum RoomAnswer: Sendable {
  case entered([Roster.Entry])
  /// Who is there.
  case seen([Roster.Entry])
  case left([Roster.Entry])
  /// There are as many rooms as there may be.
  case full
  case typed
  case notInRoom
}

/// What a user's home is told.
enum PresenceNote: Sendable {
  case entered(RoomName)
  case exited(RoomName, isEnding: Bool)
  /// An address is answered whether the user is connected at all.
  case set(PresenceStatus, answerTo: ShardConnectionID?)
}

/// Who types in which room, until it says so again.
struct TypingEntry: Sendable {
  let room: RoomName
  let user: UserID
}

extension Shard {
  /// Time after which somebody who said to be typing has stopped.
  private static let typingMilliseconds: UInt64 = 5_000
  /// Saying it again sooner than this changes nothing, nor does stopping and beginning again, so
  /// that nobody fills the queue by that.
  private static let typingRenewalMilliseconds: UInt64 = 500
  /// What becomes due at home is settled so often at the most, unless there is a turn anyway.
  private static let ownerStepMilliseconds: UInt64 = 100
  /// Members that are named to one who enters or leaves.
  static let namedMembersLimit = 100
  /// Time after a user's last connection until the user is offline.
  static let graceMilliseconds: UInt64 = 3_000

  /// Answers a question to a room whose home this is.
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
        // It is looked at then anyway.
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

  /// Tells those of a room whose home this is how a user is to be seen.
  func tell(_ update: PresenceUpdate, in name: RoomName) {
    // For those who enter later.
    rosters[TextKey(name)]?.set(update.status, of: update.user)
    tell(.presence(update), in: name, except: update.user)
  }

  /// Tells those of a room what one of them does, unless they are too many for that.
  private func tell(_ body: Event.Body, in name: RoomName, except user: UserID) {
    let limit = core.configuration.limits.presenceMembersLimit
    guard let count = rosters[TextKey(name)]?.count, count <= limit,
      offer(Event(audience: .room(name, except: user), body: body, timestamp: wall))
    else { return metrics.add(.presenceDropped) }
  }

  /// Takes a note of what a user whose home this is did.
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
      // Nothing is remembered of those who are not here: it would never be forgotten.
      if isConnected { tell(presence.set(status, of: user, at: now)) }
    }
  }

  /// Whether a user whose home this is has a connection somewhere, or had one a moment ago.
  func isHere(_ user: UserID) -> Bool {
    let isConnected =
      core.mailboxes.count == 1
      ? directory.contains(user: user) : userShardCounts[TextKey(user)] != nil
    return isConnected || presence.isInGrace(user)
  }

  /// Settles what has become due here as a home.
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

  /// When `expireAsOwner` has something to do that is worth waking up for.
  ///
  /// Not for each of a herd that has left: a turn for each cost three times what serving it did.
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
      // The shard's number in the low byte: no other home gives the same.
      let updateID = lastPresenceUpdateID << 8 | UInt64(index & 0xFF)
      update = PresenceUpdate(user: update.user, status: update.status, updateID: updateID)
    }
    for room in notice.rooms {
      core.mailboxes[core.ownerShard(of: room)].append(.roomPresence(update, room))
    }
  }
}
