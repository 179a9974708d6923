// A session of Engine.IO on its way: begun, sent to through polls or a socket, taken over by a
// WebSocket, watched, and ended. Protocol version 4, "Upgrade" and "Heartbeat".
//
// Invariant: a place has the flag `polling` exactly while it is a session's own and has no socket,
// and `guest` exactly while it is a further namespace's, whose messages leave through the session's
// own place. Neither is ever read from or written to.

internal import Broadcast
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// Packets in the body that a poll is answered with: python-engineio takes no more.
  private static let packetsPerPoll = 16  // guard: packets-per-poll

  /// Begins a session at `place` with what its client is told first.
  @discardableResult
  func openEngine(
    at place: UInt32, path: Int, usesBase64: Bool, opener: Caller?
  ) -> EngineSession {
    let engine = core.configuration.engines[path]
    let settings = engine.settings
    let id = EngineID.random(on: index, from: kernel)
    let openedAt = kernel.monotonicNanoseconds
    let session: EngineSession
    switch engine.use {
    case .messages:
      session = EngineSession(
        id: id, path: path, messageBytesLimit: settings.messageBytesLimit, place: place,
        usesBase64: usesBase64, opener: opener, beginsBy: .max, openedAt: openedAt)
    case .socketIO:
      session = SocketIOSession(
        id: id, path: path, messageBytesLimit: settings.messageBytesLimit, place: place,
        usesBase64: usesBase64, opener: opener,
        beginsBy: now + settings.connectTimeoutMilliseconds, openedAt: openedAt)
    }
    engineSessions[id] = place
    let isPolling = table[place].flags.contains(.polling)
    beginSession(at: place, in: fanOutGroups.id(ofPath: path, isPolling: isPolling))
    table[place].engine = session
    table[place].heardAt = now
    table[place].connectedAt = wall
    table[place].deadline = now + settings.pingIntervalMilliseconds
    scheduleTimer(place)
    guard table.contains(place) else { return session }
    let handshake = EngineIOHandshake(
      sessionID: id.text, upgrades: isPolling ? [.webSocket] : [],
      pingIntervalMilliseconds: Int(settings.pingIntervalMilliseconds),
      pingTimeoutMilliseconds: Int(settings.pingTimeoutMilliseconds),
      payloadBytesLimit: settings.messageBytesLimit)
    write(to: place) { frames in
      frames.text { packet in
        EngineIOPacket.append(.open, into: &packet) { handshake.append(into: &$0) }
      }
    }
    return session
  }

  /// Sends a message of binary data.
  func send(binary: [UInt8], to session: EngineSession) {
    write(to: session.place) { frames in
      frames.binary(binary, asText: session.usesBase64)
    }
  }

  // MARK: What the client says

  /// Takes one packet that lies in `bytes`.
  func receive(
    _ packet: EngineIOPacket, in bytes: [UInt8], for session: EngineSession
  ) throws(ProtocolViolation) {
    guard packet.payload.count <= session.messageBytesLimit else { throw .messageTooBig }
    switch packet.type {
    case .message:
      try receiveMessage(packet, in: bytes, for: session)
    case .pong:
      // One that answers nothing puts off nothing.
      guard table[session.place].flags.contains(.pinged) else { return }
      table[session.place].flags.remove(.pinged)
      let interval = core.configuration.engines[session.path].settings.pingIntervalMilliseconds
      table[session.place].deadline = now + interval
      scheduleTimer(session.place)
    case .close:
      endEngine(session, because: "closed by the client", saying: .noop)
    // Pings go from the server to the client since version 4.
    case .ping:
      throw ProtocolViolation(closeCode: 1002, reason: "a ping of the client's")
    // The reference lets pass what is of no use here.
    case .open, .upgrade, .noop:
      break
    }
  }

  private func receiveMessage(
    _ packet: EngineIOPacket, in bytes: [UInt8], for session: EngineSession
  ) throws(ProtocolViolation) {
    switch core.configuration.engines[session.path].use {
    case .messages(let application):
      let client = EngineClient(shard: self, session: session)
      if packet.isBinary {
        application.received(binary: try packet.binaryData(in: bytes), from: client)
      } else {
        application.received(text: Array(bytes[packet.payload]), from: client)
      }
    case .socketIO(let application):
      guard let session = session as? SocketIOSession else { return }
      try receive(packet, in: bytes, for: session, of: application)
    }
  }

  /// Takes a whole message of a WebSocket whose place is a session's, or is to become one's.
  ///
  /// False when it is neither.
  func receiveEngine(
    _ message: MessageAssembly, at place: UInt32
  ) throws(ProtocolViolation) -> Bool {
    if let probe = table[place].task as? EngineProbe {
      continueProbe(probe, message, at: place)
      return true
    }
    guard let session = table[place].engine else { return false }
    let packet =
      message.isText
      ? try EngineIOPacket.decode(text: message.bytes)
      : EngineIOPacket.decode(binary: message.bytes)
    try receive(packet, in: message.bytes, for: session)
    return true
  }

  // MARK: What leaves without a socket

  /// Sends what a place without a socket has waiting: through the session's poll, or through the
  /// place that has the socket.
  func flushWithoutSocket(_ place: UInt32) {
    guard let session = table[place].engine, table[place].state == .session else {
      return drop(place)
    }
    guard takeSharedTail(at: place) else { return }
    spillOutbox(at: place)
    if table[place].flags.contains(.guest) {
      flushGuest(place, through: session.place)
    } else {
      flushPolling(place, session)
    }
  }

  private func flushPolling(_ place: UInt32, _ session: EngineSession) {
    let isEmpty = table[place].ownedSent == table[place].owned.count
    guard let poll = session.poll, table.holds(poll) else {
      session.poll = nil
      if isEmpty { table[place].flags.remove(.queued) } else { block(place) }
      return
    }
    if isEmpty, !session.isProbed {
      table[place].flags.remove(.queued)
      return
    }
    let payload = takeOwned(place, packetLimit: Shard.packetsPerPoll)
    session.poll = nil
    // A client that is about to go over to a WebSocket waits for its poll to be answered.
    answerPoll(poll, payload.isEmpty ? [EngineIOPacketType.noop.byte] : payload)
    guard table.contains(place), table[place].engine === session else { return }
    if table[place].owned.isEmpty { sentAll(place) } else { block(place) }
  }

  /// Takes the first packets that the connection owns, for one body.
  private func takeOwned(_ place: UInt32, packetLimit: Int) -> [UInt8] {
    let owned = table[place].owned
    var end = table[place].ownedSent
    var count = 0
    while end < owned.count, count < packetLimit {
      if owned[end] == EngineIOPayload.separator { count += 1 }
      end += 1
    }
    var payload = Array(owned[table[place].ownedSent..<end])
    if payload.last == EngineIOPayload.separator { payload.removeLast() }
    metrics.add(.bytesSent, payload.count)
    if end < owned.count {
      table[place].ownedSent = end
      countBlocked(owned.count - end, at: place)
      return payload
    }
    table[place].owned = []
    table[place].ownedSent = 0
    table[place].flags.remove(.queued)
    if table[place].flags.contains(.blocked) { unblock(place) }
    return payload
  }

  private func answerPoll(_ poll: ConnectionID, _ payload: [UInt8]) {
    finish(poll.slot, .payload(payload))
    if table.holds(poll) { flush(poll.slot) }
  }

  private func flushGuest(_ place: UInt32, through carrier: UInt32) {
    let frames = table[place].owned
    table[place].owned = []
    table[place].flags.remove(.queued)
    guard table.contains(carrier), table[carrier].state == .session else { return }
    let id = table.id(of: place)
    if !frames.isEmpty {
      appendOwned(frames, to: carrier)
      guard table.contains(carrier) else { return }
      flush(carrier)
    }
    guard table.holds(id), table.contains(carrier) else { return }
    // One that is behind goes on when its carrier's socket has taken what it has.
    if !table[carrier].flags.contains(.blocked) { sentAll(place) }
  }

  /// What a session's further namespaces had waiting went out through its own place: they go on.
  func continueGuests(of place: UInt32) {
    guard let session = table[place].engine as? SocketIOSession else { return }
    // guard: secondary-namespace-resumes
    for guest in session.sockets.compactMap(\.place) where guest != place {
      guard table.contains(guest), table[guest].flags.contains(.replaying) else { continue }
      continueReplay(guest)
    }
  }

  // MARK: Watching

  /// The timer of a place of Engine.IO's is due; false when the session has ended.
  func engineTimerFired(_ session: EngineSession, _ place: UInt32) -> Bool {
    let id = table.id(of: place)
    if let end = tokenEndTime(place), end <= now {
      metrics.add(.tokensExpired)
      close(place, code: 1008, reason: "token expired")
      guard table.holds(id), table[place].state == .session else {
        return false
      }
    }
    guard place == session.place else { return true }
    // guard: connect-timeout
    if now >= session.beginsBy {
      metrics.add(.timedOut)
      endEngine(session, because: "no namespace in time")
      return false
    }
    if let session = session as? SocketIOSession { expireAcknowledgements(of: session) }
    guard table.holds(id), table[place].state == .session else {
      return false
    }
    return now < table[place].deadline || pingEngine(session, place)
  }

  /// A ping is due, or its answer is; false when the session has ended.
  private func pingEngine(_ session: EngineSession, _ place: UInt32) -> Bool {
    let settings = core.configuration.engines[session.path].settings
    if table[place].flags.contains(.pinged) {
      if now < amnestyUntil {
        table[place].deadline = amnestyUntil
        return true
      }
      metrics.add(.timedOut)
      endEngine(session, because: "no answer to ping")
      return false
    }
    // A ping to a socket that is behind would only wait in the queue; that it takes bytes is
    // watched instead. A client that polls finds its ping whenever it comes.
    if table[place].flags.contains(.blocked), !table[place].flags.contains(.polling) {
      table[place].deadline = now + settings.pingIntervalMilliseconds
      return true
    }
    table[place].flags.insert(.pinged)
    table[place].deadline = now + settings.pingTimeoutMilliseconds
    write(to: place) { frames in
      frames.text { EngineIOPacket.append(.ping, into: &$0) }
    }
    if let session = session as? SocketIOSession { keepAlive(session) }
    return table.contains(place) && table[place].state == .session
  }

  /// When the timer of a place of Engine.IO's is due, its token's end aside.
  func engineDeadline(_ session: EngineSession, _ place: UInt32) -> UInt64 {
    guard place == session.place else { return .max }
    let deadline = min(table[place].deadline, session.beginsBy)
    guard let session = session as? SocketIOSession else { return deadline }
    return min(
      deadline, session.acknowledgements?.firstEnd ?? .max, session.assembly?.endsAt ?? .max)
  }

  // MARK: Ending

  /// Ends a session: what is queued is still sent, and `last` behind it to whoever polls.
  func endEngine(
    _ session: EngineSession, because reason: String, code: UInt16 = 1000,
    saying last: EngineIOPacketType = .close
  ) {
    let place = session.place
    guard table.contains(place), table[place].engine === session,
      table[place].state == .session, takeSharedTail(at: place)
    else { return }
    leaveEngine(session, place)
    guard table[place].flags.contains(.polling) else {
      return closeFramed(place, code: code, reason: reason, logged: reason)
    }
    spillOutbox(at: place)
    let poll = session.poll
    session.poll = nil
    var payload = takeOwned(place, packetLimit: Shard.packetsPerPoll - 1)
    if !payload.isEmpty { payload.append(EngineIOPayload.separator) }
    payload.append(last.byte)
    drop(place, because: reason)
    if let poll, table.holds(poll) {
      answerPoll(poll, payload)
    }
  }

  /// Takes a session that ends, or has lost its socket, off what names it.
  func leaveEngine(_ session: EngineSession, _ place: UInt32) {
    guard session.place == place, !session.hasEnded else { return }
    session.hasEnded = true
    engineSessions[session.id] = nil
    if let session = session as? SocketIOSession { endSockets(of: session) }
    if let probe = session.probe, table.holds(probe) {
      session.probe = nil
      close(probe.slot, code: 1000, reason: "the session has ended")
    }
  }

  /// A request of a session's goes without its answer: its client has lost something.
  func engineRequestGone(_ exchange: Exchange) {
    guard let session = exchange.engine else { return }
    exchange.engine = nil
    if exchange.errand == .poll { session.poll = nil }
    endEngine(session, because: "a request of it ended early")
  }
}
