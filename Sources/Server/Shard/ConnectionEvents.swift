// What happens to a connection, dispatched to the component that has it by its state.

internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

extension Shard: ConnectionOwner {
  /// Begins a connection that was just accepted.
  func begin(_ slot: UInt32) {
    do throws(AdmissionRefusal) {
      try admission.admit(slot)
    } catch {
      guard admission.beginRejection(of: slot) else { return connections.drop(slot) }
      return http.reject(slot, with: .refusing(error, by: core.quotas))
    }
    metrics.add(.accepted)
    connections.scheduleTimer(slot)
    // guard: idle-closed-when-files-short
    if core.fileBudget.isShort(at: delivery[slot].fd) { idle.makeRoom() }
  }

  /// Handles readiness of the connection at `slot`.
  func handle(_ readiness: Interest, at slot: UInt32) {
    if readiness.contains(.writable), delivery[slot].flags.contains(.blocked) {
      delivery.flush(slot)
    }
    // A paused connection is not watched for readability, but its reset is reported all the same.
    if readiness.contains(.readable),
      delivery[slot].flags.isDisjoint(with: [.readPaused, .peerEnded])
    {
      if receiver.receive(at: slot, { parse(at: $0, byteCount: $1) }) { inputEnded(slot) }
    } else if readiness.contains(.hangup) {  // guard: hangup-without-reading
      connections.drop(slot, counting: .resets)
    }
  }

  /// Parses the connection's bytes, the first `byteCount` of the scratch, and keeps the rest.
  func parse(at slot: UInt32, byteCount: Int) {
    var consumed = 0
    var state = ConnectionState.free
    // A connection may change its protocol in the middle of the received bytes.
    while consumed < byteCount {
      state = table[slot].state
      switch state {
      case .http: handleRequests(at: slot, from: &consumed, to: byteCount)
      case .session where receiver.isBidirectional(slot):
        consumed = webSockets.process(slot, from: consumed, to: byteCount)
      // The client of an event stream has nothing more to send.
      case .session: consumed = byteCount
      case .closing, .lingering, .free, .ended: consumed = byteCount
      }
      // guard: frame-after-upgrade-request
      if table[slot].state == state { break }
    }
    receiver.keep(from: consumed, to: byteCount, at: slot)
  }

  /// Handles the peer's end of stream.
  ///
  /// An HTTP client may end its side and still expects its whole response. A WebSocket that does so
  /// without a close frame is over.
  private func inputEnded(_ slot: UInt32) {
    let hasPendingResponse =
      table[slot].flags.contains(.awaitsAnswer)
      || !delivery[slot].flags.isDisjoint(with: [.queued, .blocked])
    switch table[slot].state {
    case .http where hasPendingResponse, .closing where hasPendingResponse:
      if table[slot].state == .http { http.inputEnded(slot) }
      // A waiting poll is ended now, so that nothing of it outlives its client.
      if let poll = table[slot].activity.exchange?.poll { polls.end(poll, at: slot) }
      delivery.inputEnded(slot)
    case .session where receiver.isBidirectional(slot):
      // guard: half-close-ends-session
      connections.drop(slot, counting: .resets)
    // This is how the client of an event stream leaves.
    case .session:
      connections.drop(slot)
    case .http, .closing, .lingering, .free, .ended:
      connections.drop(slot)
    }
  }

  /// Handles the connection's timer; the deadline that it was set for may have moved since.
  func timerFired(at slot: UInt32) {
    connections.extendExpiredDeadlines(of: slot)
    if delivery[slot].flags.contains(.blocked), !delivery[slot].flags.contains(.polling),
      delivery.hasStalled(slot)
    {
      return connections.drop(slot, counting: .slowConsumers)
    }
    let deadline = table[slot].deadline
    switch table[slot].state {
    case .free, .ended:
      return
    case .http:
      guard now >= deadline else { break }
      if let poll = table[slot].activity.exchange?.poll { return polls.end(poll, at: slot) }
      return http.timedOut(slot)
    case .session:
      if let session = table[slot].engineLink.session {
        engine.timerFired(session, slot)
      } else {
        life.timerFired(at: slot)
      }
    case .closing, .lingering:
      // guard: closing-deadline
      if now >= deadline { return connections.abandon(slot) }
    }
    connections.scheduleTimer(slot)
  }

  /// Continues the work that waited until everything queued was sent.
  func sentAll(_ slot: UInt32) {
    pages.noteSent(slot)
    if table[slot].flags.contains(.closesWhenSent) {
      return connections.linger(slot)
    } else if table[slot].activity.isReplay {
      reads.continueReplay(slot)
    } else if table[slot].activity.fetch != nil {
      reads.continueFetch(slot)
    } else {
      connections.resumeWhenFlushed(slot)
    }
    guard let session = table[slot].engineLink.session, session.slot == slot else { return }
    // guard: pages-of-namespaces-released
    for further in session.furtherSlots { pages.noteSent(further) }
    engine.continueSecondaryNamespaces(of: slot)
  }

  /// Ends the oldest session of a user that has begun one more than its limit.
  func endReplaced(_ slot: UInt32) {
    if table[slot].state == .session {
      // guard: newest-session-closes-oldest
      life.close(slot, code: 1008, reason: "replaced by a newer connection")
    } else if let poll = table[slot].activity.exchange?.poll {
      // guard: newest-session-ends-waiting-poll
      polls.end(poll, at: slot)
    }
  }

  /// Handles an owner shard's reply to a request for a room.
  func take(_ answer: RoomAnswer, of name: RoomName, at slot: UInt32) {
    if table[slot].state == .http { return http.answer(slot, with: answer) }
    if rooms.take(answer, of: name, at: slot), table[slot].engineLink.session != nil {
      socketIO.roomsChanged(at: slot)
    }
  }

  func releaseRequest(at slot: UInt32) {
    engine.requestEnds(at: slot)
    http.release(slot)
  }

  /// The session goes first: its end may answer its requests, and the quotas count both.
  func release(_ slot: UInt32, because reason: @autoclosure () -> String) {
    if let session = table[slot].engineLink.session { engine.leave(session, slot) }
    life.leave(slot, because: reason())
    releaseRequest(at: slot)
    pages.release(slot)
    admission.leave(slot)
  }
}

extension Shard: SessionOwner {
  func close(_ session: EngineSession, at slot: UInt32, code: UInt16, because reason: String) {
    // A Socket.IO client reconnects by itself after its connection has ended, but not after its
    // namespace was disconnected.
    if code == 1008, socketIO.disconnectNamespace(at: slot) { return }
    engine.end(session, because: reason, code: code)
  }

  func identity(at slot: UInt32, cursor: Cursor?, isResumed: Bool) -> SocketIdentity? {
    socketIO.identity(at: slot, cursor: cursor, isResumed: isResumed)
  }
}
