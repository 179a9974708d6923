// HTTP on a connection: requests are handled one at a time, and each is answered before the next
// one is parsed.
//
// A request is refused as early as possible: route, method, token and size are checked on its head,
// before its body is read. A refusal before the body ends the connection, because the unread body
// would otherwise be parsed as another request.

internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

/// The request in progress on an HTTP connection.
final class Exchange {
  var parser = HTTPRequestHeadParser(limits: HTTPLimits())
  var head: HTTPRequestHead?
  var route: Endpoints.Match?
  var caller: Caller?
  var body: [UInt8] = []
  /// Bytes of this request that are included in the shard's `bodyBytesInFlight`.
  var countedBytes = 0
  /// Bytes of a body that became a store command which the store still holds.
  var heldBytes = 0
  var chunked: ChunkedBodyDecoder?
  var bodyLimit = 0
  /// The length of the body at which its timeout begins again.
  var renewsTimeoutAt = 0
  /// The reply that the request waits for, and how it becomes the response.
  var pending: PendingAnswer?
  /// The Engine.IO session that the request addresses; `requestKind` says whether it polls or
  /// posts.
  var engine: EngineSession?
  var requestKind = EngineRequestKind.post
  /// Whether the connection ends with this response: the peer ended its side, or input is left
  /// unread.
  var isLast = false

  /// Clears the request and keeps the object for the next one.
  func reset() {
    parser.reset()
    head = nil
    route = nil
    caller = nil
    body = []
    heldBytes = 0
    chunked = nil
    pending = nil
    if requestKind == .post { engine?.isPosting = false }
    engine = nil
  }

  /// Whether the connection can carry another request after this one.
  var keepsAlive: Bool { !isLast && head?.keepsAlive == true }
}

/// A complete request that passed all checks and is ready to be answered.
struct Request {
  let slot: UInt32
  let head: HTTPRequestHead
  let route: Endpoints.Match
  let caller: Caller
  let query: QueryString
  let body: [UInt8]
}

extension Shard {
  /// Handles the requests in the scratch's [from, end) and returns where the unfinished one begins.
  func processHTTP(_ slot: UInt32, from: Int, to end: Int) -> Int {
    var offset = from
    do throws(HTTPViolation) {
      while offset < end, table[slot].state == .http {
        if table[slot].flags.contains(.awaitsAnswer)
          || delivery[slot].queuedByteCount > core.configuration.limits.responseBytesLimit
          // No response can be queued while a shared body is still being sent.
          // guard: no-answer-before-shared-body
          || delivery[slot].hasSharedBody
        {
          // One request at a time: bytes already read wait in `partial`, further ones in the
          // kernel.
          delivery.pauseReading(slot)
          return offset
        }
        let exchange = exchange(at: slot)
        guard let head = exchange.head else {
          let consumed = try processHead(exchange, slot, from: offset, to: end)
          if consumed == 0 { return offset }
          offset += consumed
          continue
        }
        guard let consumed = try processBody(exchange, head, slot, from: offset, to: end) else {
          return end
        }
        offset += consumed
      }
    } catch {
      refuse(slot, status: error.status, code: "bad_request", message: error.reason)
      return end
    }
    return offset
  }

  func exchange(at slot: UInt32) -> Exchange {
    if let exchange = table[slot].activity.exchange { return exchange }
    let exchange = Exchange()
    setActivity(.request(exchange), at: slot)
    return exchange
  }

  /// Parses a head, checks it, and answers at once if no body is needed.
  ///
  /// Returns the number of bytes consumed; 0 when the head is incomplete.
  private func processHead(
    _ exchange: Exchange, _ slot: UInt32, from: Int, to end: Int
  ) throws(HTTPViolation) -> Int {
    let limits = core.configuration.limits
    if let consumed = try takeProxyHeader(at: slot, from: from, to: end) { return consumed }
    let head = try receiver.scratch.withSpan(from: from, to: end) { (bytes) throws(HTTPViolation) in
      try exchange.parser.parse(bytes)
    }
    guard let head else {
      if table[slot].flags.contains(.usedBefore) {
        // The first bytes of a later request start its head timeout.
        table[slot].flags.remove(.usedBefore)
        table[slot].deadline = now + limits.headTimeoutMilliseconds
        connections.scheduleTimer(slot)
      }
      return 0
    }
    exchange.head = head
    metrics.add(.requests)
    if let refusal = identifyClient(of: head, at: slot) {
      answerEarly(refusal, head, slot)
      return head.byteCount
    }
    // guard: loopback-names-in-development
    if core.configuration.servesLoopbackNamesOnly, !Shard.hasLoopbackName(head) {
      answerEarly(Shard.foreignName, head, slot)
      return head.byteCount
    }
    switch beginEngine(head, at: slot, from: from, to: end) {
    case .taken: return head.byteCount
    case .takesBody: break
    case .notOurs:
      if try beginUpgrade(head, at: slot) { return head.byteCount }
      guard judge(head, exchange, slot) else { return head.byteCount }
    }
    if head.isChunked {
      exchange.chunked = ChunkedBodyDecoder(bodyBytesLimit: exchange.bodyLimit)
    } else if head.contentLength ?? 0 == 0 {
      complete(exchange, head, slot)
      return head.byteCount
    }
    if head.expectsContinue {
      delivery.write(at: slot) { $0.append(contentsOf: "HTTP/1.1 100 Continue\r\n\r\n".utf8) }
      delivery.markQueued(slot)
    }
    beginBodyTimeout(exchange, slot)
    return head.byteCount
  }

