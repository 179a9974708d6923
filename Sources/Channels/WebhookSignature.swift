// Signatures of webhooks: Standard Webhooks 1.0, symmetric (`v1`).
//
// The signature covers the id, the time of the attempt and the body, so a receiver can refuse an
// old message that is sent again by someone else.

internal import Cryptography
package import Notifications
internal import Wire

/// The fields that sign a webhook.
package enum WebhookSignature {
  /// The three fields of an attempt to deliver `body`.
  ///
  /// `id` is the same for all attempts and has visible ASCII without a dot; `seconds` is the time
  /// of this attempt since 1970. While a secret rotates there are two, and either verifies.
  package static func fields(
    id: String, seconds: Int64, body: [UInt8], secrets: [WebhookSecret]
  ) -> [(String, String)] {
    precondition(!secrets.isEmpty, "no secret")
    precondition(
      !id.isEmpty && id.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ".") },
      "the id \(id)")
    let signed = Array("\(id).\(seconds).".utf8) + body
    let signatures = secrets.map { secret in
      "v1," + Base64.encode(HMAC.authenticate(signed, key: secret.key, using: .sha256))
    }
    return [
      ("webhook-id", id), ("webhook-timestamp", String(seconds)),
      ("webhook-signature", signatures.joined(separator: " ")),
    ]
  }
}
