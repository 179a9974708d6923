// A user's session in a namespace, and what of it outlives the connection.
//
// The first namespace of a connection has the connection's own place, and so the price of any other
// session. A further one has a place without a socket. What a client missed comes from the store by
// its cursor, like any resumption; the rooms that it was in are kept in the store, by an id that
// only it knows. So a client that comes back is served whether or not the server is the same.

internal import Broadcast
internal import Cryptography
internal import Notifications
internal import Reactor
internal import Wire

/// By what a client knows itself.
struct SocketIdentity {
  /// The id of the socket, which is no secret.
  let id: String
  /// What it brings when it comes back; nil where nothing is recovered.
  let recovery: String?
}

extension RecoveryID {
  /// Makes an id that cannot be guessed.
  static func random(from kernel: Kernel) -> RecoveryID {
    let words = kernel.randomWords()
    return RecoveryID(high: words.0, low: words.1)
  }

  /// What a client is told to recover by: the id, whose it is, and where it begins.
  func text(for user: UserID, from cursor: Cursor) -> String {
    "\(text).\(seal(of: user)).\(cursor)"
  }

  /// By this a session is seen to be another user's.
  ///
  /// No secret: whoever makes one up for itself finds nothing of anybody else's under it.
  func seal(of user: UserID) -> String {
    Base64.encodeURL(Array(Digest.sha256(bytes + Array(user.utf8)).prefix(9)))
  }

  /// The socket's id: always the same for one recovery id, which cannot be told from it.
  var socketID: String { Base64.encodeURL(Array(Digest.sha256(bytes).prefix(15))) }
}

extension SocketIOResumption {
  /// What a client says that was here before; nil unless it is what it was told.
  ///
  /// Its own cursor is newer than that with which it began; whoever received nothing has none.
  init?(_ fields: SocketIOConnectFields, of user: UserID) {
    guard let text = fields.recovery else { return nil }
    let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    // guard: recovery-sealed-to-user
    guard parts.count == 3, let recovery = RecoveryID(String(parts[0])),
      parts[1] == recovery.seal(of: user), Cursor(String(parts[2])) != nil
    else { return nil }
    self.text = text
    self.recovery = recovery
    cursor = fields.offset ?? String(parts[2])
  }
}

extension Shard {
  /// Begins a user's session in a namespace.
  func begin(_ client: SocketIOClient, _ fields: SocketIOConnectFields, recovers: Bool) {
    let session = client.session
    let caller = fields.token.map { try? self.caller(of: $0) } ?? session.opener
    guard let caller, let user = caller.user, caller.end > wall / 1_000 else {
      return refuse(client, "unauthorized")
    }
    guard drain == nil else { return refuse(client, "the server is shutting down") }
    guard let place = placeForNamespace(of: session) else {
      return refuse(client, "the server has as many connections as it may have")
    }
    authenticated(session.place)
    guard countSession(of: user, at: place) else {
      if place != session.place { drop(place) }
      return refuse(client, "this user has too many connections")
    }
    guard let index = session.index(ofNamespace: client.namespace) else { return }
    let resumption = recovers ? SocketIOResumption(fields, of: user) : nil
    session.sockets[index].place = place
    session.sockets[index].resumption = resumption
    settleBeginning(of: session)
    guard table.contains(place) else { return }
    let isPolling = table[session.place].flags.contains(.polling)
    let group = fanOutGroups.id(
      ofPath: session.path, namespace: client.namespace, isPolling: isPolling)
    enter(caller, group: group, since: nil, isHeld: resumption != nil, at: place)
    if let resumption, table.contains(place), table[place].state == .session {
      askForRooms(resumption.recovery, at: place)
    }
  }

  /// The session's own place for the first namespace, else a further one.
  ///
  /// A place that was left is not given again: what its user asked the store is answered to it.
  private func placeForNamespace(of session: SocketIOSession) -> UInt32? {
    // guard: left-slot-not-reused
    guard session.hasGivenPlace else {
      session.hasGivenPlace = true
      return session.place
    }
    let limit = core.configuration.limits.connectionsPerShardLimit
    guard let place = table.insert(fd: -1, limit: limit) else { return nil }
    table[place].state = .http
    table[place].flags.insert(.guest)
    table[place].peer = table[session.place].peer
    table[place].userAgent = table[session.place].userAgent
    beginSession(at: place, in: table[session.place].group)
    table[place].engine = session
    return place
  }

