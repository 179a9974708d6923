// One event of Stripe: which object it is about, what happened, and for which user.
//
// The body is read only after its signature was checked. It is still read like any other input:
// bounded, and with the first invalid field named. Stripe adds members to its objects at any time,
// so unknown ones are skipped, and of an event of another type only the envelope is read.

internal import Notifications
package import Wire

/// An event of Stripe.
package struct StripeEvent: Sendable {
  /// The contents of an event for Carillon.
  package enum Contents: Sendable {
    case notice(StripeNotice)
    case ignored(IgnoredEvent)
  }

  /// For how long after an event Stripe attempts to deliver it.
  package static let retryMilliseconds: Int64 = 3 * 24 * 60 * 60 * 1_000

  /// The id, 1 to 255 printable ASCII characters: the same in all attempts to deliver the event.
  package let id: String
  package let contents: Contents

  /// Reads a body.
  package static func parse(_ body: [UInt8]) throws(DocumentError) -> StripeEvent {
    let envelope = try StripeEnvelope.parse(body)
    guard let id = envelope.id else { throw .invalid(field: "id", reason: "missing") }
    guard let type = envelope.type else { throw .invalid(field: "type", reason: "missing") }
    guard envelope.isSnapshot, let kind = StripeEventKind(type: type) else {
      return StripeEvent(id: id, contents: .ignored(.otherType))
    }
    guard let range = envelope.object else {
      throw .invalid(field: "data.object", reason: "missing")
    }
    let object = try StripeObject.parse(body, in: range, as: kind.subject)
    guard let user = object.userID else {
      return StripeEvent(id: id, contents: .ignored(.withoutUser))
    }
    // guard: stripe-user-id-is-valid
    guard UserIDs.isValid(user) else {
      return StripeEvent(id: id, contents: .ignored(.invalidUser))
    }
    let notice = try StripeNotice(kind, object, of: user, eventID: id)
    return StripeEvent(id: id, contents: .notice(notice))
  }
}

/// Why an event is of no interest.
package enum IgnoredEvent: String, Sendable {
  case otherType = "no notification is made of events of this type"
  case withoutUser = "the object has no metadata.user_id"
  case invalidUser = "metadata.user_id is no user id"
}

/// What happened to which kind of object: the meaning of an event's type.
struct StripeEventKind: Equatable {
  enum Subject: Equatable {
    case payment, subscription, invoice

    /// The value of `entity_type`, and the first part of a notification's type.
    var name: String {
      switch self {
      case .payment: "payment"
      case .subscription: "subscription"
      case .invoice: "invoice"
      }
    }
  }

  let subject: Subject
  /// The last part of the event's type, with underscores in place of dots.
  let action: String

  /// The type of the notification.
  var notificationType: String { "\(subject.name)_\(action)" }

  /// Nil for a type of no interest.
  init?(type: String) {
    switch type {
    case "payment_intent.succeeded": (subject, action) = (.payment, "succeeded")
    case "payment_intent.payment_failed": (subject, action) = (.payment, "failed")
    default:
      let subjects: [(String, Subject)] = [
        ("customer.subscription.", .subscription), ("invoice.", .invoice),
      ]
      guard let (prefix, subject) = subjects.first(where: { type.hasPrefix($0.0) }) else {
        return nil
      }
      self.subject = subject
      action = String(type.dropFirst(prefix.count).map { $0 == "." ? "_" : $0 })
      guard !action.isEmpty, Draft.isValidType("\(subject.name)_\(action)") else { return nil }
    }
  }
}

/// The members around the object of an event.
private struct StripeEnvelope {
  var id: String?
  var type: String?
  /// Whether the event contains its object; a thin event only names it.
  var isSnapshot = true
  /// The object in the body.
  var object: Range<Int>?

  static func parse(_ body: [UInt8]) throws(DocumentError) -> StripeEnvelope {
    var envelope = StripeEnvelope()
    try DocumentParser.parse(body, ["id", "object", "type", "data"], ignoresUnknown: true) {
      (parser: inout DocumentParser, reader: inout JSONReader, name: String)
        throws(JSONViolation) in
      try envelope.take(name, &parser, from: &reader)
    }
    return envelope
  }

  private mutating func take(
    _ name: String, _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    guard name != "data" else {
      return try parser.readObject(["object"], from: &reader) {
        (parser, reader, _) throws(JSONViolation) in
        if try reader.nextKind() != .object { parser.refuse("must be an object") }
        object = try reader.skipValue()
      }
    }
    guard let text = try parser.readText(from: &reader) else { return }
    switch name {
    case "id":
      id = text
      // It becomes an idempotency key.
      // guard: stripe-event-id-is-bounded
      let isValid =
        1...IdempotencyKey.byteCountLimit ~= text.utf8.count
        && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
      if !isValid {
        parser.refuse("must be 1 to \(IdempotencyKey.byteCountLimit) printable ASCII characters")
      }
    case "type": type = text
    default: isSnapshot = text == "event"
    }
  }
}
