// The secret of a webhook endpoint, by Standard Webhooks 1.0.

internal import Wire

/// A key that an endpoint and the server share: `whsec_` and the Base64 of 24 to 64 bytes.
///
/// No description, dump or interpolation shows the key; only `reveal` does.
package struct WebhookSecret: Sendable, Equatable {
  /// Bytes of a key.
  package static let keyByteCounts = 24...64
  /// Bytes of a key that the server makes.
  package static let generatedByteCount = 32
  private static let prefix = "whsec_"

  /// The bytes that sign; for signing and for the store only.
  package let key: [UInt8]

  /// A secret of random bytes, of which there are as many as a key may have.
  package init(randomBytes: [UInt8]) {
    precondition(
      WebhookSecret.keyByteCounts.contains(randomBytes.count), "\(randomBytes.count) bytes")
    key = randomBytes
  }

  /// A secret as it is stored; nil for bytes that are none.
  package init?(stored bytes: [UInt8]) {
    guard WebhookSecret.keyByteCounts.contains(bytes.count) else { return nil }
    key = bytes
  }

  /// Parses a secret in its text form; nil for any other text.
  package init?(_ text: String) {
    // Four characters for three bytes, so nothing longer is decoded.
    let textBytesLimit = (WebhookSecret.keyByteCounts.upperBound + 2) / 3 * 4
    let prefix = WebhookSecret.prefix.utf8
    // guard: webhook-secret-length
    guard text.utf8.count <= prefix.count + textBytesLimit, text.utf8.starts(with: prefix),
      let key = Base64.decode(String(decoding: text.utf8.dropFirst(prefix.count), as: UTF8.self)),
      WebhookSecret.keyByteCounts.contains(key.count)
    else { return nil }
    self.key = key
  }

  /// The text form, for the endpoint's owner and for the store.
  package func reveal() -> String { WebhookSecret.prefix + Base64.encode(key) }
}

extension WebhookSecret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "a webhook secret" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
