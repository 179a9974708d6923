// The table of endpoints: a row for each method and path.

internal import Notifications
internal import Tokens
internal import Wire

extension Endpoints {
  /// The routes of a server.
  static func router(for configuration: Configuration) -> Router<Endpoint> {
    // guard: stripe-needs-its-secret
    let hasStripe = !configuration.stripeSecrets.isEmpty
    return router(hasDemo: configuration.demoTokens != nil, hasStripe: hasStripe)
  }

  /// The routes, with or without those of the demo and of Stripe.
  static func router(hasDemo: Bool, hasStripe: Bool = false) -> Router<Endpoint> {
    var router = Router<Endpoint>()
    for endpoint in rows(hasDemo: hasDemo) + (hasStripe ? integrations : []) {
      router.add(endpoint.method, endpoint.path, endpoint)
    }
    return router
  }

  /// All rows, with or without those of the demo.
  static func rows(hasDemo: Bool) -> [Endpoint] {
    var rows = publishing + inbox + users + webhooks + roomsHub + streams + operators + keys + files
    // guard: demo-in-development
    if hasDemo { rows += demo } else { rows.append(page("/", "index.html")) }
    return rows
  }

  private static let notifications = "/api/v1/notifications"
  private static let hub = "/api/v1/websocket"

  private static let publishing: [Endpoint] = [
    Endpoint(.post, notifications, .publisher(.publish), body: .publish, publish),
    Endpoint(.post, notifications + "/batch", .publisher(.publish), body: .batch, publishBatch),
  ]

  /// Webhooks of other services, each only where its secret is configured.
  private static let integrations: [Endpoint] = [
    Endpoint(.post, "/integrations/stripe", .stripe, body: .stripe, readsQuery: false, stripe)
  ]

  private static let inbox: [Endpoint] = [
    Endpoint(.get, notifications, .user, ownList),
    Endpoint(.delete, notifications, .user) { (request, shard) throws(Refusal) in
      try change(.deleteAll, naming: false, request, on: shard)
    },
    Endpoint(.get, notifications + "/unread-count", .user) { (request, shard) throws(Refusal) in
      try ask(.counts(user: user(of: request)), request, on: shard) { counts in
        .object { $0.member("count", counts.unread) }
      }
    },
    Endpoint(.get, notifications + "/stats", .user) { (request, shard) throws(Refusal) in
      try ask(.counts(user: user(of: request)), request, on: shard) { counts in
        .object { $0.members(of: counts) }
      }
    },
    Endpoint(.get, notifications + "/poll", .user, poll),
    Endpoint(.put, notifications + "/read-all", .user) { (request, shard) throws(Refusal) in
      try change(.readAll, naming: false, request, on: shard)
    },
    Endpoint(.post, notifications + "/read", .user) { (request, shard) throws(Refusal) in
      try change(.read(ids(of: request)), naming: false, request, on: shard)
    },
    Endpoint(.put, notifications + "/seen", .user, seen),
    Endpoint(.put, notifications + "/:id/read", .user, read),
    Endpoint(.put, notifications + "/:id/unread", .user) { (request, shard) throws(Refusal) in
      try change(.unread, request, on: shard)
    },
    Endpoint(.delete, notifications + "/:id", .user) { (request, shard) throws(Refusal) in
      try change(.delete, request, on: shard)
    },
    Endpoint(.get, "/api/v1/preferences", .user) { (request, shard) throws(Refusal) in
      try ask(.preferences(user: user(of: request)), request, on: shard) { .of($0) }
    },
    Endpoint(.put, "/api/v1/preferences", .user, setPreferences),
    Endpoint(.get, "/api/v1/me", .caller, prefersToken: true) { request, shard in
      return .now(.of(request.caller, expiresAt: expirySeconds(of: request.caller, on: shard)))
    },
  ]

  private static let users: [Endpoint] = [
    Endpoint(.get, "/api/v1/users/online", .publisher(.read), usersOnline),
    Endpoint(.get, "/api/v1/users/:id/online", .publisher(.read), userOnline),
    Endpoint(.get, "/api/v1/users/:id/connections", .publisher(.read)) {
      (request, shard) throws(Refusal) in
      try connections(of: namedUser(in: request), request, on: shard)
    },
    Endpoint(.get, "/api/v1/users/:id/notifications", .publisher(.read)) {
      (request, shard) throws(Refusal) in
      try list(request, of: namedUser(in: request), on: shard)
    },
    Endpoint(.post, "/api/v1/disconnect", .publisher(.disconnect), disconnect),
  ]

  private static let hooks = "/api/v1/webhooks"

