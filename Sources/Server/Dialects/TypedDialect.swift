// The `typed` dialect: `{"type","data","timestamp"}` at GET /ws/connect, for clients of rooms-hub.
//
// Its clients also act: they join rooms, report typing and set their presence status. A message
// that the server does not understand is answered with `error`, and the connection stays open. A
// client that asked to resume gets cursors, in a first message of type `connected` and in each
// notification's data, and `resync` when continuity is lost.

internal import Notifications
internal import Wire

/// Messages are `{"type","data","timestamp"}`.
struct TypedDialect: Dialect {
  let name = "typed"
  let path = "/ws/connect"
  let admission = Admission.refusedBeforeUpgrade
  let heartbeat = Heartbeat(pingIntervalMilliseconds: 30_000, silenceLimitMilliseconds: 60_000)
  let expiryCloseCode: UInt16 = 1008
  let supportsRooms = true
  let forgivesTooManyMessages = true

  func write(_ event: Event, to frames: inout FrameWriter) {
    let time = event.timestamp
    switch event.body {
    case .stored(let notification, _):
      write(notification, time: time, to: &frames)
    case .system(let message):
      frames.typed("system_message", time: time) { $0.members(of: message) }
    case .liveUpdate(let update):
      frames.typed("live_update", time: time) { $0.members(of: update) }
    case .dataUpdate(let update):
      frames.typed("data_update", time: time) { $0.members(of: update) }
    case .payment(let payment):
      frames.typed("payment_update", time: time) { $0.members(of: payment) }
    case .room(let message):
      frames.typed("room_notification", time: time) { $0.members(of: message) }
    case .typing(let typing):
      frames.typed("typing_indicator", time: time) { $0.members(of: typing) }
    case .presence(let presence):
      frames.typed("presence_update", time: time) { $0.members(of: presence) }
    case .read, .unread, .seen, .deleted, .readAll, .seenAll, .deletedAll, .counted,
      .storedForEveryone, .expiredForEveryone, .probe:
      break
    }
  }

  /// Writes a stored notification with its type and data as `notification_type` and `payload`.
  private func write(_ notification: Notification, time: Int64, to frames: inout FrameWriter) {
    let cursor = frames.cursor(at: notification.offset)
    frames.typed("notification", time: time) { data in
      data.member("notification_type", notification.type)
      data.member("title", notification.title)
      data.member("message", notification.message)
      data.member("payload", json: notification.data)
      if let cursor { data.member("cursor", cursor) }
    }
  }

  func write(_ greeting: Greeting, to frames: inout FrameWriter) {
    guard let cursor = greeting.cursor else { return }
    frames.typed("connected", time: greeting.time) { data in
      data.member("user_id", greeting.user)
      data.member("cursor", cursor.description)
    }
  }

  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {
    frames.typed("resync", time: time) { $0.member("cursor", cursor.description) }
  }

  func writeHeartbeat(time: Int64, to frames: inout FrameWriter) {
    frames.typed("heartbeat", time: time) { _ in }
  }

  func writeMissed(
    _ notification: Notification, _ counts: Counts, to frames: inout FrameWriter
  ) {
    write(notification, time: notification.createdAt, to: &frames)
  }

  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {}

  func write(_ news: RoomNews, time: Int64, to frames: inout FrameWriter) {
    frames.typed(news.isJoined ? "room_joined" : "room_left", time: time) {
      $0.members(of: news)
    }
  }

  func writeError(_ code: String, _ message: String, time: Int64, to frames: inout FrameWriter) {
    frames.typed("error", time: time) { $0.members(ofError: code, message) }
  }

  /// Takes the messages of rooms-hub's clients.
  func request(in message: InboundMessage) -> ClientRequest? {
    guard let type = message.type else {
      return .invalid(code: "malformed", message: message.problem ?? "type: missing")
    }
    return type == "ping" ? .ping : ClientRequest(type: type, data: message.data)
  }

  func writePong(time: Int64, to frames: inout FrameWriter) {
    frames.typed("pong", time: time) { _ in }
  }
}

extension FrameWriter {
  /// Writes one `{"type","data","timestamp"}`.
  fileprivate mutating func typed(
    _ type: String, time: Int64, _ data: (inout [UInt8]) -> Void
  ) {
    envelope("type", type, time: time, data)
  }
}
