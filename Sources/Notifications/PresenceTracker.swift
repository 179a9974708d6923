// Users' presence, kept only by each user's owner shard.
//
// Presence belongs to a user, not to a tab: online from the first connection, offline one grace
// period after the last one ended, so a page reload causes no flicker. A presence update goes to
// the rooms of the user where it is news: the book keeps the status last sent to each room, and a
// room without any update so far counts the user as offline.
//
// The book holds only users with state worth keeping: those in rooms, those with a status of their
// own, and those in the grace period. Times are milliseconds of a monotonic clock, passed as
// parameters.

/// Presence state of users, kept for the members of their rooms.
///
/// Invariant: an entry has a room, a status other than `online`, or the time its user left.
package struct PresenceTracker: Sendable {
  /// A presence update and the rooms to send it to.
  package struct Notice: Sendable, Equatable {
    package let update: PresenceUpdate
    package let rooms: [RoomName]
    /// Whether the room has the status already: only members that entered while the user was away
    /// need the update, or that were listed another status.
    package var isReturn = false
  }

  private struct Visit {
    var connections = 0
    /// When the last connection in the room ended without leaving it.
    var endedAt: UInt64?
    /// The status last sent to the room.
    var told = PresenceStatus.offline
  }

  private struct Entry {
    var status = PresenceStatus.online
    /// When a status change was last sent.
    var notifiedAt: UInt64?
    /// Whether a further change waits for its time.
    var hasChanged = false
    /// When the user's last connection ended; nil while one exists.
    var leftAt: UInt64?
    var visits: [TextKey: Visit] = [:]

    var isEmpty: Bool { status == .online && leftAt == nil && visits.isEmpty }
  }

  private let graceMilliseconds: UInt64
  private let changeMilliseconds: UInt64
  private var entries: [TextKey: Entry] = [:]
  private var departures = DeadlineQueue<UserID>()
  /// Users whose next status change came too early to send.
  private var changes = DeadlineQueue<UserID>()

  /// The least time between two changes of a user's status that are sent, unless `init` names one.
  package static let changeMilliseconds: UInt64 = 1_000

  package init(
    graceMilliseconds: UInt64, changeMilliseconds: UInt64 = PresenceTracker.changeMilliseconds
  ) {
    self.graceMilliseconds = graceMilliseconds
    self.changeMilliseconds = changeMilliseconds
  }

  package var count: Int { entries.count }

  /// When `expire` next has work; nil when it has none.
  package var nextDeadline: UInt64? {
    [departures.next, changes.next].compactMap { $0 }.min()
  }

  /// The user's status while connected.
  package func status(of user: UserID) -> PresenceStatus {
    entries[TextKey(user)]?.status ?? .online
  }

  /// Whether the user's last connection ended within the grace period, so it still counts as
  /// online.
  package func isInGrace(_ user: UserID) -> Bool {
    entries[TextKey(user)]?.leftAt != nil
  }

  /// Users without a connection that still count as online: their grace period is running.
  package var usersInGrace: [UserID] {
    entries.compactMap { $0.value.leftAt == nil ? nil : $0.key.text }
  }

  /// Records the user's first connection.
  package mutating func arrived(_ user: UserID) {
    change(user) { $0.leftAt = nil }
  }

  /// Records the end of the user's last connection.
  package mutating func left(_ user: UserID, at now: UInt64) {
    entries[TextKey(user), default: Entry()].leftAt = now
    departures.append(user, at: now &+ graceMilliseconds)
  }

  /// Records that a connection of the user entered a room.
  ///
  /// A user that returns within the grace period was online for the members all along. But members
  /// that entered meanwhile were not listed the user: the notice is for them. So it is if the
  /// status is offline: members that enter from now on are listed the user.
  package mutating func entered(_ room: RoomName, _ user: UserID) -> Notice? {
    var entry = entries[TextKey(user)] ?? Entry()
    // guard: return-in-grace-is-noticed
    let isReturn = entry.visits[TextKey(room)]?.endedAt != nil
    // A room without any update counts the user as offline, so there is none. But the room's owner
    // lists the user to members that enter later.
    // guard: invisible-entry-is-noticed
    let isInvisible = entry.visits[TextKey(room)] == nil && entry.status == .offline
    entry.visits[TextKey(room), default: Visit()].connections += 1
    entry.visits[TextKey(room)]?.endedAt = nil
    let notice = PresenceTracker.tell(user, &entry)
    entries[TextKey(user)] = entry
    guard isReturn || isInvisible else { return notice }
    let update = PresenceUpdate(user: user, status: entry.status)
    guard let notice else { return Notice(update: update, rooms: [room], isReturn: true) }
    // The other rooms do not have the status yet, and this one may get it twice.
    let others = notice.rooms.filter { TextKey($0) != TextKey(room) }
    return Notice(update: update, rooms: (others + [room]).sorted())
  }

  /// Records that a connection of the user left a room, or ended while in it.
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
        // Keep the visit: if the user goes offline, the room must still receive the update.
        entry.visits[TextKey(room)]?.connections = 0
        entry.visits[TextKey(room)]?.endedAt = now
      } else {
        entry.visits[TextKey(room)] = nil
      }
    }
    if visit.connections == 1, isEnding { departures.append(user, at: now &+ graceMilliseconds) }
  }

  /// Sets the user's status.
  ///
  /// The update is sent at once, but at most once per `changeMilliseconds`. A change within that
  /// time is sent at its end, if it is still news then.
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

  /// Makes the presence update for one deferred change; nil when none is due.
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

  /// Processes one expired deadline; nil when none is due.
  ///
  /// A result without rooms means that a deadline was processed but no room needs an update.
  package mutating func expire(at now: UInt64) -> Notice? {
    if let notice = notifyChange(at: now) { return notice }
    guard let user = departures.takeFirst(dueAt: now) else { return nil }
    let nobody = Notice(update: PresenceUpdate(user: user, status: .offline), rooms: [])
    guard var entry = entries[TextKey(user)] else { return nobody }
    guard let leftAt = entry.leftAt else {
      // The user is connected: remove it from the rooms that it did not re-enter.
      entry.visits = entry.visits.filter { _, visit in
        visit.endedAt.map { $0 &+ graceMilliseconds > now } ?? true
      }
      entries[TextKey(user)] = entry.isEmpty ? nil : entry
      return nobody
    }
    // The user returned and left again: the later departure's deadline applies.
    guard leftAt &+ graceMilliseconds <= now else { return nobody }
    entry.status = .offline
    let notice = PresenceTracker.tell(user, &entry)
    entries[TextKey(user)] = nil
    // Release the capacity after a mass departure.
    if entries.isEmpty { entries = [:] }
    return notice ?? nobody
  }

  /// Makes the presence update for the rooms that do not have the user's status yet.
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
