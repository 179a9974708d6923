// The members of a PaymentIntent, a Subscription or an Invoice that a notification needs.
//
// The user is `user_id` in the object's metadata. An invoice that a subscription causes has no
// metadata of its own: then it is that of the subscription, which Stripe copies into
// `parent.subscription_details` (in `subscription_details` before version 2025-03-31 of its API).

internal import Notifications
internal import Wire

/// The members read so far of one object.
package struct StripeObject {
  /// The most bytes of a text of Stripe that a message repeats.
  package static let textByteCountLimit = 512

  private(set) var id: String?
  private(set) var currency: String?
  private(set) var status: String?
  private(set) var customerID: String?
  private(set) var subscriptionID: String?
  /// The number of an invoice, as printed on it.
  private(set) var number: String?
  /// The message to the card's holder after a failed payment.
  private(set) var failure: String?
  private var numbers: [String: Int64] = [:]
  private var ownUserID: String?
  private var subscriptionUserID: String?

  /// The value of `user_id` in the metadata; not validated.
  var userID: String? { ownUserID ?? subscriptionUserID }

  /// An amount in the currency's minor unit.
  func amount(_ name: String) -> Int64? { numbers[name] }

  static func parse(
    _ body: [UInt8], in range: Range<Int>, as subject: StripeEventKind.Subject
  ) throws(DocumentError) -> StripeObject {
    var object = StripeObject()
    try DocumentParser.parse(body, in: range, names(of: subject), ignoresUnknown: true) {
      (parser: inout DocumentParser, reader: inout JSONReader, name: String)
        throws(JSONViolation) in
      try object.take(name, &parser, from: &reader)
    }
    return object
  }

  private static func names(of subject: StripeEventKind.Subject) -> [String] {
    let own =
      switch subject {
      case .payment: ["amount", "amount_received", "last_payment_error"]
      case .subscription: ["items"]
      case .invoice:
        ["amount_due", "amount_paid", "number", "parent", "subscription", "subscription_details"]
      }
    return ["id", "currency", "status", "customer", "metadata"] + own
  }

  private mutating func take(
    _ name: String, _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    switch name {
    case "amount", "amount_received", "amount_due", "amount_paid":
      numbers[name] = try parser.readInteger(in: PaymentRules.numbers, from: &reader)
    case "metadata": ownUserID = try Self.userID(in: &parser, from: &reader)
    case "customer": customerID = try Self.reference(from: &reader)
    case "subscription": subscriptionID = try Self.reference(from: &reader)
    case "subscription_details": try takeDetails(&parser, from: &reader)
    case "parent":
      try parser.readObject(["subscription_details"], from: &reader) {
        (parser, reader, _) throws(JSONViolation) in
        try takeDetails(&parser, from: &reader)
      }
    case "items": try takeItems(&parser, from: &reader)
    case "last_payment_error": try takeFailure(&parser, from: &reader)
    default:
      guard let text = try parser.readText(from: &reader) else { return }
      takeText(text, of: name, &parser)
    }
  }

  private mutating func takeText(
    _ text: String, of name: String, _ parser: inout DocumentParser
  ) {
    switch name {
    case "id":
      id = text
      if !PaymentRules.isValidID(text) { parser.refuse("is no id") }
    case "currency":
      currency = text
      if !Draft.isValidType(text) { parser.refuse(Draft.typeRule) }
    case "status":
      status = text
      if !Draft.isValidType(text) { parser.refuse(Draft.typeRule) }
    default: if PaymentRules.isValidID(text) { number = text }
    }
  }

  /// Reads the metadata: the value of `user_id`.
  private static func userID(
    in parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) -> String? {
    var found: String?
    try parser.readObject(["user_id"], from: &reader) {
      (parser, reader, _) throws(JSONViolation) in
      found = try parser.readText(from: &reader)
    }
    return found
  }

  /// Reads a reference to another object: its id; nil for an object in its place.
  private static func reference(
    from reader: inout JSONReader
  ) throws(JSONViolation) -> String? {
    guard try reader.nextKind() == .string else {
      _ = try reader.skipValue()
      return nil
    }
    let text = try reader.readString()
    return PaymentRules.isValidID(text) ? text : nil
  }

  private mutating func takeDetails(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    try parser.readObject(["metadata", "subscription"], from: &reader) {
      (parser, reader, name) throws(JSONViolation) in
      if name == "metadata" {
        subscriptionUserID = try Self.userID(in: &parser, from: &reader)
      } else {
        subscriptionID = try Self.reference(from: &reader)
      }
    }
  }

  /// Reads why a payment failed.
  ///
  /// Stripe's message about a card is written for its holder; other messages are for the seller.
  private mutating func takeFailure(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    var message: String?
    var type: String?
    try parser.readObject(["type", "message"], from: &reader) {
      (parser, reader, name) throws(JSONViolation) in
      let text = try parser.readText(from: &reader)
      if name == "type" { type = text } else { message = text }
    }
    // guard: only-card-errors-are-shown
    guard type == "card_error", let message, message.isName(byteCountLimit: Self.textByteCountLimit)
    else { return }
    failure = message
  }

  /// Reads the items of a subscription: the sum of their prices.
  ///
  /// An item that is billed by usage or in tiers has no price of its own and adds nothing.
  private mutating func takeItems(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    var total: Int64 = 0
    try parser.readObject(["data"], from: &reader) { (parser, reader, _) throws(JSONViolation) in
      try parser.readArray(from: &reader) { (parser, reader) throws(JSONViolation) in
        let (price, quantity) = try Self.item(&parser, from: &reader)
        // Each factor is within the range of a payment, and their product need not be.
        let (product, overflow) = price.multipliedReportingOverflow(by: quantity)
        let (sum, carry) = total.addingReportingOverflow(product)
        // guard: subscription-total-in-range
        guard !overflow, !carry, PaymentRules.numbers ~= sum else {
          return parser.refuse("the sum of the items is out of range")
        }
        total = sum
      }
    }
    numbers["items"] = total
  }

  private static func item(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) -> (price: Int64, quantity: Int64) {
    var (price, quantity): (Int64?, Int64?)
    try parser.readObject(["price", "quantity"], from: &reader) {
      (parser, reader, name) throws(JSONViolation) in
      guard name == "price" else {
        quantity = try parser.readInteger(in: PaymentRules.numbers, from: &reader)
        return
      }
      try parser.readObject(["unit_amount"], from: &reader) {
        (parser, reader, _) throws(JSONViolation) in
        price = try parser.readInteger(in: PaymentRules.numbers, from: &reader)
      }
    }
    return (price ?? 0, quantity ?? 0)
  }
}
