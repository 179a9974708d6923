// The `data` of what clients say about rooms, typing and presence.

internal import Notifications
internal import Wire

/// What a client's message says of rooms, typing and presence.
///
/// A member of the wrong type counts as absent, and of one that comes twice the last counts.
struct RoomFields {
  static let roomRule = "room: 1 to \(RoomNames.byteCountLimit) bytes without control characters"
  static let statusRule = "status: online, away, busy or offline"

  var room: String?
  var isTyping: Bool?
  var status: String?

  /// Reads the members of the object that `reader` stands at.
  init(_ reader: inout JSONReader) throws(JSONViolation) {
    var fields = (room: String?.none, isTyping: Bool?.none, status: String?.none)
    try reader.readObject { (reader, name) throws(JSONViolation) in
      switch (name, try reader.nextKind()) {
      case ("room", .string): fields.room = try reader.readString()
      case ("is_typing", .boolean): fields.isTyping = try reader.readBool()
      case ("status", .string): fields.status = try reader.readString()
      default: _ = try reader.skipValue()
      }
    }
    (room, isTyping, status) = fields
  }
}
