// `/api/v1/webhooks`: the endpoints that receive events over HTTP, and their deliveries.
//
// A secret is in the answers that make it, and in no other. The answer to a change of an endpoint
// follows once the sending thread has applied it: after a deletion, nothing is sent.

internal import Broadcast
internal import Channels
internal import Notifications
internal import Reactor
internal import Wire

extension Endpoints {
  /// The most deliveries of a page, and their number by default.
  static let deliveriesPageLimit = 100
  static let standardDeliveriesPageLimit = 50

  /// `POST /api/v1/webhooks`.
  static func createWebhook(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let fields = try WebhookFields(request, [.url, .types, .secret, .description])
    guard let url = fields.url else { throw .invalid("url: is required") }
    try checkURL(url, on: shard)
    let secret = fields.secret ?? makeSecret(on: shard)
    let endpoint = WebhookEndpoint(
      id: "wh_" + RandomName.make(characterCount: 16, shard.kernel), url: url,
      types: fields.types ?? .all, about: fields.description ?? "", secret: secret,
      createdAt: shard.wall)
    return try submitAndApply(.create(endpoint), request, on: shard) { outcome in
      guard case .webhook(let stored) = outcome else { return unknownWebhook }
      return .object(201) { $0.members(of: stored, secret: secret) }
    }
  }

  /// `GET /api/v1/webhooks`.
  static func listWebhooks(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try ask(.outbox(.webhooks), request, on: shard) { answer in
      guard case .webhooks(let endpoints) = answer else { return unknownWebhook }
      return .object { data in
        data.member("webhooks", array: endpoints) { json, endpoint in
          json.openObject()
          json.members(of: endpoint)
          json.closeObject()
        }
      }
    }
  }

  /// `GET /api/v1/webhooks/:id`.
  static func showWebhook(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let id = try webhookID(of: request)
    return try ask(.outbox(.webhooks), request, on: shard, isCommon: false) { answer in
      guard case .webhooks(let endpoints) = answer,
        let endpoint = endpoints.first(where: { $0.id == id })
      else { return unknownWebhook }
      return .object { $0.members(of: endpoint) }
    }
  }

  /// `PATCH /api/v1/webhooks/:id`: changes the fields that are there.
  static func changeWebhook(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let fields = try WebhookFields(request, [.url, .types, .description, .enabled])
    if let url = fields.url { try checkURL(url, on: shard) }
    var change = WebhookChange()
    change.url = fields.url
    change.types = fields.types
    change.about = fields.description
    if let isEnabled = fields.isEnabled {
      change.disabledReason = isEnabled ? .some(nil) : .byRequest
    }
    return try submitAndApply(
      .change(webhookID(of: request), change, at: shard.wall), request, on: shard
    ) { outcome in
      guard case .webhook(let endpoint) = outcome else { return unknownWebhook }
      return .object { $0.members(of: endpoint) }
    }
  }

  /// `POST /api/v1/webhooks/:id/rotate`: a new secret; the old one signs as well until it ends.
  static func rotateWebhook(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let fields = try WebhookFields(request, [.secret, .overlap])
    var change = WebhookChange()
    let secret = fields.secret ?? makeSecret(on: shard)
    change.secret = secret
    let overlap = fields.overlapMilliseconds ?? WebhookEndpoint.overlapMilliseconds
    change.previousSecretEndsAt = shard.wall + overlap
    return try submitAndApply(
      .change(webhookID(of: request), change, at: shard.wall), request, on: shard
    ) { outcome in
      guard case .webhook(let endpoint) = outcome else { return unknownWebhook }
      return .object { $0.members(of: endpoint, secret: secret) }
    }
  }

  /// `POST /api/v1/webhooks/:id/test`: 202; the result is among the deliveries.
  static func testWebhook(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try submit(.test(webhookID(of: request), at: shard.wall), request, on: shard) { outcome in
      guard case .recorded(let id) = outcome else { return unknownWebhook }
      return .object(202) { $0.member("id", id) }
    }
  }

  /// `DELETE /api/v1/webhooks/:id`.
  static func deleteWebhook(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try submitAndApply(.delete(webhookID(of: request)), request, on: shard) { outcome in
      guard case .saved = outcome else { return unknownWebhook }
      return .object { _ in }
    }
  }

  /// `GET /api/v1/webhooks/:id/deliveries?state=&before=&limit=`, newest first.
  static func webhookDeliveries(
    _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let id = try webhookID(of: request)
    let limit = try number("limit", in: request.query, 1...UInt64(deliveriesPageLimit))
    let before = try number("before", in: request.query, 1...UInt64(Int64.max))
    var state: DeliveryState?
    switch request.query["state"] {
    case nil: break
    case "delivered": return .now(delivered(id, on: shard))
    case DeliveryState.first.name: state = .first
    case DeliveryState.retry.name: state = .retry
    case DeliveryState.dead.name: state = .dead
    default: throw .invalid("state: pending, retrying, dead or delivered")
    }
    let query = OutboxQuery.deliveries(
      id, state: state, before: before.map { Int64($0) },
      limit: limit.map { Int($0) } ?? standardDeliveriesPageLimit)
    return try ask(.outbox(query), request, on: shard, isCommon: false) { answer in
      guard case .deliveries(let records, let next) = answer else { return unknownWebhook }
      return .object { data in
        data.member("deliveries", array: records) { $0.append(record: $1) }
        if let next { data.member("next", String(next)) }
      }
    }
  }

