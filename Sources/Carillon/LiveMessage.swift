// Messages for the currently connected clients, which are not stored.

internal import Notifications
internal import Server
internal import Wire

/// A message to the currently connected clients; it is not stored.
public enum LiveMessage: Sendable, Equatable {
  /// A change of the data on a user's screen.
  ///
  /// `type` has at most 64 bytes, `payload` is any JSON of at most 16 KiB. Clients receive it as
  /// `live:update` (`event`) or `live_update` (`typed`, `sse`).
  case liveUpdate(type: String, payload: JSONValue)
  /// The same, received as `data:update` or `data_update`.
  case dataUpdate(type: String, payload: JSONValue)
  /// The state of a payment.
  ///
  /// `id` is a whole number or text of at most 128 bytes, and is sent unchanged. `amount` counts
  /// the currency's smallest unit, so 1000 with `usd` is $10.00; `currency` and `status` are 1 to
  /// 64 of `[A-Za-z0-9_.:-]`. Numbers are within ±(2^53 - 1), which every client reads exactly.
  /// Clients receive it as `payment_update` (`typed`, `sse`); the other dialects have no message
  /// for it.
  case paymentUpdate(id: JSONValue, amount: Int, currency: String, status: String)
  /// A message from the operators.
  ///
  /// `type` has at most 64 bytes, `title` 256, `message` 4,096, and `payload` is an object of at
  /// most 16 KiB. Clients receive it as `system:message` (`event`), `system_message` (`typed`,
  /// `sse`) or as a message of type `info` (`flat`).
  case systemMessage(
    type: String = "info", title: String, message: String = "", payload: JSONValue = [:])

  /// The body of the equivalent HTTP request.
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

  /// The message as the server sends it, once the rules of the HTTP API are checked.
  func eventBody(for server: CarillonServer) throws(BusError) -> Event.Body {
    do throws(UnusableBody) {
      switch self {
      case .liveUpdate: return try server.liveUpdate(in: body)
      case .dataUpdate: return try server.dataUpdate(in: body)
      case .paymentUpdate: return try server.paymentUpdate(in: body)
      case .systemMessage: return try server.systemMessage(in: body)
      }
    } catch {
      throw .invalid(field: error.field, reason: error.reason)
    }
  }
}
