// Users' presence, kept only by each user's owner shard.
//
// Presence belongs to a user, not to a tab: online from the first connection, offline one grace
// period after the last one ended, so a page reload causes no flicker. A presence update goes to
// the rooms of the user where it is news: the book keeps the status last sent to each room, and a
// room without any update so far counts the user as offline.
//
// A room gets at most one update of a user a second, however often the user changes its status, or
// leaves and returns:
//
//     user       away  online  away             online
//     room       away │             away │          online │
//                └── changeMilliseconds ─┘          └──────┘
//
// A change within that time is sent at its end, or up to a second later where rooms differ, if it
// is still news then. The update after the user's last connection is not held back: the book
// forgets the user with it.
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
    /// Whether the user has gone offline: its grace period is over.
    package var isOffline = false
  }

  private struct Visit {
    var connections = 0
    /// When the last connection in the room ended without leaving it.
    var endedAt: UInt64?
    /// Whether the user has left the room; the visit is kept until a further update may be sent.
    var hasLeft = false
    /// Whether a return to the room has yet to be noticed.
    var hasReturned = false
    /// The status last sent to the room.
    var told = PresenceStatus.offline
    /// When an update was last sent to the room.
    var notifiedAt: UInt64?
  }

  private struct Entry {
    var status = PresenceStatus.online
    /// Whether `changes` has the user: an update, or a visit to forget, waits for its time.
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
  /// Users with an update that came too early to send.
  private var changes = DeadlineQueue<UserID>()

  /// The least time between two updates of a user that a room is sent, unless `init` names one.
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
  /// A user that returns within the grace period, or before a further update of it may be sent, was
  /// online for the members all along. But members that entered meanwhile were not listed the user:
  /// the notice is for them. So it is if the status is offline: members that enter from now on are
  /// listed the user.
  package mutating func entered(_ room: RoomName, _ user: UserID, at now: UInt64) -> Notice? {
    var entry = entries[TextKey(user)] ?? Entry()
    var visit = entry.visits[TextKey(room)] ?? Visit()
    // guard: return-in-grace-is-noticed
    let isReturn = visit.endedAt != nil || visit.hasLeft
    // A room without any update counts the user as offline, so there is none. But the room's owner
    // lists the user to members that enter later.
    // guard: invisible-entry-is-noticed
    let isInvisible = entry.visits[TextKey(room)] == nil && entry.status == .offline
    visit.connections += 1
    visit.endedAt = nil
    visit.hasLeft = false
    if isReturn || isInvisible { visit.hasReturned = true }
    entry.visits[TextKey(room)] = visit
    let notice = notice(of: user, &entry, at: now)
    entries[TextKey(user)] = entry
    return notice
  }

  /// Records that a connection of the user left a room, or ended while in it.
  package mutating func exited(
    _ room: RoomName, _ user: UserID, isEnding: Bool, at now: UInt64
  ) {
    guard let visit = entries[TextKey(user)]?.visits[TextKey(room)], visit.connections > 0 else {
      return
    }
    var entry = entries[TextKey(user)] ?? Entry()
    defer { entries[TextKey(user)] = entry.isEmpty ? nil : entry }
    entry.visits[TextKey(room)]?.connections -= 1
    guard visit.connections == 1 else { return }
    if isEnding {
      // Keep the visit: if the user goes offline, the room must still receive the update.
      entry.visits[TextKey(room)]?.endedAt = now
      departures.append(user, at: now &+ graceMilliseconds)
    } else if let windowEnd = windowEnd(of: visit, at: now) {
      // Keep the visit: with a new one, the room would be sent an update at once.
      // guard: left-room-keeps-window
      entry.visits[TextKey(room)]?.hasLeft = true
      entry.visits[TextKey(room)]?.hasReturned = false
      schedule(user, &entry, at: windowEnd)
    } else {
      entry.visits[TextKey(room)] = nil
    }
  }

  /// Sets the user's status.
  ///
  /// The update is sent at once to the rooms that were sent none within `changeMilliseconds`. To
  /// the others it is sent at the end of that time, if it is still news then.
  package mutating func set(
    _ status: PresenceStatus, of user: UserID, at now: UInt64
  ) -> Notice? {
    var entry = entries[TextKey(user)] ?? Entry()
    defer { entries[TextKey(user)] = entry.isEmpty ? nil : entry }
    entry.status = status
    return notice(of: user, &entry, at: now)
  }

  /// Makes the presence update for one user's deferred changes; nil when none is due.
  private mutating func notifyChange(at now: UInt64) -> Notice? {
    guard let user = changes.takeFirst(dueAt: now) else { return nil }
    let nobody = Notice(update: PresenceUpdate(user: user, status: .offline), rooms: [])
    guard var entry = entries[TextKey(user)], entry.hasChanged else { return nobody }
    entry.hasChanged = false
    for (room, visit) in entry.visits where visit.hasLeft {
      if let windowEnd = windowEnd(of: visit, at: now) {
        schedule(user, &entry, at: windowEnd)
      } else {
        entry.visits[room] = nil
      }
    }
    let notice = notice(of: user, &entry, at: now)
    entries[TextKey(user)] = entry.isEmpty ? nil : entry
    return notice ?? nobody
  }

  /// Processes one expired deadline; nil when none is due.
  ///
  /// A result without rooms means that a deadline was processed but no room needs an update.
  package mutating func expire(at now: UInt64) -> Notice? {
    if let notice = notifyChange(at: now) { return notice }
    guard let user = departures.takeFirst(dueAt: now) else { return nil }
    var nobody = Notice(update: PresenceUpdate(user: user, status: .offline), rooms: [])
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
    var notice = notice(of: user, &entry, at: now, isLast: true)
    entries[TextKey(user)] = nil
    nobody.isOffline = true
    notice?.isOffline = true
    // Release the capacity after a mass departure.
    if entries.isEmpty { entries = [:] }
    return notice ?? nobody
  }

  /// Makes the presence update for the rooms that do not have the user's status yet, or that the
  /// user has returned to; those that were just sent one get it later, unless it is the last one.
  private mutating func notice(
    of user: UserID, _ entry: inout Entry, at now: UInt64, isLast: Bool = false
  ) -> Notice? {
    let status = entry.status
    var (news, returns): ([RoomName], [RoomName]) = ([], [])
    var dueAt: UInt64?
    for (room, visit) in entry.visits where !visit.hasLeft {
      let isNews = visit.told != status
      guard isNews || visit.hasReturned else { continue }
      // guard: presence-paced
      if !isLast, let windowEnd = windowEnd(of: visit, at: now) {
        dueAt = min(dueAt ?? .max, windowEnd)
        continue
      }
      entry.visits[room]?.told = status
      entry.visits[room]?.hasReturned = false
      entry.visits[room]?.notifiedAt = now
      if isNews { news.append(room.text) } else { returns.append(room.text) }
    }
    if let dueAt { schedule(user, &entry, at: dueAt) }
    guard !news.isEmpty || !returns.isEmpty else { return nil }
    // Rooms to which the user has returned may get the status twice.
    return Notice(
      update: PresenceUpdate(user: user, status: status), rooms: (news + returns).sorted(),
      isReturn: news.isEmpty)
  }

  /// When the room may be sent a further update; nil if it may be sent one now.
  private func windowEnd(of visit: Visit, at now: UInt64) -> UInt64? {
    guard let end = visit.notifiedAt.map({ $0 &+ changeMilliseconds }), now < end else {
      return nil
    }
    return end
  }

  /// Has the user's changes looked at when a room may be sent a further update.
  private mutating func schedule(_ user: UserID, _ entry: inout Entry, at time: UInt64) {
    guard !entry.hasChanged else { return }
    entry.hasChanged = true
    changes.append(user, at: time)
  }

  private mutating func change(_ user: UserID, _ body: (inout Entry) -> Void) {
    guard var entry = entries[TextKey(user)] else { return }
    body(&entry)
    entries[TextKey(user)] = entry.isEmpty ? nil : entry
  }
}
