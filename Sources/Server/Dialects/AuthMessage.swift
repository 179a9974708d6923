// `{"type":"auth","token":"…"}`: the message that every WebSocket dialect takes.
//
// It brings the first token of a client that came without one, and later a fresh one, before the
// old one ends.

internal import Wire

/// Reads `auth` messages.
enum AuthMessage {
  /// The bytes of a longer message that are looked into for a sign of a token.
  private static let headByteCount = 512

  /// The token, or nil where the text is something else.
  ///
  /// A message that says `auth` and brings no token, or says a thing twice, has the empty token,
  /// which is never a good one: what is meant to prove who someone is may have one reading only.
  static func token(in text: [UInt8]) -> String? {
    var types: [String] = []
    var tokens: [String] = []
    var reader = JSONReader(text)
    do throws(JSONViolation) {
      try reader.readObject { (reader, name) throws(JSONViolation) in
        let isString = try reader.nextKind() == .string
        switch name {
        case "type" where isString: types.append(try reader.readString())
        case "token" where isString: tokens.append(try reader.readString())
        default: _ = try reader.skipValue()
        }
      }
      try reader.finish()
    } catch {
      // Not JSON, so not this message.
      return nil
    }
    guard types.contains("auth") else { return nil }
    return types.count == 1 && tokens.count == 1 ? tokens[0] : ""
  }

  /// Whether a message that begins with `bytes` can still become one.
  static func canBegin(_ bytes: [UInt8]) -> Bool {
    let first = bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
    if let first, first != UInt8(ascii: "{") { return false }
    guard bytes.count > headByteCount else { return true }
    let head = bytes.prefix(headByteCount)
    return ["\"auth\"", "\"token\""].contains { head.firstRange(of: Array($0.utf8)) != nil }
  }
}
