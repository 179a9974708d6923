// The field `Stripe-Signature`: its form, its age and its code.

import Channels
import TestSupport
import Testing

@Suite("Stripe: the signature of a webhook")
struct StripeSignatureTests {
  /// The example of Stripe's library for .NET: a secret, a body, and the field that goes with them.
  enum Example {
    static let secret = Array("webhook_secret".utf8)
    static let seconds: Int64 = 1_533_204_620
    static let code = "2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7"
    static let field =
      "t=1533204620,v1=\(code),"
      + "v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
    static let body = Array(
      """
      {
        "id": "evt_123",
        "object": "event",
        "account": "acct_123",
        "api_version": "2017-05-25",
        "created": 1533204620,
        "data": {
          "object": {
            "id": "cus_123",
            "object": "customer",
            "created": 123456789,
            "email": "test@stripe.com",
            "livemode": false,
            "metadata": {}
          }
        },
        "livemode": false,
        "pending_webhooks": 1,
        "request": {
          "id": "req_123",
          "idempotency_key": "idempotency-key-123"
        },
        "type": "customer.created"
      }

      """.utf8)
  }

  /// Why a request is refused; nil if it is accepted.
  private static func refusal(
    _ field: String, _ body: [UInt8] = Example.body, secrets: [[UInt8]] = [Example.secret],
    at now: Int64 = Example.seconds
  ) -> StripeSignatureError? {
    do throws(StripeSignatureError) {
      let signature = try StripeSignature(Array(field.utf8)[...])
      try signature.checkTime(at: now)
      try signature.check(body, secrets: secrets)
      return nil
    } catch {
      return error
    }
  }

  @Test func `the example of Stripe's library is accepted`() {
    #expect(Self.refusal(Example.field) == nil)
  }

  @Test func `the example of Stripe's page about signatures has a valid form`() throws {
    // The page gives no body and no secret for it.
    let field =
      "t=1492774577,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd,"
      + "v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"
    let signature = try StripeSignature(Array(field.utf8)[...])
    #expect(signature.seconds == 1_492_774_577)
    #expect(Self.refusal(field, at: 1_492_774_577) == .wrong)
  }

  @Test func `a body with one bit changed is refused, at each byte`() {
    for index in Example.body.indices {
      var body = Example.body
      body[index] ^= 1
      if Self.refusal(Example.field, body) != .wrong { Issue.record("byte \(index)") }
    }
    #expect(Self.refusal(Example.field, Example.body.dropLast()) == .wrong)
    #expect(Self.refusal(Example.field, Example.body + [0x20]) == .wrong)
    #expect(Self.refusal(Example.field, []) == .wrong)
  }

  @Test func `a code with one digit changed is refused, at each digit`() {
    for index in 0..<64 {
      var code = Array(Example.code.utf8)
      code[index] = code[index] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
      let field = "t=1533204620,v1=\(String(decoding: code, as: UTF8.self))"
      if Self.refusal(field) != .wrong { Issue.record("digit \(index)") }
    }
  }

  @Test func `the time is signed, too`() {
    let field = "t=1533204621,v1=\(Example.code)"
    #expect(Self.refusal(field) == .wrong)
  }

  @Test(
    "a signature is accepted within five minutes in either direction",
    arguments: [
      (-301, false), (-300, true), (-1, true), (0, true), (299, true), (300, true), (301, false),
      (86_400, false), (-1_533_204_620, false),
    ])
  func age(difference: Int64, isAccepted: Bool) {
    let refusal = Self.refusal(Example.field, at: Example.seconds + difference)
    #expect(refusal == (isAccepted ? nil : .outsideTolerance))
  }

