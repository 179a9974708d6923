// Events of Stripe: the notification and the update that each becomes, and the bodies that are
// refused or ignored.

import Notifications
import TestSupport
import Testing
import Wire

@testable import Channels

@Suite("Stripe: events become notifications")
struct StripeEventTests {
  /// The longest action of an invoice that makes a valid type.
  static let longest = String(repeating: "x", count: 56)

  // MARK: Types

  @Test(
    "an event's type becomes the notification's",
    arguments: [
      ("payment_intent.succeeded", "payment_succeeded"),
      ("payment_intent.payment_failed", "payment_failed"),
      ("customer.subscription.created", "subscription_created"),
      ("customer.subscription.updated", "subscription_updated"),
      ("customer.subscription.deleted", "subscription_deleted"),
      ("customer.subscription.paused", "subscription_paused"),
      ("customer.subscription.resumed", "subscription_resumed"),
      ("customer.subscription.trial_will_end", "subscription_trial_will_end"),
      (
        "customer.subscription.pending_update_applied", "subscription_pending_update_applied"
      ),
      ("invoice.paid", "invoice_paid"), ("invoice.payment_failed", "invoice_payment_failed"),
      ("invoice.payment_succeeded", "invoice_payment_succeeded"),
      ("invoice.payment_action_required", "invoice_payment_action_required"),
      ("invoice.upcoming", "invoice_upcoming"), ("invoice.a.b", "invoice_a_b"),
      ("invoice.\(longest)", "invoice_\(longest)"),
    ])
  func types(type: String, expected: String) {
    #expect(StripeEventKind(type: type)?.notificationType == expected)
  }

  @Test(
    "events of other types are ignored, whatever their object is",
    arguments: [
      "charge.succeeded", "payment_intent.created", "payment_intent.canceled", "customer.created",
      "customer.subscription", "customer.subscription.", "invoice", "invoice.",
      "invoiceitem.created", "invoice_payment.paid", "INVOICE.paid", "invoice.a b", "invoice.é",
      "invoice.x\(longest)", "",
    ])
  func ignored(type: String) throws {
    for object in ["{}", #"{"id":7,"metadata":{"user_id":"u"},"amount":"x"}"#] {
      let event = try StripeEvent.parse(Fixture.event(type, object))
      guard case .ignored(.otherType) = event.contents else {
        Issue.record("\(type)")
        continue
      }
      #expect(event.id == "evt_1")
    }
  }

  @Test func `a thin event has no object and is ignored`() throws {
    let body = #"{"id":"evt_1","object":"v2.core.event","type":"invoice.paid","data":{}}"#
    guard case .ignored(.otherType) = try StripeEvent.parse(Array(body.utf8)).contents else {
      Issue.record("it is not ignored")
      return
    }
  }

  // MARK: Notices

