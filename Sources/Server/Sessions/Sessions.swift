// Sessions as their clients see them: opened with a token or before it, resumed or begun.

internal import Delivery
internal import Notifications
internal import Wire

/// Opens sessions, and handles the tokens and requests of their clients.
///
/// Invariant: it keeps nothing; a session is a connection in the state `.session`. A message with
/// an invalid token, or with another user's, ends the session: it never goes on with fewer rights.
final class Sessions: ShardComponent {
  static let invalidToken = "invalid or expired token"

  let context: ShardContext
  private let connections: Connections
  private let admission: AdmissionControl
  private let authenticator: Authenticator
  private let rooms: Rooms
  private let life: SessionLife
  private let reads: SessionReads

  init(
    _ context: ShardContext, _ connections: Connections, _ admission: AdmissionControl,
    _ authenticator: Authenticator, _ rooms: Rooms, _ life: SessionLife, _ reads: SessionReads
  ) {
    self.context = context
    self.connections = connections
    self.admission = admission
    self.authenticator = authenticator
    self.rooms = rooms
    self.life = life
    self.reads = reads
  }

  // MARK: Opening

  /// Begins the session of a connection after its handshake response, or the head of its stream.
  ///
  /// `group` is the first one of its dialect.
  func open(
    _ admitted: Result<Caller, AuthenticationFailure>, in group: FanOutGroupID, since: String?,
    rooms: [RoomName] = [], at slot: UInt32
  ) {
    life.begin(at: slot, in: group)
    switch (admitted, fanOutGroups[group].dialect.admission) {
    case (.success(let caller), _):
      admit(caller, since: since, at: slot)
      if delivery[slot].flags.contains(.handshakePending),
        let replay = table[slot].activity.replay
      {
        replay.rooms = rooms
      } else {
        for room in rooms { self.rooms.join(room, at: slot) }
      }
    case (.failure(let failure), .closedAfterUpgrade(let missing, let invalid, let noUser)):
      let (code, reason) =
        switch failure {
        case .missing: (missing, "missing authentication token")
        case .invalid, .wrongKey, .refusedKey, .otherUser: (invalid, Sessions.invalidToken)
        case .noUser: (noUser, "invalid token payload")
        // Not reached: such an upgrade is answered 429.
        case .tooManyBadTokens: (1013, "too many wrong tokens")
        }
      life.close(slot, code: code, reason: closeReason(reason, failure))
    case (.failure, .firstMessage):
      awaitToken(since: since, at: slot)
    case (.failure, .refusedBeforeUpgrade):
      life.close(slot, code: 1008, reason: "unauthorized")
    }
  }

  /// Begins the session of an authenticated client.
  func admit(_ caller: Caller, since: String?, at slot: UInt32) {
    let encoder = encoder(of: slot)
    let group = fanOutGroups.id(
      of: encoder.dialectID, encoder.framing, withCursors: since != nil)
    // A stream's `since` is never nil: the stream itself knows whether the client asked to resume.
    // guard: visible-heartbeat
    if since != nil, encoder.framing == .webSocket, !encoder.dialect.heartbeat.isByMessage {
      table[slot].flags.insert(.visibleHeartbeats)
    }
    table[slot].deadline = now + life.pingIntervalMilliseconds(slot, encoder)
    enter(caller, group: group, since: since, at: slot)
  }

  /// Assigns the session at `slot` to its user and fan-out group, and greets it or resumes it.
  func enter(_ caller: Caller, group: FanOutGroupID, since: String?, at slot: UInt32) {
    life.assign(caller, to: group, at: slot)
    if since != nil || fanOutGroups[group].dialect.greetsWithCounts {
      reads.beginReplay(since, at: slot)
    } else {
      life.greet(slot, cursor: nil, nil)
    }
  }

  // MARK: Tokens in messages

  /// Gives a client that was upgraded without a token the time to send one.
  func awaitToken(since: String?, at slot: UInt32) {
    setActivity(.authentication(PendingAuthentication(since: since)), at: slot)
    table[slot].deadline = now + limits.authenticationTimeoutMilliseconds
    connections.scheduleTimer(slot)
  }

  /// Handles the token of an `auth` message.
  func take(token: String, at slot: UInt32) {
    let pending = table[slot].activity.authentication
    let caller: Caller
    let user: UserID
    do throws(AuthenticationFailure) {
      (caller, user) = try authenticator.userCaller(of: token, at: slot)
      // guard: fresh-token-same-user
      guard pending != nil || user.hasSameBytes(as: table[slot].user) else { throw .otherUser }
    } catch {
      let dialect = encoder(of: slot).dialect
      return life.close(
        slot, code: dialect.expiryCloseCode, reason: closeReason(Sessions.invalidToken, error))
    }
    if let pending {
      setActivity(.idle, at: slot)
      admission.authenticated(slot)
      // guard: session-quota-in-band-token
      guard admission.countSession(of: user, at: slot) else {
        return life.close(slot, code: 1008, reason: admission.tooManySessionsText)
      }
      admit(caller, since: pending.since, at: slot)
    } else {
      // guard: fresh-token-extends-session
      table[slot].tokenEnd = caller.end
      connections.scheduleTimer(slot)
      rooms.setClaimedRooms(caller.rooms, at: slot)
    }
  }

  /// The reason in a close frame, which a server that explains its refusals makes exact.
  private func closeReason(_ reason: String, _ failure: AuthenticationFailure) -> String {
    authenticator.explanation(of: failure).map { "\(reason): \($0.text)" } ?? reason
  }

  // MARK: Requests

  /// Handles a request of the client of the session at `slot`.
  func take(_ request: ClientRequest, at slot: UInt32) {
    switch request {
    case .ping: sendPong(to: slot)
    case .pong: table[slot].flags.remove(.pinged)
    case .fetch(let request): reads.fetch(request, at: slot)
    case .join(let room): rooms.join(room, at: slot)
    case .leave(let room): rooms.leave(room, at: slot)
    case .type(let room, let isTyping): rooms.type(isTyping, in: room, at: slot)
    case .status(let status): rooms.setStatus(status, at: slot)
    case .invalid(let code, let text): sendError(code, text, at: slot)
    }
  }

  private func sendPong(to slot: UInt32) {
    let encoder = encoder(of: slot)
    encoder.writer.removeAll()
    encoder.dialect.writePong(time: wall, to: &encoder.writer)
    delivery.send(encoder.writer.bytes, to: slot)
  }
}