  /// Ends the user's session at `place`; a connection whose own place it is goes on without.
  func leaveNamespace(_ place: UInt32, _ session: SocketIOSession) {
    guard table.contains(place), table[place].engine === session else { return }
    if place != session.place {
      flushWithoutSocket(place)
      return drop(place)
    }
    guard takeSharedTail(at: place) else { return }
    spillOutbox(at: place)
    let assembly = assembly(at: place)
    leaveFanOut(place, because: "left the namespace")
    table[place].task = assembly
    let isPolling = table[place].flags.contains(.polling)
    table[place].group = fanOutGroups.id(ofPath: session.path, isPolling: isPolling)
    table[place].sharedThrough = fanOutGroups[table[place].group].log.end
    table[place].user = ""
    table[place].tokenEnd = .max
    markQueued(place)
    scheduleTimer(place)
  }

  /// By what the client of the session at `place` is to know itself from now on.
  ///
  /// `cursor` is where it begins; nil where it is told no cursors.
  func identity(at place: UInt32, cursor: Cursor?, isResumed: Bool) -> SocketIdentity? {
    guard let session = table[place].engine as? SocketIOSession,
      let index = session.index(atPlace: place)
    else { return nil }
    session.sockets[index].isConnected = true
    let resumption = session.sockets[index].resumption
    session.sockets[index].resumption = nil
    if resumption != nil, !isResumed { leaveKeptRooms(place) }
    if isResumed, let resumption {
      session.sockets[index].recovery = resumption.recovery
      let note = ShardMessage.recovered(
        resumption.recovery, table[place].user, openedAt: session.openedAt,
        at: shardConnectionID(of: place))
      // guard: recovered-elsewhere-is-posted
      for mailbox in core.mailboxes { mailbox.append(note) }
      // They were kept for a while only.
      if !wantedRooms(at: place).isEmpty {
        // guard: recovered-rooms-kept
        keepRooms(of: session.sockets[index], session, endsAt: nil)
      }
      return SocketIdentity(id: resumption.recovery.socketID, recovery: resumption.text)
    }
    let recovery = session.sockets[index].recovery
    return SocketIdentity(
      id: recovery.socketID,
      recovery: cursor.map { recovery.text(for: table[place].user, from: $0) })
  }

  /// Ends the connection on which a client was that has come back on the one at `address`.
  ///
  /// The network may have ended it without a word; and a client is in one place: where it went
  /// last. That is not always what came last: what it said before it was cut off may be taken up
  /// behind what it said when it was back. Then the one at `address` is the one that was left, and
  /// its shard is told where the client is.
  func letGo(
    _ recovery: RecoveryID, of user: UserID, openedAt: UInt64, at address: ShardConnectionID
  ) {
    for place in directory.places(of: user) where table.contains(place) {
      guard shardConnectionID(of: place) != address,
        let session = table[place].engine as? SocketIOSession,
        let index = session.index(atPlace: place), session.sockets[index].recovery == recovery
      else { continue }
      // guard: latest-recovery-wins
      guard session.openedAt <= openedAt else {
        let note = ShardMessage.recovered(
          recovery, user, openedAt: session.openedAt, at: shardConnectionID(of: place))
        // guard: left-shard-is-notified
        core.mailboxes[address.shard].append(note)
        // It has noted the rooms that it found, and they may be others by now.
        // guard: recovered-rooms-updated
        keepRooms(of: session.sockets[index], session, endsAt: nil)
        continue
      }
      // What it leaves is the other's now.
      session.sockets[index].isConnected = false
      endEngine(session, because: "taken up on another connection", code: 1001)
    }
  }

  // MARK: Rooms that outlive the connection

