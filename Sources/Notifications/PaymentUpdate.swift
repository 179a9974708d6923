// How a payment stands, as its user is told.
//
// Nothing is reckoned here: a publisher says the four things and clients see them as they were
// said. They are bounded, and a number is one that every client reads as the same number.

/// How a payment stands now.
///
/// It is not stored.
package struct PaymentUpdate: Sendable, Equatable {
  package let payment: PaymentID
  /// In the currency's smallest unit: 1000 with `usd` is $10.00.
  package let amount: Int64
  /// In the publisher's spelling, like `usd`.
  package let currency: String
  /// In the publisher's words, like `succeeded`.
  package let status: String

  package init(payment: PaymentID, amount: Int64, currency: String, status: String) {
    self.payment = payment
    self.amount = amount
    self.currency = currency
    self.status = status
  }
}

/// What names a payment: the row of a table, or a payment provider's text.
///
/// Clients see the kind that was said. One that compares it with an id that it has from elsewhere
/// would find that `123` and `"123"` differ.
package enum PaymentID: Sendable, Equatable {
  case number(Int64)
  case text(String)
}

/// The rules that every update of a payment obeys.
package enum PaymentRules {
  package static let idByteCountLimit = 128

  /// The whole numbers that are exact everywhere: RFC 8259, section 6.
  ///
  /// JavaScript reads a larger one as its neighbour, which would be another payment or another
  /// amount of money; an id that is larger can be said as text.
  package static let numbers: ClosedRange<Int64> = -9_007_199_254_740_991...9_007_199_254_740_991

  /// Whether `text` may name a payment: 1 to 128 bytes without control characters.
  package static func isValidID(_ text: String) -> Bool {
    let count = text.utf8.count
    guard count >= 1, count <= idByteCountLimit else { return false }
    return !text.hasControlCharacter
  }
}