  /// Begins the time in which the body must be complete, or at least `bodyProgressBytes` longer.
  private func beginBodyTimeout(_ exchange: Exchange, _ slot: UInt32) {
    let limits = core.configuration.limits
    exchange.renewsTimeoutAt = exchange.body.count + limits.bodyProgressBytes
    // guard: body-timeout
    table[slot].deadline = now + limits.bodyTimeoutMilliseconds
    connections.scheduleTimer(slot)
  }

  /// Decides from the head alone whether a request proceeds.
  ///
  /// Returns false when the request has already been answered.
  private func judge(_ head: HTTPRequestHead, _ exchange: Exchange, _ slot: UInt32) -> Bool {
    let match: Endpoints.Match
    switch routes.match(head) {
    case .found(let endpoint, let parameters):
      match = Endpoints.Match(endpoint: endpoint, parameters: parameters)
    case .methodNotAllowed(let allow):
      let answer =
        options(head, allowing: allow)
        ?? .failure(405, "method_not_allowed", "use \(allow)").with("Allow", allow)
      answerEarly(answer, head, slot)
      return false
    case .notFound where head.method == .options && ["*", "/"].contains(head.path):
      // A load balancer's health check: HAProxy's default is OPTIONS /.
      answerEarly(.allowing(Shard.allMethods), head, slot)
      return false
    case .notFound:
      // guard: response-without-request-path
      answerEarly(.failure(404, "not_found", "there is nothing at this path"), head, slot)
      return false
    }
    exchange.route = match
    exchange.bodyLimit = match.endpoint.body.limit(core.configuration.limits)
    do throws(Refusal) {
      let caller = try admit(head, to: match.endpoint, at: slot)
      try takePublish(by: caller, head, to: match.endpoint)
      exchange.caller = caller
    } catch {
      answerEarly(error.answer, head, slot)
      return false
    }
    if let length = head.contentLength, length > exchange.bodyLimit {
      answerEarly(
        .failure(413, "too_large", "a body here has at most \(exchange.bodyLimit) bytes"), head,
        slot)
      return false
    }
    guard hasRoomForBody(head, limit: exchange.bodyLimit) else {
      answerEarly(Shard.tooManyBodies, head, slot)
      return false
    }
    return true
  }

  /// Whether a request names no host, or this machine by one of its own names.
  ///
  /// A page that uses DNS rebinding reaches this machine under the name of its own site, which its
  /// browser sends. A browser always sends Host.
  static func hasLoopbackName(_ head: HTTPRequestHead) -> Bool {
    head.host.map { Loopback.isNamed(by: $0) } ?? true
  }

  /// The answer of a development server to a request under another name; no page may read it.
  private static let foreignName = {
    var answer = Answer.failure(
      403, "host_not_allowed", "with --dev only localhost, 127.0.0.1 and [::1] are served")
    answer.readers = .ownOrigin
    return answer
  }()

  private static let allMethods = "DELETE, GET, HEAD, OPTIONS, POST, PUT"

  /// The answer to OPTIONS, a browser's preflight or not; nil for another method.
  func options(_ head: HTTPRequestHead, allowing methods: String) -> Answer? {
    guard head.method == .options else { return nil }
    return core.origins.preflight(head, methods: methods) ?? .allowing(methods)
  }

  /// Whether the announced body fits into the limit on bodies in flight.
  func hasRoomForBody(_ head: HTTPRequestHead, limit: Int) -> Bool {
    let claimed = head.contentLength ?? (head.isChunked ? limit : 0)
    return bodyBytesInFlight + claimed <= core.configuration.limits.bodiesInFlightBytesLimit
  }

  static let tooManyBodies = Answer.unavailable("busy", "too many request bodies at once")

