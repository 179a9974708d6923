// The HTTP endpoints: their routes, their access rules, and their dispatch.

internal import Broadcast
internal import Notifications
internal import Wire

/// A kind of request over HTTP.
enum Endpoint: Sendable {
  case publish, publishBatch, sendNotification
  case sendSystem, sendRoom, liveUpdate, liveData, livePayment, liveBroadcast
  case list, unreadCount, stats, read, unread, readMany, readAll, seen, delete, deleteAll
  case preferences, setPreferences, currentCaller
  case events, poll
  /// Packets of Engine.IO, which has its own paths and answers.
  case enginePost
  case realtimeTyping, realtimePresence, ownConnections, usersOnline, userOnline, disconnect
  case userConnections, userNotifications
  case busStats, connectionStats, health, ready, metrics, metricsStream
  /// Files for browsers.
  case clientFile, console, home, demo, demoTokens

  /// The credentials that an endpoint requires.
  enum Access {
    case anyone
    /// Any valid token or key.
    case caller
    /// A token that names a user.
    case user
    case publisher
    /// A caller on this machine, or a publisher.
    case loopbackOrPublisher
  }

  var access: Access {
    switch self {
    case .publish, .publishBatch, .sendNotification, .sendSystem, .sendRoom, .liveUpdate,
      .liveData, .livePayment, .liveBroadcast, .usersOnline, .userOnline, .disconnect,
      .userConnections, .userNotifications, .metricsStream:
      .publisher
    case .list, .unreadCount, .stats, .read, .unread, .readMany, .readAll, .seen, .delete,
      .deleteAll, .preferences, .setPreferences, .events, .poll, .realtimeTyping,
      .realtimePresence, .ownConnections:
      .user
    case .busStats, .connectionStats, .currentCaller: .caller
    case .health, .ready, .enginePost, .clientFile, .console, .home, .demo,
      .demoTokens:
      .anyone
    case .metrics: .loopbackOrPublisher
    }
  }

  /// Whether the endpoint reads the query.
  ///
  /// Where it does not, the query is not parsed: a probe's or a cache's additions do not matter.
  var readsQuery: Bool {
    switch self {
    case .health, .ready, .metrics, .clientFile, .console, .demo, .demoTokens: false
    default: true
    }
  }

  /// Whether a token identifies the caller even beside an API key, which names no user.
  var prefersToken: Bool { access == .user || self == .currentCaller }
}

/// The result of handling a request.
enum EndpointResult {
  case now(Answer)
  /// The answer follows later, from a pending result.
  case later(PendingAnswer)
  /// The connection becomes an event stream that goes on from `since`, in these rooms.
  case stream(since: String, rooms: [RoomName])
  /// The connection becomes a metrics stream.
  case metricsStream
}

/// How a pending result becomes the answer to its request.
enum PendingAnswer {
  /// A publish: the answer once it is durable.
  case published(Answer)
  /// A publish that is refused only now: the answer of its first attempt, if there was one.
  case repeated(Answer, refusal: Answer)
  /// A change of the user's inbox; 404 if it names a notification that does not exist.
  case changed(names: Bool)
  case page
  case preferences
  /// A change of stored data outside the inbox: the answer once it is durable.
  case saved(Answer)
  case unreadCount
  case stats
  /// The start position of a poll, and whether continuity is lost.
  case position(isResync: Bool)
  /// A poll that waits for something new.
  case poll(Poll)
  /// An owner shard decides: the answer if it succeeds, and if not.
  case ownerShard(Answer, refusal: Answer)
  /// A poll of Engine.IO that waits for its session's packets.
  case enginePoll
  /// Readiness: answered when the probe returns.
  case probe
  /// A shard query: answered when the last shard has answered.
  case shardQuery

  /// Whether the answer is the outcome of a command.
  var isCommand: Bool {
    switch self {
    case .published, .changed, .saved: true
    case .repeated, .page, .preferences, .unreadCount, .stats, .position, .poll, .ownerShard,
      .enginePoll, .probe, .shardQuery:
      false
    }
  }

  /// Whether the store decides the answer within a bounded time, by a command or a query.
  var awaitsStore: Bool {
    switch self {
    case .published, .repeated, .changed, .saved, .page, .preferences, .unreadCount, .stats,
      .position:
      true
    case .poll, .ownerShard, .enginePoll, .probe, .shardQuery: false
    }
  }

  /// The answer when the store has given none in time.
  var lateAnswer: Answer {
    isCommand
      ? unknownOutcome
      : .unavailable("unreadable", "the store has not answered in time, try again")
  }

  /// The answer when a command may or may not have been carried out.
  ///
  /// It has no Retry-After, because only some commands may be repeated as they are.
  var unknownOutcome: Answer {
    let message =
      if case .published = self {
        "the notification may or may not have been stored: repeat it with the same Idempotency-Key"
      } else {
        "the change may or may not have been stored: repeat it"
      }
    return .failure(504, "outcome_unknown", message)
  }
}