  /// Asks the store which rooms a client that came back was in: it is in them again before it is
  /// told so.
  ///
  /// By way of a command: what its last connection left behind is on its way to the disk, perhaps,
  /// and a reader sees what is there.
  private func askForRooms(_ recovery: RecoveryID, at place: UInt32) {
    let (id, user) = (table.id(of: place), table[place].user)
    let (mailbox, store) = (mailbox, core.store)
    let none = ShardMessage.keptRooms(id, [])
    let nothing = StoreCommand.keepRooms(
      session: .random(from: kernel), user: user, rooms: [], endsAt: 0)
    let isTaken = store.submit(nothing) { _ in
      let isAsked = store.read(.keptRooms(session: recovery, user: user)) { answer in
        guard case .keptRooms(let rooms) = answer else { return mailbox.append(none) }
        mailbox.append(.keptRooms(id, rooms))
      }
      if !isAsked { mailbox.append(none) }
    }
    if !isTaken { close(place, code: 1013, reason: "the store is at its limit, try again") }
  }

  /// The rooms of a client that came back are known: it enters them, and goes on once it has.
  func takeKeptRooms(_ rooms: [RoomName], at place: UInt32) {
    guard table[place].flags.contains(.ungreeted), !table[place].flags.contains(.replaying) else {
      return
    }
    // The token may name fewer than the last one did.
    let membership = table[place].membership
    let allowed = rooms.filter { RoomNames.isValid($0) && membership?.mayEnter($0) != false }
    enter(allowed, at: place)
    if table.contains(place) { continueRecovery(at: place) }
  }

  /// Goes on where the client was, if no room's answer is awaited any more.
  private func continueRecovery(at place: UInt32) {
    guard let session = table[place].engine as? SocketIOSession,
      let index = session.index(atPlace: place), !table[place].flags.contains(.replaying),
      let resumption = session.sockets[index].resumption,
      table[place].membership?.entries.allSatisfy({ $0.awaited == 0 }) != false
    else { return }
    beginReplay(resumption.cursor, at: place)
  }

  /// Nothing could be recovered after all: nor are the rooms.
  private func leaveKeptRooms(_ place: UInt32) {
    let allowed = table[place].membership?.allowed
    leaveRooms(place)
    guard allowed != nil else { return }
    table[place].membership = Membership()
    table[place].membership?.allowed = allowed
  }

  /// The rooms of the session at `place` have changed.
  func roomsChanged(at place: UInt32) {
    if table[place].flags.contains(.ungreeted) { return continueRecovery(at: place) }
    guard let session = table[place].engine as? SocketIOSession,
      let index = session.index(atPlace: place)
    else { return }
    keepRooms(of: session.sockets[index], session, endsAt: nil)
  }

  /// The connection of a socket ends, and its client may come back.
  func keepRooms(of socket: SocketIOSocket, _ session: SocketIOSession) {
    // Those that it has just left count: the store may not know yet that it has.
    guard socket.isConnected, let place = socket.place, table.contains(place),
      table[place].membership?.entries.isEmpty == false
    else { return }
    keepRooms(of: socket, session, endsAt: wall + RecoveryID.keptMilliseconds)
  }

  /// The client leaves by itself: nothing of it is to be recovered.
  func forgetRooms(of client: SocketIOClient) {
    guard let index = client.session.index(ofNamespace: client.namespace) else { return }
    let socket = client.session.sockets[index]
    guard let place = socket.place, table[place].membership?.entries.isEmpty == false else {
      return
    }
    keep([], of: socket, client.session, at: place, endsAt: nil)
  }

  private func keepRooms(
    of socket: SocketIOSocket, _ session: SocketIOSession, endsAt: Int64?
  ) {
    guard let place = socket.place, table.contains(place) else { return }
    keep(wantedRooms(at: place), of: socket, session, at: place, endsAt: endsAt)
  }

  private func keep(
    _ rooms: [RoomName], of socket: SocketIOSocket, _ session: SocketIOSession, at place: UInt32,
    endsAt: Int64?
  ) {
    // A store that is closed takes nothing, and one that recovers nothing keeps nothing.
    guard !isStopping, fanOutGroups[table[place].group].tellsCursors else { return }
    let command = StoreCommand.keepRooms(
      session: socket.recovery, user: table[place].user, rooms: rooms, endsAt: endsAt)
    if !core.store.submit(command, reply: { _ in }) { metrics.add(.roomsUnkept) }
  }

  private func wantedRooms(at place: UInt32) -> [RoomName] {
    table[place].membership?.entries.filter(\.isWanted).map(\.name) ?? []
  }
}