  /// Answers a request without reading its body, if it has one.
  func answerEarly(_ answer: Answer, _ head: HTTPRequestHead, _ slot: UInt32) {
    let hasBody = head.isChunked || (head.contentLength ?? 0) > 0
    if hasBody { exchange(at: slot).isLast = true }
    respond(answer, at: slot)
  }

  /// Consumes body bytes, and answers the request when its body is complete.
  ///
  /// Nil when all bytes were consumed and more are needed, else the number consumed.
  private func processBody(
    _ exchange: Exchange, _ head: HTTPRequestHead, _ slot: UInt32, from: Int, to end: Int
  ) throws(HTTPViolation) -> Int? {
    let before = exchange.body.count
    var consumed = 0
    var isComplete = false
    defer { countBody(of: exchange) }
    if exchange.chunked != nil {
      consumed = try receiver.scratch.withSpan(from: from, to: end) {
        (bytes) throws(HTTPViolation) in
        try exchange.chunked!.decode(bytes, into: &exchange.body)
      }
      isComplete = exchange.chunked!.isComplete
    } else {
      let length = head.contentLength ?? 0
      consumed = min(length - before, end - from)
      if before == 0, consumed == length {
        exchange.body = receiver.scratch.array(from: from, to: from + consumed)
      } else {
        if before == 0 { exchange.body.reserveCapacity(length) }
        receiver.scratch.append(from: from, to: from + consumed, into: &exchange.body)
      }
      isComplete = exchange.body.count == length
    }
    guard isComplete else {
      countBody(of: exchange)
      // `hasRoomForBody` checks each head alone and reserves nothing, since a head may announce a
      // body that never arrives. So several admitted bodies can exceed the limit together.
      if bodyBytesInFlight > core.configuration.limits.bodiesInFlightBytesLimit {
        exchange.isLast = true
        respond(Shard.tooManyBodies, at: slot)
      } else if exchange.body.count >= exchange.renewsTimeoutAt {
        // guard: body-progress
        beginBodyTimeout(exchange, slot)
      }
      return nil
    }
    complete(exchange, head, slot)
    return consumed
  }

  private func complete(_ exchange: Exchange, _ head: HTTPRequestHead, _ slot: UInt32) {
    let body = exchange.body
    exchange.heldBytes = body.count
    exchange.body = []
    guard let route = exchange.route, let caller = exchange.caller else { return }
    let query: QueryString
    do throws(HTTPViolation) {
      query = try QueryString(route.endpoint.readsQuery ? head.query ?? "" : "")
    } catch {
      return respond(.failure(error.status, "bad_request", error.reason), at: slot)
    }
    let request = Request(
      slot: slot, head: head, route: route, caller: caller, query: query, body: body)
    let result: EndpointResult
    do throws(Refusal) {
      result = try route.endpoint.handler(request, self)
    } catch {
      result = .now(error.answer)
    }
    switch result {
    case .now(let answer):
      respond(answer, at: slot)
    case .stream(let since, let rooms):
      openStream(request, since: since, rooms: rooms)
    case .metricsStream:
      openMetricsStream(request)
    case .later(let pending):
      exchange.pending = pending
      table[slot].flags.insert(.awaitsAnswer)
      let limit = core.configuration.limits.storeTimeoutMilliseconds
      // guard: store-deadline
      table[slot].deadline = pending.storeWork == nil ? .max : now + limit
      connections.scheduleTimer(slot)
    }
  }

  /// Writes the response to the request in progress and prepares for the next one.
  func respond(_ answer: Answer, at slot: UInt32) {
    // guard: no-answer-after-end
    guard table[slot].state != .ended else { return }
    let exchange = exchange(at: slot)
    let keepsAlive = exchange.keepsAlive && !answer.endsConnection && !drain.hasBegun
    if answer.status >= 400 { metrics.add(.refusedRequests) }
    var response = answer.response
    response.fields += [("Cache-Control", answer.caching), ("Date", clock.date())]
    switch answer.readers {
    case .configuredOrigins:
      response.fields +=
        exchange.head.map { core.origins.fields(for: $0) } ?? OriginPolicy.fieldsWithoutHead
    case .everyOrigin: response.fields.append(("Access-Control-Allow-Origin", "*"))
    case .ownOrigin: break
    }
    let isHead = exchange.head?.method == .head
    // guard: client-file-body-shared
    let isSharedBody = answer.isShared && !isHead
    delivery.write(at: slot) { bytes in
      response.write(keepsAlive: keepsAlive, isHead: isHead || isSharedBody, into: &bytes)
    }
    if isSharedBody { delivery.share(response.body, at: slot) }
    exchange.reset()
    countBody(of: exchange)
    users.unlist(slot)
    table[slot].flags.remove(.awaitsAnswer)
    if !keepsAlive { return connections.closeWhenSent(slot) }
    table[slot].flags.insert(.usedBefore)
    table[slot].deadline =
      delivery[slot].flags.contains(.blocked)
      ? .max : now + core.configuration.limits.idleTimeoutMilliseconds
    connections.scheduleTimer(slot)
    delivery.markQueued(slot)
  }

