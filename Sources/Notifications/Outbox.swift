// The outbox: events on their way to systems that are not connected.
//
// An event is recorded in the transaction of the change that it reports, with one delivery for each
// endpoint that wants it. A delivery stays until it has succeeded, or its endpoint is deleted:
//
//     first ──▶ delivered (its row is deleted)
//       └─ fails ──▶ retry ──▶ delivered
//                     └─ no attempt left ──▶ dead ── replay ──▶ retry
//
// The journal alone changes the outbox. The thread that sends reads it in pages, and reports its
// results in batches.

internal import Wire

/// An event for the outbox.
package struct OutboxEvent: Sendable {
  /// The user or room that the event is about: first attempts of one subject leave in order.
  package enum Subject: Sendable, Hashable {
    /// No single user or room.
    case everyone
    case user(UserID)
    case room(RoomName)
  }

  package let type: WebhookEventType
  package let subject: Subject
  /// Milliseconds since 1970.
  package let time: Int64
  /// A JSON object with at least one member.
  package let data: [UInt8]

  package init(type: WebhookEventType, subject: Subject, time: Int64, data: [UInt8]) {
    assert(data.count > 2 && data.last == UInt8(ascii: "}"), "no member")
    self.type = type
    self.subject = subject
    self.time = time
    self.data = data
  }

  /// The message that is sent: `{"type","timestamp","data"}`, and `seq` as the last member of the
  /// data.
  package func body(sequence: Int64) -> [UInt8] {
    var json: [UInt8] = []
    json.reserveCapacity(data.count + 128)
    json.openObject()
    json.member("type", type.name)
    json.member("timestamp", time: time)
    json.memberName("data")
    json.append(contentsOf: data.dropLast())
    json.member("seq", Int(sequence))
    json.closeObject()
    json.closeObject()
    return json
  }
}

/// The ids of messages: `msg_`, the name of the server's run, and the number of the event.
package enum OutboxMessageID {
  private static let digitCountLimit = 18

  package static func make(runName: String, sequence: Int64) -> String {
    "msg_\(runName)_\(sequence)"
  }

  /// The number of the event; nil for any other text.
  package static func sequence(_ text: String) -> Int64? {
    guard text.utf8.count <= 64, text.hasPrefix("msg_") else { return nil }
    let digits = text.utf8.reversed().prefix { $0 != UInt8(ascii: "_") }.reversed()
    guard (1...digitCountLimit).contains(digits.count) else { return nil }
    var number: Int64 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      number = number * 10 + Int64(digit - UInt8(ascii: "0"))
    }
    return number
  }
}

/// The state of a delivery.
package enum DeliveryState: Int, Sendable {
  // The raw values are in the store.
  /// No attempt has ended.
  case first
  /// An attempt failed, and another one is due.
  case retry
  /// Every attempt failed: nothing is sent until a replay.
  case dead

  /// The name on the wire.
  package var name: String {
    switch self {
    case .first: "pending"
    case .retry: "retrying"
    case .dead: "dead"
    }
  }
}

/// A delivery that is due.
package struct DueDelivery: Sendable, Equatable {
  /// The event's number: later events have larger ones.
  package let sequence: Int64
  /// The id of the message, the same for all attempts.
  package let messageID: String
  package let type: WebhookEventType
  package let subject: OutboxEvent.Subject
  /// Attempts that have failed.
  package let attempts: Int
  /// When the event was recorded, in milliseconds since 1970.
  package let createdAt: Int64
  /// Nil when the stored message is damaged.
  package let body: [UInt8]?

  package init(
    sequence: Int64, messageID: String, type: WebhookEventType, subject: OutboxEvent.Subject,
    attempts: Int, createdAt: Int64, body: [UInt8]?
  ) {
    self.sequence = sequence
    self.messageID = messageID
    self.type = type
    self.subject = subject
    self.attempts = attempts
    self.createdAt = createdAt
    self.body = body
  }
}

/// The deliveries that a query found.
package struct DueDeliveries: Sendable, Equatable {
  package var rows: [DueDelivery] = []
  /// The number of the last event that was visited; 0 if none was.
  package var through: Int64 = 0
  /// Whether the query reached its limit.
  package var hasMore = false
  /// When the next retry is due; nil without one, and for first attempts.
  package var nextRetryAt: Int64?

  package init() {}
}