  @Test func `a payment that succeeded`() throws {
    let notice = try #require(
      try Fixture.notice("payment_intent.succeeded", Fixture.payment()))
    #expect(notice.userID == "u1")
    let content = notice.content
    #expect(content.type == "payment_succeeded" && content.priority == .normal)
    #expect(content.title == "Payment Successful")
    #expect(content.message == "Your payment of 10.00 USD has been processed")
    #expect(content.entityType == "payment" && content.entityID == "pi_1")
    #expect(
      String(decoding: content.data, as: UTF8.self)
        == #"{"payment_id":"pi_1","amount":1000,"currency":"usd","status":"succeeded","#
        + #""customer_id":"cus_1","stripe_event":"evt_1"}"#)
    #expect(
      notice.update
        == PaymentUpdate(
          payment: .text("pi_1"), amount: 1_000, currency: "usd", status: "succeeded"))
  }

  @Test(
    "a payment that failed gives the reason to the user only if it is about a card",
    arguments: [
      (#"{"type":"card_error","message":"Your card was declined."}"#, ": Your card was declined."),
      (#"{"message":"Declined.","type":"card_error","code":"x"}"#, ": Declined."),
      (#"{"type":"api_error","message":"Key sk_x is invalid"}"#, ""), ("null", ""), ("{}", ""),
      (#"{"type":"card_error","message":"a\nb"}"#, ""), (#"{"type":"card_error"}"#, ""),
      (#"{"type":"card_error","message":"\#(String(repeating: "x", count: 513))"}"#, ""),
    ])
  func failure(error: String, shown: String) throws {
    let object = Fixture.payment(#"\#(Fixture.metadata),"last_payment_error":\#(error)"#)
    let notice = try #require(try Fixture.notice("payment_intent.payment_failed", object))
    #expect(notice.content.title == "Payment Failed" && notice.content.priority == .high)
    #expect(
      notice.content.message == "Your payment of 10.00 USD could not be processed" + shown)
    // Stripe's own status after a failure is that of the next try.
    #expect(notice.update?.status == "failed")
  }

  @Test func `the amount that was received counts, where it is given`() throws {
    let part = Fixture.payment().replacing(#"received":1000"#, with: #"received":7"#)
    #expect(try Fixture.notice("payment_intent.succeeded", part)?.update?.amount == 7)
    #expect(try Fixture.notice("payment_intent.payment_failed", part)?.update?.amount == 1_000)
    let without = Fixture.payment().replacing(#""amount_received":1000,"#, with: "")
    #expect(try Fixture.notice("payment_intent.succeeded", without)?.update?.amount == 1_000)
  }

  @Test(
    "a subscription has its status and the sum of its items",
    arguments: [
      (#"[{"price":{"unit_amount":500},"quantity":2}]"#, 1_000), ("[]", 0),
      (
        #"[{"price":{"unit_amount":500},"quantity":2},"#
          + #"{"price":{"unit_amount":1},"quantity":1}]"#, 1_001
      ),
      (#"[{"price":{"unit_amount":null},"quantity":2}]"#, 0),
      (#"[{"price":{"unit_amount":5}}]"#, 0),
      (#"[{"quantity":3,"price":{"unit_amount":-5}}]"#, -15),
    ])
  func subscription(items: String, amount: Int64) throws {
    let object = Fixture.subscription(items: items)
    let notice = try #require(try Fixture.notice("customer.subscription.updated", object))
    #expect(notice.content.title == "Subscription Updated")
    #expect(notice.content.message == "Your subscription has changed")
    #expect(notice.content.entityType == "subscription" && notice.content.entityID == "sub_1")
    #expect(
      notice.update
        == PaymentUpdate(
          payment: .text("sub_1"), amount: amount, currency: "eur", status: "active"))
  }

  @Test func `an invoice that was paid, and one whose payment failed`() throws {
    let paid = try #require(try Fixture.notice("invoice.paid", Fixture.invoice()))
    #expect(paid.content.title == "Invoice Paid")
    #expect(paid.content.message == "Your invoice A-0001 has been paid: 1000 JPY")
    #expect(
      String(decoding: paid.content.data, as: UTF8.self)
        == #"{"payment_id":"in_1","amount":1000,"currency":"jpy","status":"paid","#
        + #""customer_id":"cus_1","invoice_number":"A-0001","stripe_event":"evt_1"}"#)
    let failed = try #require(try Fixture.notice("invoice.payment_failed", Fixture.invoice()))
    #expect(failed.content.message == "The payment of your invoice A-0001 failed: 1200 JPY")
    #expect(failed.update?.amount == 1_200 && failed.content.priority == .high)
  }

  @Test func `a preview of an invoice has no id, and so no update of a payment`() throws {
    let object = Fixture.invoice().replacing(#""id":"in_1","#, with: "")
      .replacing(#""number":"A-0001","status":"paid""#, with: #""number":null,"status":null"#)
    let notice = try #require(try Fixture.notice("invoice.upcoming", object))
    #expect(notice.update == nil && notice.content.entityID == nil)
    #expect(notice.content.message == "Your next invoice: 1200 JPY")
    #expect(
      String(decoding: notice.content.data, as: UTF8.self)
        == #"{"amount":1200,"currency":"jpy","status":"upcoming","customer_id":"cus_1","#
        + #""stripe_event":"evt_1"}"#)
  }

  @Test func `an action without a text of its own is named in the title`() throws {
    let applied = try Fixture.notice(
      "customer.subscription.pending_update_applied", Fixture.subscription())
    #expect(applied?.content.title == "Subscription Pending Update Applied")
    let other = try Fixture.notice("invoice.marked_uncollectible", Fixture.invoice())
    #expect(other?.content.title == "Invoice Marked Uncollectible")
    #expect(other?.content.message == "Your invoice A-0001: 1200 JPY")
  }

  @Test func `every text is within the bounds of a notification`() throws {
    let long = String(repeating: "é", count: 64)
    let object = Fixture.invoice()
      .replacing("in_1", with: long).replacing("A-0001", with: long)
      .replacing("jpy", with: String(repeating: "x", count: 64))
      .replacing(":1200", with: ":-9007199254740991")
    let type = "invoice.\(Self.longest)"
    let content = try #require(try Fixture.notice(type, object)).content
    #expect(Draft.isValidType(content.type))
    #expect(content.title.utf8.count <= Draft.titleByteCountLimit)
    #expect(content.message.utf8.count <= Draft.messageByteCountLimit)
    #expect(content.data.count <= Draft.dataByteCountLimit)
    #expect(try #require(content.entityID).utf8.count <= Draft.entityIDByteCountLimit)
    var reader = JSONReader(content.data)
    #expect(try reader.skipValue() == content.data.indices)
  }

  // MARK: Users

  private static func details(_ user: String) -> String {
    #""subscription_details":{"metadata":{"user_id":"\#(user)"},"subscription":"sub_7"}"#
  }

  @Test(
    "the user of an invoice is that of its metadata, else of its subscription's",
    arguments: [
      (#""metadata":{"user_id":"own"},"parent":{"type":"x",\#(details("new"))}"#, "own"),
      (#""metadata":{},"parent":{"type":"subscription_details",\#(details("new"))}"#, "new"),
      (#""parent":{\#(details("new"))},"metadata":null"#, "new"),
      (#""metadata":{},"subscription":"sub_7",\#(details("old"))"#, "old"),
    ])
  func invoiceUser(members: String, user: String) throws {
    let notice = try #require(try Fixture.notice("invoice.paid", Fixture.invoice(members)))
    #expect(notice.userID == user)
    let data = String(decoding: notice.content.data, as: UTF8.self)
    #expect(data.contains(#""subscription_id":"sub_7""#))
  }

  @Test(
    "an object without a usable user is ignored",
    arguments: [
      (#""metadata":{}"#, IgnoredEvent.withoutUser), (#""metadata":null"#, .withoutUser),
      (#""x":1"#, .withoutUser), (#""metadata":{"user":"u"}"#, .withoutUser),
      (#""metadata":{"user_id":null}"#, .withoutUser),
      (#""metadata":{"user_id":""}"#, .invalidUser),
      (#""metadata":{"user_id":"a\nb"}"#, .invalidUser),
      (#""metadata":{"user_id":"\#(String(repeating: "u", count: 129))"}"#, .invalidUser),
    ])
  func unusable(members: String, reason: IgnoredEvent) throws {
    let bodies = [
      Fixture.event("payment_intent.succeeded", Fixture.payment(members)),
      Fixture.event("customer.subscription.created", Fixture.subscription(members)),
      Fixture.event("invoice.paid", Fixture.invoice(members)),
    ]
    for body in bodies {
      guard case .ignored(let found) = try StripeEvent.parse(body).contents else {
        Issue.record("\(members)")
        continue
      }
      #expect(found == reason)
    }
  }

  // MARK: Refused bodies

  /// The field that a body is refused for; `malformed` if it is no JSON.
  private static func refusal(_ body: String) -> String? {
    do throws(DocumentError) {
      _ = try StripeEvent.parse(Array(body.utf8))
      return nil
    } catch {
      switch error {
      case .malformed: return "malformed"
      case .invalid(let field, _): return field
      }
    }
  }

  @Test(
    "an envelope without its members is refused",
    arguments: [
      ("", "malformed"), ("{", "malformed"), ("[]", "body"), ("null", "body"),
      (#"{"type":"invoice.paid"}"#, "id"), (#"{"id":"e"}"#, "type"),
      (#"{"id":"e","type":"invoice.paid"}"#, "data.object"),
      (#"{"id":"e","type":"invoice.paid","data":{}}"#, "data.object"),
      (#"{"id":"e","type":"invoice.paid","data":{"object":[]}}"#, "data.object"),
      (#"{"id":"e","type":"invoice.paid","data":7}"#, "data"),
      (#"{"id":7,"type":"x"}"#, "id"), (#"{"id":"","type":"x"}"#, "id"),
      (#"{"id":"é","type":"x"}"#, "id"), (#"{"id":"a b","type":"x"}"#, "id"),
      (#"{"id":"a\u0000","type":"x"}"#, "id"),
      (#"{"id":"\#(String(repeating: "e", count: 256))","type":"x"}"#, "id"),
      (#"{"id":"e","id":"f","type":"x"}"#, "id"), (#"{"id":"e","type":"x","type":"y"}"#, "type"),
      (#"{"id":"e","type":["x"]}"#, "type"), (#"{"id":"e","type":"x"} x"#, "malformed"),
    ])
  func envelope(body: String, field: String) {
    #expect(Self.refusal(body) == field)
  }

  @Test(
    "an object without a member that its notification needs is refused",
    arguments: [
      ("id", #""id":"pi_1","#), ("currency", #""currency":"usd","#),
      ("amount", #""amount":1000,"amount_received":1000,"#),
    ])
  func missing(name: String, member: String) {
    let object = Fixture.payment().replacing(member, with: "")
    let body = Fixture.event("payment_intent.succeeded", object)
    #expect(Self.refusal(String(decoding: body, as: UTF8.self)) == name)
  }

  @Test(
    "an amount that is no whole number within the bounds is refused, and none traps",
    arguments: [
      "1.5", "1e3", #""1000""#, "true", "[]", "{}", "9007199254740992", "-9007199254740992",
      "9223372036854775807", "9223372036854775808", "-9223372036854775808",
      "-9223372036854775809", "1e400", String(repeating: "9", count: 4_000),
    ])
  func anyAmount(text: String) {
    let cases = [
      ("payment_intent.succeeded", Fixture.payment(), "amount"),
      ("payment_intent.succeeded", Fixture.payment(), "amount_received"),
      ("invoice.paid", Fixture.invoice(), "amount_due"),
      ("invoice.paid", Fixture.invoice(), "amount_paid"),
    ]
    for (type, object, name) in cases {
      let digits = object.contains("\"\(name)\":1200") ? "1200" : "1000"
      let body = Fixture.event(
        type, object.replacing("\"\(name)\":\(digits)", with: "\"\(name)\":\(text)"))
      #expect(Self.refusal(String(decoding: body, as: UTF8.self)) == name, "\(name)")
    }
  }

  @Test(
    "items with a sum that is no payment are refused, and none traps",
    arguments: [
      #"[{"price":{"unit_amount":9007199254740991},"quantity":9007199254740991}]"#,
      #"[{"price":{"unit_amount":-9007199254740991},"quantity":9007199254740991}]"#,
      #"[{"price":{"unit_amount":4503599627370496},"quantity":2}]"#,
      #"[{"price":{"unit_amount":9007199254740991},"quantity":1},"#
        + #"{"price":{"unit_amount":1},"quantity":1}]"#,
      #"[{"price":{"unit_amount":1.5},"quantity":1}]"#,
      #"[{"price":{"unit_amount":1},"quantity":"1"}]"#,
      #"[{"price":{"unit_amount":9223372036854775808},"quantity":1}]"#,
      #"[{"price":7,"quantity":1}]"#, "[7]", "7", #"[{"quantity":1e400}]"#,
    ])
  func anyItem(items: String) {
    let body = Fixture.event("customer.subscription.created", Fixture.subscription(items: items))
    let field = Self.refusal(String(decoding: body, as: UTF8.self))
    #expect(field?.hasPrefix("items.data") == true, "\(field ?? "accepted")")
  }

  @Test func `no mutant of an event traps`() {
    var generator = SeededGenerator.announced()
    let seeds = [
      Fixture.event(
        "payment_intent.payment_failed",
        Fixture.payment(
          #"\#(Fixture.metadata),"last_payment_error":{"type":"card_error","message":"m"}"#)),
      Fixture.event("customer.subscription.created", Fixture.subscription()),
      Fixture.event(
        "invoice.paid", Fixture.invoice(#""metadata":{},"parent":{\#(Self.details("u"))}"#)),
    ]
    var (acceptedCount, refusedCount) = (0, 0)
    for seed in seeds {
      for mutant in mutants(of: seed, count: 3_000, using: &generator) {
        guard let event = try? StripeEvent.parse(mutant) else {
          refusedCount += 1
          continue
        }
        guard case .notice(let notice) = event.contents else { continue }
        acceptedCount += 1
        var reader = JSONReader(notice.content.data)
        if (try? reader.skipValue()) == nil { Issue.record("\(mutant)") }
      }
    }
    #expect(acceptedCount > 100)
    #expect(refusedCount > 1_000)
  }

  @Test func `a deep document is refused`() {
    let deep = String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
    #expect(Self.refusal(#"{"id":"e","type":"x","a":\#(deep)}"#) == "malformed")
  }
}
