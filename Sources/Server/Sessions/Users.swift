// The users with a connection: on this shard, and over all shards those that this shard owns.

internal import Broadcast
internal import Delivery
internal import Notifications

/// The connected users of a shard, and the presence of the users that it owns.
///
/// Invariant: the directory has exactly the connections with the flag `listed`, and the user of a
/// listed connection does not change: the directory finds a user by the ids in the table.
final class Users: ShardComponent {
  let context: ShardContext
  private let admission: AdmissionControl
  private let observers: Observers
  private let recorder: EventRecorder
  private var directory: Directory
  private let owner: UserOwner

  init(
    _ context: ShardContext, _ admission: AdmissionControl, _ observers: Observers,
    _ recorder: EventRecorder
  ) {
    self.context = context
    self.admission = admission
    self.observers = observers
    self.recorder = recorder
    let table = context.table
    directory = Directory { table[$0].user }
    owner = UserOwner(shard: context.index, of: context.core.mailboxes.count)
  }

  /// Traps in a debug build when the directory has not exactly the listed connections.
  func checkInvariants() {
    var listedCount = 0
    var users: Set<TextKey> = []
    table.forEachSlot { slot in
      guard table[slot].flags.contains(.listed) else { return }
      listedCount += 1
      users.insert(TextKey(table[slot].user))
      assert(directory.contains(user: table[slot].user), "\(slot) is not listed")
    }
    assert(listedCount == directory.connectionCount, "\(listedCount) connections are listed")
    assert(users.count == directory.userCount, "\(users.count) users are listed")
    directory.checkInvariants()
  }

  // MARK: Connections of this shard

  /// Sessions and waiting polls of users on this shard.
  var connectionCount: Int { directory.connectionCount }

  /// Whether the user has a connection on this shard.
  func isConnected(_ user: UserID) -> Bool { directory.contains(user: user) }

  /// The number of the user's connections on this shard.
  func connectionCount(of user: UserID) -> Int { directory.count(of: user) }

  /// The slots of the user's connections on this shard, the longest connected first.
  func slots(of user: UserID) -> [UInt32] { directory.slots(of: user) }

  /// Calls `body` with each of these slots; `body` must not end a connection.
  func forEachSlot(of user: UserID, _ body: (UInt32) -> Void) {
    directory.forEachSlot(of: user, body)
  }

  /// Lists the session or poll at `slot` for its user.
  func list(_ slot: UInt32) {
    let user = table[slot].user
    let isFirst = !directory.contains(user: user)
    directory.insert(slot: slot)
    table[slot].flags.insert(.listed)
    table[slot].connectedAt = wall
    if isFirst { notifyOwner(of: user, arrived: true) }
  }

  /// Unlists the session or poll at `slot`, if it is listed.
  func unlist(_ slot: UInt32) {
    guard table[slot].flags.contains(.listed) else { return }
    let user = table[slot].user
    // guard: poll-uncounted-when-answered
    admission.uncountSession(at: slot)
    table[slot].flags.remove(.listed)
    directory.remove(slot: slot)
    if !directory.contains(user: user) { notifyOwner(of: user, arrived: false) }
  }

  private func notifyOwner(of user: UserID, arrived: Bool) {
    // With one shard there is no other order.
    guard core.mailboxes.count > 1 else { return count(user, arrived: arrived) }
    // Also on the owner shard: an arrival on another shard that is in its mailbox came before a
    // departure here, and in between the user was connected.
    // guard: user-counts-in-order
    core.mailboxes[core.ownerShard(of: user)].append(.userShardCounts(user, arrived: arrived))
  }

  // MARK: Presence of the users that this shard owns

  /// The number of users connected to any shard that this shard owns.
  var ownedCount: Int { owner.userCount(directory) }
  /// Users without a connection that still count as online: their grace period is running.
  var inGrace: [UserID] { owner.usersInGrace }
  /// When `expire` next has work; nil when it has none.
  var nextDeadline: UInt64? { owner.nextDeadline }

  /// Calls `body` with each connected user that this shard owns, in no order.
  func forEachOwned(_ body: (TextKey) -> Void) { owner.forEachUser(directory, body) }

  /// The status of a user; nil if the user is offline or another shard's.
  func status(of user: UserID) -> PresenceStatus? {
    core.ownerShard(of: user) == index ? owner.status(of: user, directory) : nil
  }

  /// Counts a shard to which a user that this shard owns is connected, or no longer is.
  func count(_ user: UserID, arrived: Bool) {
    // A user that returns within the grace period was online all along.
    let isBack = owner.isInGrace(user)
    guard owner.count(user, arrived: arrived, at: now) else { return }
    observers.observe(user, arrived: arrived)
    // guard: return-in-grace-is-not-online
    if arrived, !isBack { recorder.note(user: user, isOnline: true) }
  }

  /// Handles a presence message about a user that this shard owns.
  func take(_ note: PresenceNote, of user: UserID) {
    switch note {
    case .entered(let room):
      send(owner.entered(room, user, at: now))
    case .exited(let room, let isEnding):
      owner.exited(room, user, isEnding: isEnding, at: now)
    case .set(let status, let address):
      if let address {
        let isHere = owner.isHere(user, directory)
        core.mailboxes[address.shard].append(
          .roomAnswer(address.connection, isHere ? .typed : .notInRoom, ""))
      }
      send(owner.set(status, of: user, directory, at: now))
    }
  }

  /// Processes the deadlines that have passed.
  func expire() {
    while let (updates, offline) = owner.expire(at: now) {
      send(updates)
      if let offline { recorder.note(user: offline, isOnline: false) }
    }
  }

  private func send(_ updates: [UserOwner.Update]) {
    for (room, update, isReturn) in updates {
      core.mailboxes[core.ownerShard(of: room)].append(
        .roomPresence(update, room, isReturn: isReturn))
    }
  }

  // MARK: Asked by tests only

  /// Users with a status, a room or a grace period.
  var presenceCount: Int { owner.presenceCount }
}
