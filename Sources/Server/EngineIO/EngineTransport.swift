// A session of Engine.IO on its way: begun, sent to through polls or a socket, taken over by a
// WebSocket, watched, and ended. Protocol version 4, "Upgrade" and "Heartbeat".
//
// Invariant: a place has the flag `polling` exactly while it is a session's own and has no socket,
// and `secondaryNamespace` exactly while it is a further namespace's, whose messages leave through the session's
// own place. Neither is ever read from or written to.

internal import Broadcast
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// Packets in the body that a poll is answered with: python-engineio takes no more.
  private static let packetsPerPoll = 16  // guard: packets-per-poll

  /// Begins a session at `slot` with what its client is told first.
  @discardableResult
  func openEngine(
    at slot: UInt32, path: Int, usesBase64: Bool, opener: Caller?
  ) -> EngineSession {
    let engine = core.configuration.engines[path]
    let settings = engine.settings
    let id = EngineID.random(on: index, from: kernel)
    let openedAt = kernel.monotonicNanoseconds
    let session: EngineSession
    switch engine.use {
    case .messages:
      session = EngineSession(
        id: id, path: path, messageBytesLimit: settings.messageBytesLimit, slot: slot,
        usesBase64: usesBase64, opener: opener, beginsBy: .max, openedAt: openedAt)
    case .socketIO:
      session = SocketIOSession(
        id: id, path: path, messageBytesLimit: settings.messageBytesLimit, slot: slot,
        usesBase64: usesBase64, opener: opener,
        beginsBy: now + settings.connectTimeoutMilliseconds, openedAt: openedAt)
    }
    engineSessions[id] = slot
    let isPolling = table[slot].flags.contains(.polling)
    beginSession(at: slot, in: fanOutGroups.id(ofPath: path, isPolling: isPolling))
    table[slot].engine = session
    table[slot].lastReceivedAt = now
    table[slot].connectedAt = wall
    table[slot].deadline = now + settings.pingIntervalMilliseconds
    scheduleTimer(slot)
    guard table.contains(slot) else { return session }
    let handshake = EngineIOHandshake(
      sessionID: id.text, upgrades: isPolling ? [.webSocket] : [],
      pingIntervalMilliseconds: Int(settings.pingIntervalMilliseconds),
      pingTimeoutMilliseconds: Int(settings.pingTimeoutMilliseconds),
      payloadBytesLimit: settings.messageBytesLimit)
    write(to: slot) { frames in
      frames.text { packet in
        EngineIOPacket.append(.open, into: &packet) { handshake.append(into: &$0) }
      }
    }
    return session
  }

  /// Sends a message of binary data.
  func send(binary: [UInt8], to session: EngineSession) {
    write(to: session.slot) { frames in
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
      guard table[session.slot].flags.contains(.pinged) else { return }
      table[session.slot].flags.remove(.pinged)
      let interval = core.configuration.engines[session.path].settings.pingIntervalMilliseconds
      table[session.slot].deadline = now + interval
      scheduleTimer(session.slot)
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
    _ message: MessageAssembly, at slot: UInt32
  ) throws(ProtocolViolation) -> Bool {
    if let probe = table[slot].task as? EngineProbe {
      continueProbe(probe, message, at: slot)
      return true
    }
    guard let session = table[slot].engine else { return false }
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
  func flushWithoutSocket(_ slot: UInt32) {
    guard let session = table[slot].engine, table[slot].state == .session else {
      return drop(slot)
    }
    guard takeSharedTail(at: slot) else { return }
    copyOutOutbox(at: slot)
    if table[slot].flags.contains(.secondaryNamespace) {
      flushSecondaryNamespace(slot, through: session.slot)
    } else {
      flushPolling(slot, session)
    }
  }

  private func flushPolling(_ slot: UInt32, _ session: EngineSession) {
    let isEmpty = table[slot].privateSentCount == table[slot].privateBytes.count
    guard let poll = session.poll, table.holds(poll) else {
      session.poll = nil
      if isEmpty { table[slot].flags.remove(.queued) } else { block(slot) }
      return
    }
    if isEmpty, !session.isProbed {
      table[slot].flags.remove(.queued)
      return
    }
    let payload = takePrivateBytes(slot, packetLimit: Shard.packetsPerPoll)
    session.poll = nil
    // A client that is about to go over to a WebSocket waits for its poll to be answered.
    answerPoll(poll, payload.isEmpty ? [EngineIOPacketType.noop.byte] : payload)
    guard table.contains(slot), table[slot].engine === session else { return }
    if table[slot].privateBytes.isEmpty { sentAll(slot) } else { block(slot) }
  }

  /// Takes the first packets that the connection owns, for one body.
  private func takePrivateBytes(_ slot: UInt32, packetLimit: Int) -> [UInt8] {
    let privateBytes = table[slot].privateBytes
    var end = table[slot].privateSentCount
    var count = 0
    while end < privateBytes.count, count < packetLimit {
      if privateBytes[end] == EngineIOPayload.separator { count += 1 }
      end += 1
    }
    var payload = Array(privateBytes[table[slot].privateSentCount..<end])
    if payload.last == EngineIOPayload.separator { payload.removeLast() }
    metrics.add(.bytesSent, payload.count)
    if end < privateBytes.count {
      table[slot].privateSentCount = end
      countBlocked(privateBytes.count - end, at: slot)
      return payload
    }
    table[slot].privateBytes = []
    table[slot].privateSentCount = 0
    table[slot].flags.remove(.queued)
    if table[slot].flags.contains(.blocked) { unblock(slot) }
    return payload
  }

  private func answerPoll(_ poll: ConnectionID, _ payload: [UInt8]) {
    finish(poll.slot, .payload(payload))
    if table.holds(poll) { flush(poll.slot) }
  }

  private func flushSecondaryNamespace(_ slot: UInt32, through transportConnection: UInt32) {
    let frames = table[slot].privateBytes
    table[slot].privateBytes = []
    table[slot].flags.remove(.queued)
    guard table.contains(transportConnection), table[transportConnection].state == .session else {
      return
    }
    let id = table.id(of: slot)
    if !frames.isEmpty {
      appendPrivateBytes(frames, to: transportConnection)
      guard table.contains(transportConnection) else { return }
      flush(transportConnection)
    }
    guard table.holds(id), table.contains(transportConnection) else { return }
    // One that is behind goes on when its carrier's socket has taken what it has.
    if !table[transportConnection].flags.contains(.blocked) { sentAll(slot) }
  }

  /// What a session's further namespaces had waiting went out through its own place: they go on.
  func continueSecondaryNamespaces(of slot: UInt32) {
    guard let session = table[slot].engine as? SocketIOSession else { return }
    // guard: secondary-namespace-resumes
    for secondaryNamespace in session.sockets.compactMap(\.slot) where secondaryNamespace != slot {
      guard table.contains(secondaryNamespace), table[secondaryNamespace].flags.contains(.replaying)
      else { continue }
      continueReplay(secondaryNamespace)
    }
  }

  // MARK: Watching

  /// The timer of a place of Engine.IO's is due; false when the session has ended.
  func engineTimerFired(_ session: EngineSession, _ slot: UInt32) -> Bool {
    let id = table.id(of: slot)
    if let end = tokenEndTime(slot), end <= now {
      metrics.add(.tokensExpired)
      close(slot, code: 1008, reason: "token expired")
      guard table.holds(id), table[slot].state == .session else {
        return false
      }
    }
    guard slot == session.slot else { return true }
    // guard: connect-timeout
    if now >= session.beginsBy {
      metrics.add(.timedOut)
      endEngine(session, because: "no namespace in time")
      return false
    }
    if let session = session as? SocketIOSession { expireAcknowledgements(of: session) }
    guard table.holds(id), table[slot].state == .session else {
      return false
    }
    return now < table[slot].deadline || pingEngine(session, slot)
  }

  /// A ping is due, or its answer is; false when the session has ended.
  private func pingEngine(_ session: EngineSession, _ slot: UInt32) -> Bool {
    let settings = core.configuration.engines[session.path].settings
    if table[slot].flags.contains(.pinged) {
      if now < stallGraceUntil {
        table[slot].deadline = stallGraceUntil
        return true
      }
      metrics.add(.timedOut)
      endEngine(session, because: "no answer to ping")
      return false
    }
    // A ping to a socket that is behind would only wait in the queue; that it takes bytes is
    // watched instead. A client that polls finds its ping whenever it comes.
    if table[slot].flags.contains(.blocked), !table[slot].flags.contains(.polling) {
      table[slot].deadline = now + settings.pingIntervalMilliseconds
      return true
    }
    table[slot].flags.insert(.pinged)
    table[slot].deadline = now + settings.pingTimeoutMilliseconds
    write(to: slot) { frames in
      frames.text { EngineIOPacket.append(.ping, into: &$0) }
    }
    if let session = session as? SocketIOSession { keepAlive(session) }
    return table.contains(slot) && table[slot].state == .session
  }

  /// When the timer of a place of Engine.IO's is due, its token's end aside.
  func engineDeadline(_ session: EngineSession, _ slot: UInt32) -> UInt64 {
    guard slot == session.slot else { return .max }
    let deadline = min(table[slot].deadline, session.beginsBy)
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
    let slot = session.slot
    guard table.contains(slot), table[slot].engine === session,
      table[slot].state == .session, takeSharedTail(at: slot)
    else { return }
    leaveEngine(session, slot)
    guard table[slot].flags.contains(.polling) else {
      return closeFramed(slot, code: code, reason: reason, logged: reason)
    }
    copyOutOutbox(at: slot)
    let poll = session.poll
    session.poll = nil
    var payload = takePrivateBytes(slot, packetLimit: Shard.packetsPerPoll - 1)
    if !payload.isEmpty { payload.append(EngineIOPayload.separator) }
    payload.append(last.byte)
    drop(slot, because: reason)
    if let poll, table.holds(poll) {
      answerPoll(poll, payload)
    }
  }

  /// Takes a session that ends, or has lost its socket, off what names it.
  func leaveEngine(_ session: EngineSession, _ slot: UInt32) {
    guard session.slot == slot, !session.hasEnded else { return }
    session.hasEnded = true
    engineSessions[session.id] = nil
    if let session = session as? SocketIOSession { endSockets(of: session) }
    if let probe = session.probe, table.holds(probe) {
      session.probe = nil
      close(probe.slot, code: 1000, reason: "the session has ended")
    }
  }

  /// A request of a session's goes without its answer: its client has lost something.
  func engineRequestEnded(_ exchange: Exchange) {
    guard let session = exchange.engine else { return }
    exchange.engine = nil
    if exchange.requestKind == .poll { session.poll = nil }
    endEngine(session, because: "a request of it ended early")
  }
}
