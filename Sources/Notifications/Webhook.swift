// Webhook endpoints: the systems that receive events over HTTP, and the types of events.
//
// The headers, signatures and times of attempts are those of Standard Webhooks.

internal import Wire

/// A kind of event that a webhook may receive.
package enum WebhookEventType: Int, Sendable, CaseIterable {
  // The raw values are in the store: add new ones at the end.
  case notificationCreated, notificationSeen, notificationRead, notificationDeleted
  case userOnline, userOffline, roomOccupied, roomVacated, sessionSlow
  /// Sent on request to one endpoint, and never to others.
  case test

  /// The name on the wire.
  package var name: String {
    switch self {
    case .notificationCreated: "notification.created"
    case .notificationSeen: "notification.seen"
    case .notificationRead: "notification.read"
    case .notificationDeleted: "notification.deleted"
    case .userOnline: "user.online"
    case .userOffline: "user.offline"
    case .roomOccupied: "room.occupied"
    case .roomVacated: "room.vacated"
    case .sessionSlow: "session.slow"
    case .test: "webhook.test"
    }
  }

  /// The types that an endpoint can choose.
  package static let selectable = allCases.filter { $0 != .test }
}

/// A set of event types.
package struct WebhookTypes: Sendable, Equatable {
  /// Bit N stands for the type with the raw value N.
  package private(set) var bits: Int

  package init(_ types: some Sequence<WebhookEventType>) {
    bits = types.reduce(0) { $0 | 1 << $1.rawValue }
  }

  /// The set with these bits; bits of no type are left out.
  package init(bits: Int) {
    self.bits = bits & Self.all.bits
  }

  /// All types that an endpoint can choose.
  package static let all = WebhookTypes(WebhookEventType.selectable)
  package static let none = WebhookTypes([])

  package func contains(_ type: WebhookEventType) -> Bool { bits & 1 << type.rawValue != 0 }

  package mutating func formUnion(_ other: WebhookTypes) { bits |= other.bits }

  /// The names, in the order of the cases.
  package var names: [String] { WebhookEventType.allCases.filter(contains).map(\.name) }
}

/// The id of a webhook endpoint: `wh_` and lower-case letters and digits.
package typealias WebhookID = String

/// A system that receives events over HTTP.
///
/// Times are milliseconds since 1970.
package struct WebhookEndpoint: Sendable, Equatable {
  /// Why an endpoint that was enabled no longer is.
  package enum DisabledReason: Int, Sendable {
    // The raw values are in the store.
    case byRequest, gone, failing

    /// The name on the wire.
    package var name: String {
      switch self {
      case .byRequest: "by_request"
      case .gone: "gone"
      case .failing: "failing"
      }
    }
  }

  /// Endpoints of a store; a further one is refused.
  ///
  /// Each takes about 1 KiB of memory.
  package static let countLimit = 100
  package static let urlByteCountLimit = 2_048
  package static let descriptionByteCountLimit = 256
  /// How long a secret stays valid after its rotation: by default, and at most.
  package static let overlapMilliseconds: Int64 = 24 * 3_600 * 1_000
  package static let overlapMillisecondsLimit: Int64 = 7 * 24 * 3_600 * 1_000

  /// The key of its row, which no later endpoint gets; 0 before it is stored.
  package var key: Int64 = 0
  package let id: WebhookID
  package var url: String
  package var types: WebhookTypes
  package var about: String
  package var secret: WebhookSecret
  /// The secret before the latest rotation, and when it ends.
  package var previousSecret: WebhookSecret?
  package var previousSecretEndsAt: Int64 = 0
  /// Nil while it is enabled.
  package var disabledReason: DisabledReason?
  package let createdAt: Int64
  package var updatedAt: Int64

  package init(
    id: WebhookID, url: String, types: WebhookTypes, about: String, secret: WebhookSecret,
    createdAt: Int64
  ) {
    self.id = id
    self.url = url
    self.types = types
    self.about = about
    self.secret = secret
    self.createdAt = createdAt
    updatedAt = createdAt
  }

  package var isEnabled: Bool { disabledReason == nil }

  /// The secrets that sign a message at that time, the newest first.
  package func secrets(at time: Int64) -> [WebhookSecret] {
    guard let previousSecret, time < previousSecretEndsAt else { return [secret] }
    return [secret, previousSecret]
  }
}

/// A change of an endpoint; nil leaves a property as it is.
package struct WebhookChange: Sendable, Equatable {
  package var url: String?
  package var types: WebhookTypes?
  package var about: String?
  /// Nil within: the endpoint is enabled.
  package var disabledReason: WebhookEndpoint.DisabledReason??
  /// The new secret, and until when the old one is valid.
  package var secret: WebhookSecret?
  package var previousSecretEndsAt: Int64?

  package init() {}
}
