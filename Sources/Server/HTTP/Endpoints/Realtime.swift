// Typing and presence over HTTP, for the user of the token, as if one of its connections sent them.

internal import Notifications
internal import Wire

extension Endpoints {
  /// `POST /api/v1/websocket/realtime/typing`: `{room, is_typing}`.
  ///
  /// The user must be in the room with some connection: 403 otherwise.
  static func realtimeTyping(
    _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    // Every field is required, so a misspelt one is missed; clients may send more.
    let fields = try BroadcastFields(request, [.room, .isTyping], ignoresUnknown: true)
    let user = try user(of: request)
    let room = try fields.text(.room)
    guard let isTyping = fields.isTyping else { throw .invalid("is_typing: missing") }
    shard.rooms.ask(.type(isTyping), room, of: user, at: request.slot)
    return .later(.roomAnswer { $0.isSuccess ? .object { _ in } : notInRoom })
  }

  /// `POST /api/v1/websocket/realtime/presence`: `{status}`.
  ///
  /// The user must be connected: 409 otherwise, because only connected users have a presence.
  static func realtimePresence(
    _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let user = try user(of: request)
    let name = try BroadcastFields(request, [.status], ignoresUnknown: true).text(.status)
    // The name was checked with the field.
    guard let status = PresenceStatus(name: name) else { throw .invalid("status") }
    let update = PresenceUpdate(user: user, status: status)
    shard.rooms.notify(
      ownerOf: user, .set(status, answerTo: shard.shardConnectionID(of: request.slot)))
    return .later(
      .roomAnswer { $0.isSuccess ? .object { $0.members(of: update) } : notConnected })
  }

  private static let notInRoom = Answer.failure(
    403, "not_in_room", "no connection of yours is in this room")
  private static let notConnected = Answer.failure(
    409, "not_connected", "presence can be set only while the user is connected")
}

extension RoomAnswer {
  /// Whether the owner shard has done what the request asked for.
  fileprivate var isSuccess: Bool {
    switch self {
    case .typed: true
    case .notInRoom, .entered, .seen, .left, .full, .shareUsed: false
    }
  }
}
