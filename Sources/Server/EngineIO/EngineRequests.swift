// The requests of Engine.IO: they open a session, poll it, post messages to it, or upgrade it.
// Protocol version 4, "Handshake" and "HTTP long-polling"; cases that the document leaves open are
// answered as the reference server answers them.
//
// A request is dispatched by its head. A request for another shard's session migrates there with
// its connection, whose unread bytes begin at that request. So only its shard touches a session.

internal import Cryptography
internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

extension EngineSessions {
  private static let methods = "GET, OPTIONS, POST"

  /// Handles a request with its head at the beginning of the scratch buffer's [from, end).
  func begin(
    _ head: HTTPRequestHead, at slot: UInt32, from: Int, to end: Int
  ) -> HeadStep {
    guard let path = core.configuration.engines.firstIndex(where: { $0.matches(head.path) }) else {
      return .endpoint
    }
    if let answer = http.options(head, allowing: EngineSessions.methods) {
      http.answerEarly(answer, head, slot)
      return .taken
    }
    do throws(EngineIORefusal) {
      return try take(head, path: path, at: slot, from: from, to: end)
    } catch {
      refuse(head, error, at: slot)
      return .taken
    }
  }

  private func refuse(_ head: HTTPRequestHead, _ refusal: EngineIORefusal, at slot: UInt32) {
    var answer = Answer.refusal(
      refusal, message: refusal == .forbidden ? core.origins.refusal(of: head) : nil)
    // A client that asked for a WebSocket sends no other request on this connection.
    answer.endsConnection = WebSocketHandshake.isUpgrade(head)
    log.refused(answer, by: "engine.io", at: slot)
    http.answerEarly(answer, head, slot)
  }

  private func take(
    _ head: HTTPRequestHead, path: Int, at slot: UInt32, from: Int, to end: Int
  ) throws(EngineIORefusal) -> HeadStep {
    guard let query = try? QueryString(head.query ?? "") else { throw .badRequest }
    guard let transport = query["transport"].flatMap({ EngineIOTransport(rawValue: $0) }) else {
      throw .unknownTransport
    }
    if let text = query["sid"], !text.isEmpty {
      guard let id = EngineID(text), id.shard < core.mailboxes.count else {
        throw .unknownSession
      }
      // guard: request-migrates-to-session-shard
      if id.shard != index {
        migration.move(
          slot, unread: receiver.scratch.array(from: from, to: end), to: id.shard)
        return .taken
      }
      guard let session = session(id), session.path == path else { throw .unknownSession }
      return try take(head, transport, for: session, at: slot)
    }
    guard head.method == .get else { throw .badHandshakeMethod }
    guard (transport == .webSocket) == WebSocketHandshake.isUpgrade(head) else { throw .badRequest }
    guard query["EIO"] == "4" else { throw .unsupportedProtocolVersion }
    let usesBase64 = query["b64"].map { $0 != "0" && $0 != "false" } ?? false
    if drain.hasBegun {
      http.answerEarly(.unavailable("draining", "the server is shutting down"), head, slot)
    } else if transport == .webSocket {
      try openOverWebSocket(head, query, path: path, usesBase64: usesBase64, at: slot)
    } else {
      openByPolling(head, query, path: path, usesBase64: usesBase64, at: slot)
    }
    return .taken
  }

  /// Handles a request that names a session of this shard.
  private func take(
    _ head: HTTPRequestHead, _ transport: EngineIOTransport, for session: EngineSession,
    at slot: UInt32
  ) throws(EngineIORefusal) -> HeadStep {
    let isPolling = delivery[session.slot].flags.contains(.polling)
    let caller = caller(of: session)
    // The id of a session cannot be guessed, so its requests are those of its user.
    if caller.isAuthenticated {
      // guard: session-request-authenticated
      admission.authenticated(slot)
      http.exchange(at: slot).isAuthenticated = true
    }
    if WebSocketHandshake.isUpgrade(head) {
      guard transport == .webSocket else { throw .badRequest }
      try beginProbe(head, of: session, isPolling: isPolling, at: slot)
      return .taken
    }
    guard transport == .polling, isPolling else { throw .badRequest }
    // A poll does not answer a ping. In a busy turn it may be read before the timer that ends its
    // session, although it came after that time.
    if head.method == .get, now >= table[session.slot].deadline {
      connections.extendExpiredDeadlines(of: session.slot)
      timerFired(session, session.slot)
      guard !session.hasEnded else { throw .unknownSession }
      connections.scheduleTimer(session.slot)
    }
    table[session.slot].lastReceivedAt = now
    switch head.method {
    case .get:
      // With two polls at once, one would take messages that the reader of the other needs.
      // guard: one-poll-at-a-time
      guard session.poll == nil else {
        end(session, because: "two polls at once")
        throw .badRequest
      }
      wait(for: session, at: slot)
      return .taken
    case .post:
      guard !session.isPosting else {
        end(session, because: "two bodies at once")
        throw .badRequest
      }
      return awaitBody(head, for: session, by: caller, at: slot)
    default:
      throw .badRequest
    }
  }

