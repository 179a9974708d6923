// Who is in one room, over all shards: kept by the room's home shard alone.
//
// A user may be in a room with several connections and is a member once. Members stand in the order
// in which they came, as a list through the places of an array:
//
//     first ─▶ 4 ─▶ 0 ─▶ 2 ◀─ last        free ─▶ 1 ─▶ 3
//
// so that coming, going and the first hundred cost the same in a room of ten and of ten thousand.

/// The members of one room.
///
/// Invariant: `indices` names each member's place in `members`; the list from `first` to `last` goes
/// through exactly these; every member has at least one connection.
package struct Roster: Sendable {
  /// A member as others are told of it.
  package struct Entry: Sendable, Equatable {
    package let user: UserID
    package let status: PresenceStatus

    package init(user: UserID, status: PresenceStatus) {
      self.user = user
      self.status = status
    }
  }

  private struct Member {
    var user: UserID
    var connections = 1
    var status = PresenceStatus.online
    /// When it stops typing unless it says so again; nil when it is not typing.
    var typingUntil: UInt64?
    /// The latest time of which that was said, also when it has stopped since.
    var watchedUntil: UInt64 = 0
    var next: Int?
    var previous: Int?
  }

  private var members: [Member] = []
  private var indices: [TextKey: Int] = [:]
  private var free: [Int] = []
  private var first: Int?
  private var last: Int?

  package init() {}

  package var isEmpty: Bool { indices.isEmpty }
  package var count: Int { indices.count }

  package func contains(_ user: UserID) -> Bool { indices[TextKey(user)] != nil }

  /// Adds a connection of `user`; true when it makes the user a member.
  @discardableResult
  package mutating func enter(_ user: UserID) -> Bool {
    if let index = indices[TextKey(user)] {
      members[index].connections += 1
      return false
    }
    let member = Member(user: user, next: nil, previous: last)
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

  /// Takes a connection of `user` away.
  ///
  /// True when it was the last one, and `user` is no member any more.
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

  /// Notes how a member wants to be seen; what is said of others is nothing to this room.
  package mutating func set(_ status: PresenceStatus, of user: UserID) {
    if let index = indices[TextKey(user)] { members[index].status = status }
  }

  /// The members who came first, at most `limit`.
  package func entries(limit: Int) -> [Entry] {
    var entries: [Entry] = []
    var index = first
    while let current = index, entries.count < limit {
      entries.append(Entry(user: members[current].user, status: members[current].status))
      index = members[current].next
    }
    return entries
  }

  /// Notes that a member types until then, or with nil that it has stopped.
  ///
  /// True when that is news to the others.
  package mutating func setTyping(_ user: UserID, until: UInt64?) -> Bool {
    guard let index = indices[TextKey(user)] else { return false }
    let wasTyping = members[index].typingUntil != nil
    members[index].typingUntil = until
    if let until { members[index].watchedUntil = until }
    return wasTyping != (until != nil)
  }

  /// When a member stops typing by itself; nil when it is not typing, or no member.
  package func typingEnd(of user: UserID) -> UInt64? {
    indices[TextKey(user)].flatMap { members[$0].typingUntil }
  }

  /// The latest time at which a member was to stop by itself, also when it has stopped before.
  package func watchEnd(of user: UserID) -> UInt64 {
    indices[TextKey(user)].map { members[$0].watchedUntil } ?? 0
  }
}
