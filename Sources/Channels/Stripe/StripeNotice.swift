// The notification, and the update of a payment, that an event of Stripe becomes.
//
// The texts are for the user that pays. An action that is not in the table gets its own name as the
// title, so that an event that Stripe adds later is shown, too.

package import Notifications
internal import Wire

/// What a user is notified of.
package struct StripeNotice: Sendable {
  package let userID: UserID
  /// The notification to store.
  package let content: Content
  /// The update for the connected devices; nil for an invoice without an id, which is a preview.
  package let update: PaymentUpdate?

  /// Makes the notice of an event; throws if the object lacks a member that the notice needs.
  init(
    _ kind: StripeEventKind, _ object: StripeObject, of user: UserID, eventID: String
  ) throws(DocumentError) {
    func missing(_ name: String) -> DocumentError { .invalid(field: name, reason: "missing") }
    guard let currency = object.currency else { throw missing("currency") }
    let name = Self.amountName(of: kind, in: object)
    guard let amount = object.amount(name) else { throw missing(name) }
    // Only an upcoming invoice has no id.
    guard object.id != nil || kind.subject == .invoice else { throw missing("id") }
    let status = Self.status(of: kind, in: object)
    let shown = CurrencyAmount.text(amount, currency)
    let (title, message) = Self.texts(of: kind, amount: shown, object)
    userID = user
    update = object.id.map {
      PaymentUpdate(payment: .text($0), amount: amount, currency: currency, status: status)
    }
    var data: [UInt8] = []
    data.openObject()
    if let id = object.id { data.member("payment_id", id) }
    data.member("amount", Int(amount))
    data.member("currency", currency)
    data.member("status", status)
    if let id = object.customerID { data.member("customer_id", id) }
    if let id = object.subscriptionID { data.member("subscription_id", id) }
    if let number = object.number { data.member("invoice_number", number) }
    data.member("stripe_event", eventID)
    data.closeObject()
    content = Content(
      type: kind.notificationType, priority: Self.priority(of: kind), title: title,
      message: message, data: data, entityType: kind.subject.name, entityID: object.id)
  }

  /// The member with the amount.
  private static func amountName(of kind: StripeEventKind, in object: StripeObject) -> String {
    switch (kind.subject, kind.action) {
    case (.payment, "succeeded") where object.amount("amount_received") != nil: "amount_received"
    case (.payment, _): "amount"
    case (.subscription, _): "items"
    case (.invoice, "paid"), (.invoice, "payment_succeeded"): "amount_paid"
    case (.invoice, _): "amount_due"
    }
  }

  /// Of a payment the outcome, because Stripe's own status after a failure is that of the next try;
  /// of the others Stripe's status, or the action where there is none.
  private static func status(of kind: StripeEventKind, in object: StripeObject) -> String {
    kind.subject == .payment ? kind.action : object.status ?? kind.action
  }

  private static func priority(of kind: StripeEventKind) -> Priority {
    switch kind.notificationType {
    case "payment_failed", "invoice_payment_failed", "invoice_payment_action_required": .high
    default: .normal
    }
  }

  private static func texts(
    of kind: StripeEventKind, amount: String, _ object: StripeObject
  ) -> (title: String, message: String) {
    switch kind.subject {
    case .payment: paymentTexts(kind.action, amount, object)
    case .subscription: subscriptionTexts(kind.action)
    case .invoice: invoiceTexts(kind.action, amount, object)
    }
  }

  private static func paymentTexts(
    _ action: String, _ amount: String, _ object: StripeObject
  ) -> (title: String, message: String) {
    if action == "succeeded" {
      return ("Payment Successful", "Your payment of \(amount) has been processed")
    }
    let reason = object.failure.map { ": \($0)" } ?? ""
    return ("Payment Failed", "Your payment of \(amount) could not be processed\(reason)")
  }

  private static func subscriptionTexts(_ action: String) -> (title: String, message: String) {
    switch action {
    case "created": ("Subscription Created", "Your subscription has been created")
    case "updated": ("Subscription Updated", "Your subscription has changed")
    case "deleted": ("Subscription Ended", "Your subscription has ended")
    case "paused": ("Subscription Paused", "Your subscription is paused")
    case "resumed": ("Subscription Resumed", "Your subscription goes on")
    case "trial_will_end": ("Trial Ending", "The trial of your subscription ends soon")
    default: (title("Subscription", action), "")
    }
  }

  private static func invoiceTexts(
    _ action: String, _ amount: String, _ object: StripeObject
  ) -> (title: String, message: String) {
    let invoice = object.number.map { "invoice \($0)" } ?? "invoice"
    switch action {
    case "paid", "payment_succeeded":
      return ("Invoice Paid", "Your \(invoice) has been paid: \(amount)")
    case "payment_failed":
      return ("Invoice Payment Failed", "The payment of your \(invoice) failed: \(amount)")
    case "payment_action_required":
      return (
        "Payment Action Required", "The payment of your \(invoice) needs your approval: \(amount)"
      )
    case "finalized", "sent": return ("New Invoice", "Your \(invoice) is ready: \(amount)")
    case "upcoming": return ("Upcoming Invoice", "Your next invoice: \(amount)")
    case "overdue": return ("Invoice Overdue", "Your \(invoice) is overdue: \(amount)")
    case "voided": return ("Invoice Voided", "Your \(invoice) is no longer due")
    default: return (title("Invoice", action), "Your \(invoice): \(amount)")
    }
  }

  /// The action's name as words after the subject's, like `Subscription Pending Update Applied`.
  private static func title(_ subject: String, _ action: String) -> String {
    ([subject[...]] + action.split(separator: "_")).map { word in
      word.prefix(1).uppercased() + word.dropFirst()
    }.joined(separator: " ")
  }
}
