// Amounts of money as text, by the minor units of their currencies.

import Channels
import Testing

@Suite("Stripe: amounts as text")
struct CurrencyAmountTests {
  @Test(
    "a currency has two decimals, none or three",
    arguments: [
      (1_000, "usd", "10.00 USD"), (0, "usd", "0.00 USD"), (5, "eur", "0.05 EUR"),
      (50, "eur", "0.50 EUR"), (123_456, "chf", "1234.56 CHF"), (500, "jpy", "500 JPY"),
      (0, "jpy", "0 JPY"), (7, "xof", "7 XOF"), (5_124, "kwd", "5.124 KWD"),
      (4, "bhd", "0.004 BHD"), (-1_000, "usd", "-10.00 USD"), (-5, "usd", "-0.05 USD"),
      (-500, "krw", "-500 KRW"), (-4, "tnd", "-0.004 TND"), (1_000, "USD", "10.00 USD"),
      // Stripe keeps two decimals where ISO 4217 has none.
      (500, "isk", "5.00 ISK"), (500, "ugx", "5.00 UGX"), (1_045, "huf", "10.45 HUF"),
      (80_045, "twd", "800.45 TWD"), (1_000, "unknown", "10.00 UNKNOWN"),
      (Int64.max, "usd", "92233720368547758.07 USD"),
      (Int64.min, "usd", "-92233720368547758.08 USD"),
      (Int64.min, "jpy", "-9223372036854775808 JPY"),
    ])
  func text(amount: Int64, currency: String, expected: String) {
    #expect(CurrencyAmount.text(amount, currency) == expected)
  }
}
