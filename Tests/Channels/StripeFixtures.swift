// Events of Stripe for tests: the shortest that have every member that is read.

@testable import Channels

enum Fixture {
  static let metadata = #""metadata":{"plan":"pro","user_id":"u1"}"#

  /// A PaymentIntent with further members, or with others in place of the metadata.
  static func payment(_ members: String = metadata) -> String {
    #"{"id":"pi_1","object":"payment_intent","amount":1000,"amount_received":1000,"#
      + #""currency":"usd","customer":"cus_1","status":"succeeded",\#(members)}"#
  }

  static func subscription(
    _ members: String = metadata, items: String = #"[{"price":{"unit_amount":500},"quantity":2}]"#
  ) -> String {
    #"{"id":"sub_1","object":"subscription","currency":"eur","customer":"cus_1","#
      + #""status":"active","items":{"object":"list","data":\#(items)},\#(members)}"#
  }

  static func invoice(_ members: String = metadata) -> String {
    #"{"id":"in_1","object":"invoice","amount_due":1200,"amount_paid":1000,"currency":"jpy","#
      + #""customer":"cus_1","number":"A-0001","status":"paid",\#(members)}"#
  }

  /// An event of that type about an object.
  static func event(_ type: String, _ object: String, id: String = "evt_1") -> [UInt8] {
    Array(
      (#"{"id":"\#(id)","object":"event","api_version":"2025-03-31.basil","created":1700000000,"#
        + #""data":{"object":\#(object),"previous_attributes":{"status":"open"}},"#
        + #""livemode":false,"pending_webhooks":1,"request":{"id":null},"type":"\#(type)"}"#).utf8)
  }

  /// The notice of an event; nil if it is ignored.
  static func notice(_ type: String, _ object: String) throws -> StripeNotice? {
    guard case .notice(let notice) = try StripeEvent.parse(event(type, object)).contents else {
      return nil
    }
    return notice
  }
}
