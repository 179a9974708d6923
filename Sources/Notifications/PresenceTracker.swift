// How users are seen: kept by each user's home shard alone.
//
// Presence is a user's, not a tab's: online with the first connection, offline a grace period after
// the last one went, so that a page that is loaded again flickers nowhere. It is told to those who
// share a room with the user, when it is news to them: each room is remembered with what it was
// last told, and a room that was told nothing takes the user for offline.
//
// Only users of whom there is something to remember are in the book: those in rooms, those with a
// status of their own, and those who have just left. Times are milliseconds of a monotonic clock
// and come in as values.

/// What is remembered of users for the sake of those who share rooms with them.
///
/// Invariant: an entry has a room, a status other than `online`, or a time at which its user left.
package struct PresenceTracker: Sendable {
  /// What is to be told, and in which rooms.
  package struct Notice: Sendable, Equatable {
    package let update: PresenceUpdate
    package let rooms: [RoomName]
  }

  private struct Visit {
    var connections = 0
    /// When the last connection in the room ended without having left it.
    var endedAt: UInt64?
    /// What those in the room were last told.
    var told = PresenceStatus.offline
  }

  private struct Entry {
    var status = PresenceStatus.online
    /// When a change of the status was last told.
    var notifiedAt: UInt64?
    /// Whether another one waits for its time.
    var hasChanged = false
    /// When the user's last connection went; nil while there is one.
    var leftAt: UInt64?
    var visits: [TextKey: Visit] = [:]

    var isEmpty: Bool { status == .online && leftAt == nil && visits.isEmpty }
  }

  private let graceMilliseconds: UInt64
  private let changeMilliseconds: UInt64
  private var entries: [TextKey: Entry] = [:]
  private var departures = DeadlineQueue<UserID>()
  /// Users whose status has changed again too soon to be told.
  private var changes = DeadlineQueue<UserID>()

  package init(graceMilliseconds: UInt64, changeMilliseconds: UInt64 = 1_000) {
    self.graceMilliseconds = graceMilliseconds
    self.changeMilliseconds = changeMilliseconds
  }

  package var count: Int { entries.count }

  /// When `expire` has something to do; nil when it has not.
  package var nextDeadline: UInt64? {
    [departures.next, changes.next].compactMap { $0 }.min()
  }

  /// How the user is seen while it is connected.
  package func status(of user: UserID) -> PresenceStatus {
    entries[TextKey(user)]?.status ?? .online
  }

  /// Whether the user's last connection went so lately that it counts as online.
  package func isInGrace(_ user: UserID) -> Bool {
    entries[TextKey(user)]?.leftAt != nil
  }

  /// The users whose last connection went so lately that they count as online.
  package var usersInGrace: [UserID] {
    entries.compactMap { $0.value.leftAt == nil ? nil : $0.key.text }
  }

  /// The user's first connection came.
  package mutating func arrived(_ user: UserID) {
    change(user) { $0.leftAt = nil }
  }

  /// The user's last connection went.
  package mutating func left(_ user: UserID, at now: UInt64) {
    entries[TextKey(user), default: Entry()].leftAt = now
    departures.append(user, at: now &+ graceMilliseconds)
  }

  /// A connection of the user entered a room.
  package mutating func entered(_ room: RoomName, _ user: UserID) -> Notice? {
    var entry = entries[TextKey(user)] ?? Entry()
    entry.visits[TextKey(room), default: Visit()].connections += 1
    entry.visits[TextKey(room)]?.endedAt = nil
    let notice = PresenceTracker.tell(user, &entry)
    entries[TextKey(user)] = entry
    return notice
  }

  /// A connection of the user left a room, or ended while it was in it.
  package mutating func exited(
    _ room: RoomName, _ user: UserID, isEnding: Bool, at now: UInt64
  ) {
    guard let visit = entries[TextKey(user)]?.visits[TextKey(room)], visit.connections > 0 else {
      return
    }
    change(user) { entry in
      if visit.connections > 1 {
        entry.visits[TextKey(room)]?.connections -= 1
      } else if isEnding {
        // Those in the room hear of the end of the user, if it is that.
        entry.visits[TextKey(room)]?.connections = 0
        entry.visits[TextKey(room)]?.endedAt = now
      } else {
        entry.visits[TextKey(room)] = nil
      }
    }
    if visit.connections == 1, isEnding { departures.append(user, at: now &+ graceMilliseconds) }
  }

  /// The user says how it wants to be seen.
  ///
  /// Told at once, but no more often than once a `changeMilliseconds`: what it says in between is
  /// told when they are over, if it is still news then.
  package mutating func set(
    _ status: PresenceStatus, of user: UserID, at now: UInt64
  ) -> Notice? {
    var entry = entries[TextKey(user)] ?? Entry()
    defer { entries[TextKey(user)] = entry.isEmpty ? nil : entry }
    entry.status = status
    if let notifiedAt = entry.notifiedAt, now < notifiedAt &+ changeMilliseconds {
      if !entry.hasChanged { changes.append(user, at: notifiedAt &+ changeMilliseconds) }
      entry.hasChanged = true
      return nil
    }
    let notice = PresenceTracker.tell(user, &entry)
    if notice != nil { entry.notifiedAt = now }
    return notice
  }

  /// Tells what a user said too soon; nil when nobody is due any more.
  private mutating func notifyChange(at now: UInt64) -> Notice? {
    guard let user = changes.takeFirst(dueAt: now) else { return nil }
    let nobody = Notice(update: PresenceUpdate(user: user, status: .offline), rooms: [])
    guard var entry = entries[TextKey(user)], entry.hasChanged else { return nobody }
    entry.hasChanged = false
    let notice = PresenceTracker.tell(user, &entry)
    if notice != nil { entry.notifiedAt = now }
    entries[TextKey(user)] = entry.isEmpty ? nil : entry
    return notice ?? nobody
  }

  /// Settles what the grace period has run out for; nil when nothing is due any more.
  ///
  /// A telling without rooms says that there was something to settle and nobody to tell.
  package mutating func expire(at now: UInt64) -> Notice? {
    if let notice = notifyChange(at: now) { return notice }
    guard let user = departures.takeFirst(dueAt: now) else { return nil }
    let nobody = Notice(update: PresenceUpdate(user: user, status: .offline), rooms: [])
    guard var entry = entries[TextKey(user)] else { return nobody }
    guard let leftAt = entry.leftAt else {
      // Still here, or here again: it is no longer in the rooms that it did not come back to.
      entry.visits = entry.visits.filter { _, visit in
        visit.endedAt.map { $0 &+ graceMilliseconds > now } ?? true
      }
      entries[TextKey(user)] = entry.isEmpty ? nil : entry
      return nobody
    }
    // Back in the meantime, and gone again: a later departure settles that.
    guard leftAt &+ graceMilliseconds <= now else { return nobody }
    entry.status = .offline
    let notice = PresenceTracker.tell(user, &entry)
    entries[TextKey(user)] = nil
    // A herd that has left should not be remembered in the table's size.
    if entries.isEmpty { entries = [:] }
    return notice ?? nobody
  }

  /// Tells the rooms to which the user's status is news.
  private static func tell(_ user: UserID, _ entry: inout Entry) -> Notice? {
    let status = entry.status
    var rooms: [RoomName] = []
    for (room, visit) in entry.visits where visit.told != status {
      entry.visits[room]?.told = status
      rooms.append(room.text)
    }
    guard !rooms.isEmpty else { return nil }
    return Notice(update: PresenceUpdate(user: user, status: status), rooms: rooms.sorted())
  }

  private mutating func change(_ user: UserID, _ body: (inout Entry) -> Void) {
    guard var entry = entries[TextKey(user)] else { return }
    body(&entry)
    entries[TextKey(user)] = entry.isEmpty ? nil : entry
  }
}
