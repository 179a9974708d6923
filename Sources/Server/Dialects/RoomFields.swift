// The `data` of client messages about rooms, typing and presence.

internal import Notifications
internal import Wire

/// The members of a client's message about rooms, typing and presence.
///
/// A member of the wrong type counts as absent; of a duplicate member the last one counts.
struct RoomFields {
  static let roomRule = "room: 1 to \(RoomNames.byteCountLimit) bytes without control characters"
  static let statusRule = "status: online, away, busy or offline"

  var room: String?
  var isTyping: Bool?
  var status: String?

  /// Reads the members of the object at the reader's position.
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

  /// Reads the object that begins `json`; nil if it does not begin with an object.
  init?(_ json: [UInt8]) {
    var reader = JSONReader(json)
    guard (try? reader.nextKind()) == .object, let fields = try? RoomFields(&reader) else {
      return nil
    }
    self = fields
  }
}

extension ClientRequest {
  /// The request in a message of the given type.
  init(type: String, data: RoomFields?) {
    switch type {
    case "join_room": self = data.room { .join($0) }
    case "leave_room": self = data.room { .leave($0) }
    case "typing_indicator":
      self =
        data?.isTyping.map { isTyping in data.room { .type($0, isTyping: isTyping) } }
        ?? .invalid(code: "invalid", message: "is_typing: true or false")
    case "presence_update":
      self =
        data?.status.flatMap { PresenceStatus(name: $0) }.map { .status($0) }
        ?? .invalid(code: "invalid", message: RoomFields.statusRule)
    default:
      self = .invalid(
        code: "unknown_type",
        message: "use ping, join_room, leave_room, typing_indicator or presence_update")
    }
  }
}

extension RoomFields? {
  /// The request about the named room, or `invalid` if the name is missing or not valid.
  fileprivate func room(_ request: (RoomName) -> ClientRequest) -> ClientRequest {
    guard let room = self?.room, RoomNames.isValid(room) else {
      return .invalid(code: "invalid", message: RoomFields.roomRule)
    }
    return request(room)
  }
}
