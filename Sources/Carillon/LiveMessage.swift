// What is told to those connected now, and not kept.

internal import Wire

/// A message to those connected at this moment; nobody else ever hears of it.
public enum LiveMessage: Sendable, Equatable {
  /// Something on a user's screen has changed: `type` is at most 64 bytes, `payload` any JSON of at
  /// most 16 KiB.
  ///
  /// Clients see it as `live:update` (`event`) or `live_update` (`typed`, `sse`).
  case liveUpdate(type: String, payload: JSONValue)
  /// The same as `data:update` or `data_update`.
  case dataUpdate(type: String, payload: JSONValue)
  /// How a payment stands: `id` is a whole number or text of at most 128 bytes, and is told as it
  /// is given; `amount` counts the currency's smallest unit, so 1000 with `usd` is $10.00;
  /// `currency` and `status` are 1 to 64 of `[A-Za-z0-9_.:-]`.
  ///
  /// Numbers are within ±(2^53 - 1), which every client reads exactly. Clients see it as
  /// `payment_update` (`typed`, `sse`); the others have no message for it.
  case paymentUpdate(id: JSONValue, amount: Int, currency: String, status: String)
  /// A message from the operators: `type` is at most 64 bytes, `title` 256, `message` 4,096, and
  /// `payload` an object of at most 16 KiB.
  ///
  /// Clients see it as `system:message` (`event`), `system_message` (`typed`, `sse`) or as a
  /// message of type `info` (`flat`).
  case systemMessage(
    type: String = "info", title: String, message: String = "", payload: JSONValue = [:])

  /// The body of the HTTP request that says the same.
  var body: [UInt8] {
    var json: [UInt8] = []
    json.openObject()
    switch self {
    case .liveUpdate(let type, let payload), .dataUpdate(let type, let payload):
      json.member("update_type", type)
      json.member("payload", json: payload.text)
    case .paymentUpdate(let id, let amount, let currency, let status):
      json.member("payment_id", json: id.text)
      json.member("amount", amount)
      json.member("currency", currency)
      json.member("status", status)
    case .systemMessage(let type, let title, let message, let payload):
      json.member("message_type", type)
      json.member("title", title)
      json.member("message", message)
      json.member("payload", json: payload.text)
    }
    json.closeObject()
    return json
  }
}