  /// Answers input that is not a valid request, and ends the connection.
  func refuse(_ slot: UInt32, status: UInt16, code: String, message: String) {
    metrics.add(.protocolViolations)
    // guard: log-without-malformed-input
    exchange(at: slot).isLast = true
    respond(.failure(status, code, message), at: slot)
  }

  /// Handles a deadline: a request took too long, or the next one did not begin in time.
  func requestTimedOut(_ slot: UInt32) {
    let exchange = exchange(at: slot)
    if let poll = exchange.poll { return end(poll, at: slot) }
    if let work = exchange.pending?.storeWork { return storeTimedOut(work, exchange, at: slot) }
    // No request has begun, so the client expects no response.
    if table[slot].partial.isEmpty, exchange.head == nil { return connections.drop(slot) }
    metrics.add(.timedOut)
    exchange.isLast = true
    respond(.failure(408, "timeout", "the request took too long"), at: slot)
  }

  /// Answers a request for which the store has not answered in time.
  private func storeTimedOut(_ work: StoreWork, _ exchange: Exchange, at slot: UInt32) {
    metrics.add(.storeTimeouts)
    if work.isCommand { storeWatch.noteOverdueCommand(of: table.id(of: slot)) }
    // The connection ends: the late answer must not answer its next request.
    // guard: late-outcome-ends-connection
    exchange.isLast = true
    respond(work.lateAnswer, at: slot)
  }

  /// Handles the peer's end of stream: a request that it has sent is still answered.
  func endsAfterAnswer(_ slot: UInt32) {
    let exchange = exchange(at: slot)
    exchange.isLast = true
    // A waiting poll is ended now, so that nothing of it outlives its client.
    if let poll = exchange.poll { return end(poll, at: slot) }
    if exchange.engine != nil, exchange.requestKind == .poll { return connections.drop(slot) }
    if !table[slot].flags.contains(.awaitsAnswer) { connections.closeWhenSent(slot) }
  }

  /// Releases the resources of the request in progress.
  func releaseExchange(_ slot: UInt32) {
    guard let exchange = table[slot].activity.exchange else { return }
    engineRequestEnded(exchange)
    exchange.reset()
    countBody(of: exchange)
    users.unlist(slot)
    setActivity(.idle, at: slot)
  }

  /// Updates `bodyBytesInFlight` with this request's current byte count.
  private func countBody(of exchange: Exchange) {
    let count = exchange.body.count + exchange.heldBytes
    bodyBytesInFlight += count - exchange.countedBytes
    exchange.countedBytes = count
  }

  // MARK: Replies

  /// Answers the request with the outcome of its command.
  func finish(_ slot: UInt32, _ outcome: StoreOutcome) {
    guard case .outcome(_, let answer)? = table[slot].activity.exchange?.pending else { return }
    finish(slot, answer(outcome))
  }

  /// Hands the store's answer to the session, the poll or the request that waits for it.
  func finish(_ slot: UInt32, _ reply: StoreAnswer) {
    if table[slot].state == .session { return takeWhenApplied(reply, at: slot) }
    switch table[slot].activity.exchange?.pending {
    case .poll(let poll): continuePoll(poll, reply)
    case .storeAnswer(let answer): finish(slot, answer(reply))
    case .outcome, .roomAnswer, .shardQuery, .event, nil: break
    }
  }

  /// Answers the request with an owner shard's result.
  func finishRequest(_ reply: RoomAnswer, at slot: UInt32) {
    guard case .roomAnswer(let answer)? = table[slot].activity.exchange?.pending else { return }
    finish(slot, answer(reply))
  }

  /// Answers the request with the result of its shard query.
  func finishRequest(_ result: ShardQueryResult, of id: ConnectionID) {
    guard table.holds(id), case .shardQuery(let answer)? = table[id.slot].activity.exchange?.pending
    else { return }
    finish(id.slot, answer(result))
  }

  /// Answers the request, and reads the next one.
  func finish(_ slot: UInt32, _ answer: Answer) {
    respond(answer, at: slot)
    connections.resumeWhenFlushed(slot)
  }
}
