// The outbox in a reader's snapshot: pages of due deliveries, and of those that operators list.

internal import Notifications

/// The queries of the outbox on a reader's connection.
final class OutboxReader {
  private let webhooks: WebhookRow
  private let first: Statement
  private let retries: Statement
  private let nextRetry: Statement
  private let listed: Statement
  private let listedDead: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    webhooks = try WebhookRow(connection)
    // All states: those that are no first attempts are skipped, and bounded by the same limit.
    first = try connection.prepare(
      """
      SELECT \(OutboxRow.dueColumns) FROM delivery
      CROSS JOIN outbox_event ON outbox_event.sequence = delivery.event
      WHERE channel = \(OutboxRow.webhookChannel) AND destination = ?1 AND event > ?2
      ORDER BY event LIMIT ?3
      """)
    retries = try connection.prepare(
      """
      SELECT \(OutboxRow.dueColumns) FROM delivery INDEXED BY delivery_retry
      CROSS JOIN outbox_event ON outbox_event.sequence = delivery.event
      WHERE channel = \(OutboxRow.webhookChannel) AND destination = ?1
        AND state = \(DeliveryState.retry.rawValue) AND due_at <= ?2
      ORDER BY due_at LIMIT ?3
      """)
    nextRetry = try connection.prepare(
      """
      SELECT due_at FROM delivery INDEXED BY delivery_retry
      WHERE channel = \(OutboxRow.webhookChannel) AND destination = ?1
        AND state = \(DeliveryState.retry.rawValue) AND due_at > ?2
      ORDER BY due_at LIMIT 1
      """)
    let columns = """
      SELECT event, message_id, type, state, attempts, outbox_event.created_at, due_at, status,
        reason
      """
    listed = try connection.prepare(
      """
      \(columns) FROM delivery
      CROSS JOIN outbox_event ON outbox_event.sequence = delivery.event
      WHERE channel = \(OutboxRow.webhookChannel) AND destination = ?1 AND event < ?2
      ORDER BY event DESC LIMIT ?3
      """)
    listedDead = try connection.prepare(
      """
      \(columns) FROM delivery INDEXED BY delivery_dead
      CROSS JOIN outbox_event ON outbox_event.sequence = delivery.event
      WHERE channel = \(OutboxRow.webhookChannel) AND destination = ?1 AND event < ?2
        AND state = \(DeliveryState.dead.rawValue)
      ORDER BY event DESC LIMIT ?3
      """)
  }

  /// The answer to a query; `noteDamage` is called for each damaged row.
  func answer(
    _ query: OutboxQuery, noteDamage: (String) -> Void
  ) throws(StoreError) -> OutboxAnswer {
    switch query {
    case .webhooks:
      let (endpoints, damagedCount) = try webhooks.readAll()
      if damagedCount > 0 { noteDamage("a webhook endpoint") }
      return .webhooks(endpoints)
    case .first(let webhook, let after, let limit):
      return .due(try readFirst(webhook, after: after, limit: limit))
    case .retries(let webhook, let time, let limit):
      return .due(try readRetries(webhook, dueBy: time, limit: limit))
    case .deliveries(let id, let state, let before, let limit):
      guard let endpoint = try webhooks.readAll().endpoints.first(where: { $0.id == id }) else {
        return .unknownWebhook
      }
      return try list(endpoint.key, state, before: before ?? .max, limit: limit)
    }
  }

  private func readFirst(
    _ webhook: Int64, after: Int64, limit: Int
  ) throws(StoreError) -> DueDeliveries {
    first.bind(1, webhook)
    first.bind(2, after)
    first.bind(3, Int64(limit))
    defer { first.reset() }
    var due = DueDeliveries()
    due.through = after
    var count = 0
    while try first.step() {
      count += 1
      due.through = first.integer(0)
      guard first.integer(1) == Int64(DeliveryState.first.rawValue) else { continue }
      due.rows.append(OutboxRow.due(first))
    }
    due.hasMore = count == limit
    return due
  }

  private func readRetries(
    _ webhook: Int64, dueBy time: Int64, limit: Int
  ) throws(StoreError) -> DueDeliveries {
    retries.bind(1, webhook)
    retries.bind(2, time)
    retries.bind(3, Int64(limit))
    defer { retries.reset() }
    var due = DueDeliveries()
    while try retries.step() { due.rows.append(OutboxRow.due(retries)) }
    due.hasMore = due.rows.count == limit
    nextRetry.bind(1, webhook)
    nextRetry.bind(2, time)
    defer { nextRetry.reset() }
    if try nextRetry.step() { due.nextRetryAt = nextRetry.integer(0) }
    return due
  }

  private func list(
    _ webhook: Int64, _ state: DeliveryState?, before: Int64, limit: Int
  ) throws(StoreError) -> OutboxAnswer {
    // The others have no index by state: a page visits as many rows, and may show fewer.
    if state == .dead {
      return try list(listedDead, webhook, before: before, limit: limit) { _ in true }
    }
    return try list(listed, webhook, before: before, limit: limit) { state == nil || $0 == state }
  }

  private func list(
    _ statement: borrowing Statement, _ webhook: Int64, before: Int64, limit: Int,
    where isWanted: (DeliveryState) -> Bool
  ) throws(StoreError) -> OutboxAnswer {
    statement.bind(1, webhook)
    statement.bind(2, before)
    statement.bind(3, Int64(limit))
    defer { statement.reset() }
    var records: [DeliveryRecord] = []
    var count = 0
    var last: Int64 = 0
    while try statement.step() {
      count += 1
      last = statement.integer(0)
      guard let type = WebhookEventType(rawValue: Int(clamping: statement.integer(2))),
        let state = DeliveryState(rawValue: Int(clamping: statement.integer(3))), isWanted(state)
      else { continue }
      records.append(
        DeliveryRecord(
          sequence: last, messageID: statement.text(1), type: type, state: state,
          attempts: Int(statement.number(4, in: StoredNumber.attempts) ?? 0),
          createdAt: statement.number(5, in: StoredNumber.times) ?? 0,
          dueAt: statement.number(6, in: StoredNumber.times) ?? 0,
          status: statement.isNull(7) ? nil : statement.number(7, in: 0...999).map { Int($0) },
          reason: statement.text(8)))
    }
    return .deliveries(records, next: count == limit ? last : nil)
  }
}
