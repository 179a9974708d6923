// A user's session in a namespace, and the state that outlives its connection.
//
// The first namespace of a connection uses the connection's own slot, so it costs as much as any
// other session. Each further namespace has a slot without a socket. Missed notifications come from
// the store by cursor, like any resumption. The client's rooms are kept in the store under an id
// that only the client knows. So a client can recover even after the server was replaced.

internal import Broadcast
internal import Cryptography
internal import Delivery
internal import Notifications
internal import Reactor
internal import Tokens
internal import Wire

/// The ids that a client is given.
struct SocketIdentity {
  /// The socket's id, which is not secret.
  let id: String
  /// The `pid` that the client sends to recover; nil if it cannot.
  let recovery: String?
}

extension RecoveryID {
  /// Makes an id that cannot be guessed.
  static func random(from kernel: Kernel) -> RecoveryID {
    let words = kernel.randomWords()
    return RecoveryID(high: words.0, low: words.1)
  }

  /// The `pid` for a client: the id, the seal of its user, and its start cursor.
  func text(for user: UserID, from cursor: Cursor) -> String {
    "\(text).\(seal(of: user)).\(cursor)"
  }

  /// The seal that binds the id to its user.
  ///
  /// It is not secret: a client that forges a `pid` for itself finds no other user's data under it.
  func seal(of user: UserID) -> String {
    Base64.encodeURL(Array(Digest.sha256(bytes + Array(user.utf8)).prefix(9)))
  }

  /// The socket's id, derived from the recovery id, which cannot be derived from it.
  var socketID: String { Base64.encodeURL(Array(Digest.sha256(bytes).prefix(15))) }
}

extension SocketIOResumption {
  /// Reads the recovery data of a returning client; nil unless its `pid` is sealed to `user`.
  ///
  /// A session's notifications have offsets at or after the position in its `pid`. Any other
  /// `offset` counts as absent: JavaScript's client takes the last string of any event for one, and
  /// keeps that of an earlier session when it was not recovered.
  convenience init?(_ fields: SocketIOConnectFields, of user: UserID, hasSince: Bool) {
    guard let text = fields.recovery else { return nil }
    let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    // guard: recovery-sealed-to-user
    guard parts.count == 3, let recovery = RecoveryID(String(parts[0])),
      String(parts[1]).hasSameBytes(as: recovery.seal(of: user)),
      let start = Cursor(String(parts[2]))
    else { return nil }
    let offset = fields.offset.flatMap { Cursor($0) }
    // guard: offset-of-this-session
    let isOfSession = offset.map { $0.epoch == start.epoch && $0.offset >= start.offset } ?? false
    self.init(
      text: text, recovery: recovery, cursor: isOfSession ? offset ?? start : start,
      hasSince: hasSince)
  }
}

extension SocketIOSessions {
  /// Begins a user's session in a namespace.
  func begin(
    _ client: SocketIOClient, _ fields: SocketIOConnectFields, _ policy: SocketIORecoveryPolicy
  ) {
    let session = client.session
    let caller: Caller
    let user: UserID
    do throws(AuthenticationFailure) {
      (caller, user) = try self.caller(of: session, fields)
    } catch {
      return refuse(client, "unauthorized", data: data(of: error))
    }
    guard !drain.hasBegun else { return refuse(client, "the server is shutting down") }
    guard let slot = slotForNamespace(of: session) else {
      return refuse(client, "the server is at its connection limit")
    }
    admission.authenticated(session.slot)
    guard admission.countSession(of: user, at: slot) else {
      if slot != session.slot { connections.drop(slot) }
      return refuse(client, admission.tooManySessionsText)
    }
    guard let index = session.index(ofNamespace: client.namespace) else { return }
    let since = fields.since ?? session.since
    // guard: pid-before-since
    let resumption =
      policy == .off ? nil : SocketIOResumption(fields, of: user, hasSince: since != nil)
    // A `pid` was given only to a client that had asked.
    let isAsked = since != nil || resumption != nil
    // guard: cursors-when-asked
    let withCursors = policy == .on || (policy == .asked && isAsked)
    session.sockets[index].slot = slot
    session.sockets[index].resumption = resumption
    settleBeginning(of: session)
    let isPolling = delivery[session.slot].flags.contains(.polling)
    let group = fanOutGroups.id(
      of: .namespace(client.namespace, path: session.path), .engineIO(isPolling: isPolling),
      withCursors: withCursors)
    if let resumption {
      life.assign(caller, to: group, at: slot)
      askForRooms(resumption.recovery, at: slot)
    } else {
      sessions.enter(caller, group: group, since: withCursors ? since : nil, at: slot)
    }
  }

  /// The user that connects: by the token in CONNECT, else by that of the session's first request.
  ///
  /// An empty token counts as absent here, as everywhere.
  private func caller(
    of session: SocketIOSession, _ fields: SocketIOConnectFields
  ) throws(AuthenticationFailure) -> (Caller, UserID) {
    if let token = fields.token, !token.isEmpty {
      return try authenticator.userCaller(of: token, at: session.slot)
    }
    let caller = try session.opener.get()
    guard let user = caller.user else { throw .noUser(nil) }
    guard caller.end > wall / 1_000 else { throw .invalid(.expired, nil) }
    return (caller, user)
  }

