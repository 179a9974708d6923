// The journal's statements for the outbox, compiled once.

internal import Notifications

/// The statements over events and their deliveries.
final class OutboxStatements {
  let insertEvent: Statement
  let insertDelivery: Statement
  let updateDelivery: Statement
  let deleteDelivery: Statement
  /// Deletes an event whose only delivery is gone.
  let deleteEvent: Statement
  let releaseEvent: Statement
  /// The same for consecutive events.
  let countRange: Statement
  let deleteRange: Statement
  let deleteEventRange: Statement
  let releaseEventRange: Statement
  let oldestDead: Statement
  let replayOne: Statement
  let replaySince: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    let channel = OutboxRow.webhookChannel
    let (retry, dead) = (DeliveryState.retry.rawValue, DeliveryState.dead.rawValue)
    insertEvent = try connection.prepare(
      """
      INSERT INTO outbox_event
        (sequence, message_id, type, subject, created_at, body, delivery_count, checksum)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
      """)
    insertDelivery = try connection.prepare(
      """
      INSERT INTO delivery (channel, destination, event, state, attempts, due_at, reason)
      VALUES (\(channel), ?1, ?2, 0, 0, ?3, '')
      """)
    updateDelivery = try connection.prepare(
      """
      UPDATE delivery SET state = ?3, attempts = ?4, due_at = ?5, status = ?6, reason = ?7
      WHERE channel = \(channel) AND destination = ?1 AND event = ?2 AND state <> \(dead)
      """)
    deleteDelivery = try connection.prepare(
      "DELETE FROM delivery WHERE channel = \(channel) AND destination = ?1 AND event = ?2")
    deleteEvent = try connection.prepare(
      "DELETE FROM outbox_event WHERE sequence = ?1 AND delivery_count <= 1")
    releaseEvent = try connection.prepare(
      "UPDATE outbox_event SET delivery_count = delivery_count - 1 WHERE sequence = ?1")
    let range = "channel = \(channel) AND destination = ?1 AND event BETWEEN ?2 AND ?3"
    countRange = try connection.prepare("SELECT count(*) FROM delivery WHERE \(range)")
    deleteRange = try connection.prepare("DELETE FROM delivery WHERE \(range)")
    deleteEventRange = try connection.prepare(
      "DELETE FROM outbox_event WHERE sequence BETWEEN ?1 AND ?2 AND delivery_count <= 1")
    releaseEventRange = try connection.prepare(
      """
      UPDATE outbox_event SET delivery_count = delivery_count - 1 WHERE sequence BETWEEN ?1 AND ?2
      """)
    oldestDead = try connection.prepare(
      """
      SELECT event FROM delivery INDEXED BY delivery_dead
      WHERE channel = \(channel) AND destination = ?1 AND state = \(dead) ORDER BY event LIMIT 1
      """)
    replayOne = try connection.prepare(
      """
      UPDATE delivery SET state = \(retry), attempts = 0, due_at = ?3
      WHERE channel = \(channel) AND destination = ?1 AND event = ?2 AND state = \(dead)
      """)
    replaySince = try connection.prepare(
      """
      UPDATE delivery SET state = \(retry), attempts = 0, due_at = ?3
      WHERE channel = \(channel) AND destination = ?1 AND event IN
        (SELECT event FROM delivery INDEXED BY delivery_dead
         CROSS JOIN outbox_event ON outbox_event.sequence = delivery.event
         WHERE channel = \(channel) AND destination = ?1 AND state = \(dead)
           AND outbox_event.created_at >= ?2
         ORDER BY event LIMIT ?4)
      """)
  }
}

/// The statements over endpoints, and those that run when the store is opened.
final class WebhookStatements {
  let insertWebhook: Statement
  let updateWebhook: Statement
  let deleteWebhook: Statement
  let insertGone: Statement
  let findGone: Statement
  let deleteGone: Statement
  /// Deliveries of a deleted endpoint.
  let leftOver: Statement
  let countAll: Statement
  let countDead: Statement
  let readSequence: Statement
  let newestEvent: Statement
  let saveSequence: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    let channel = OutboxRow.webhookChannel
    let dead = DeliveryState.dead.rawValue
    insertGone = try connection.prepare("INSERT INTO webhook_gone (key) VALUES (?1)")
    findGone = try connection.prepare("SELECT key FROM webhook_gone LIMIT 1")
    deleteGone = try connection.prepare("DELETE FROM webhook_gone WHERE key = ?1")
    leftOver = try connection.prepare(
      """
      SELECT event FROM delivery WHERE channel = \(channel) AND destination = ?1
      ORDER BY event LIMIT ?2
      """)
    let count = "SELECT count(*) FROM delivery"
    countAll = try connection.prepare(
      "\(count) WHERE channel = \(channel) AND destination = ?1")
    countDead = try connection.prepare(
      """
      \(count) INDEXED BY delivery_dead
      WHERE channel = \(channel) AND destination = ?1 AND state = \(dead)
      """)
    readSequence = try connection.prepare("SELECT outbox_sequence FROM store")
    newestEvent = try connection.prepare("SELECT max(sequence) FROM outbox_event")
    saveSequence = try connection.prepare("UPDATE store SET outbox_sequence = ?1")
    insertWebhook = try connection.prepare(
      """
      INSERT INTO webhook (id, url, types, about, secret, previous_secret,
        previous_secret_ends_at, disabled_reason, created_at, updated_at, checksum)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING key
      """)
    updateWebhook = try connection.prepare(
      """
      UPDATE webhook SET id = ?1, url = ?2, types = ?3, about = ?4, secret = ?5,
        previous_secret = ?6, previous_secret_ends_at = ?7, disabled_reason = ?8, created_at = ?9,
        updated_at = ?10, checksum = ?11
      WHERE key = ?12
      """)
    deleteWebhook = try connection.prepare("DELETE FROM webhook WHERE key = ?1")
  }
}
