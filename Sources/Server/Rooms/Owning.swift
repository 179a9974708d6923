// The shard as an owner of rooms and users: it takes what comes for them by mailbox, and publishes
// their updates.

internal import Broadcast
internal import Notifications

extension Shard {
  /// Deadlines of the owner shard wake the thread at most once in this time.
  static let ownerStepMilliseconds: UInt64 = 100

  /// Replies to a request for a room that this shard owns.
  func answer(
    _ question: RoomQuestion, _ name: RoomName, _ user: UserID, to address: ShardConnectionID
  ) {
    if let answer = roomOwner.answer(question, name, user, at: now) {
      core.mailboxes[address.shard].append(.roomAnswer(address.connection, answer, name))
    }
    publishRoomUpdates()
  }

  /// Sends a presence update to the members of a room that this shard owns.
  func send(_ update: PresenceUpdate, to room: RoomName, isReturn: Bool) {
    roomOwner.send(update, to: room, isReturn: isReturn)
    publishRoomUpdates()
  }

  /// Handles a presence message about a user that this shard owns.
  func take(_ note: PresenceNote, of user: UserID) {
    switch note {
    case .entered(let room):
      send(userOwner.entered(room, user))
    case .exited(let room, let isEnding):
      userOwner.exited(room, user, isEnding: isEnding, at: now)
    case .set(let status, let address):
      if let address {
        let isHere = userOwner.isHere(user, directory)
        core.mailboxes[address.shard].append(
          .roomAnswer(address.connection, isHere ? .typed : .notInRoom, ""))
      }
      send(userOwner.set(status, of: user, directory, at: now))
    }
  }

  /// Counts a shard to which a user that this shard owns is connected, or no longer is.
  func count(_ user: UserID, arrived: Bool) {
    guard userOwner.count(user, arrived: arrived, at: now) else { return }
    observers.observe(user, arrived: arrived)
  }

  /// Processes the expired deadlines of the rooms and users that this shard owns.
  func expireAsOwner() {
    while let updates = userOwner.expire(at: now) { send(updates) }
    roomOwner.expire(at: now)
    publishRoomUpdates()
  }

  /// When the thread next has to wake up for `expireAsOwner`; nil when nothing is due.
  ///
  /// Rounded up to `ownerStepMilliseconds`: after a mass departure, one turn for each deadline cost
  /// three times as much as serving the connections did.
  var nextDueAsOwner: UInt64? {
    let step = Shard.ownerStepMilliseconds
    return [userOwner.nextDeadline, roomOwner.nextDeadline].compactMap { $0 }.min()
      .map { ($0 + step - 1) / step * step }
  }

  private func send(_ updates: [UserOwner.Update]) {
    for (room, update, isReturn) in updates {
      core.mailboxes[core.ownerShard(of: room)].append(
        .roomPresence(update, room, isReturn: isReturn))
    }
  }

  private func publishRoomUpdates() {
    let (updates, droppedCount) = roomOwner.takeUpdates()
    metrics.add(.presenceDropped, droppedCount)
    for update in updates {
      let audience = Audience.room(update.room, except: update.user)
      if !offer(Event(audience: audience, body: update.body, timestamp: wall)) {
        metrics.add(.presenceDropped)
      }
    }
  }
}
