// The life of an Engine.IO session: opened, sent to through polls or a socket, kept alive by a
// heartbeat, and ended. Protocol version 4, "Upgrade" and "Heartbeat".

internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

extension EngineSessions {
  /// Packets in the body that answers a poll: python-engineio accepts no more.
  static let packetsPerPoll = 16  // guard: packets-per-poll

  /// Begins a session at `slot` and queues its handshake.
  ///
  /// `since` is from the query of its first request.
  @discardableResult
  func open(
    at slot: UInt32, path: Int, usesBase64: Bool, opener: Result<Caller, AuthenticationFailure>,
    since: String?
  ) -> EngineSession {
    let engine = core.configuration.engines[path]
    let settings = engine.settings
    let id = EngineID.random(on: index, from: kernel)
    let openedAt = kernel.monotonicNanoseconds
    let opening = EngineOpening(
      id: id, path: path, messageBytesLimit: settings.messageBytesLimit, slot: slot,
      usesBase64: usesBase64, opener: opener, openedAt: openedAt)
    let (session, link) = engine.makeSession(opening, since: since, now: now)
    register(session)
    let isPolling = delivery[slot].flags.contains(.polling)
    let group = fanOutGroups.first(of: .engine(path: path), .engineIO(isPolling: isPolling))
    life.begin(at: slot, in: group)
    table[slot].engineLink = link
    table[slot].lastReceivedAt = now
    table[slot].connectedAt = wall
    table[slot].deadline = now + settings.pingIntervalMilliseconds
    connections.scheduleTimer(slot)
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

  /// Sends a binary message.
  func send(binary: [UInt8], to session: EngineSession) {
    write(to: session.slot) { frames in
      frames.binary(binary, asText: session.usesBase64)
    }
  }

  // MARK: Receiving

  /// Handles one packet, which lies in `bytes`.
  ///
  /// Returns whether it is a message for the protocol that the session carries.
  func receive(
    _ packet: EngineIOPacket, in bytes: [UInt8], for session: EngineSession
  ) throws(ProtocolViolation) -> Bool {
    guard packet.payload.count <= session.messageBytesLimit else { throw .messageTooBig }
    switch packet.type {
    case .message:
      if isCarrier(session) { return true }
      try deliver(packet, in: bytes, to: session)
    case .pong:
      // An unsolicited pong must not postpone the next ping.
      guard table[session.slot].flags.contains(.pinged) else { break }
      table[session.slot].flags.remove(.pinged)
      let interval = core.configuration.engines[session.path].settings.pingIntervalMilliseconds
      table[session.slot].deadline = now + interval
      connections.scheduleTimer(session.slot)
    case .close:
      end(session, because: "closed by the client", saying: .noop)
    // Since version 4 only the server sends pings.
    case .ping:
      throw ProtocolViolation(closeCode: 1002, reason: "a ping from the client")
    // Ignored, as in the reference.
    case .open, .upgrade, .noop:
      break
    }
    return false
  }

  /// Hands a message to the application at the path.
  private func deliver(
    _ packet: EngineIOPacket, in bytes: [UInt8], to session: EngineSession
  ) throws(ProtocolViolation) {
    guard case .messages(let application) = core.configuration.engines[session.path].use else {
      return
    }
    let client = EngineClient(engine: self, session: session)
    if packet.isBinary {
      application.received(binary: try packet.binaryData(in: bytes), from: client)
    } else {
      application.received(text: Array(bytes[packet.payload]), from: client)
    }
  }

  /// Whether a session carries the protocol on top, and not messages of an application.
  private func isCarrier(_ session: EngineSession) -> Bool {
    if case .socketIO = table[session.slot].engineLink { true } else { false }
  }

  // MARK: Sending without a socket

  /// Sends the pending bytes of a slot without a socket: through the session's poll, or through the
  /// session's own slot.
  func flushWithoutSocket(_ slot: UInt32) {
    guard let session = table[slot].engineLink.session, table[slot].state == .session else {
      return connections.drop(slot)
    }
    delivery.takePrivately(slot)
    if delivery[slot].flags.contains(.secondaryNamespace) {
      flushSecondaryNamespace(slot, through: session.slot)
    } else {
      flushPolling(slot, session)
    }
  }

  private func flushPolling(_ slot: UInt32, _ session: EngineSession) {
    guard let poll = session.poll, table.holds(poll) else {
      session.poll = nil
      return delivery.settlePoll(slot)
    }
    if delivery[slot].unsentPrivateBytes.isEmpty, probe(of: session)?.isAnswered != true {
      return delivery.settlePoll(slot)
    }
    let payload = takePackets(slot, limit: EngineSessions.packetsPerPoll)
    session.poll = nil
    // During an upgrade the client waits for its poll to end, so an empty poll gets a noop.
    answerPoll(poll, payload.isEmpty ? [EngineIOPacketType.noop.byte] : payload)
    if delivery[slot].unsentPrivateBytes.isEmpty {
      delivery.reportDrained(slot)
    } else {
      delivery.settlePoll(slot)
    }
  }

  /// Removes the first packets from the private send buffer, as one body.
  private func takePackets(_ slot: UInt32, limit: Int) -> [UInt8] {
    let unsent = delivery[slot].unsentPrivateBytes
    var end = unsent.startIndex
    var count = 0
    while end < unsent.endIndex, count < limit {
      if unsent[end] == EngineIOPayload.separator { count += 1 }
      end += 1
    }
    var payload = Array(unsent[..<end])
    delivery.dropPrivateBytes(payload.count, at: slot)
    if payload.last == EngineIOPayload.separator { payload.removeLast() }
    metrics.add(.bytesSent, payload.count)
    return payload
  }

  private func answerPoll(_ poll: ConnectionID, _ payload: [UInt8]) {
    http.finish(.payload(payload), at: poll.slot)
    delivery.flush(poll.slot)
  }

  private func flushSecondaryNamespace(_ slot: UInt32, through transportConnection: UInt32) {
    let frames = Array(delivery[slot].unsentPrivateBytes)
    delivery.dropPrivateBytes(frames.count, at: slot)
    guard table[transportConnection].state == .session else { return }
    if !frames.isEmpty {
      delivery.appendPrivateBytes(frames, to: transportConnection)
      delivery.flush(transportConnection)
    }
    // A blocked transport connection continues its namespaces once it has drained.
    if !delivery[transportConnection].flags.contains(.blocked) {
      delivery.reportDrained(slot)
    }
  }

  /// Continues the replays of a session's further namespaces after its own slot has drained.
  func continueSecondaryNamespaces(of slot: UInt32) {
    for secondaryNamespace in table[slot].engineLink.session?.furtherSlots ?? [] {
      // guard: secondary-namespace-resumes
      if table[secondaryNamespace].activity.isReplay {
        reads.continueReplay(secondaryNamespace)
      }
    }
  }

  // MARK: Heartbeat

  /// Handles the timer of an Engine.IO slot.
  func timerFired(_ session: EngineSession, _ slot: UInt32) {
    if let end = connections.tokenEndTime(of: slot), end <= now {
      metrics.add(.tokensExpired)
      life.close(slot, code: 1008, reason: "token expired")
    }
    guard slot == session.slot, !session.hasEnded else { return }
    // guard: connect-timeout
    if now >= session.beginsBy {
      metrics.add(.timedOut)
      return end(session, because: "no namespace in time")
    }
    if isCarrier(session) { user.timerFired(session) }
    if now >= table[slot].deadline, !session.hasEnded { pingEngine(session, slot) }
  }

  /// Sends a due ping, or ends a session that left one unanswered.
  private func pingEngine(_ session: EngineSession, _ slot: UInt32) {
    let settings = core.configuration.engines[session.path].settings
    if table[slot].flags.contains(.pinged) {
      if clock.isInStallGrace {
        table[slot].deadline = clock.stallGraceUntil
        return
      }
      metrics.add(.timedOut)
      return end(session, because: "no answer to ping")
    }
    // A ping to a blocked socket would only wait in the queue; the progress of its writes is
    // monitored instead. A polling client gets its ping with its next poll.
    if delivery[slot].flags.contains(.blocked), !delivery[slot].flags.contains(.polling) {
      table[slot].deadline = now + settings.pingIntervalMilliseconds
      return
    }
    table[slot].flags.insert(.pinged)
    // From the time at which the ping was due, so that the session's end is not later than that of
    // a server that is not busy.
    table[slot].deadline = clock.next(
      after: table[slot].deadline, every: settings.pingTimeoutMilliseconds)
    write(to: slot) { frames in
      frames.text { EngineIOPacket.append(.ping, into: &$0) }
    }
    if isCarrier(session) { user.pinged(session) }
  }

  // MARK: Ending

  /// Ends a session after its queued packets; a polling client also gets `last` after them.
  func end(
    _ session: EngineSession, because reason: String, code: UInt16 = 1000,
    saying last: EngineIOPacketType = .close
  ) {
    let slot = session.slot
    guard !session.hasEnded else { return }
    delivery.takePrivately(slot)
    let poll = session.poll
    session.poll = nil
    leave(session, slot)
    guard delivery[slot].flags.contains(.polling) else {
      return life.closeFramed(slot, code: code, reason: reason, logged: reason)
    }
    var payload = takePackets(slot, limit: EngineSessions.packetsPerPoll - 1)
    if !payload.isEmpty { payload.append(EngineIOPayload.separator) }
    payload.append(last.byte)
    connections.drop(slot, because: reason)
    if let poll, table.holds(poll) {
      answerPoll(poll, payload)
    }
  }

  /// Ends the session at `slot`, which the client has closed with `code`.
  ///
  /// False when the slot belongs to no session.
  func endClosed(_ code: UInt16, because reason: String, at slot: UInt32) -> Bool {
    guard let session = table[slot].engineLink.session else { return false }
    end(session, because: reason, code: code)
    return true
  }

  /// Unregisters a session whose own slot is ending, or the slot of one of its further namespaces.
  func leave(_ session: EngineSession, _ slot: UInt32) {
    guard !session.hasEnded else { return }
    guard session.slot == slot else { return session.forget(slot) }
    session.hasEnded = true
    unregister(session)
    if isCarrier(session) { user.ended(session) }
    if let probe = session.probe, self.probe(of: session) != nil {
      session.probe = nil
      life.close(probe.slot, code: 1000, reason: "the session has ended")
    }
    if let poll = session.poll, table.holds(poll) {
      session.poll = nil
      http.finish(.refusal(.unknownSession), at: poll.slot)
    }
  }

  /// Ends the session of the request at `slot`, which ends unanswered: its client has lost data.
  func requestEnds(at slot: UInt32) {
    guard let exchange = table[slot].activity.exchange, let session = exchange.takeEngine() else {
      return
    }
    if exchange.requestKind == .poll { session.poll = nil }
    end(session, because: "one of its requests ended without an answer")
  }
}