/// The table of endpoints, and the dispatch to them.
enum Endpoints {
  /// A request's endpoint with the parameters in its path.
  struct Match {
    let endpoint: Endpoint
    let parameters: [String]
  }

  /// The routes, with or without those of the demo.
  static func router(hasDemo: Bool) -> Router<Endpoint> {
    var router = Router<Endpoint>()
    let inbox = "/api/v1/notifications"
    router.add(.post, inbox, .publish)
    router.add(.post, inbox + "/batch", .publishBatch)
    router.add(.get, inbox, .list)
    router.add(.delete, inbox, .deleteAll)
    router.add(.get, inbox + "/unread-count", .unreadCount)
    router.add(.get, inbox + "/stats", .stats)
    router.add(.get, inbox + "/poll", .poll)
    router.add(.put, inbox + "/read-all", .readAll)
    router.add(.post, inbox + "/read", .readMany)
    router.add(.put, inbox + "/seen", .seen)
    router.add(.put, inbox + "/:id/read", .read)
    router.add(.put, inbox + "/:id/unread", .unread)
    router.add(.delete, inbox + "/:id", .delete)
    router.add(.get, "/api/v1/preferences", .preferences)
    router.add(.put, "/api/v1/preferences", .setPreferences)
    router.add(.get, "/api/v1/me", .currentCaller)
    addHubRoutes(to: &router)
    router.add(.get, "/api/v1/users/online", .usersOnline)
    router.add(.get, "/api/v1/users/:id/online", .userOnline)
    router.add(.get, "/api/v1/users/:id/connections", .userConnections)
    router.add(.get, "/api/v1/users/:id/notifications", .userNotifications)
    router.add(.post, "/api/v1/disconnect", .disconnect)
    router.add(.get, "/api/notifications/stats", .busStats)
    router.add(.get, StreamDialect().path, .events)
    router.add(.get, "/healthz", .health)
    router.add(.get, "/readyz", .ready)
    router.add(.get, "/metrics", .metrics)
    router.add(.get, MetricsDialect().path, .metricsStream)
    router.add(.get, "/client/*", .clientFile)
    router.add(.get, "/console", .console)
    router.add(.get, "/", hasDemo ? .demo : .home)
    // guard: demo-in-development
    if hasDemo { router.add(.get, "/demo/tokens", .demoTokens) }
    return router
  }

  /// The routes of rooms-hub's clients and backends; some are aliases of other routes.
  private static func addHubRoutes(to router: inout Router<Endpoint>) {
    let hub = "/api/v1/websocket"
    router.add(.get, hub + "/notifications", .list)
    router.add(.put, hub + "/notifications/:id/read", .read)
    router.add(.post, hub + "/send/notification", .sendNotification)
    router.add(.post, hub + "/send/system", .sendSystem)
    router.add(.post, hub + "/send/room", .sendRoom)
    router.add(.post, hub + "/live/update", .liveUpdate)
    router.add(.post, hub + "/live/data", .liveData)
    router.add(.post, hub + "/live/payment", .livePayment)
    router.add(.post, hub + "/live/broadcast", .liveBroadcast)
    router.add(.post, hub + "/realtime/typing", .realtimeTyping)
    router.add(.post, hub + "/realtime/presence", .realtimePresence)
    router.add(.get, hub + "/connections/stats", .connectionStats)
    router.add(.get, hub + "/connections/user", .ownConnections)
  }

