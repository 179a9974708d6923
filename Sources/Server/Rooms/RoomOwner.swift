// The owner of rooms: the state of a room over all shards.
//
// Each room has an owner shard, chosen by a hash of its name. The owner counts the members and
// keeps the typing entries. Its input comes by mailbox, in the order in which each shard sent it;
// the shard publishes its updates through the ring.

internal import Notifications

/// A request of a connection to a room's owner shard.
///
/// A connection that sent `enter` later sends one `leave` or `abandon`, also if it was refused.
enum RoomQuestion: Sendable {
  /// Requests to enter or leave; with `enterUncounted` a room that begins does not count for its
  /// user.
  case enter, enterUncounted, leave
  /// Asks for the members of a room that the connection already requested.
  case look
  case type(Bool)
  /// The connection has ended, or has the refusal; no answer.
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
  /// The room would begin, and its user holds as many as its share.
  case shareUsed
  case typed
  case notInRoom
}

/// A typing or presence update for the members of a room, except its user.
struct RoomUpdate {
  let room: RoomName
  let user: UserID
  let body: Event.Body
}

/// The rooms that one shard owns: their members and typing entries.
///
/// It sends nothing itself: `takeUpdates` returns the updates of the calls since the last one, in
/// order. Times are milliseconds of the monotonic clock.
///
/// Invariant: a room has at least one member. Each typing member has an entry in `typing` that is
/// due at the end of its typing or later. `holders` has the user for which a room counts, if it
/// counts for one: a member, unless each that was asked was at its limit. `departures` has no
/// member of its room. `refused` has a connection's latest `enter` of a room from its refusal until
/// the `leave` or `abandon` after it: so at most one for each room of a connection.
final class RoomOwner {
  /// Time after which a member counts as no longer typing unless it renews.
  static let typingMilliseconds: UInt64 = 5_000
  /// Time within which a renewal is ignored, also after a stop.
  ///
  /// Otherwise a client could fill the deadline queue with renewals.
  static let typingRenewalMilliseconds: UInt64 = 500
  /// Members listed in a reply to `enter`, `look` or `leave`.
  static let namedMembersLimit = 100

  /// Departures of members that are remembered for their return; then all are forgotten.
  static let departuresLimit = 4_096

  /// Updates of presence that were lost and are kept; further ones are not sent again.
  static let lostUpdatesLimit = 65_536
  /// Time after which such an update is sent again.
  static let lostUpdateMilliseconds: UInt64 = 1_000

  private struct LostUpdate {
    let room: RoomName
    let update: PresenceUpdate
  }

  /// A connection that was refused a room.
  private struct RefusedEntry: Hashable {
    let room: TextKey
    let connection: ShardConnectionID

    init(_ room: RoomName, _ connection: ShardConnectionID) {
      self.room = TextKey(room)
      self.connection = connection
    }
  }

  /// A member that is typing in a room, due when its typing expires.
  private struct TypingEntry: Sendable {
    let room: RoomName
    let user: UserID
  }

  private let roomsLimit: Int
  private let presenceMembersLimit: Int
  private let shares: RoomShares
  private var rosters: [TextKey: Roster] = [:]
  private var holders: [TextKey: UserID] = [:]
  private var typing = DeadlineQueue<TypingEntry>()
  private var typingPaces: TypingPaces
  /// The latest departures of which all members knew.
  private var departures: [RoomVisit: Roster.Departure] = [:]
  /// The connections that have entered any room.
  private var entryCount: UInt64 = 0
  private var refused: Set<RefusedEntry> = []
  /// Updates of presence that were lost and are sent again, and when.
  private var lost: [RoomVisit: LostUpdate] = [:]
  private var lostEnds = DeadlineQueue<RoomVisit>()
  private var updates: [RoomUpdate] = []
  /// Updates that were dropped since `takeUpdates`, because their room exceeds the limit.
  private var droppedCount = 0

  /// Creates the owner of at most `roomsLimit` rooms, of which those with more members than
  /// `presenceMembersLimit` have no typing and presence updates.
  init(
    roomsLimit: Int, presenceMembersLimit: Int, shares: RoomShares = RoomShares(limit: .max),
    typingPaces: TypingPaces = TypingPaces()
  ) {
    self.roomsLimit = roomsLimit
    self.presenceMembersLimit = presenceMembersLimit
    self.shares = shares
    self.typingPaces = typingPaces
  }

