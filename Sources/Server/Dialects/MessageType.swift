// The `type` member of a client's message.

internal import Wire

/// Reads the `type` of `{"type":…}`.
enum MessageType {
  /// The type, or nil if the text is not a JSON object with a string member `type`.
  static func read(from text: [UInt8]) -> String? {
    var reader = JSONReader(text)
    var type: String?
    do throws(JSONViolation) {
      try reader.readObject { (reader, name) throws(JSONViolation) in
        if name == "type", try reader.nextKind() == .string {
          type = try reader.readString()
        } else {
          _ = try reader.skipValue()
        }
      }
      try reader.finish()
    } catch {
      // A message that is not JSON has no type; the caller decides how to treat it.
      return nil
    }
    return type
  }
}
