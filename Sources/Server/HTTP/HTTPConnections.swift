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

/// The requests on the connections of a shard.
///
/// What a request asks for is not decided here: `process` returns each head that may be for another
/// protocol, and each request to an endpoint once it is whole.
///
/// Invariant: a connection awaits an answer exactly while its request waits for a reply or event.
/// A body counts toward the limit on bodies in flight until its request is answered.
final class HTTPConnections: ShardComponent {
  let context: ShardContext
  private let connections: Connections
  private let receiver: Receiver
  private let access: EndpointAccess
  private let users: Users
  private let pages: PageMemory
  private let drain: Drain
  private let storeWatch: StoreWatch
  private let routes: Router<Endpoint>
  /// The paths of Engine.IO, and those of the dialects of WebSockets.
  private let otherPaths: Set<TextKey>
  private(set) var bodies: BodiesInFlight

  init(
    _ context: ShardContext, _ connections: Connections, _ receiver: Receiver,
    _ access: EndpointAccess, users: Users, pages: PageMemory, drain: Drain,
    storeWatch: StoreWatch
  ) {
    self.context = context
    self.connections = connections
    self.receiver = receiver
    self.access = access
    self.users = users
    self.pages = pages
    self.drain = drain
    self.storeWatch = storeWatch
    routes = Endpoints.router(for: context.core.configuration)
    otherPaths = HTTPConnections.otherPaths(context.core.configuration)
    bodies = BodiesInFlight(context.core.configuration.limits)
  }

  private static func otherPaths(_ configuration: Configuration) -> Set<TextKey> {
    let paths =
      configuration.engines.flatMap(\.paths)
      + DialectRegistry.webSockets.flatMap { [$0.path, $0.path + "/"] }
    return Set(paths.map { TextKey($0) })
  }

  // MARK: Parsing

  /// Reads requests from the scratch's [offset, end), up to the first step of one that others take.
  ///
  /// Moves `offset` past what was read; in the end it is where the unfinished request begins.
  func process(_ slot: UInt32, from offset: inout Int, to end: Int) -> HTTPStep {
    context.assertOnThread()
    do throws(HTTPViolation) {
      while offset < end, table[slot].state == .http {
        if table[slot].flags.contains(.awaitsAnswer)
          || delivery[slot].queuedByteCount > limits.responseBytesLimit
          // No response can be queued while a shared body is still being sent.
          // guard: no-answer-before-shared-body
          || delivery[slot].hasSharedBody
        {
          // One request at a time: bytes already read wait in `partial`, further ones in the
          // kernel.
          delivery.pauseReading(slot)
          return .done
        }
        let exchange = exchange(at: slot)
        let before = offset
        let step: HTTPStep
        if let head = exchange.head {
          step = try processBody(exchange, head, slot, from: &offset, to: end)
        } else {
          step = try processHead(exchange, slot, from: &offset, to: end)
          if offset == before { return .done }
        }
        guard case .done = step else { return step }
      }
    } catch {
      refuse(slot, status: error.status, code: "bad_request", message: error.reason)
      offset = end
    }
    return .done
  }

  /// The request in progress at `slot`, or a new one.
  func exchange(at slot: UInt32) -> Exchange {
    if let exchange = table[slot].activity.exchange { return exchange }
    let exchange = Exchange()
    setActivity(.request(exchange), at: slot)
    return exchange
  }

  /// Parses a head and checks it, unless it may be for another protocol.
  ///
  /// Leaves `offset` where it is when the head is incomplete.
  private func processHead(
    _ exchange: Exchange, _ slot: UInt32, from offset: inout Int, to end: Int
  ) throws(HTTPViolation) -> HTTPStep {
    if let byteCount = try takeProxyHeader(at: slot, from: offset, to: end) {
      offset += byteCount
      return .done
    }
    let head = try receiver.scratch.withSpan(from: offset, to: end) {
      (bytes) throws(HTTPViolation) in
      try exchange.parser.parse(bytes)
    }
    guard let head else {
      if table[slot].flags.contains(.usedBefore) {
        // The first bytes of a later request start its head timeout.
        table[slot].flags.remove(.usedBefore)
        table[slot].deadline = now + limits.headTimeoutMilliseconds
        connections.scheduleTimer(slot)
      }
      return .done
    }
    offset += head.byteCount
    exchange.head = head
    metrics.add(.requests)
    if let refusal = access.identifyClient(of: head, at: slot) {
      answerEarly(refusal, head, slot)
      return .done
    }
    if WebSocketHandshake.isUpgrade(head) || otherPaths.contains(TextKey(head.path)) {
      return .head(head)
    }
    return beginEndpoint(head, at: slot)
  }

