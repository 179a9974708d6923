// The state of a payment, as sent to its user.
//
// The server computes nothing: clients receive the publisher's four values unchanged. The values
// are bounded, and every client reads a number as the same number.

internal import Wire

/// The current state of a payment.
///
/// It is not stored.
package struct PaymentUpdate: Sendable, Equatable {
  package let payment: PaymentID
  /// In the currency's smallest unit: 1000 with `usd` is $10.00.
  package let amount: Int64
  /// In the publisher's spelling, like `usd`.
  package let currency: String
  /// The publisher's own word, like `succeeded`.
  package let status: String

  package init(payment: PaymentID, amount: Int64, currency: String, status: String) {
    self.payment = payment
    self.amount = amount
    self.currency = currency
    self.status = status
  }
}

/// The id of a payment: a table row's number, or a payment provider's text.
///
/// Clients receive the kind that was published: a client that compares it with an id from elsewhere
/// would find that `123` and `"123"` differ.
package enum PaymentID: Sendable, Equatable {
  case number(Int64)
  case text(String)
}

/// Validation rules for payment updates.
package enum PaymentRules {
  package static let idByteCountLimit = 128

  /// The integers that are exact in every client: RFC 8259, section 6.
  ///
  /// JavaScript rounds a larger one to a neighbour, which would be another payment or another
  /// amount of money. A larger id can be sent as text.
  package static let numbers: ClosedRange<Int64> = -9_007_199_254_740_991...9_007_199_254_740_991

  /// Whether `text` is a valid payment id: 1 to 128 bytes without control characters.
  package static func isValidID(_ text: String) -> Bool {
    text.isName(byteCountLimit: idByteCountLimit)
  }
}
