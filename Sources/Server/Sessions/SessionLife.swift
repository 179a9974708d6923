// The life of a session: it begins on a connection, is greeted, kept alive, and ends.
//
// A session is a WebSocket, an event stream, or a namespace of Socket.IO. Those of Socket.IO end
// with their Engine.IO session, which `SessionOwner` ends.

internal import Delivery
internal import Notifications
internal import Wire

/// The parts of a session's life that belong to the protocols above it.
protocol SessionOwner: AnyObject {
  /// Ends the session at `slot`, which `session` carries, or only its namespace.
  func close(_ session: EngineSession, at slot: UInt32, code: UInt16, because reason: String)
  /// The ids for the Socket.IO client of the session at `slot`, which is now connected.
  ///
  /// `cursor` is its start position; nil if it gets no cursors.
  func identity(at slot: UInt32, cursor: Cursor?, isResumed: Bool) -> SocketIdentity?
}

/// Begins, greets, keeps alive and ends the sessions of a shard.
///
/// Invariant: a connection takes frames exactly while its state is `.session`. A user's session is
/// in the directory, the rooms and the fan-out group until `leave`, and in none of them after it.
final class SessionLife: ShardComponent {
  let context: ShardContext
  private let connections: Connections
  private let admission: AdmissionControl
  private let users: Users
  private let rooms: Rooms
  private let http: HTTPConnections
  private let log: ConnectionLog
  /// Set once, by the shard that owns both.
  unowned var owner: (any SessionOwner)!

  init(
    _ context: ShardContext, _ connections: Connections, _ admission: AdmissionControl,
    _ users: Users, _ rooms: Rooms, _ http: HTTPConnections, _ log: ConnectionLog
  ) {
    self.context = context
    self.connections = connections
    self.admission = admission
    self.users = users
    self.rooms = rooms
    self.http = http
    self.log = log
  }

  /// Traps in a debug build when delivery and the table differ on which connections are sessions.
  func checkInvariants() {
    table.forEachSlot { slot in
      assert(
        delivery[slot].flags.contains(.takesFrames) == (table[slot].state == .session),
        "delivery does not know whether \(slot) is a session")
      assert(
        delivery[slot].flags.contains(.isReplaying) == table[slot].activity.isReplay,
        "delivery does not know whether \(slot) replays")
    }
  }

  // MARK: Beginning

  /// Turns the connection at `slot` into a session of `group`, without membership in the fan-out.
  func begin(at slot: UInt32, in group: FanOutGroupID) {
    http.release(slot)
    table[slot].state = .session
    delivery.beginSession(slot, in: group)
    table[slot].flags.remove([.usedBefore, .awaitsAnswer])
    metrics.add(.sessionsOpened)
    delivery.markQueued(slot)
  }

  /// Assigns the session at `slot` to its user and fan-out group; it is not greeted yet.
  func assign(_ caller: Caller, to group: FanOutGroupID, at slot: UInt32) {
    delivery.assign(slot, to: group)
    table[slot].user = caller.user ?? ""
    table[slot].tokenEnd = caller.end
    delivery.awaitHandshake(slot)
    users.list(slot)
    log.began(at: slot)
    connections.scheduleTimer(slot)
    rooms.setClaimedRooms(caller.rooms, at: slot)
  }

  /// Sends the greeting of a session, which gets broadcasts from here on.
  ///
  /// `cursor` is sent only in groups with cursors, `counts` only in dialects that greet with them.
  /// `isResumed` means that missed notifications follow.
  func greet(_ slot: UInt32, cursor: Cursor?, _ counts: Counts?, isResumed: Bool = false) {
    let encoder = encoder(of: slot)
    let cursor = encoder.sendsCursors ? cursor : nil
    let identity =
      table[slot].engineLink.socketIO == nil
      ? nil : owner.identity(at: slot, cursor: cursor, isResumed: isResumed)
    delivery.join(slot)
    let greeting = Greeting(
      user: table[slot].user, time: wall, cursor: cursor, counts: counts, isResumed: isResumed,
      socket: identity)
    encoder.writer.removeAll()
    encoder.dialect.write(greeting, to: &encoder.writer)
    table[slot].activity.replay?.opening = encoder.writer.opening
    delivery.send(encoder.writer.bytes, to: slot)
    for room in table[slot].activity.replay?.rooms ?? [] { rooms.join(room, at: slot) }
  }

  // MARK: Heartbeat

  /// Handles the expired deadlines of a session that Engine.IO does not carry.
  func timerFired(at slot: UInt32) {
    let encoder = encoder(of: slot)
    let dialect = encoder.dialect
    // guard: probe-timeout
    if table[slot].activity.probe != nil, now >= table[slot].deadline {
      metrics.add(.timedOut)
      return close(slot, code: 1000, reason: "no upgrade in time")
    }
    if table[slot].activity.awaitsToken, now >= table[slot].deadline {
      metrics.add(.timedOut)
      return close(slot, code: dialect.expiryCloseCode, reason: "no token in time")
    }
    if let end = connections.tokenEndTime(of: slot), end <= now {
      metrics.add(.tokensExpired)
      return close(slot, code: dialect.expiryCloseCode, reason: "token expired")
    }
    let silence = now - min(now, table[slot].lastReceivedAt)
    // A blocked connection is not pinged; its send progress is watched instead, more closely.
    if silence >= dialect.heartbeat.silenceLimitMilliseconds,
      !delivery[slot].flags.contains(.blocked)
    {
      metrics.add(.timedOut)
      return close(slot, code: 1001, reason: "no answer to ping")
    }
    if now >= table[slot].deadline {
      table[slot].deadline = clock.next(
        after: table[slot].deadline, every: pingIntervalMilliseconds(slot, encoder))
      // A ping to a blocked connection would only wait in its queue.
      if !delivery[slot].flags.contains(.blocked) { ping(slot, encoder) }
    }
  }