  /// Begins a request to an endpoint, unless its head is refused.
  func beginEndpoint(_ head: HTTPRequestHead, at slot: UInt32) -> HTTPStep {
    judge(head, exchange(at: slot), slot) ? beginBody(of: head, at: slot) : .done
  }

  /// Begins to receive the body of a request; without a body the request is whole.
  func beginBody(of head: HTTPRequestHead, at slot: UInt32) -> HTTPStep {
    let exchange = exchange(at: slot)
    if head.isChunked {
      exchange.chunked = ChunkedBodyDecoder(bodyBytesLimit: exchange.bodyLimit)
    } else if head.contentLength ?? 0 == 0 {
      return complete(exchange, head, slot)
    }
    if head.expectsContinue {
      delivery.write(at: slot) { $0.append(contentsOf: "HTTP/1.1 100 Continue\r\n\r\n".utf8) }
      delivery.markQueued(slot)
    }
    beginBodyTimeout(exchange, slot)
    return .done
  }

  /// Takes the header of the PROXY protocol at the start of a connection.
  ///
  /// Returns the number of bytes consumed; 0 when the header is incomplete, nil when there is none.
  private func takeProxyHeader(
    at slot: UInt32, from: Int, to end: Int
  ) throws(HTTPViolation) -> Int? {
    guard table[slot].flags.isDisjoint(with: [.usedBefore, .clientCounted]) else { return nil }
    let search = try receiver.scratch.withSpan(from: from, to: end) {
      (bytes) throws(HTTPViolation) in
      try ProxyHeader.search(bytes)
    }
    switch search {
    case .absent: return nil
    case .incomplete: return 0
    case .found(let header):
      if let refusal = try access.enter(header, at: slot) { respond(refusal, at: slot) }
      return header.byteCount
    }
  }