  @Test func `each of several codes and each of several secrets may match`() {
    let other = String(repeating: "0", count: 64)
    let third = Array("another_secret_of_one".utf8)
    let fields = [
      "t=1533204620,v1=\(other),v1=\(Example.code)", "t=1533204620,v1=\(Example.code),v1=\(other)",
      "v1=\(Example.code),t=1533204620", "v2=x,t=1533204620,x1=,v1=\(Example.code)",
    ]
    for field in fields {
      #expect(Self.refusal(field) == nil, "\(field)")
      #expect(Self.refusal(field, secrets: [third, Example.secret]) == nil)
      #expect(Self.refusal(field, secrets: [third]) == .wrong)
      #expect(Self.refusal(field, secrets: []) == .wrong)
    }
  }

  @Test(
    "a field of another form is refused",
    arguments: [
      "", ",", "t", "t=", "t=1533204620", "v1=\(Example.code)", "t=1533204620,v0=\(Example.code)",
      "t=1533204620,v1=", "t=1533204620,v1=\(Example.code.dropLast())",
      "t=1533204620,v1=\(Example.code)0", "t=1533204620,v1=\(Example.code.uppercased())",
      "t=1533204620,v1=\(Example.code),", "t=1533204620,,v1=\(Example.code)",
      "t=1533204620,t=1533204620,v1=\(Example.code)", "t=1533204620,v1=\(Example.code),t=1",
      "t=1533204620, v1=\(Example.code)", "t=1533204620,v1= \(Example.code)",
      "T=1533204620,v1=\(Example.code)", "t=1533204620,V1=\(Example.code)",
      "t=1533204620,v1=\(Example.code),=x", "t=1533204620,v1=\(Example.code),x",
      "t=1533204620;v1=\(Example.code)", "t=1533204620,v1=\(String(repeating: "g", count: 64))",
      "t=1533204620,v1=\(Example.code),v1=short",
    ])
  func malformed(field: String) {
    #expect(Self.refusal(field) == .malformed)
  }

  @Test(
    "a time that is no number of 1 to 11 digits is refused, and none traps",
    arguments: [
      "0", "00", "01533204620", "+1533204620", "-1533204620", "1533204620.0", "1e9", "0x5b62d",
      "153320462O", " 1533204620", "1533204620 ", "١٥٣٣٢٠٤٦٢٠", "999999999999",
      "9223372036854775807", "9223372036854775808", "18446744073709551616",
      String(repeating: "9", count: 900),
    ])
  func anyTime(text: String) {
    #expect(Self.refusal("t=\(text),v1=\(Example.code)") == .malformed)
    for digits in ["1", "99999999999"] {
      #expect(Self.refusal("t=\(digits),v1=\(Example.code)") == .outsideTolerance)
    }
  }

  @Test func `a field of 1,024 bytes with 16 elements is read, and a longer one is refused`() {
    let start = "t=1533204620,v1=\(Example.code)"
    let filler = 1_024 - start.utf8.count - ",x=".utf8.count
    #expect(Self.refusal(start + ",x=" + String(repeating: "y", count: filler)) == nil)
    #expect(Self.refusal(start + ",x=" + String(repeating: "y", count: filler + 1)) == .malformed)
    let elements = { String(repeating: ",x=y", count: $0) }
    #expect(Self.refusal(start + elements(14)) == nil)
    #expect(Self.refusal(start + elements(15)) == .malformed)
  }

  @Test func `no mutant of the field traps, and none that differs in its code is accepted`() {
    var generator = SeededGenerator.announced()
    var refusedCount = 0
    for mutant in mutants(of: Array(Example.field.utf8), count: 20_000, using: &generator) {
      guard let signature = try? StripeSignature(mutant[...]) else {
        refusedCount += 1
        continue
      }
      guard (try? signature.check(Example.body, secrets: [Example.secret])) != nil else { continue }
      let text = String(decoding: mutant, as: UTF8.self)
      if !text.contains("v1=\(Example.code)") || signature.seconds != Example.seconds {
        Issue.record("\(text)")
      }
    }
    #expect(refusedCount > 1_000)
  }
}
