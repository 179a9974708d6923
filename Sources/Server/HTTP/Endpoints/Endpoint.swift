// An endpoint of the HTTP interface: the type of a row of the table, and the handlers' helpers.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Wire

/// A kind of request over HTTP: a row of the table in `EndpointTable.swift`.
struct Endpoint: Sendable {
  /// The credentials that an endpoint requires.
  enum Access: Equatable {
    case anyone
    /// Any valid token or key.
    case caller
    /// A token that names a user.
    case user
    /// A publisher's token, CARILLON_API_KEY, or an API key with the verb.
    case publisher(APIVerb)
    /// A caller on this machine, or a publisher with the verb `read`.
    case loopbackOrPublisher
    /// Stripe, by the signature of the body: only its form and its time are checked with the head.
    case stripe

    /// The verb that an API key needs; nil where no key suffices, or none is needed.
    var verb: APIVerb? {
      switch self {
      case .publisher(let verb): verb
      case .loopbackOrPublisher: .read
      case .anyone, .caller, .stripe, .user: nil
      }
    }

    /// Whether it is for publishers only.
    var isForPublishers: Bool { if case .publisher = self { true } else { false } }
  }

  /// The bound of a request's body.
  enum BodySize {
    case ordinary, publish, batch, stripe

    func limit(_ limits: Limits) -> Int {
      switch self {
      case .ordinary: limits.bodyBytesLimit
      case .publish: limits.publishBytesLimit
      case .batch: limits.batchBytesLimit
      case .stripe: limits.stripeBytesLimit
      }
    }
  }

  /// Answers a request, or starts the query or command that the answer needs.
  typealias Handler = @Sendable (Request, Shard) throws(Refusal) -> EndpointResult

  let method: HTTPMethod
  let path: String
  let access: Access
  let body: BodySize
  /// Whether the endpoint reads the query.
  ///
  /// Where it does not, the query is not parsed: a probe's or a cache's additions do not matter.
  let readsQuery: Bool
  /// Whether a token identifies the caller even beside an API key, which names no user.
  let prefersToken: Bool
  let handler: Handler

  init(
    _ method: HTTPMethod, _ path: String, _ access: Access, body: BodySize = .ordinary,
    readsQuery: Bool = true, prefersToken: Bool? = nil, _ handler: @escaping Handler
  ) {
    self.method = method
    self.path = path
    self.access = access
    self.body = body
    self.readsQuery = readsQuery
    self.prefersToken = prefersToken ?? (access == .user)
    self.handler = handler
  }
}

/// The result of handling a request.
enum EndpointResult {
  case now(Answer)
  /// The answer follows later, from a pending result.
  case later(PendingAnswer)
  /// The connection becomes an event stream that goes on from `since`, in these rooms.
  case stream(any Dialect, since: String, rooms: [RoomName])
  /// The connection becomes a metrics stream.
  case metricsStream
  /// An event for connected clients, which the shard puts into the ring.
  case event(Event)
}

/// The handlers of the endpoints, by kind in the files of this folder.
enum Endpoints {
  /// A request's endpoint with the parameters in its path.
  struct Match {
    let endpoint: Endpoint
    let parameters: [String]
  }

  // MARK: Asking the store and the shards

  /// Asks the store; the request waits for the reply, which `answer` turns into its answer.
  ///
  /// With `isCommon` the answer depends on the query and the endpoint only.
  static func ask<Reply>(
    _ query: TypedQuery<Reply>, _ request: Request, on shard: Shard, isCommon: Bool = true,
    _ answer: @escaping (Reply) -> Answer
  ) throws(Refusal) -> EndpointResult {
    let verdict = shard.storeReads.ask(query.query, as: request.askerKind, at: request.slot)
    guard verdict == .taken else { throw .busy }
    return .later(
      .storeAnswer(isCommon: isCommon) { reply in
        switch query.reply(in: reply) {
        case .success(let reply): answer(reply)
        case .failure: .unreadable
        }
      })
  }

  /// Submits a command to the store; the request waits for the reply, which `answer` turns into its
  /// answer.
  ///
  /// `apply` is called on the store's thread with the outcome, and calls the closure that it gets
  /// when the request may be answered. It is called whether or not the request still waits.
  static func submit<Reply>(
    _ command: TypedCommand<Reply>, _ request: Request, on shard: Shard,
    applying apply: (@Sendable (StoreOutcome, @escaping @Sendable () -> Void) -> Void)? = nil,
    _ answer: @escaping (Reply) -> Answer
  ) throws(Refusal) -> EndpointResult {
    try shard.storeWatch.checkAnswers()
    let id = shard.table.id(of: request.slot)
    let mailbox = shard.mailbox
    var count = 0
    if case .publish(let drafts, _, _, _) = command.command { count = drafts.count }
    let isTaken = shard.core.store.submit(command.command) { [count] outcome in
      let post: @Sendable () -> Void = { mailbox.append(.outcome(id, outcome, count: count)) }
      if let apply { apply(outcome, post) } else { post() }
    }
    guard isTaken else { throw .busy }
    let (work, reader) = (StoreWork(command.command), command.reader)
    return .later(
      .outcome(of: work) { outcome in
        switch reader.reply(in: outcome) {
        case .success(let reply): answer(reply)
        case .failure(let failure): work.answer(to: failure)
        }
      })
  }

  /// Asks all shards; the request waits for the joined reply, which `answer` turns into its answer.
  static func ask<Reply>(
    _ query: TypedShardQuery<Reply>, _ request: Request, on shard: Shard,
    _ answer: @escaping (Reply) -> Answer
  ) throws(Refusal) -> EndpointResult {
    let id = shard.table.id(of: request.slot)
    let user = request.askerKind == .user ? try user(of: request) : nil
    guard let refused = shard.shardQueries.begin(query.query, for: .request(id), of: user) else {
      throw .busy
    }
    // Everything else that could begin had begun before.
    if !refused.isEmpty { throw .busy }
    return .later(
      .shardQuery { result in
        switch query.reply(in: result) {
        case .success(let reply): answer(reply)
        case .failure(.late):
          .unavailable("late", "a part of the server did not answer in time, try again")
        case .failure(.busy): Refusal.busy.answer
        case .failure(.stopping): .unavailable("draining", "the server is shutting down")
        }
      })
  }

  // MARK: Reading the request

  /// The user of a request to an endpoint that needs one.
  static func user(of request: Request) throws(Refusal) -> UserID {
    guard let user = request.caller.user else {
      throw Refusal(403, "forbidden", "this needs the token of a user")
    }
    return user
  }

  /// The user named in the path, whether or not that user is known.
  static func namedUser(in request: Request) throws(Refusal) -> UserID {
    guard let user = request.route.parameters.first, UserIDs.isValid(user) else {
      throw .invalid("id: not a user id")
    }
    return user
  }

  /// The notification named in the path.
  static func id(of request: Request) throws(Refusal) -> NotificationID {
    guard let text = request.route.parameters.first, let id = NotificationID(text) else {
      throw Refusal(404, "not_found", "no such notification in this inbox")
    }
    return id
  }
}