  private static let webhooks: [Endpoint] = [
    Endpoint(.post, hooks, .publisher(.webhooks), createWebhook),
    Endpoint(.get, hooks, .publisher(.webhooks), listWebhooks),
    Endpoint(.get, hooks + "/:id", .publisher(.webhooks), showWebhook),
    Endpoint(.patch, hooks + "/:id", .publisher(.webhooks), changeWebhook),
    Endpoint(.delete, hooks + "/:id", .publisher(.webhooks), deleteWebhook),
    Endpoint(.post, hooks + "/:id/rotate", .publisher(.webhooks), rotateWebhook),
    Endpoint(.post, hooks + "/:id/test", .publisher(.webhooks), testWebhook),
    Endpoint(.get, hooks + "/:id/deliveries", .publisher(.webhooks), webhookDeliveries),
    Endpoint(.post, hooks + "/:id/replay", .publisher(.webhooks), replayWebhook),
  ]

  /// The endpoints of rooms-hub's clients and backends; some do the same as others above.
  private static let roomsHub: [Endpoint] = [
    Endpoint(.get, hub + "/notifications", .user, ownList),
    Endpoint(.put, hub + "/notifications/:id/read", .user, read),
    Endpoint(.post, hub + "/send/notification", .publisher(.publish), sendNotification),
    Endpoint(.post, hub + "/send/system", .publisher(.broadcast), sendSystem),
    Endpoint(.post, hub + "/send/room", .publisher(.broadcast), sendRoom),
    Endpoint(.post, hub + "/live/update", .publisher(.broadcast), liveUpdate),
    Endpoint(.post, hub + "/live/data", .publisher(.broadcast), liveData),
    Endpoint(.post, hub + "/live/payment", .publisher(.broadcast), livePayment),
    Endpoint(.post, hub + "/live/broadcast", .publisher(.broadcast), liveBroadcast),
    Endpoint(.post, hub + "/realtime/typing", .user, realtimeTyping),
    Endpoint(.post, hub + "/realtime/presence", .user, realtimePresence),
    Endpoint(.get, hub + "/connections/stats", .caller) { .now(connectionStats(on: $1)) },
    Endpoint(.get, hub + "/connections/user", .user) { (request, shard) throws(Refusal) in
      try connections(of: user(of: request), request, on: shard)
    },
  ]

  private static let streams: [Endpoint] =
    DialectRegistry.eventStreams.map { dialect in
      Endpoint(.get, dialect.path, .user) { (request, shard) throws(Refusal) in
        try events(of: dialect, request, on: shard)
      }
    } + [Endpoint(.get, DialectRegistry.metrics.path, .publisher(.read), metricsStream)]

  private static let operators: [Endpoint] = [
    Endpoint(.get, "/api/notifications/stats", .caller) { .now(busStats(on: $1)) },
    Endpoint(.get, "/healthz", .anyone, readsQuery: false) { _, _ in
      .now(.object { $0.member("status", "ok") })
    },
    Endpoint(.get, "/readyz", .anyone, readsQuery: false) { request, shard in
      shard.readiness.begin(for: request.slot, offer: { shard.offer($0) }).map { .now($0) }
        ?? .later(.event)
    },
    Endpoint(.get, "/metrics", .loopbackOrPublisher, readsQuery: false) {
      .now(MetricsText.answer(from: $1.core))
    },
  ]

  private static let apiKeys = "/api/v1/keys"

  private static let keys: [Endpoint] = [
    Endpoint(.post, apiKeys, .publisher(.admin), readsQuery: false, createKey),
    Endpoint(.get, apiKeys, .publisher(.admin), listKeys),
    Endpoint(.delete, apiKeys + "/:id", .publisher(.admin), readsQuery: false, revokeKey),
    Endpoint(.post, apiKeys + "/:id/rotate", .publisher(.admin), readsQuery: false, rotateKey),
  ]

  private static let demo: [Endpoint] = [
    page("/", "demo.html"),
    Endpoint(.get, "/demo/tokens", .anyone, readsQuery: false) { (request, shard) throws(Refusal) in
      .now(try demoTokens(request, on: shard))
    },
  ]

  /// Files for browsers.
  private static let files: [Endpoint] = [
    Endpoint(.get, "/client/*", .anyone, readsQuery: false) { (request, shard) throws(Refusal) in
      .now(try clientFile(request, on: shard))
    },
    page("/console", "console.html"),
  ]

  /// Packets of Engine.IO, which has its own paths, methods and answers: it is in no route.
  static let enginePost = Endpoint(.post, "", .anyone) { .now(receivePackets($0, on: $1)) }

  private static func page(_ path: String, _ file: String) -> Endpoint {
    Endpoint(.get, path, .anyone, readsQuery: false) { (request, shard) throws(Refusal) in
      .now(try page(file, request, on: shard))
    }
  }

  @Sendable
  private static func ownList(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult
  {
    try list(request, of: user(of: request), on: shard)
  }

  /// When the caller's token or key expires, in seconds since 1970; nil: never.
  private static func expirySeconds(of caller: Caller, on shard: Shard) -> Int64? {
    if case .key = caller.identity { return caller.end == .max ? nil : caller.end }
    return shard.authenticator.verifier.expirySeconds(endingAt: caller.end)
  }

  @Sendable
  private static func read(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try change(.read, request, on: shard)
  }
}