  /// The caller that a session's requests count for: its user, or anyone.
  ///
  /// The user is that of the token in its first request, or of a namespace that it is connected to.
  private func caller(of session: EngineSession) -> Caller {
    if case .success(let opener) = session.opener { return opener }
    for slot in [session.slot] + session.furtherSlots where !table[slot].user.isEmpty {
      return Caller(identity: .user(table[slot].user), isPublisher: false, end: .max)
    }
    return .anyone
  }

  // MARK: Polls

  /// Makes the request at `slot` wait for its session's next packets.
  private func wait(for session: EngineSession, at slot: UInt32) {
    session.poll = table.id(of: slot)
    http.awaitPackets(of: session, at: slot)
    // Packets may be pending already.
    delivery.markPollable(session.slot)
  }

  // MARK: Bodies

  private func awaitBody(
    _ head: HTTPRequestHead, for session: EngineSession, by caller: Caller, at slot: UInt32
  ) -> HeadStep {
    let settings = core.configuration.engines[session.path].settings
    // guard: body-before-namespace
    let limit = session.hasBegun ? settings.bodyBytesLimit : settings.firstBodyBytesLimit
    if let length = head.contentLength, length > limit {
      end(session, because: "a body of \(length) bytes")
    }
    if let refusal = http.refusal(ofBodyOf: head, by: caller, limit: limit, at: slot) {
      http.answerEarly(refusal, head, slot)
      return .taken
    }
    session.isPosting = true
    http.awaitBody(to: session, limit: limit, for: Endpoints.enginePost, at: slot)
    return .takesBody
  }

  /// The session to which the body of the request at `slot` was posted; nil if it has ended.
  ///
  /// Its client may post the next body.
  func endPost(at slot: UInt32) -> EngineSession? {
    guard let session = table[slot].activity.exchange?.engine, !session.hasEnded else { return nil }
    session.isPosting = false
    return session
  }

  // MARK: Opening

  private func openByPolling(
    _ head: HTTPRequestHead, _ query: QueryString, path: Int, usesBase64: Bool, at slot: UInt32
  ) {
    let limit = limits.connectionsPerShardLimit
    guard let own = table.insert(fd: -1, .polling, limit: limit) else {
      metrics.add(.refusedConnections)
      return http.answerEarly(
        .unavailable("busy", "the server is at its connection limit"), head, slot)
    }
    table[own].state = .http
    table[own].peer = table[slot].peer
    table[own].flags.formUnion(table[slot].flags.intersection(.forwarded))
    do throws(AdmissionRefusal) {
      try admission.count(own)
    } catch {
      connections.drop(own)
      return http.answerEarly(.refusing(error, by: core.quotas), head, slot)
    }
    connections.keepUserAgent(of: head, at: own)
    let session = open(
      at: own, path: path, usesBase64: usesBase64, opener: opener(head, at: slot),
      since: query["since"])
    guard !session.hasEnded else { return http.answerEarly(Refusal.busy.answer, head, slot) }
    wait(for: session, at: slot)
  }

  private func openOverWebSocket(
    _ head: HTTPRequestHead, _ query: QueryString, path: Int, usesBase64: Bool, at slot: UInt32
  ) throws(EngineIORefusal) {
    let request = try becomeWebSocket(head, at: slot)
    open(
      at: slot, path: path, usesBase64: usesBase64,
      opener: opener(head, subprotocolToken: request.bearerToken, at: slot),
      since: query["since"])
  }

  /// The caller of the request that opens a session, or the reason why it has none.
  private func opener(
    _ head: HTTPRequestHead, subprotocolToken: String? = nil, at slot: UInt32
  ) -> Result<Caller, AuthenticationFailure> {
    Result { () throws(AuthenticationFailure) in
      try authenticator.authenticateUser(head, subprotocolToken: subprotocolToken, at: slot)
    }
  }

  /// Answers the handshake of a WebSocket and returns its content, or throws the refusal.
  @discardableResult
  func becomeWebSocket(
    _ head: HTTPRequestHead, at slot: UInt32
  ) throws(EngineIORefusal) -> UpgradeRequest {
    let request: UpgradeRequest
    do throws(HTTPViolation) {
      request = try WebSocketHandshake.validate(head)
    } catch {
      throw .badRequest
    }
    guard !head.hasBody else { throw .badRequest }
    guard core.origins.allows(head.values(of: "origin"), host: head.value(of: "host")) else {
      metrics.add(.originsRefused)
      throw .forbidden
    }
    connections.keepUserAgent(of: head, at: slot)
    http.acceptWebSocket(request, at: slot)
    return request
  }
}

extension Answer {
  /// The refusal in the reference server's format, with its text or another one.
  static func refusal(_ refusal: EngineIORefusal, message: String? = nil) -> Answer {
    var body: [UInt8] = []
    refusal.append(into: &body, message: message)
    var answer = Answer(
      response: HTTPResponse(
        status: UInt16(refusal.status), body: body, contentType: "application/json"),
      status: UInt16(refusal.status))
    answer.code = "engine_\(refusal.rawValue)"
    return answer
  }

  /// The answer to a poll.
  static func payload(_ bytes: [UInt8]) -> Answer {
    let response = HTTPResponse(
      status: 200, body: bytes, contentType: "text/plain; charset=UTF-8")
    return Answer(response: response, status: 200)
  }
}
