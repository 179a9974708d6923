// Calls to the outbox of a store, for its tests.

import Notifications
import Storage
import Testing

extension StoreFixture {
  func outbox(_ command: OutboxCommand) -> StoreOutcome { submit(.outbox(command)) }

  /// Adds an endpoint and returns it as it is stored.
  @discardableResult
  func addWebhook(
    _ id: WebhookID = "wh_1", types: WebhookTypes = .all, at time: Int64 = 1_000
  ) -> WebhookEndpoint? {
    let endpoint = WebhookEndpoint(
      id: id, url: "https://example.com/\(id)", types: types, about: "Ops",
      secret: WebhookSecret(randomBytes: [UInt8](repeating: 7, count: 32)), createdAt: time)
    guard case .outbox(.webhook(let stored)) = outbox(.create(endpoint)) else { return nil }
    return stored
  }

  func webhooks() -> [WebhookEndpoint] {
    guard case .outbox(.webhooks(let endpoints)) = read(.outbox(.webhooks)) else { return [] }
    return endpoints
  }

  func due(_ query: OutboxQuery) -> DueDeliveries {
    guard case .outbox(.due(let due)) = read(.outbox(query)) else {
      Issue.record("no deliveries")
      return DueDeliveries()
    }
    return due
  }

  /// The first attempts for an endpoint.
  func first(_ endpoint: WebhookEndpoint, after: Int64 = 0, limit: Int = 100) -> [DueDelivery] {
    due(.first(webhook: endpoint.key, after: after, limit: limit)).rows
  }

  func retries(_ endpoint: WebhookEndpoint, dueBy time: Int64 = .max) -> [DueDelivery] {
    due(.retries(webhook: endpoint.key, dueBy: time, limit: 100)).rows
  }

  func deliveries(
    _ id: WebhookID = "wh_1", state: DeliveryState? = nil, before: Int64? = nil, limit: Int = 100
  ) -> (rows: [DeliveryRecord], next: Int64?) {
    let query = OutboxQuery.deliveries(id, state: state, before: before, limit: limit)
    guard case .outbox(.deliveries(let rows, let next)) = read(.outbox(query)) else {
      Issue.record("no deliveries")
      return ([], nil)
    }
    return (rows, next)
  }

  @discardableResult
  func settle(
    _ endpoint: WebhookEndpoint, _ sequence: Int64, _ outcome: DeliveryResult.Outcome,
    attempts: Int = 1, status: Int? = nil, reason: String = "", at time: Int64 = 2_000
  ) -> StoreOutcome {
    outbox(
      .settle([
        DeliveryResult(
          webhook: endpoint.key, sequence: sequence, attempts: attempts, outcome: outcome,
          status: status, reason: reason, time: time)
      ]))
  }

  /// The numbers of rows in `outbox_event` and `delivery`.
  var outboxRows: String {
    sql("SELECT (SELECT count(*) FROM outbox_event) || ' ' || (SELECT count(*) FROM delivery)")
  }
}

extension DueDelivery {
  var text: String { String(decoding: body ?? [], as: UTF8.self) }
}
