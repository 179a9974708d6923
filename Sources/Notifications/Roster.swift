// The members of one room over all shards, kept only by the room's owner shard.
//
// A user may be in a room with several connections and is one member. Members are ordered by
// arrival, as a linked list through an array:
//
//     first ─▶ 4 ─▶ 0 ─▶ 2 ◀─ last        free ─▶ 1 ─▶ 3
//
// So entering, leaving and listing the first hundred cost the same in a room of ten and of ten
// thousand.

/// The members of one room.
///
/// Invariant: `indices` has each member's index in `members`; the list from `first` to `last`
/// visits exactly these; every member has at least one connection.
package struct Roster: Sendable {
  /// A member as listed to others.
  package struct Entry: Sendable, Equatable {
    package let user: UserID
    package let status: PresenceStatus

    package init(user: UserID, status: PresenceStatus) {
      self.user = user
      self.status = status
    }
  }

  /// What the members know of a user that has left.
  package struct Departure: Sendable, Equatable {
    /// The `entryCount` of the room when all its members had the status; the largest number when
    /// only some had it.
    package let entryCount: UInt64
    package var status: PresenceStatus

    package init(entryCount: UInt64, status: PresenceStatus) {
      self.entryCount = entryCount
      self.status = status
    }
  }

  private struct Member {
    var user: UserID
    var connections = 1
    var status: PresenceStatus
    /// Whether a connection entered the room between its last departure and its return, as far as
    /// the room knows, and nothing has been sent about the member since.
    var hasNewcomers: Bool
    /// The room's `entryCount` up to which no member was listed or sent another status of it than
    /// offline; nil when some member was.
    var unlistedAt: UInt64?
    /// When it stops typing unless it renews; nil when it is not typing.
    var typingUntil: UInt64?
    /// The latest typing deadline it set, kept also after it stopped.
    var watchedUntil: UInt64 = 0
    var next: Int?
    var previous: Int?
  }

  private var members: [Member] = []
  /// Grows with each connection that enters the room.
  package private(set) var entryCount: UInt64
  private var indices: [TextKey: Int] = [:]
  private var free: [Int] = []
  private var first: Int?
  private var last: Int?

  /// An empty roster.
  ///
  /// `entryCount` is at least that of each earlier roster of the room: so a departure from one of
  /// these is not taken for one from this roster.
  package init(entryCount: UInt64 = 0) { self.entryCount = entryCount }

  package var isEmpty: Bool { indices.isEmpty }
  package var count: Int { indices.count }

  package func contains(_ user: UserID) -> Bool { indices[TextKey(user)] != nil }

  /// Adds a connection of `user`; true when the user becomes a member.
  ///
  /// `departure` is the user's last one, if that is known. A user that returns is listed with its
  /// status at once: members that have it are not sent its return.
  @discardableResult
  package mutating func enter(_ user: UserID, departure: Departure? = nil) -> Bool {
    defer { entryCount += 1 }
    if let index = indices[TextKey(user)] {
      members[index].connections += 1
      // Not listed to its own connection.
      if members[index].unlistedAt == entryCount { members[index].unlistedAt = entryCount + 1 }
      return false
    }
    // guard: return-has-status-of-departure
    let status = departure?.status ?? .online
    // Members know a user that was online at its departure.
    // guard: departed-online-is-known
    let unlistedAt: UInt64? = (departure?.status ?? .offline) == .offline ? entryCount + 1 : nil
    let member = Member(
      user: user, status: status, hasNewcomers: departure?.entryCount != entryCount,
      unlistedAt: unlistedAt, next: nil, previous: last)
    let index: Int
    if let reused = free.popLast() {
      index = reused
      members[index] = member
    } else {
      index = members.count
      members.append(member)
    }
    if let last { members[last].next = index } else { first = index }
    last = index
    indices[TextKey(user)] = index
    return true
  }

  /// Removes a connection of `user`.
  ///
  /// Returns true when it was the last one, so `user` is no longer a member.
  @discardableResult
  package mutating func exit(_ user: UserID) -> Bool {
    guard let index = indices[TextKey(user)] else { return false }
    members[index].connections -= 1
    guard members[index].connections == 0 else { return false }
    let (previous, next) = (members[index].previous, members[index].next)
    if let previous { members[previous].next = next } else { first = next }
    if let next { members[next].previous = previous } else { last = previous }
    indices[TextKey(user)] = nil
    free.append(index)
    return true
  }

  /// Sets a member's status; ignored for users outside this room.
  package mutating func set(_ status: PresenceStatus, of user: UserID) {
    guard let index = indices[TextKey(user)] else { return }
    members[index].status = status
    members[index].unlistedAt = status == .offline ? entryCount : nil
  }

  /// Whether some member may have been listed or sent another status of `user` than offline.
  ///
  /// A user that has just entered is listed as online until its status is known.
  package func isOnlineForSome(_ user: UserID) -> Bool {
    guard let index = indices[TextKey(user)], members[index].status != .offline else {
      return false
    }
    // guard: listed-invisible-user-is-corrected
    return members[index].unlistedAt != entryCount
  }

  /// Whether some member may not have been listed `user` when it entered, nor been sent its
  /// arrival: it entered between the user's last departure and its return.
  ///
  /// True also when the departure is not known. False when `user` is not a member: it has left
  /// again, and only its next return can be news.
  package func hasNewcomers(since user: UserID) -> Bool {
    // guard: absent-user-has-no-newcomers
    indices[TextKey(user)].map { members[$0].hasNewcomers } ?? false
  }

  /// What the members know of `user` if it leaves now; nil if none of them may know of it.
  package func departure(of user: UserID) -> Departure? {
    guard let index = indices[TextKey(user)] else { return nil }
    let (hasNewcomers, status) = (members[index].hasNewcomers, members[index].status)
    // Those that were listed it are sent the status with which it returns.
    // guard: listed-before-departure
    if hasNewcomers, !isOnlineForSome(user) { return nil }
    // guard: newcomers-outlast-departure
    return Departure(entryCount: hasNewcomers ? .max : entryCount, status: status)
  }

  /// Records that all members are sent the status of `user`: none of them is a newcomer any more.
  ///
  /// Members that enter later are listed `user` while it stays.
  package mutating func noteAnnounced(_ user: UserID) {
    if let index = indices[TextKey(user)] { members[index].hasNewcomers = false }
  }

  /// Records that what was sent about `user` was lost on its way to the members.
  package mutating func noteUnannounced(_ user: UserID) {
    if let index = indices[TextKey(user)] { members[index].hasNewcomers = true }
  }

  /// The first members by arrival, at most `limit`.
  package func entries(limit: Int) -> [Entry] {
    var entries: [Entry] = []
    var index = first
    while let current = index, entries.count < limit {
      entries.append(Entry(user: members[current].user, status: members[current].status))
      index = members[current].next
    }
    return entries
  }

  /// Records that a member types until the given time, or with nil that it stopped.
  ///
  /// Returns true when this is news to the other members.
  package mutating func setTyping(_ user: UserID, until: UInt64?) -> Bool {
    guard let index = indices[TextKey(user)] else { return false }
    let wasTyping = members[index].typingUntil != nil
    members[index].typingUntil = until
    if let until { members[index].watchedUntil = until }
    return wasTyping != (until != nil)
  }

  /// When a member's typing expires; nil when it is not typing, or not a member.
  package func typingEnd(of user: UserID) -> UInt64? {
    indices[TextKey(user)].flatMap { members[$0].typingUntil }
  }

  /// The latest typing deadline of a member, also if it stopped before then.
  package func watchEnd(of user: UserID) -> UInt64 {
    indices[TextKey(user)].map { members[$0].watchedUntil } ?? 0
  }
}
