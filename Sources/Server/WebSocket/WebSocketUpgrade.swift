// From HTTP to WebSocket: the handshake, the Origin check, and the start of the session.

internal import Delivery
internal import Notifications
internal import Wire

/// The handshakes of WebSockets on the dialects' paths.
///
/// Invariant: it keeps nothing. A request is refused, or it is answered with 101 and a session
/// begins. So a WebSocket exists only after its Origin, its rooms and its quota were checked.
final class WebSocketUpgrade: ShardComponent {
  let context: ShardContext
  private let connections: Connections
  private let admission: AdmissionControl
  private let authenticator: Authenticator
  private let rooms: Rooms
  private let access: EndpointAccess
  private let http: HTTPConnections
  private let sessions: Sessions
  private let log: ConnectionLog
  private let drain: Drain

  init(
    _ context: ShardContext, _ connections: Connections, _ admission: AdmissionControl,
    _ authenticator: Authenticator, _ rooms: Rooms, _ access: EndpointAccess,
    _ http: HTTPConnections, _ sessions: Sessions, _ log: ConnectionLog, _ drain: Drain
  ) {
    self.context = context
    self.connections = connections
    self.admission = admission
    self.authenticator = authenticator
    self.rooms = rooms
    self.access = access
    self.http = http
    self.sessions = sessions
    self.log = log
    self.drain = drain
  }

  /// Answers a request to a dialect's path.
  ///
  /// False when the path is not a dialect's.
  func begin(_ head: HTTPRequestHead, at slot: UInt32) -> Bool {
    // Clients in practice send a dialect's path no POST except a handshake, so the hot path of
    // publishing skips the lookup of a dialect.
    if head.method == .post, !WebSocketHandshake.isUpgrade(head) { return false }
    guard
      let dialect = DialectRegistry.webSockets.first(where: {
        $0.path == head.path || $0.path + "/" == head.path
      })
    else {
      guard WebSocketHandshake.isUpgrade(head), head.method == .get else { return false }
      let answer = Answer.failure(404, "not_found", "no WebSocket is served at this path")
      log.refused(answer, by: "no dialect", at: slot)
      http.respond(answer.closing, at: slot)
      return true
    }
    if let answer = http.options(head, allowing: "GET, OPTIONS") {
      http.answerEarly(answer, head, slot)
      return true
    }
    do throws(Refusal) {
      try upgrade(head, to: dialect, at: slot)
    } catch {
      log.refused(error.answer, by: dialect.name, at: slot)
      http.respond(error.answer.closing, at: slot)
    }
    return true
  }

  private func upgrade(
    _ head: HTTPRequestHead, to dialect: any Dialect, at slot: UInt32
  ) throws(Refusal) {
    let request: UpgradeRequest
    let query: QueryString
    guard head.method != .get || WebSocketHandshake.isUpgrade(head) else {
      throw Refusal(
        Answer.failure(426, "upgrade_required", "this path requires a WebSocket upgrade")
          .with("Sec-WebSocket-Version", "13").with("Upgrade", "websocket"))
    }
    do throws(HTTPViolation) {
      request = try WebSocketHandshake.validate(head)
      query = try QueryString(head.query ?? "")
    } catch {
      let answer = Answer.failure(error.status, "bad_upgrade", error.reason)
      switch error.status {
      case 405: throw Refusal(answer.with("Allow", "GET, OPTIONS"))
      case 426:
        // guard: upgrade-names-its-version
        throw Refusal(
          answer.with("Sec-WebSocket-Version", "13").with("Upgrade", "websocket"))
      default: throw Refusal(answer)
      }
    }
    if head.hasBody {
      throw Refusal(400, "bad_upgrade", "an upgrade request has no body")
    }
    // guard: log-without-url
    guard !drain.hasBegun else {
      throw Refusal(.unavailable("draining", "the server is shutting down"))
    }
    let origins = head.values(of: "origin")
    // guard: foreign-origin
    guard core.origins.allows(origins, host: head.value(of: "host")) else {
      metrics.add(.originsRefused)
      throw Refusal(403, "origin_not_allowed", core.origins.refusal(of: head))
    }
    let admitted = Result { () throws(AuthenticationFailure) in
      try authenticator.authenticateUser(head, subprotocolToken: request.bearerToken, at: slot)
    }
    if case .failure(let failure) = admitted, isRefused(failure, by: dialect.admission) {
      throw access.refusal(
        of: failure,
        missing: "a token is needed: Authorization: Bearer, ?token= or the bearer subprotocol",
        invalid: "the token is not valid")
    }
    let rooms = try RoomQuery.rooms(in: query, for: dialect)
    if case .success(let caller) = admitted { try self.rooms.mayEnter(rooms, caller) }
    connections.keepUserAgent(of: head, at: slot)
    if case .success(let caller) = admitted, let user = caller.user {
      admission.authenticated(slot)
      // guard: session-quota-websocket
      guard admission.countSession(of: user, at: slot) else {
        throw Refusal(admission.tooManySessions)
      }
    }
    http.acceptWebSocket(request, at: slot)
    let group = fanOutGroups.first(of: .named(dialect.name), .webSocket)
    sessions.open(admitted, in: group, since: query["since"], rooms: rooms, at: slot)
  }

  /// Whether a client that failed to authenticate is refused before the upgrade.
  private func isRefused(_ failure: AuthenticationFailure, by admission: Admission) -> Bool {
    switch (admission, failure) {
    case (.refusedBeforeUpgrade, _), (_, .tooManyBadTokens): true
    case (.firstMessage, .missing), (.closedAfterUpgrade, _): false
    case (.firstMessage, .invalid), (.firstMessage, .wrongKey), (.firstMessage, .refusedKey),
      (.firstMessage, .noUser), (.firstMessage, .otherUser):
      true
    }
  }
}

extension Answer {
  /// The same answer with the connection closed after it.
  fileprivate var closing: Answer {
    var copy = self
    copy.endsConnection = true
    return copy
  }
}