  /// Answers `request`, or starts the query or command that it needs.
  static func answer(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    switch request.route.endpoint {
    case .publish: try publish(request, on: shard)
    case .publishBatch: try publishBatch(request, on: shard)
    case .sendNotification: try sendNotification(request, on: shard)
    case .sendSystem: try sendSystem(request, on: shard)
    case .sendRoom: try sendRoom(request, on: shard)
    case .liveUpdate: try liveUpdate(request, on: shard)
    case .liveData: try liveData(request, on: shard)
    case .livePayment: try livePayment(request, on: shard)
    case .liveBroadcast: try liveBroadcast(request, on: shard)
    case .list: try list(request, of: user(of: request), on: shard)
    case .unreadCount: try ask(.counts(user: user(of: request)), .unreadCount, request, on: shard)
    case .stats: try ask(.counts(user: user(of: request)), .stats, request, on: shard)
    case .read: try change(.read, request, on: shard)
    case .unread: try change(.unread, request, on: shard)
    case .delete: try change(.delete, request, on: shard)
    case .readMany: try change(.read(ids(of: request)), naming: false, request, on: shard)
    case .readAll: try change(.readAll, naming: false, request, on: shard)
    case .deleteAll: try change(.deleteAll, naming: false, request, on: shard)
    case .seen: try seen(request, on: shard)
    case .preferences:
      try ask(.preferences(user: user(of: request)), .preferences, request, on: shard)
    case .setPreferences: try setPreferences(request, on: shard)
    case .currentCaller: .now(.of(request.caller))
    case .events: try events(request, on: shard)
    case .poll: try poll(request, on: shard)
    case .enginePost: .now(shard.receiveEngine(request))
    case .realtimeTyping: try realtimeTyping(request, on: shard)
    case .realtimePresence: try realtimePresence(request, on: shard)
    case .ownConnections: try connections(of: user(of: request), request, on: shard)
    case .usersOnline: try usersOnline(request, on: shard)
    case .userOnline: try userOnline(request, on: shard)
    case .disconnect: try disconnect(request, on: shard)
    case .userConnections: try connections(of: namedUser(in: request), request, on: shard)
    case .userNotifications: try list(request, of: namedUser(in: request), on: shard)
    case .busStats: .now(busStats(on: shard))
    case .connectionStats: .now(connectionStats(on: shard))
    case .health: .now(.object { $0.member("status", "ok") })
    case .ready: shard.sendReadinessProbe(for: request.slot).map { .now($0) } ?? .later(.probe)
    case .metrics: .now(MetricsText.answer(from: shard.core))
    case .metricsStream: try metricsStream(request, on: shard)
    case .clientFile: .now(try clientFile(request, on: shard))
    case .console: .now(try page("console.html", request, on: shard))
    case .home: .now(try page("index.html", request, on: shard))
    case .demo: .now(try page("demo.html", request, on: shard))
    case .demoTokens: .now(try demoTokens(request, on: shard))
    }
  }

  /// Converts the outcome of a command to the pending answer.
  static func answer(_ pending: PendingAnswer, _ outcome: StoreOutcome) -> Answer {
    switch outcome {
    case .published:
      if case .published(let answer) = pending { return answer }
    case .repeated(let body):
      // The same request had the same kind of answer; the ids in it are those of the first one.
      switch pending {
      case .published(var answer), .repeated(var answer, _):
        answer.response.body = body
        return answer.with("Idempotent-Replay", "true")
      default: break
      }
    case .conflict:
      return .failure(
        409, "idempotency_conflict", "this Idempotency-Key was used with another body")
    case .unknownKey:
      if case .repeated(_, let refusal) = pending { return refusal }
    case .changed(let count, let counts):
      if case .changed(let names) = pending {
        if names, count == 0 {
          return .failure(404, "not_found", "no such notification in this inbox")
        }
        return .object { data in
          data.member("updated", count)
          data.members(of: counts)
        }
      }
    case .saved:
      if case .saved(let answer) = pending { return answer }
    case .expired:
      break
    case .unavailable:
      return .unavailable(
        "store_unavailable", "the store cannot write just now, nothing was stored: try again")
    case .readOnly:
      return .unavailable("read_only", "the store refuses writes until it is restarted")
    case .unknown:
      // The lookup of a key changes nothing, so its outcome is never in doubt.
      return pending.isCommand ? pending.unknownOutcome : answer(pending, .readOnly(reason: ""))
    }
    return .failure(500, "internal", "unexpected answer from the store")
  }

  /// Converts the result of a query to the pending answer.
  static func answer(
    _ pending: PendingAnswer, _ answer: StoreAnswer, cursors: CursorFormat
  ) -> Answer {
    switch (pending, answer) {
    case (.page, .page(let notifications, let next, let counts, let groups)):
      return page(notifications, next: next, counts, groups: groups)
    case (.preferences, .preferences(let preferences)):
      return .of(preferences)
    case (.unreadCount, .counts(let counts)):
      return .object { $0.member("count", counts.unread) }
    case (.stats, .counts(let counts)):
      return .object { $0.members(of: counts) }
    case (.position(let isResync), .position(let offset, _)):
      return polled([], cursors.text(at: offset), isResync: isResync)
    case (_, .failed):
      return .unavailable("unreadable", "the store cannot be read just now")
    default:
      return .failure(500, "internal", "unexpected answer from the store")
    }
  }

  // MARK: Asking the store

  /// Asks the store; the request waits for the result.
  static func ask(
    _ query: StoreQuery, _ pending: PendingAnswer, _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let id = shard.table.id(of: request.slot)
    let mailbox = shard.mailbox
    let isTaken = shard.core.store.read(query) { answer in
      mailbox.append(.answer(id, answer))
    }
    guard isTaken else { throw .busy }
    return .later(pending)
  }

  /// Submits a command to the store; the request waits for the outcome.
  static func submit(
    _ command: StoreCommand, _ pending: PendingAnswer, _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    try shard.checkStoreAnswers()
    let id = shard.table.id(of: request.slot)
    let mailbox = shard.mailbox
    var count = 0
    if case .publish(let drafts, _, _, _) = command { count = drafts.count }
    let isTaken = shard.core.store.submit(command) { [count] outcome in
      mailbox.append(.outcome(id, outcome, count: count))
    }
    guard isTaken else { throw .busy }
    return .later(pending)
  }

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