  var roomCount: Int { rosters.count }

  /// Whether the room has a member.
  func isOccupied(_ name: RoomName) -> Bool { rosters[TextKey(name)] != nil }

  /// When `expire` next has work; nil when it has none.
  var nextDeadline: UInt64? {
    [typing.next, typingPaces.nextDeadline, lostEnds.next].compactMap { $0 }.min()
  }

  /// The first `limit` members of a room, and how many there are.
  func members(of room: RoomName, limit: Int) -> RoomMembers {
    guard let roster = rosters[TextKey(room)] else { return RoomMembers() }
    return RoomMembers(users: roster.entries(limit: limit).map(\.user), total: roster.count)
  }

  /// Handles a connection's request for a room, and returns the reply; nil if it gets none.
  func answer(
    _ question: RoomQuestion, _ name: RoomName, _ user: UserID, of connection: ShardConnectionID,
    at now: UInt64
  ) -> RoomAnswer? {
    switch question {
    case .enter, .enterUncounted:
      var isCounted = false
      if case .enter = question { isCounted = true }
      if let refusal = hold(name, for: user, isCounted: isCounted) {
        refused.insert(RefusedEntry(name, connection))
        return refusal
      }
      let departure = departures.removeValue(forKey: RoomVisit(name, user))
      // guard: roster-counts-on
      rosters[TextKey(name), default: Roster(entryCount: entryCount)]
        .enter(user, departure: departure)
      entryCount += 1
      return .entered(named(name))
    case .look:
      return .seen(named(name))
    case .leave:
      exit(user, connection, from: name, at: now)
      return .left(named(name))
    case .abandon:
      exit(user, connection, from: name, at: now)
      return nil
    case .type(let isTyping):
      guard rosters[TextKey(name)]?.contains(user) == true else { return .notInRoom }
      setTyping(isTyping, user, in: name, at: now)
      return .typed
    }
  }

  /// Finds or begins the room for a user that enters it; returns the refusal of a room that would
  /// begin.
  private func hold(_ name: RoomName, for user: UserID, isCounted: Bool) -> RoomAnswer? {
    if let roster = rosters[TextKey(name)] {
      // The room's holder has left, and each remaining member was at its limit.
      if let holder = holders[TextKey(name)], !roster.contains(holder),
        let next = shares.pass(from: holder, toOneOf: CollectionOfOne(user))
      {
        holders[TextKey(name)] = next
      }
      return nil
    }
    // guard: rooms-of-server
    guard rosters.count < roomsLimit else { return .full }
    guard isCounted else { return nil }
    guard shares.open(by: user) else { return .shareUsed }
    holders[TextKey(name)] = user
    return nil
  }

  /// Returns the share in a room that has ended.
  private func release(_ name: RoomName) {
    // guard: room-share-returned
    if let holder = holders.removeValue(forKey: TextKey(name)) { shares.close(heldBy: holder) }
  }

  /// Passes a room on that a user has left and others have not.
  private func passOn(_ name: RoomName, from user: UserID, _ roster: Roster) {
    guard let holder = holders[TextKey(name)], TextKey(holder) == TextKey(user) else { return }
    let candidates = roster.entries(limit: RoomShares.candidatesLimit).map(\.user)
    // guard: room-passes-on
    if let next = shares.pass(from: user, toOneOf: candidates) { holders[TextKey(name)] = next }
  }