  /// The time to the next ping of the session at `slot`.
  ///
  /// A client with visible heartbeats gets each with a protocol ping. In an event stream every
  /// other ping is a comment, so that proxies see bytes at least every 15 s.
  func pingIntervalMilliseconds(_ slot: UInt32, _ encoder: GroupEncoder) -> UInt64 {
    guard table[slot].flags.contains(.visibleHeartbeats) else {
      return encoder.dialect.heartbeat.pingIntervalMilliseconds
    }
    let interval = Heartbeat.visibleIntervalMilliseconds
    return encoder.framing == .webSocket ? interval : interval / 2
  }

  private func ping(_ slot: UInt32, _ encoder: GroupEncoder) {
    let dialect = encoder.dialect
    let isVisible = table[slot].flags.contains(.visibleHeartbeats)
    if isVisible, encoder.framing != .webSocket {
      table[slot].flags.formSymmetricDifference(.pinged)
      if !table[slot].flags.contains(.pinged) {
        return write(to: slot) { dialect.writeHeartbeat(time: wall, to: &$0) }
      }
    }
    guard dialect.heartbeat.isByMessage else {
      var ping: [UInt8] = []
      encoder.framing.writeHeartbeat(into: &ping)
      delivery.send(ping, to: slot)
      guard isVisible, encoder.framing == .webSocket else { return }
      return write(to: slot) { dialect.writeHeartbeat(time: wall, to: &$0) }
    }
    if table[slot].flags.contains(.pinged), !clock.isInStallGrace {
      metrics.add(.timedOut)
      return close(slot, code: 1001, reason: "no answer to ping")
    }
    table[slot].flags.insert(.pinged)
    write(to: slot) { dialect.writePing(to: &$0) }
  }

  // MARK: Rates

  /// Takes a token for a message or a control frame of the session at `slot`.
  ///
  /// When there is none, returns false, and sends an error or closes the connection. Only a text
  /// message gets an error.
  func takeMessage(isText: Bool = false, at slot: UInt32) -> Bool {
    let decision = admission.drawMessage(at: slot)
    guard decision != .within else { return true }
    let encoder = encoder(of: slot)
    let reason = "at most \(core.quotas.messageRate.perSecond) messages a second"
    metrics.add(.messagesRefused)
    // guard: message-flood-closes
    guard decision == .over, encoder.dialect.forgivesTooManyMessages else {
      metrics.add(.messageFloods)
      close(slot, code: 1008, reason: reason)
      return false
    }
    // A client that does not read its errors must not get a queue of them.
    // guard: no-error-to-blocked-client
    guard isText, !delivery[slot].flags.contains(.blocked) else { return false }
    sendError("rate_limited", "\(reason): this one was dropped", at: slot)
    return false
  }

  // MARK: Ending

  /// Ends the session after its queued frames, with a close frame if it is a WebSocket.
  ///
  /// `logged` replaces `reason` in the log where the reason is not this server's own text.
  func close(_ slot: UInt32, code: UInt16, reason: String, logged: String? = nil) {
    if let session = table[slot].engineLink.session {
      owner.close(session, at: slot, code: code, because: logged ?? reason)
    } else {
      closeFramed(slot, code: code, reason: reason, logged: logged)
    }
  }

  /// Does the same for a session without an Engine.IO session, or with one that has ended.
  func closeFramed(_ slot: UInt32, code: UInt16, reason: String, logged: String? = nil) {
    guard table[slot].state == .session else { return }
    assert(
      table[slot].engineLink.session?.hasEnded != false, "the Engine.IO session at \(slot) goes on")
    delivery.takePrivately(slot)
    leave(slot, because: logged ?? "closed with \(code), \(reason)")
    var frame: [UInt8] = []
    encoder(of: slot).framing.writeClose(code: code, reason: reason, into: &frame)
    delivery.write(at: slot, reserving: frame.count) { $0.append(contentsOf: frame) }
    delivery.endSession(slot)
    table[slot].state = .closing
    connections.closeWhenSent(slot)
  }

  /// Takes the session at `slot`, if there is one, out of everything that it belongs to.
  func leave(_ slot: UInt32, because reason: @autoclosure () -> String) {
    guard table[slot].state == .session else { return }
    leaveFanOut(slot, because: reason())
    metrics.add(.sessionsClosed)
  }

  /// Removes the user's session at `slot` from its rooms, the directory and its fan-out group.
  func leaveFanOut(_ slot: UInt32, because reason: @autoclosure () -> String) {
    log.ended(at: slot, because: reason())
    rooms.leaveAll(slot)
    users.unlist(slot)
    delivery.leave(slot)
    setActivity(.idle, at: slot)
  }
}
