// Amounts of money as text: `10.00 USD`, `500 JPY`, `5.124 KWD`.
//
// Stripe gives each amount as a whole number of the currency's minor unit, and a currency has two
// decimals, none or three. The lists are those of Stripe's page about currencies and not of ISO
// 4217: Stripe keeps two decimals for ISK and UGX, which have none any more, and for HUF and TWD,
// where only payouts have none.

internal import Wire

/// Writes amounts of money.
package enum CurrencyAmount {
  private static let withoutDecimals: Set<String> = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
  ]
  private static let withThreeDecimals: Set<String> = ["BHD", "JOD", "KWD", "OMR", "TND"]

  /// The amount with its decimals, and the code of the currency in capitals.
  package static func text(_ amount: Int64, _ currency: String) -> String {
    let code = currency.uppercased()
    let decimals = withoutDecimals.contains(code) ? 0 : withThreeDecimals.contains(code) ? 3 : 2
    // The magnitude of the least number has no positive counterpart in Int64.
    var digits = String(amount.magnitude)
    if digits.utf8.count <= decimals {
      digits = String(repeating: "0", count: decimals + 1 - digits.utf8.count) + digits
    }
    let sign = amount < 0 ? "-" : ""
    if decimals == 0 { return "\(sign)\(digits) \(code)" }
    return "\(sign)\(digits.dropLast(decimals)).\(digits.suffix(decimals)) \(code)"
  }
}
