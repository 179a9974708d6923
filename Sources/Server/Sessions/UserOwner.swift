// The owner of users: the presence of a user over all shards.
//
// Each user has an owner shard, chosen by a hash of the name. The owner counts the shards to which
// the user is connected, and keeps the user's status. Its input comes by mailbox, in the order in
// which each shard sent it.

internal import Notifications

/// A message to a user's owner shard.
enum PresenceNote: Sendable {
  case entered(RoomName)
  case exited(RoomName, isEnding: Bool)
  /// A connection in `answerTo` gets a reply: whether the user is connected.
  case set(PresenceStatus, answerTo: ShardConnectionID?)
}

/// The users that one shard owns: whether they are connected, and their presence.
///
/// It sends nothing itself: its verbs return the update for each room of the user that gets one.
/// Times are milliseconds of the monotonic clock.
///
/// The only shard of a server keeps no counts: its directory has the connected users already, and a
/// second entry would be an eighth of the memory of an idle connection.
///
/// Invariant: with several shards, `shardCounts` has a user exactly while some shard has a
/// connection of the user, and a count is at least 1; with one it is empty.
final class UserOwner {
  /// Time from the end of a user's last connection until the user is offline.
  static let graceMilliseconds: UInt64 = 3_000

  /// An update of a user's presence, for one room; see `PresenceTracker.Notice` for `isReturn`.
  typealias Update = (room: RoomName, update: PresenceUpdate, isReturn: Bool)

  private let shard: Int
  private let isOnlyShard: Bool
  /// For each connected user, the number of shards that it is connected to.
  private var shardCounts: [TextKey: Int] = [:]
  private var presence = PresenceTracker(graceMilliseconds: UserOwner.graceMilliseconds)
  /// Sequence number of the last update that went to several rooms.
  private var lastUpdateID: UInt64 = 0

  /// Creates the owner on the shard with that index, of so many.
  init(shard: Int, of shardCount: Int) {
    self.shard = shard
    isOnlyShard = shardCount == 1
  }

  /// When `expire` next has work; nil when it has none.
  var nextDeadline: UInt64? { presence.nextDeadline }

  /// The number of connected users; `directory` is that of the shard, here and below.
  func userCount(_ directory: Directory) -> Int {
    isOnlyShard ? directory.userCount : shardCounts.count
  }

  /// Calls `body` with each connected user, in no order.
  func forEachUser(_ directory: Directory, _ body: (TextKey) -> Void) {
    if isOnlyShard { directory.forEachUser(body) } else { shardCounts.keys.forEach(body) }
  }

  /// Users without a connection that still count as online: their grace period is running.
  var usersInGrace: [UserID] { presence.usersInGrace }

  /// Counts a shard to which the user is connected from now on, or no longer is.
  ///
  /// Returns whether this is the user's first shard or was the last one.
  func count(_ user: UserID, arrived: Bool, at now: UInt64) -> Bool {
    if !isOnlyShard {
      let key = TextKey(user)
      let before = shardCounts[key] ?? 0
      let shards = before + (arrived ? 1 : -1)
      shardCounts[key] = shards == 0 ? nil : shards
      guard before == 0 || shards == 0 else { return false }
    }
    if arrived { presence.arrived(user) } else { presence.left(user, at: now) }
    return true
  }

  /// Whether the user is connected to any shard, or in the grace period.
  func isHere(_ user: UserID, _ directory: Directory) -> Bool {
    let isConnected =
      isOnlyShard ? directory.contains(user: user) : shardCounts[TextKey(user)] != nil
    return isConnected || presence.isInGrace(user)
  }

  /// The user's status; nil if the user is not here.
  func status(of user: UserID, _ directory: Directory) -> PresenceStatus? {
    isHere(user, directory) ? presence.status(of: user) : nil
  }

  /// Records that a connection of the user is in a room.
  func entered(_ room: RoomName, _ user: UserID, at now: UInt64) -> [Update] {
    updates(of: presence.entered(room, user, at: now))
  }

  /// Records that a connection of the user has left a room, or has ended in it.
  func exited(_ room: RoomName, _ user: UserID, isEnding: Bool, at now: UInt64) {
    presence.exited(room, user, isEnding: isEnding, at: now)
  }

  /// Sets the status of a user that is here.
  ///
  /// Keeps none for a user without connections: nothing would remove it.
  func set(
    _ status: PresenceStatus, of user: UserID, _ directory: Directory, at now: UInt64
  ) -> [Update] {
    guard isHere(user, directory) else { return [] }
    return updates(of: presence.set(status, of: user, at: now))
  }

  /// Whether the user's last connection ended within the grace period.
  func isInGrace(_ user: UserID) -> Bool { presence.isInGrace(user) }

  /// The updates of the next deadline that has passed, and the user that is offline from then on;
  /// nil when none has.
  func expire(at now: UInt64) -> (updates: [Update], offline: UserID?)? {
    presence.expire(at: now).map { notice in
      (updates(of: notice), notice.isOffline ? notice.update.user : nil)
    }
  }

  private func updates(of notice: PresenceTracker.Notice?) -> [Update] {
    guard let notice, !notice.rooms.isEmpty else { return [] }
    var update = notice.update
    if notice.rooms.count > 1 {
      lastUpdateID += 1
      // The shard's index in the low byte makes the id unique among owner shards.
      let updateID = lastUpdateID << 8 | UInt64(shard & 0xFF)
      update = PresenceUpdate(user: update.user, status: update.status, updateID: updateID)
    }
    return notice.rooms.map { ($0, update, notice.isReturn) }
  }

  // MARK: Asked by tests only

  var presenceCount: Int { presence.count }
}