  /// The `data` of CONNECT's refusal: the reason, on a server that explains its refusals.
  private func data(of failure: AuthenticationFailure) -> [UInt8]? {
    guard let reason = authenticator.explanation(of: failure) else { return nil }
    var json: [UInt8] = []
    json.openObject()
    json.member("reason", reason.text)
    if let remedy = reason.remedy { json.member("remedy", remedy) }
    json.closeObject()
    return json
  }

  /// The session's own slot for its first namespace, else a further slot.
  ///
  /// The own slot is given out only once: the store's answers to the user that left it would reach
  /// the next one.
  private func slotForNamespace(of session: SocketIOSession) -> UInt32? {
    // guard: left-slot-not-reused
    guard session.hasGivenSlot else {
      session.hasGivenSlot = true
      return session.slot
    }
    let limit = limits.connectionsPerShardLimit
    guard let slot = table.insert(fd: -1, .secondaryNamespace, limit: limit) else {
      return nil
    }
    table[slot].state = .http
    table[slot].flags.formUnion(table[session.slot].flags.intersection(.forwarded))
    table[slot].peer = table[session.slot].peer
    table[slot].userAgent = table[session.slot].userAgent
    life.begin(at: slot, in: delivery[session.slot].group)
    table[slot].engineLink = .socketIO(session)
    return slot
  }

  /// Ends the user's session at `slot`; the connection goes on if `slot` is its own.
  func leaveNamespace(_ slot: UInt32, _ session: SocketIOSession) {
    guard !session.hasEnded else { return }
    if slot != session.slot {
      engine.flushWithoutSocket(slot)
      return connections.drop(slot)
    }
    delivery.takePrivately(slot)
    let assembly = table[slot].activity.assembly
    life.leaveFanOut(slot, because: "left the namespace")
    table[slot].activity.assembly = assembly
    let isPolling = delivery[slot].flags.contains(.polling)
    let group = fanOutGroups.first(
      of: .engine(path: session.path), .engineIO(isPolling: isPolling))
    delivery.assign(slot, to: group)
    table[slot].user = ""
    table[slot].tokenEnd = .max
    delivery.markQueued(slot)
    connections.scheduleTimer(slot)
  }