  /// Begins the time in which the body must be complete, or at least `bodyProgressBytes` longer.
  private func beginBodyTimeout(_ exchange: Exchange, _ slot: UInt32) {
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
      // guard: options-of-path
      let answer =
        options(head, allowing: allow)
        ?? .failure(405, "method_not_allowed", "use \(allow)").with("Allow", allow)
      answerEarly(answer, head, slot)
      return false
    case .notFound where head.method == .options && head.path == "*":
      // guard: options-of-server
      answerEarly(.allowing(HTTPConnections.allMethods), head, slot)
      return false
    case .notFound:
      // guard: response-without-request-path
      answerEarly(.failure(404, "not_found", "there is nothing at this path"), head, slot)
      return false
    }
    exchange.route = match
    exchange.bodyLimit = match.endpoint.body.limit(limits)
    let caller: Caller
    do throws(Refusal) {
      caller = try access.authorize(head, for: match.endpoint, at: slot)
    } catch {
      if error.isHeld, !head.hasBody {
        wait(for: .held(error.answer), at: slot)
      } else {
        answerEarly(error.answer, head, slot)
      }
      return false
    }
    exchange.caller = caller
    exchange.isAuthenticated = caller.isAuthenticated
    let refusal = refusal(ofBodyOf: head, by: caller, limit: exchange.bodyLimit, at: slot)
    guard let refusal else { return true }
    answerEarly(refusal, head, slot)
    return false
  }

  private static let allMethods = "DELETE, GET, HEAD, OPTIONS, POST, PUT"

  /// The answer to OPTIONS, a browser's preflight or not; nil for another method.
  func options(_ head: HTTPRequestHead, allowing methods: String) -> Answer? {
    guard head.method == .options else { return nil }
    return core.origins.preflight(head, methods: methods) ?? .allowing(methods)
  }

  /// Answers a request without reading its body, if it has one.
  func answerEarly(_ answer: Answer, _ head: HTTPRequestHead, _ slot: UInt32) {
    if head.hasBody { exchange(at: slot).isLast = true }
    respond(answer, at: slot)
  }

  /// Consumes body bytes; the request is whole when its body is.
  private func processBody(
    _ exchange: Exchange, _ head: HTTPRequestHead, _ slot: UInt32, from offset: inout Int,
    to end: Int
  ) throws(HTTPViolation) -> HTTPStep {
    let from = offset
    let before = exchange.body.count
    var consumed = 0
    var isComplete = false
    defer { bodies.count(exchange) }
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
      bodies.count(exchange)
      if bodies.isOverLimit(exchange) {
        exchange.isLast = true
        respond(HTTPConnections.tooManyBodies, at: slot)
      } else if exchange.body.count >= exchange.renewsTimeoutAt {
        // guard: body-progress
        beginBodyTimeout(exchange, slot)
      }
      offset = end
      return .done
    }
    offset += consumed
    return complete(exchange, head, slot)
  }

  /// The request of an exchange that has arrived as a whole, unless its query is refused.
  private func complete(
    _ exchange: Exchange, _ head: HTTPRequestHead, _ slot: UInt32
  ) -> HTTPStep {
    let body = exchange.body
    exchange.heldBytes = body.count
    exchange.body = []
    guard let route = exchange.route, let caller = exchange.caller else { return .done }
    let query: QueryString
    do throws(HTTPViolation) {
      // guard: unread-query-ignored
      query = try QueryString(route.endpoint.readsQuery ? head.query ?? "" : "")
    } catch {
      respond(.failure(error.status, "bad_request", error.reason), at: slot)
      return .done
    }
    return .request(
      Request(slot: slot, head: head, route: route, caller: caller, query: query, body: body))
  }

  // MARK: Answering

  /// Makes the request at `slot` wait for a reply, or for an event.
  func wait(for pending: PendingAnswer, at slot: UInt32) {
    guard let exchange = table[slot].activity.exchange else { return }
    exchange.pending = pending
    table[slot].flags.insert(.awaitsAnswer)
    // guard: store-deadline
    table[slot].deadline = pending.timeLimit(limits).map { now + $0 } ?? .max
    connections.scheduleTimer(slot)
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
      // guard: early-error-is-readable
      response.fields +=
        exchange.head.map { core.origins.fields(for: $0) } ?? OriginPolicy.fieldsWithoutHead
    case .everyOrigin: response.fields.append(("Access-Control-Allow-Origin", "*"))
    case .ownOrigin: break
    }
    let isHead = exchange.head?.method == .head
    let isPage = pages.settleAnswer(isHead ? 0 : response.body.count, at: slot)
    // guard: client-file-body-shared
    let isSharedBody = isPage || answer.isShared && !isHead
    connections.noteRequest(isAuthenticated: exchange.isAuthenticated, at: slot)
    delivery.write(at: slot) { bytes in
      response.write(keepsAlive: keepsAlive, isHead: isHead || isSharedBody, into: &bytes)
    }
    if isSharedBody { delivery.share(response.body, at: slot) }
    exchange.reset()
    bodies.count(exchange)
    users.unlist(slot)
    table[slot].flags.remove(.awaitsAnswer)
    if !keepsAlive { return connections.closeWhenSent(slot) }
    table[slot].flags.insert(.usedBefore)
    table[slot].deadline =
      delivery[slot].flags.contains(.blocked) ? .max : connections.idleEnd(of: slot)
    connections.scheduleTimer(slot)
    delivery.markQueued(slot)
  }

  /// Answers input that is not a valid request, and ends the connection.
  private func refuse(_ slot: UInt32, status: UInt16, code: String, message: String) {
    metrics.add(.protocolViolations)
    // guard: log-without-malformed-input
    exchange(at: slot).isLast = true
    respond(.failure(status, code, message), at: slot)
  }

  /// Answers a connection that admission control has rejected, before it sends a request.
  func reject(_ slot: UInt32, with answer: Answer) {
    table[slot].state = .closing
    var response = answer.response
    response.fields += [("Cache-Control", answer.caching), ("Date", clock.date())]
    // guard: rejection-is-readable
    response.fields += OriginPolicy.fieldsWithoutHead
    delivery.write(at: slot) { response.write(keepsAlive: false, isHead: false, into: &$0) }
    connections.closeWhenSent(slot)
  }

  /// Handles a deadline: a request took too long, or the next one did not begin in time.
  ///
  /// The deadline of a poll is none of these.
  func timedOut(_ slot: UInt32) {
    let exchange = exchange(at: slot)
    if let work = exchange.pending?.storeWork { return storeTimedOut(work, exchange, at: slot) }
    if case .held(let answer)? = exchange.pending { return finish(answer, at: slot) }
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
  func inputEnded(_ slot: UInt32) {
    let exchange = exchange(at: slot)
    exchange.isLast = true
    if exchange.engine != nil, exchange.requestKind == .poll { return connections.drop(slot) }
    if !table[slot].flags.contains(.awaitsAnswer) { connections.closeWhenSent(slot) }
  }

  /// Releases the resources of the request in progress.
  func release(_ slot: UInt32) {
    guard let exchange = table[slot].activity.exchange else { return }
    assert(exchange.engine == nil, "Engine.IO has not lost its request at \(slot)")
    exchange.reset()
    bodies.count(exchange)
    users.unlist(slot)
    setActivity(.idle, at: slot)
  }

  // MARK: Replies

  /// Answers the request with the outcome of its command.
  func answer(_ slot: UInt32, with outcome: StoreOutcome) {
    guard case .outcome(_, let answer)? = table[slot].activity.exchange?.pending else {
      return assertNothingWaits(at: slot)
    }
    finish(answer(outcome), at: slot)
  }

  /// Answers the request with the store's reply to its query.
  ///
  /// Requests to one endpoint that wait for the same reply get the same answer.
  func answer(_ slot: UInt32, with reply: StoreAnswer, sharing shared: inout SharedAnswer) {
    let exchange = table[slot].activity.exchange
    guard case .storeAnswer(let isCommon, let answer)? = exchange?.pending,
      let path = exchange?.route?.endpoint.path
    else { return assertNothingWaits(at: slot) }
    // guard: answer-of-own-request
    finish(isCommon ? shared.answer(at: path) { answer(reply) } : answer(reply), at: slot)
  }

  /// Answers the request with the decision of an owner shard.
  func answer(_ slot: UInt32, with reply: RoomAnswer) {
    guard case .roomAnswer(let answer)? = table[slot].activity.exchange?.pending else {
      return assertNothingWaits(at: slot)
    }
    finish(answer(reply), at: slot)
  }

  /// Answers the request with the result of its shard query.
  func answer(_ slot: UInt32, with result: ShardQueryResult) {
    guard case .shardQuery(let answer)? = table[slot].activity.exchange?.pending else {
      return assertNothingWaits(at: slot)
    }
    finish(answer(result), at: slot)
  }

  /// A reply may come for a request that has been answered, but none of another kind.
  private func assertNothingWaits(at slot: UInt32) {
    assert(table[slot].activity.exchange?.pending == nil, "a reply of another kind at \(slot)")
  }

  /// Answers a request that has waited; the next one is read later in the turn.
  func finish(_ answer: Answer, at slot: UInt32) {
    respond(answer, at: slot)
    connections.resumeWhenFlushed(slot)
  }

  // MARK: Relayed publishes

  /// Counts the body of a publish that is answered before the store is done with it.
  func beginRelay(byteCount: Int) { bodies.beginRelay(byteCount: byteCount) }

  /// The store is done with a publish that was answered early.
  func endRelay(byteCount: Int) { bodies.endRelay(byteCount: byteCount) }

  // MARK: Invariants

  /// Traps in a debug build when an invariant of HTTP does not hold; visits every connection.
  func checkInvariants() {
    var counted = 0
    table.forEachSlot { slot in
      let exchange = table[slot].activity.exchange
      assert(
        table[slot].flags.contains(.awaitsAnswer) == (exchange?.pending != nil),
        "\(slot) does not know whether its request waits")
      guard let exchange else { return }
      assert(exchange.countedBytes == exchange.body.count + exchange.heldBytes)
      counted += exchange.countedBytes
    }
    assert(counted == bodies.requestByteCount, "\(counted) bytes of bodies are in flight")
    assert(bodies.heldByteCount <= bodies.requestByteCount, "holders have too many bytes")
  }
}
