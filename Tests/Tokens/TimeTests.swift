// `exp`, `nbf` and `iat`: to the second, and for every number that JSON can write (cases 33, 49).

import Testing
import Tokens

@Suite("RFC 7519, 4.1.4 to 4.1.6: times")
struct TimeTests {
  static let date = Forge.now

  static func policy(leewaySeconds: Int64) -> TokenPolicy {
    var policy = Forge.policy
    policy.leewaySeconds = leewaySeconds
    return policy
  }

  // Case 49
  @Test("`exp` holds up to, and not in, the second `exp` + leeway", arguments: [0, 1, 30, 86_400])
  func expiry(leeway: Int64) {
    let policy = Self.policy(leewaySeconds: leeway)
    let token = Forge.token(#"{"exp":\#(Self.date)}"#)
    let refusal = { policy.refusal(of: token, at: Self.date + $0) }
    #expect(refusal(leeway - 1) == nil)
    #expect(refusal(leeway) == .expired)
    #expect(refusal(leeway + 1) == .expired)
    #expect(refusal(0) == (leeway > 0 ? nil : .expired))
    #expect(refusal(-1) == nil)
    #expect(refusal(-leeway - 1) == nil)
    #expect(refusal(1_000_000_000) == .expired)
  }

  // Case 49
  @Test(
    "`nbf` and `iat` hold from their own second minus the leeway on",
    arguments: ["nbf", "iat"], [0, 1, 30, 86_400])
  func beginning(name: String, leeway: Int64) {
    let policy = Self.policy(leewaySeconds: leeway)
    let token = Forge.token(#"{"exp":200000000000,"\#(name)":\#(Self.date)}"#)
    let refusal = { policy.refusal(of: token, at: Self.date + $0) }
    #expect(refusal(-leeway - 1) == .notYetValid)
    #expect(refusal(-leeway) == nil)
    #expect(refusal(-leeway + 1) == nil)
    #expect(refusal(0) == nil)
    #expect(refusal(leeway) == nil)
    #expect(refusal(leeway + 1) == nil)
    #expect(refusal(-1) == (leeway > 0 ? nil : .notYetValid))
  }

  // Case 49
  @Test("the leeway is 30 seconds unless the policy sets another")
  func defaultLeeway() {
    let token = Forge.token(#"{"exp":\#(Self.date)}"#)
    #expect(Forge.policy.refusal(of: token, at: Self.date + 29) == nil)
    #expect(Forge.policy.refusal(of: token, at: Self.date + 30) == .expired)
  }

  @Test("a fraction of a second is cut off")
  func fractions() throws {
    let policy = Self.policy(leewaySeconds: 0)
    let token = Forge.token(#"{"exp":\#(Self.date).999,"nbf":\#(Self.date - 9).5}"#)
    #expect(try policy.claims(of: token, at: Self.date - 1).expiresAtSeconds == Self.date)
    #expect(policy.refusal(of: token, at: Self.date) == .expired)
    #expect(policy.refusal(of: token, at: Self.date - 9) == nil)
    #expect(policy.refusal(of: token, at: Self.date - 10) == .notYetValid)
  }

  // Case 49
  @Test("a token without `exp` is refused, unless the policy allows it")
  func missingExpiry() throws {
    let token = Forge.token(#"{"sub":"user"}"#)
    #expect(Forge.policy.refusal(of: token) == .missingExpiry)
    var policy = Forge.policy
    policy.requiresExpiry = false
    let claims = try policy.claims(of: token, at: Int64.max)
    #expect(claims.expiresAtSeconds == nil)
    #expect(TokenVerifier(policy: policy).endSeconds(of: claims) == nil)
    // A claim that is present is still enforced.
    #expect(policy.refusal(of: Forge.token(#"{"exp":1}"#)) == .expired)
    #expect(policy.refusal(of: Forge.token(#"{"exp":null}"#)) == .malformed)
  }

  @Test("the end of a token is the first second in which it is refused")
  func end() throws {
    let token = Forge.token(#"{"exp":\#(Self.date)}"#)
    let verifier = TokenVerifier(policy: Forge.policy)
    let claims = try verifier.verify(token, nowSeconds: Self.date)
    let end = try #require(verifier.endSeconds(of: claims))
    #expect(Forge.policy.refusal(of: token, at: end) == .expired)
    #expect(Forge.policy.refusal(of: token, at: end - 1) == nil)
  }

  /// Numbers that are points in time, and their seconds.
  static let dates: [(String, Int64)] = [
    ("0", 0), ("1", 1), ("-0", 0), ("-0.0", 0), ("0.5", 0), ("32767", 32_767), ("65536", 65_536),
    ("2147483647", 2_147_483_647), ("2147483648", 2_147_483_648), ("4294967295", 4_294_967_295),
    ("4294967296", 4_294_967_296), ("4294967297", 4_294_967_297), ("1.7e9", 1_700_000_000),
    ("17E8", 1_700_000_000), ("1700000000.0", 1_700_000_000), ("1700000000000e-3", 1_700_000_000),
    ("253402300799", 253_402_300_799), ("253402300799.9", 253_402_300_799),
    ("1e-300", 0),
  ]

  @Test("every point in time from 1970 to 9999 is read exactly", arguments: dates)
  func readable(number: String, seconds: Int64) throws {
    // Verified around the expected end, the token shows which second was read.
    let policy = Self.policy(leewaySeconds: 0)
    let token = Forge.token(#"{"exp":\#(number)}"#)
    #expect(try policy.claims(of: token, at: seconds - 1).expiresAtSeconds == seconds)
    #expect(policy.refusal(of: token, at: seconds) == .expired)
  }

  /// Values that are not points in time.
  static let nonDates = [
    "-1", "-0.5", "-1e-9", "253402300800", "253402300799.99999999999", "9007199254740991",
    "9007199254740992", "9007199254740993", "9223372036854775807", "9223372036854775808",
    "9223372036854775809", "18446744073709551615", "18446744073709551616",
    "18446744073709551617", "-9223372036854775808", "-9223372036854775809", "1e308", "-1e308",
    "1e309", "1e999999999999", "1700000000000", String(repeating: "9", count: 400),
    "-" + String(repeating: "9", count: 400), "\"1700000000\"", "\"\"", "true", "null", "[]", "{}",
    "[1700000000]", "\"1e9\"", "NaN", "Infinity", "0x10", "1_000", "1700000000 1",
  ]

  // Cases 33, 49
  @Test("a value that is not a point in time is refused in every claim", arguments: nonDates)
  func unreadable(value: String) {
    for leeway: Int64 in [0, 30, 86_400] {
      for now in [Int64.min, -1, 0, Forge.now, Int64.max] {
        for payload in [
          #"{"exp":\#(value)}"#, #"{"exp":253402300799,"nbf":\#(value)}"#,
          #"{"exp":253402300799,"iat":\#(value)}"#,
        ] {
          let policy = Self.policy(leewaySeconds: leeway)
          #expect(policy.refusal(of: Forge.token(payload), at: now) == .malformed, "\(payload)")
        }
      }
    }
  }

  @Test("the last valid date and the most extreme clocks do not overflow")
  func extremes() {
    let token = Forge.token(#"{"exp":253402300799,"nbf":0,"iat":0}"#)
    let policy = Self.policy(leewaySeconds: 86_400)
    #expect(policy.refusal(of: token, at: .max) == .expired)
    #expect(policy.refusal(of: token, at: .min) == .notYetValid)
    #expect(policy.refusal(of: token, at: -86_400) == nil)
    #expect(policy.refusal(of: token, at: -86_401) == .notYetValid)
  }

  @Test("a negative leeway, one over a day, and no key at all are programming errors")
  func policies() async {
    await #expect(processExitsWith: .failure) {
      _ = TokenVerifier(policy: TimeTests.policy(leewaySeconds: -1))
    }
    await #expect(processExitsWith: .failure) {
      _ = TokenVerifier(policy: TimeTests.policy(leewaySeconds: 86_401))
    }
    await #expect(processExitsWith: .failure) {
      _ = TokenVerifier(policy: TokenPolicy(keys: []))
    }
  }
}