  /// Sends a user's presence to the members of a room.
  ///
  /// With `isReturn` the members have the status, apart from those that entered while the user was
  /// away: without such members nothing is sent, so a page that reloads sends nothing. Those that
  /// were not listed the user take it for offline, so with that status nothing is sent either,
  /// unless some members were listed the user with another one.
  ///
  /// The update comes from another shard than the user's connections, so the user may have left the
  /// room meanwhile, or left and returned.
  func send(_ update: PresenceUpdate, to name: RoomName, isReturn: Bool) {
    let isNews = isNews(update, in: name)
    // Members that enter later get the status from the roster.
    rosters[TextKey(name)]?.set(update.status, of: update.user)
    // A return with the status offline is not sent to members that know an absent user as online.
    // guard: unsent-status-of-absent-user
    if !isReturn || update.status != .offline {
      // guard: status-of-absent-user
      departures[RoomVisit(name, update.user)]?.status = update.status
    }
    // guard: return-sent-to-newcomers-only
    if isReturn, !isNews { return }
    // It is later than any that was lost.
    // guard: later-presence-replaces-lost
    lost[RoomVisit(name, update.user)] = nil
    if send(.presence(update), to: name, except: update.user) { noteAnnounced(update, in: name) }
  }

  /// Notes that an update of a user's presence was lost on its way to the members of a room: it is
  /// sent again later.
  func noteLost(_ update: PresenceUpdate, in name: RoomName, at now: UInt64) {
    // guard: lost-presence-is-unannounced
    rosters[TextKey(name)]?.noteUnannounced(update.user)
    // guard: lost-presence-of-absent-user
    departures[RoomVisit(name, update.user)] = nil
    let visit = RoomVisit(name, update.user)
    // guard: lost-presence-bounded
    guard lost[visit] != nil || lost.count < RoomOwner.lostUpdatesLimit else { return }
    if lost.updateValue(LostUpdate(room: name, update: update), forKey: visit) == nil {
      lostEnds.append(visit, at: now &+ RoomOwner.lostUpdateMilliseconds)
    }
  }

  /// Notes that an update of a member's typing was lost on its way to the others of a room.
  func noteLostTyping(_ update: TypingUpdate) {
    // guard: lost-typing-is-unshown
    _ = typingPaces.deferChange(of: RoomVisit(update.room, update.user))
  }

  /// Ends the typing of members that have not renewed it, and sends changes that are due.
  func expire(at now: UInt64) {
    while let entry = typing.takeFirst(dueAt: now) {
      guard let end = rosters[TextKey(entry.room)]?.typingEnd(of: entry.user), end <= now else {
        continue
      }
      if rosters[TextKey(entry.room)]?.setTyping(entry.user, until: nil) == true {
        show(false, entry.user, in: entry.room, at: now)
      }
    }
    // As many as there are now: an update may be lost again.
    for _ in 0..<lostEnds.count {
      guard let visit = lostEnds.takeFirst(dueAt: now) else { break }
      // guard: lost-presence-sent-again
      if let entry = lost.removeValue(forKey: visit) {
        send(entry.update, to: entry.room, isReturn: false)
      }
    }
    while let ended = typingPaces.takeEnded(at: now) {
      // guard: final-typing-state-sent
      guard ended.hasChanged, let roster = rosters[TextKey(ended.room)] else { continue }
      show(roster.typingEnd(of: ended.user) != nil, ended.user, in: ended.room, at: now)
    }
  }

  /// Returns the updates since the last call, and how many were dropped.
  func takeUpdates() -> (updates: [RoomUpdate], droppedCount: Int) {
    defer {
      updates = []
      droppedCount = 0
    }
    return (updates, droppedCount)
  }

  private func named(_ name: RoomName) -> [Roster.Entry] {
    rosters[TextKey(name)]?.entries(limit: RoomOwner.namedMembersLimit) ?? []
  }

  /// Whether a user's return is news to some member of a room.
  private func isNews(_ update: PresenceUpdate, in name: RoomName) -> Bool {
    guard let roster = rosters[TextKey(name)] else { return false }
    // guard: offline-return-unsent
    if update.status == .offline { return roster.isOnlineForSome(update.user) }
    return roster.hasNewcomers(since: update.user)
  }

  /// Notes that all members of a room are sent the status of a user, a member or not.
  private func noteAnnounced(_ update: PresenceUpdate, in name: RoomName) {
    guard let roster = rosters[TextKey(name)], !roster.contains(update.user) else {
      // guard: announced-member-has-no-newcomers
      rosters[TextKey(name)]?.noteAnnounced(update.user)
      return
    }
    // guard: announced-absent-user-has-no-newcomers
    remember(
      Roster.Departure(entryCount: roster.entryCount, status: update.status),
      of: update.user, from: name)
  }

