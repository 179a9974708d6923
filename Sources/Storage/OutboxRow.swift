// Rows of the outbox: their columns, and reading them.

internal import Notifications

/// The columns of tables `outbox_event` and `delivery`.
enum OutboxRow {
  /// The channel of deliveries to webhook endpoints; the other ways out have their own.
  static let webhookChannel: Int64 = 0

  /// The columns that `due` reads.
  static let dueColumns = """
    delivery.event, delivery.state, delivery.attempts, outbox_event.message_id, outbox_event.type, \
    outbox_event.subject, outbox_event.created_at, outbox_event.body, outbox_event.checksum
    """

  /// A subject as text: the name after a letter for its kind.
  static func text(of subject: OutboxEvent.Subject) -> String {
    switch subject {
    case .everyone: "e"
    case .user(let user): "u" + user
    case .room(let room): "r" + room
    }
  }

  static func subject(from text: String) -> OutboxEvent.Subject {
    let name = String(Substring(text.utf8.dropFirst()))
    switch text.utf8.first {
    case UInt8(ascii: "u"): return .user(name)
    case UInt8(ascii: "r"): return .room(name)
    default: return .everyone
    }
  }

  /// The checksum of a message and of what identifies it.
  static func checksum(
    sequence: Int64, messageID: String, subject: String, body: [UInt8]
  ) -> Int64 {
    var bytes = Array("\(sequence) \(messageID) \(subject.utf8.count) \(subject)".utf8)
    bytes.reserveCapacity(bytes.count + body.count)
    bytes.append(contentsOf: body)
    return RowChecksum.value(of: bytes)
  }

  /// The delivery in the current row of a statement over `dueColumns`.
  ///
  /// A damaged message has no body: the delivery cannot succeed, and its end is reported.
  static func due(_ row: borrowing Statement) -> DueDelivery {
    let sequence = row.integer(0)
    let messageID = row.text(3)
    let subject = row.text(5)
    let body = row.blob(7)
    let type = WebhookEventType(rawValue: Int(clamping: row.integer(4)))
    let isSound =
      type != nil
      && checksum(sequence: sequence, messageID: messageID, subject: subject, body: body)
        == row.integer(8)
    return DueDelivery(
      sequence: sequence, messageID: messageID, type: type ?? .test,
      subject: Self.subject(from: subject),
      attempts: Int(row.number(2, in: StoredNumber.attempts) ?? 0),
      createdAt: row.number(6, in: StoredNumber.times) ?? 0,
      // guard: damaged-message-never-sent
      body: isSound ? body : nil)
  }
}