  /// The latest deliveries that succeeded, which the sending thread has in memory.
  private static func delivered(_ id: WebhookID, on shard: Shard) -> Answer {
    let records = shard.core.webhooks?.recentDeliveries(of: id) ?? []
    return .object { data in
      data.member("deliveries", array: records) { json, record in
        json.openObject()
        json.member("id", record.messageID)
        json.member("type", record.type.name)
        json.member("state", "delivered")
        json.member("attempts", record.attempts)
        json.member("status", record.status)
        json.member("delivered_at", time: record.time)
        json.member("duration_ms", Int(record.milliseconds))
        json.closeObject()
      }
    }
  }

  /// `POST /api/v1/webhooks/:id/replay` `{ids}` or `{since}`: sends dead deliveries again.
  static func replayWebhook(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let fields = try WebhookFields(request, [.ids, .since])
    let selection: ReplaySelection
    switch (fields.ids, fields.since) {
    case (let ids?, nil): selection = .events(ids)
    case (nil, let since): selection = .since(since ?? 0)
    case (.some, .some): throw .invalid("ids: cannot be combined with since")
    }
    return try submit(
      .replay(webhookID(of: request), selection, at: shard.wall), request, on: shard
    ) { outcome in
      guard case .changed(let count, let hasMore) = outcome else { return unknownWebhook }
      return .object { data in
        data.member("replayed", count)
        data.member("more", hasMore)
      }
    }
  }

  // MARK: Helpers

  private static let unknownWebhook = Answer.failure(404, "not_found", "no such webhook")

  private static func webhookID(of request: Request) throws(Refusal) -> WebhookID {
    guard let id = request.route.parameters.first, id.utf8.count <= 64 else {
      throw Refusal(unknownWebhook)
    }
    return id
  }

  private static func makeSecret(on shard: Shard) -> WebhookSecret {
    WebhookSecret(
      randomBytes: shard.kernel.randomBytes(count: WebhookSecret.generatedByteCount))
  }

  /// Refuses a URL that no request may go to.
  ///
  /// A name is looked up when something is sent: its address may change.
  private static func checkURL(_ url: String, on shard: Shard) throws(Refusal) {
    let destination: Destination
    do throws(DestinationError) {
      destination = try Destination(url)
    } catch {
      throw .invalid("url: \(error)")
    }
    // guard: private-webhook-refused-early
    if let address = destination.address,
      !shard.core.configuration.addressPolicy.allows(address)
    {
      throw .invalid(
        "url: the address is private or reserved, and the server runs without "
          + "--allow-private-destinations")
    }
  }

  private static func submit(
    _ command: OutboxCommand, _ request: Request, on shard: Shard,
    _ answer: @escaping (OutboxOutcome) -> Answer
  ) throws(Refusal) -> EndpointResult {
    try submit(.outbox(command), request, on: shard, answer)
  }

  /// The same, and the answer waits until the sending thread has applied the change.
  private static func submitAndApply(
    _ command: OutboxCommand, _ request: Request, on shard: Shard,
    _ answer: @escaping (OutboxOutcome) -> Answer
  ) throws(Refusal) -> EndpointResult {
    let webhooks = shard.core.webhooks
    return try submit(
      .outbox(command), request, on: shard,
      applying: { _, post in
        if let webhooks { webhooks.applyChanges(then: post) } else { post() }
      }, answer)
  }
}

extension [UInt8] {
  /// Writes an endpoint, with its secret only where that was made.
  fileprivate mutating func members(of endpoint: WebhookEndpoint, secret: WebhookSecret? = nil) {
    member("id", endpoint.id)
    member("url", endpoint.url)
    member("types", texts: endpoint.types.names)
    member("description", endpoint.about)
    if let secret { member("secret", secret.reveal()) }
    member("enabled", endpoint.isEnabled)
    member("disabled_reason", endpoint.disabledReason?.name)
    member("created_at", time: endpoint.createdAt)
    member("updated_at", time: endpoint.updatedAt)
  }

  fileprivate mutating func append(record: DeliveryRecord) {
    openObject()
    member("id", record.messageID)
    member("type", record.type.name)
    member("state", record.state.name)
    member("attempts", record.attempts)
    if let status = record.status { member("status", status) }
    if !record.reason.isEmpty { member("reason", record.reason) }
    member("created_at", time: record.createdAt)
    if record.state == .retry { member("next_attempt_at", time: record.dueAt) }
    if record.state == .dead { member("failed_at", time: record.dueAt) }
    closeObject()
  }
}