  private func remember(_ departure: Roster.Departure, of user: UserID, from name: RoomName) {
    // guard: departures-bounded
    if departures.count >= RoomOwner.departuresLimit { departures = [:] }
    departures[RoomVisit(name, user)] = departure
  }

  private func exit(
    _ user: UserID, _ connection: ShardConnectionID, from name: RoomName, at now: UInt64
  ) {
    // The client may leave before it knows of the refusal, and another connection of the user may
    // have entered meanwhile. The roster only counts them.
    // guard: refused-connection-takes-off-none
    guard refused.remove(RefusedEntry(name, connection)) == nil else { return }
    guard rosters[TextKey(name)]?.contains(user) == true else { return }
    let departure = rosters[TextKey(name)]?.departure(of: user)
    let isTyping = rosters[TextKey(name)]?.typingEnd(of: user) != nil
    let isGone = rosters[TextKey(name)]?.exit(user) == true
    guard isGone, let roster = rosters[TextKey(name)] else { return }
    guard !roster.isEmpty else {
      rosters[TextKey(name)] = nil
      release(name)
      return
    }
    passOn(name, from: user, roster)
    if isTyping { show(false, user, in: name, at: now) }
    if let departure { remember(departure, of: user, from: name) }
  }

  private func setTyping(_ isTyping: Bool, _ user: UserID, in name: RoomName, at now: UInt64) {
    let wasTyping = rosters[TextKey(name)]?.typingEnd(of: user) != nil
    // A stop is always taken: it follows a start that was.
    // guard: typing-paces-bounded
    if isTyping, !wasTyping, !typingPaces.hasRoom, !typingPaces.isOpen(RoomVisit(name, user)) {
      droppedCount += 1
      return
    }
    var until = isTyping ? now + RoomOwner.typingMilliseconds : nil
    if let latest = until, let watched = rosters[TextKey(name)]?.watchEnd(of: user) {
      // guard: typing-renewal
      if latest < watched + RoomOwner.typingRenewalMilliseconds {
        // The entry that is due at `watched` is already in the queue.
        until = watched
      } else {
        typing.append(TypingEntry(room: name, user: user), at: latest)
      }
    }
    if rosters[TextKey(name)]?.setTyping(user, until: until) == true {
      show(isTyping, user, in: name, at: now)
    }
  }

  /// Sends the state of a user to the others of a room, or leaves it to the end of its window.
  private func show(_ isTyping: Bool, _ user: UserID, in name: RoomName, at now: UInt64) {
    // guard: typing-coalesced
    guard !typingPaces.deferChange(of: RoomVisit(name, user)) else { return }
    let update = TypingUpdate(room: name, user: user, isTyping: isTyping)
    guard send(.typing(update), to: name, except: user) else { return }
    typingPaces.open(name, user, at: now)
  }

  /// Keeps an update for the room's members, unless the room exceeds `presenceMembersLimit`.
  ///
  /// - Returns: whether it is kept.
  private func send(_ body: Event.Body, to name: RoomName, except user: UserID) -> Bool {
    guard let count = rosters[TextKey(name)]?.count, count <= presenceMembersLimit else {
      droppedCount += 1
      return false
    }
    updates.append(RoomUpdate(room: name, user: user, body: body))
    return true
  }

  /// Traps in a debug build when an invariant does not hold.
  func checkInvariants() {
    typingPaces.checkInvariants()
    for roster in rosters.values { assert(!roster.isEmpty, "a room without members is kept") }
    for (room, holder) in holders {
      assert(rosters[room] != nil, "a room that has ended counts for \(holder)")
    }
    assert(departures.count <= RoomOwner.departuresLimit)
    assert(lost.count <= min(lostEnds.count, RoomOwner.lostUpdatesLimit))
  }

  // MARK: Asked by tests only

  var typingWindowCount: Int { typingPaces.count }
  /// The user for which each room counts, if it counts for one.
  var roomHolders: [TextKey: UserID] { holders }
  var typingEntryCount: Int { typing.count }
  var refusedEntryCount: Int { refused.count }
  /// The members of each room.
  var members: [TextKey: [UserID]] {
    rosters.mapValues { $0.entries(limit: $0.count).map(\.user) }
  }
}
