// Webhooks of Stripe: `POST /integrations/stripe`.
//
// Stripe retries an attempt that is not answered 2xx for up to three days, so 200 is the answer to
// an event that is on disk, that was stored before, or that is of no interest, and to no other.
//
// An event is stored once, by its id, which is an idempotency key in a scope of its own. The digest
// beside the key is a constant: the bytes of an event change from one attempt to the next
// (`pending_webhooks`), so another body with the same id is a repeat and not a conflict.
//
// The key is kept for four days in which the store is open, which is enough:
// - A recorded request is refused five minutes after Stripe signed it, long before its key ends.
// - Stripe attempts an event for three days, at intervals that it does not publish. So each attempt
//   after the commit finds the key, also where the first answer was lost.
// - An event that an operator sends again from Stripe's dashboard after more than four days is
//   stored again. That is a wish and no repeat: the user may have deleted the first one.

internal import Channels
internal import Cryptography
internal import Notifications
internal import Wire

extension Endpoints {
  /// `POST /integrations/stripe`: 200 once the notification of the event is durable.
  static func stripe(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try checkStripeSignature(of: request, on: shard)
    let event = try stripeEvent(in: request.body)
    switch event.contents {
    case .ignored(let reason):
      // Without the value, which is text of another system.
      if reason == .invalidUser {
        shard.core.log.write(
          .warning, at: shard.wall, "an event of Stripe is ignored: \(reason.rawValue)")
      }
      return .now(.object { write("ignored", reason: reason.rawValue, into: &$0) })
    case .notice(let notice):
      return try publish(notice, of: event, request, on: shard)
    }
  }

  /// The signature in the head of a request, unless it is malformed or outside the tolerance.
  static func stripeSignature(
    in head: HTTPRequestHead, at wall: Int64
  ) throws(Refusal) -> StripeSignature {
    // guard: stripe-signature-occurs-once
    guard head.values(of: "stripe-signature").count == 1,
      let field = head.fields.valueBytes(of: "stripe-signature")
    else { throw Refusal(400, "bad_signature", "Stripe-Signature must occur once") }
    return try readStripe { () throws(StripeSignatureError) in
      let signature = try StripeSignature(field)
      try signature.checkTime(at: wall / 1_000)
      return signature
    }
  }

  private static func checkStripeSignature(
    of request: Request, on shard: Shard
  ) throws(Refusal) {
    let signature = try stripeSignature(in: request.head, at: shard.wall)
    try readStripe { () throws(StripeSignatureError) in
      try signature.check(
        request.body, secrets: shard.core.configuration.stripeSecrets.map { Array($0.utf8) })
    }
  }

  private static func readStripe<Value>(
    _ read: () throws(StripeSignatureError) -> Value
  ) throws(Refusal) -> Value {
    do throws(StripeSignatureError) {
      return try read()
    } catch {
      let message =
        switch error {
        case .malformed: "Stripe-Signature must be t=SECONDS,v1=CODE"
        case .outsideTolerance:
          "Stripe-Signature: its time is more than \(StripeSignature.toleranceSeconds) s from "
            + "this server's clock"
        case .wrong: "Stripe-Signature: no secret of STRIPE_WEBHOOK_SECRET gives its code"
        }
      throw Refusal(400, "bad_signature", message)
    }
  }

  /// Reads the body; any fault is 400, because the sender has no other use for it.
  private static func stripeEvent(in body: [UInt8]) throws(Refusal) -> StripeEvent {
    do throws(DocumentError) {
      return try StripeEvent.parse(body)
    } catch {
      switch error {
      case .malformed(let reason): throw .malformed(reason)
      case .invalid(let field, let reason): throw .malformed("\(field): \(reason)")
      }
    }
  }

  private static func publish(
    _ notice: StripeNotice, of event: StripeEvent, _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let draft = Draft(content: notice.content, userIDs: [notice.userID], isForMany: false)
    let pending = draft.expand(createdAt: shard.wall) { shard.context.makeNotificationID() }
    let takenAt = shard.clock.nanoseconds
    let update = notice.update.map {
      Event(
        audience: .user(notice.userID), body: .payment($0), timestamp: shard.wall,
        takenAt: takenAt)
    }
    let key = IdempotencyKey(
      scope: "stripe", key: event.id, digest: stripeDigest,
      addedLifetime: StripeEvent.retryMilliseconds)
    let core = shard.core
    return try submit(
      .publish(drafts: pending, idempotency: key, answer: [], takenAt: takenAt), request, on: shard,
      applying: { outcome, post in
        // guard: companion-of-a-first-publish-alone
        if let update, outcome == .published { core.publishCommitted(update) }
        post()
      },
      { reply in
        switch reply {
        case .isNew: .object { write("stored", into: &$0) }
        case .repeated, .conflict: .object { write("repeated", into: &$0) }
        }
      })
  }

  /// The same for every body: see above.
  private static let stripeDigest = Digest.sha256([])

  private static func write(_ result: String, reason: String? = nil, into json: inout [UInt8]) {
    json.member("result", result)
    if let reason { json.member("reason", reason) }
  }
}
