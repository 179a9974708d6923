// Typing and presence over HTTP, for the user of the token, as if one of its connections said so.

internal import Notifications
internal import Wire

extension Endpoints {
  /// `POST /api/v1/websocket/realtime/typing`: `{room, is_typing}`.
  ///
  /// The user has to be in the room with some connection: 403 otherwise.
  static func realtimeTyping(
    _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    try requireJSON(request)
    let fields = try RoomFields(json: request.body)
    let user = try user(of: request)
    guard let room = fields.room else { throw .invalid("room: missing") }
    guard RoomNames.isValid(room) else { throw .invalid(RoomFields.roomRule) }
    guard let isTyping = fields.isTyping else { throw .invalid("is_typing: missing") }
    shard.ask(.type(isTyping), room, of: user, at: request.place)
    return .later(.home(.object { _ in }, refusal: notInRoom))
  }

  /// `POST /api/v1/websocket/realtime/presence`: `{status}`.
  ///
  /// The user has to be connected: 409 otherwise, for nobody is away who is not there.
  static func realtimePresence(
    _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    try requireJSON(request)
    let fields = try RoomFields(json: request.body)
    let user = try user(of: request)
    guard let name = fields.status else { throw .invalid("status: missing") }
    guard let status = PresenceStatus(name: name) else { throw .invalid(RoomFields.statusRule) }
    let update = PresenceUpdate(user: user, status: status)
    shard.tell(.set(status, answerTo: shard.address(of: request.place)), homeOf: user)
    return .later(.home(.object { $0.members(of: update) }, refusal: notConnected))
  }

  private static let notInRoom = Answer.failure(
    403, "not_in_room", "no connection of yours is in this room")
  private static let notConnected = Answer.failure(
    409, "not_connected", "presence is told of users who are connected")
}

/// What is said of rooms, typing and presence, in a message or in a request's body.
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

  /// Reads a request's body.
  init(json body: [UInt8]) throws(Refusal) {
    var reader = JSONReader(body)
    do throws(JSONViolation) {
      guard try reader.nextKind() == .object else {
        _ = try reader.skipValue()
        try reader.finish()
        throw JSONViolation(reason: RoomFields.notAnObject, position: 0)
      }
      try self.init(&reader)
      try reader.finish()
    } catch {
      if error.reason == RoomFields.notAnObject { throw .invalid("body: not an object") }
      throw .malformed(error.reason)
    }
  }

  private static let notAnObject = "not an object"
}

extension Shard {
  /// Answers the request at `place` with what a home said.
  func finishRequest(_ answer: RoomAnswer, at place: UInt32) {
    guard case .home(let success, let refusal) = (table[place].task as? Exchange)?.pending else {
      return
    }
    switch answer {
    case .typed: finish(place, success)
    case .notInRoom, .entered, .left, .full: finish(place, refusal)
    }
  }
}