/// The result of an attempt.
package struct DeliveryResult: Sendable, Equatable {
  package enum Outcome: Sendable, Equatable {
    case delivered
    /// The next attempt is due at that time, in milliseconds since 1970.
    case retry(at: Int64)
    case dead
  }

  /// The key of the endpoint's row.
  package let webhook: Int64
  package let sequence: Int64
  /// The number of attempts so far, this one included.
  package let attempts: Int
  package let outcome: Outcome
  /// The HTTP status; nil without an answer.
  package let status: Int?
  /// Why the attempt failed, in words; empty for one that succeeded.
  package let reason: String
  /// When the attempt ended.
  package let time: Int64

  package init(
    webhook: Int64, sequence: Int64, attempts: Int, outcome: Outcome, status: Int?,
    reason: String, time: Int64
  ) {
    self.webhook = webhook
    self.sequence = sequence
    self.attempts = attempts
    self.outcome = outcome
    self.status = status
    self.reason = reason
    self.time = time
  }
}

/// A delivery as operators see it.
package struct DeliveryRecord: Sendable, Equatable {
  package let sequence: Int64
  package let messageID: String
  package let type: WebhookEventType
  package let state: DeliveryState
  package let attempts: Int
  package let createdAt: Int64
  /// When the next attempt is due; for a dead one, when it died.
  package let dueAt: Int64
  package let status: Int?
  package let reason: String

  package init(
    sequence: Int64, messageID: String, type: WebhookEventType, state: DeliveryState,
    attempts: Int, createdAt: Int64, dueAt: Int64, status: Int?, reason: String
  ) {
    self.sequence = sequence
    self.messageID = messageID
    self.type = type
    self.state = state
    self.attempts = attempts
    self.createdAt = createdAt
    self.dueAt = dueAt
    self.status = status
    self.reason = reason
  }
}

/// Which dead deliveries a replay sends again.
package enum ReplaySelection: Sendable, Equatable {
  /// Of these events.
  case events([Int64])
  /// Those recorded at that time or later, in milliseconds since 1970.
  case since(Int64)
}

/// A command to the outbox.
package enum OutboxCommand: Sendable {
  /// Adds an endpoint.
  case create(WebhookEndpoint)
  /// Changes an endpoint. `at` is milliseconds since 1970, here and below.
  case change(WebhookID, WebhookChange, at: Int64)
  /// Deletes an endpoint; its deliveries are swept later, and none of them is sent.
  case delete(WebhookID)
  /// Records an event of type `test` for one endpoint.
  case test(WebhookID, at: Int64)
  /// Records events that no other command causes.
  case record([OutboxEvent])
  /// Saves the results of attempts.
  case settle([DeliveryResult])
  /// Makes dead deliveries due again, up to `StoreLimits.replayLimit`.
  case replay(WebhookID, ReplaySelection, at: Int64)
  /// Deletes deliveries of deleted endpoints, up to a limit for each command.
  case sweep
}

/// The result of a command to the outbox.
package enum OutboxOutcome: Sendable, Equatable {
  case saved
  case webhook(WebhookEndpoint)
  /// The message that a test has recorded.
  case recorded(messageID: String)
  case unknownWebhook
  /// More may be left if this command reached its limit.
  case changed(count: Int, hasMore: Bool)
}

/// What a commit changed in the outbox.
package struct OutboxNews: OptionSet, Sendable {
  package let rawValue: Int

  package init(rawValue: Int) { self.rawValue = rawValue }

  /// There are new deliveries.
  package static let deliveries = OutboxNews(rawValue: 1)
  /// Endpoints have changed, or dead deliveries are due again.
  package static let changes = OutboxNews(rawValue: 2)
}

/// A query to the outbox.
package enum OutboxQuery: Sendable {
  /// All endpoints, in the order in which they were created.
  case webhooks
  /// The first attempts for the endpoint with that key, after an event, in order.
  case first(webhook: Int64, after: Int64, limit: Int)
  /// The retries for the endpoint with that key that are due by then, the longest due first.
  case retries(webhook: Int64, dueBy: Int64, limit: Int)
  /// The deliveries of an endpoint, newest first; nil stands for any state and for the newest.
  case deliveries(WebhookID, state: DeliveryState?, before: Int64?, limit: Int)
}

/// The answer to a query to the outbox.
package enum OutboxAnswer: Sendable {
  case webhooks([WebhookEndpoint])
  case due(DueDeliveries)
  /// `next` is the value to pass as `before`; nil on the last page.
  case deliveries([DeliveryRecord], next: Int64?)
  case unknownWebhook
}

/// Counts of the outbox since the store was opened, and its current size.
package struct OutboxMetrics: Sendable, Equatable {
  /// Events recorded.
  package var recorded = 0
  /// Deliveries recorded.
  package var deliveries = 0
  /// Deliveries not recorded, because the endpoint or the outbox had too many.
  package var overflowed = 0
  /// Deliveries that are waiting or dead.
  package var current = 0
  /// Dead deliveries deleted, because their endpoint had too many.
  package var evicted = 0

  package init() {}
}