  /// The ids for the client of the session at `slot`, which is now connected.
  ///
  /// `cursor` is its start position; nil if it gets no cursors.
  func identity(at slot: UInt32, cursor: Cursor?, isResumed: Bool) -> SocketIdentity? {
    guard let session = table[slot].engineLink.socketIO,
      let index = session.index(atSlot: slot)
    else { return nil }
    session.sockets[index].isConnected = true
    let resumption = session.sockets[index].resumption
    session.sockets[index].resumption = nil
    session.sockets[index].position = cursor?.offset ?? 0
    if resumption != nil, !isResumed { leaveKeptRooms(slot) }
    if isResumed, let resumption {
      session.sockets[index].recovery = resumption.recovery
      let note = ShardMessage.recovered(
        resumption.recovery, table[slot].user, openedAt: session.openedAt,
        at: shardConnectionID(of: slot))
      // guard: recovered-elsewhere-is-posted
      for mailbox in core.mailboxes { mailbox.append(note) }
      // They were kept for a limited time; from now on they are kept without one.
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

  /// The arguments of an event without content: for a client that gets cursors, its position.
  ///
  /// JavaScript's client would take the name of an event without arguments for its offset.
  func positionArguments(of socket: SocketIOSocket) -> [[UInt8]] {
    guard let slot = socket.slot, encoder(of: slot).sendsCursors else { return [] }
    var argument: [UInt8] = []
    argument.appendJSONString(core.store.history.cursors.text(at: socket.position))
    // guard: position-in-keep-alive
    return [argument]
  }

  /// Ends the stale connection of a client that has recovered on the one at `address`.
  ///
  /// The network may have cut the stale connection off silently, and only the connection that the
  /// client opened last is current. That is not always the one that recovered last: requests from
  /// before the cut may be processed after those of the new connection. Then the connection at
  /// `address` is the stale one, and its shard is notified of the current one.
  func evictStale(
    _ recovery: RecoveryID, of user: UserID, openedAt: UInt64, at address: ShardConnectionID
  ) {
    for slot in users.slots(of: user) {
      guard shardConnectionID(of: slot) != address,
        let session = table[slot].engineLink.socketIO,
        let index = session.index(atSlot: slot), session.sockets[index].recovery == recovery
      else { continue }
      // guard: latest-recovery-wins
      guard session.openedAt <= openedAt else {
        let note = ShardMessage.recovered(
          recovery, user, openedAt: session.openedAt, at: shardConnectionID(of: slot))
        // guard: left-shard-is-notified
        core.mailboxes[address.shard].append(note)
        // The stale connection has stored the rooms that it recovered, which may have changed.
        // guard: recovered-rooms-updated
        keepRooms(of: session.sockets[index], session, endsAt: nil)
        continue
      }
      // The rooms belong to the new connection: this one must not store its own when it ends.
      session.sockets[index].isConnected = false
      engine.end(session, because: "recovered on another connection", code: 1001)
    }
  }

  // MARK: Rooms that outlive the connection

  /// Reads a returning client's rooms from the store; it enters them before it is greeted.
  ///
  /// An empty write comes before the read: the rooms of the last connection may still be on their
  /// way to the disk, and a reader sees only committed data.
  private func askForRooms(_ recovery: RecoveryID, at slot: UInt32) {
    let (id, mailbox) = (table.id(of: slot), mailbox)
    let nothing = StoreCommand.keepRooms(
      session: .random(from: kernel), user: table[slot].user, rooms: [], endsAt: 0)
    let isTaken = core.store.submit(nothing) { _ in mailbox.append(.roomsWritten(id, recovery)) }
    if !isTaken { reads.refuse(slot) }
  }

  /// Reads the rooms of a returning client, now that those of its last connection are written.
  func readKeptRooms(of recovery: RecoveryID, at slot: UInt32) {
    guard awaitsKeptRooms(slot) else { return }
    reads.askForRooms(of: recovery, at: slot)
  }

  private func awaitsKeptRooms(_ slot: UInt32) -> Bool {
    table[slot].state == .session && delivery[slot].flags.contains(.handshakePending)
      && !table[slot].activity.isReplay
  }

  /// Enters the rooms of a returning client, then continues its recovery.
  func takeKeptRooms(_ answer: StoreAnswer, at slot: UInt32) {
    guard awaitsKeptRooms(slot) else { return }
    var rooms: [RoomName] = []
    if case .keptRooms(let kept) = answer { rooms = kept }
    // The new token may allow fewer rooms than the last one.
    let membership = table[slot].membership
    let allowed = rooms.filter { RoomNames.isValid($0) && membership?.mayEnter($0) != false }
    for room in allowed { self.rooms.join(room, at: slot) }
    continueRecovery(at: slot)
  }

  /// Begins the replay at the client's position once no room's answer is awaited any more.
  private func continueRecovery(at slot: UInt32) {
    guard let session = table[slot].engineLink.socketIO,
      let index = session.index(atSlot: slot), !table[slot].activity.isReplay,
      let resumption = session.sockets[index].resumption,
      table[slot].membership?.entries.allSatisfy({ $0.awaited == 0 }) != false
    else { return }
    // A new `pid` already shows a client which did not pass `since` that continuity is lost.
    reads.beginReplay(
      resumption.cursor.description, announcesLoss: resumption.hasSince, at: slot)
  }

  /// Leaves the kept rooms, because the client's state could not be recovered.
  private func leaveKeptRooms(_ slot: UInt32) {
    let allowed = table[slot].membership?.allowed
    rooms.leaveAll(slot)
    guard allowed != nil else { return }
    table[slot].membership = Membership()
    table[slot].membership?.allowed = allowed
  }

  /// Stores the changed rooms of the session at `slot`, or continues its recovery.
  func roomsChanged(at slot: UInt32) {
    if delivery[slot].flags.contains(.handshakePending) { return continueRecovery(at: slot) }
    guard let session = table[slot].engineLink.socketIO,
      let index = session.index(atSlot: slot)
    else { return }
    keepRooms(of: session.sockets[index], session, endsAt: nil)
  }

  /// Stores the rooms of a socket before its connection ends, since its client may return.
  func keepRooms(of socket: SocketIOSocket, _ session: SocketIOSession) {
    // Entries of rooms just left also count: the store may still have these rooms.
    guard socket.isConnected, let slot = socket.slot,
      table[slot].membership?.entries.isEmpty == false
    else { return }
    keepRooms(of: socket, session, endsAt: wall + RecoveryID.keptMilliseconds)
  }

  /// Deletes the stored rooms of a client that leaves on its own: it will not recover.
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
    guard let slot = socket.slot else { return }
    keep(wantedRooms(at: slot), of: socket, session, at: slot, endsAt: endsAt)
  }

  private func keep(
    _ rooms: [RoomName], of socket: SocketIOSocket, _ session: SocketIOSession, at slot: UInt32,
    endsAt: Int64?
  ) {
    // A closed store takes no commands, and without recovery there is nothing to keep.
    guard !context.isStopping, encoder(of: slot).sendsCursors else { return }
    let command = StoreCommand.keepRooms(
      session: socket.recovery, user: table[slot].user, rooms: rooms, endsAt: endsAt)
    if !core.store.submit(command, reply: { _ in }) { metrics.add(.roomsNotPersisted) }
  }

  private func wantedRooms(at slot: UInt32) -> [RoomName] {
    table[slot].membership?.entries.filter(\.isWanted).map(\.name) ?? []
  }
}
