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
    guard let slot = slotForNamespace(of: session) else {
      return refuse(client, "the server has as many connections as it may have")
    }
    authenticated(session.slot)
    guard countSession(of: user, at: slot) else {
      if slot != session.slot { drop(slot) }
      return refuse(client, "this user has too many connections")
    }
    guard let index = session.index(ofNamespace: client.namespace) else { return }
    let resumption = recovers ? SocketIOResumption(fields, of: user) : nil
    session.sockets[index].slot = slot
    session.sockets[index].resumption = resumption
    settleBeginning(of: session)
    guard table.contains(slot) else { return }
    let isPolling = table[session.slot].flags.contains(.polling)
    let group = fanOutGroups.id(
      ofPath: session.path, namespace: client.namespace, isPolling: isPolling)
    enter(caller, group: group, since: nil, isHeld: resumption != nil, at: slot)
    if let resumption, table.contains(slot), table[slot].state == .session {
      askForRooms(resumption.recovery, at: slot)
    }
  }

  /// The session's own place for the first namespace, else a further one.
  ///
  /// A place that was left is not given again: what its user asked the store is answered to it.
  private func slotForNamespace(of session: SocketIOSession) -> UInt32? {
    // guard: left-slot-not-reused
    guard session.hasGivenSlot else {
      session.hasGivenSlot = true
      return session.slot
    }
    let limit = core.configuration.limits.connectionsPerShardLimit
    guard let slot = table.insert(fd: -1, limit: limit) else { return nil }
    table[slot].state = .http
    table[slot].flags.insert(.secondaryNamespace)
    table[slot].peer = table[session.slot].peer
    table[slot].userAgent = table[session.slot].userAgent
    beginSession(at: slot, in: table[session.slot].group)
    table[slot].engine = session
    return slot
  }

  /// Ends the user's session at `slot`; a connection whose own place it is goes on without.
  func leaveNamespace(_ slot: UInt32, _ session: SocketIOSession) {
    guard table.contains(slot), table[slot].engine === session else { return }
    if slot != session.slot {
      flushWithoutSocket(slot)
      return drop(slot)
    }
    guard takeSharedTail(at: slot) else { return }
    copyOutOutbox(at: slot)
    let assembly = assembly(at: slot)
    leaveFanOut(slot, because: "left the namespace")
    table[slot].task = assembly
    let isPolling = table[slot].flags.contains(.polling)
    table[slot].group = fanOutGroups.id(ofPath: session.path, isPolling: isPolling)
    table[slot].groupCursor = fanOutGroups[table[slot].group].log.end
    table[slot].user = ""
    table[slot].tokenEnd = .max
    markQueued(slot)
    scheduleTimer(slot)
  }

  /// By what the client of the session at `slot` is to know itself from now on.
  ///
  /// `cursor` is where it begins; nil where it is told no cursors.
  func identity(at slot: UInt32, cursor: Cursor?, isResumed: Bool) -> SocketIdentity? {
    guard let session = table[slot].engine as? SocketIOSession,
      let index = session.index(atSlot: slot)
    else { return nil }
    session.sockets[index].isConnected = true
    let resumption = session.sockets[index].resumption
    session.sockets[index].resumption = nil
    if resumption != nil, !isResumed { leaveKeptRooms(slot) }
    if isResumed, let resumption {
      session.sockets[index].recovery = resumption.recovery
      let note = ShardMessage.recovered(
        resumption.recovery, table[slot].user, openedAt: session.openedAt,
        at: shardConnectionID(of: slot))
      // guard: recovered-elsewhere-is-posted
      for mailbox in core.mailboxes { mailbox.append(note) }
      // They were kept for a while only.
      if !wantedRooms(at: slot).isEmpty {
        // guard: recovered-rooms-kept
        keepRooms(of: session.sockets[index], session, endsAt: nil)
      }
      return SocketIdentity(id: resumption.recovery.socketID, recovery: resumption.text)
    }
    let recovery = session.sockets[index].recovery
    return SocketIdentity(
      id: recovery.socketID,
      recovery: cursor.map { recovery.text(for: table[slot].user, from: $0) })
  }

  /// Ends the connection on which a client was that has come back on the one at `address`.
  ///
  /// The network may have ended it without a word; and a client is in one place: where it went
  /// last. That is not always what came last: what it said before it was cut off may be taken up
  /// behind what it said when it was back. Then the one at `address` is the one that was left, and
  /// its shard is told where the client is.
  func evictStale(
    _ recovery: RecoveryID, of user: UserID, openedAt: UInt64, at address: ShardConnectionID
  ) {
    for slot in directory.slots(of: user) where table.contains(slot) {
      guard shardConnectionID(of: slot) != address,
        let session = table[slot].engine as? SocketIOSession,
        let index = session.index(atSlot: slot), session.sockets[index].recovery == recovery
      else { continue }
      // guard: latest-recovery-wins
      guard session.openedAt <= openedAt else {
        let note = ShardMessage.recovered(
          recovery, user, openedAt: session.openedAt, at: shardConnectionID(of: slot))
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
  private func askForRooms(_ recovery: RecoveryID, at slot: UInt32) {
    let (id, user) = (table.id(of: slot), table[slot].user)
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
    if !isTaken { close(slot, code: 1013, reason: "the store is at its limit, try again") }
  }

  /// The rooms of a client that came back are known: it enters them, and goes on once it has.
  func takeKeptRooms(_ rooms: [RoomName], at slot: UInt32) {
    guard table[slot].flags.contains(.handshakePending), !table[slot].flags.contains(.replaying)
    else {
      return
    }
    // The token may name fewer than the last one did.
    let membership = table[slot].membership
    let allowed = rooms.filter { RoomNames.isValid($0) && membership?.mayEnter($0) != false }
    enter(allowed, at: slot)
    if table.contains(slot) { continueRecovery(at: slot) }
  }

  /// Goes on where the client was, if no room's answer is awaited any more.
  private func continueRecovery(at slot: UInt32) {
    guard let session = table[slot].engine as? SocketIOSession,
      let index = session.index(atSlot: slot), !table[slot].flags.contains(.replaying),
      let resumption = session.sockets[index].resumption,
      table[slot].membership?.entries.allSatisfy({ $0.awaited == 0 }) != false
    else { return }
    beginReplay(resumption.cursor, at: slot)
  }

  /// Nothing could be recovered after all: nor are the rooms.
  private func leaveKeptRooms(_ slot: UInt32) {
    let allowed = table[slot].membership?.allowed
    leaveRooms(slot)
    guard allowed != nil else { return }
    table[slot].membership = Membership()
    table[slot].membership?.allowed = allowed
  }

  /// The rooms of the session at `slot` have changed.
  func roomsChanged(at slot: UInt32) {
    if table[slot].flags.contains(.handshakePending) { return continueRecovery(at: slot) }
    guard let session = table[slot].engine as? SocketIOSession,
      let index = session.index(atSlot: slot)
    else { return }
    keepRooms(of: session.sockets[index], session, endsAt: nil)
  }

  /// The connection of a socket ends, and its client may come back.
  func keepRooms(of socket: SocketIOSocket, _ session: SocketIOSession) {
    // Those that it has just left count: the store may not know yet that it has.
    guard socket.isConnected, let slot = socket.slot, table.contains(slot),
      table[slot].membership?.entries.isEmpty == false
    else { return }
    keepRooms(of: socket, session, endsAt: wall + RecoveryID.keptMilliseconds)
  }

  /// The client leaves by itself: nothing of it is to be recovered.
  func forgetRooms(of client: SocketIOClient) {
    guard let index = client.session.index(ofNamespace: client.namespace) else { return }
    let socket = client.session.sockets[index]
    guard let slot = socket.slot, table[slot].membership?.entries.isEmpty == false else {
      return
    }
    keep([], of: socket, client.session, at: slot, endsAt: nil)
  }

  private func keepRooms(
    of socket: SocketIOSocket, _ session: SocketIOSession, endsAt: Int64?
  ) {
    guard let slot = socket.slot, table.contains(slot) else { return }
    keep(wantedRooms(at: slot), of: socket, session, at: slot, endsAt: endsAt)
  }

  private func keep(
    _ rooms: [RoomName], of socket: SocketIOSocket, _ session: SocketIOSession, at slot: UInt32,
    endsAt: Int64?
  ) {
    // A store that is closed takes nothing, and one that recovers nothing keeps nothing.
    guard !isStopping, fanOutGroups[table[slot].group].sendsCursors else { return }
    let command = StoreCommand.keepRooms(
      session: socket.recovery, user: table[slot].user, rooms: rooms, endsAt: endsAt)
    if !core.store.submit(command, reply: { _ in }) { metrics.add(.roomsNotPersisted) }
  }

  private func wantedRooms(at slot: UInt32) -> [RoomName] {
    table[slot].membership?.entries.filter(\.isWanted).map(\.name) ?? []
  }
}
