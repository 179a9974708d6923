// The `event` dialect: `{"event","data","timestamp"}` at GET /api/v1/ws/notifications, for clients
// of incident-api.
//
// The upgrade always succeeds; a client without a valid token is closed with a code that gives the
// reason. A client that asked to resume gets cursors, `resync` when continuity is lost, and members
// of a notification that the reference server does not have: actions, group and expiry.

internal import Notifications
internal import Wire

/// Messages are `{"event","data","timestamp"}`.
struct EventDialect: Dialect {
  let name = "event"
  let path = "/api/v1/ws/notifications"
  let admission = Admission.closedAfterUpgrade(missing: 4001, invalid: 4002, noUser: 4003)
  let heartbeat = Heartbeat(pingIntervalMilliseconds: 30_000, silenceLimitMilliseconds: 60_000)
  let expiryCloseCode: UInt16 = 4002
  let supportsRooms = true

  func write(_ event: Event, to frames: inout FrameWriter) {
    switch event.body {
    case .stored(let notification, let counts):
      write(notification, time: event.timestamp, to: &frames)
      write(counts, time: event.timestamp, to: &frames)
    case .read(let ids, let counts):
      write("notification:read", ids, counts, time: event.timestamp, to: &frames)
    case .deleted(let ids, let counts):
      write("notification:deleted", ids, counts, time: event.timestamp, to: &frames)
    case .unread(_, let counts), .seen(_, let counts), .readAll(let counts), .seenAll(let counts),
      .deletedAll(let counts), .counted(let counts):
      write(counts, time: event.timestamp, to: &frames)
    case .system(let message):
      frames.event("system:message", time: event.timestamp) { $0.members(of: message) }
    case .liveUpdate(let update):
      write("live:update", update, time: event.timestamp, to: &frames)
    case .dataUpdate(let update):
      write("data:update", update, time: event.timestamp, to: &frames)
    case .room(let message):
      frames.event("room:message", time: event.timestamp) { $0.members(of: message) }
    case .typing(let typing):
      frames.event("typing", time: event.timestamp) { $0.members(of: typing) }
    case .presence(let presence):
      frames.event("presence", time: event.timestamp) { $0.members(of: presence) }
    // These clients have no message about payments.
    case .payment, .storedForEveryone, .expiredForEveryone, .probe:
      break
    }
  }

  private func write(
    _ name: String, _ update: LiveUpdate, time: Int64, to frames: inout FrameWriter
  ) {
    frames.event(name, time: time) { $0.members(of: update) }
  }

  private func write(
    _ name: String, _ ids: [NotificationID], _ counts: Counts, time: Int64,
    to frames: inout FrameWriter
  ) {
    for id in ids {
      frames.event(name, time: time) { data in data.member("id", id.text) }
    }
    write(counts, time: time, to: &frames)
  }

  private func write(
    _ notification: Notification, time: Int64, to frames: inout FrameWriter
  ) {
    let cursor = frames.cursor(at: notification.offset)
    frames.event("notification:new", time: time) { data in
      data.member("id", notification.id.text)
      data.member("type", notification.type)
      data.member("priority", notification.priority.name)
      data.member("title", notification.title)
      data.member("message", notification.message)
      data.member("entity_type", notification.entityType)
      data.member("entity_id", notification.entityID)
      data.member("entity_url", notification.entityURL)
      data.member("is_read", notification.isRead)
      data.member("created_at", time: notification.createdAt)
      if notification.data.count > 2 { data.member("data", json: notification.data) }
      guard let cursor else { return }
      if let actions = notification.actions { data.member("actions", json: actions) }
      if let group = notification.groupKey { data.member("group_key", group) }
      if let end = notification.expiresAt { data.member("expires_at", time: end) }
      data.member("cursor", cursor)
    }
  }

  private func write(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {
    frames.event("stats:updated", time: time) { data in data.members(of: counts) }
  }

  func write(_ greeting: Greeting, to frames: inout FrameWriter) {
    frames.event("connection:established", time: greeting.time) { data in
      data.member("user_id", greeting.user)
      data.member("timestamp", time: greeting.time)
      data.member("message", "Connected to notification service")
      if let cursor = greeting.cursor { data.member("cursor", cursor.description) }
    }
  }

  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {
    frames.event("resync", time: time) { data in data.member("cursor", cursor.description) }
  }

  func writeHeartbeat(time: Int64, to frames: inout FrameWriter) {
    frames.event("heartbeat", time: time) { _ in }
  }

  func writeMissed(
    _ notification: Notification, _ counts: Counts, to frames: inout FrameWriter
  ) {
    write(notification, time: notification.createdAt, to: &frames)
  }

  /// Writes the counts, which may have changed without a notification that the client missed.
  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {
    write(counts, time: time, to: &frames)
  }

  func write(_ news: RoomNews, time: Int64, to frames: inout FrameWriter) {
    frames.event(news.isJoined ? "room:joined" : "room:left", time: time) {
      $0.members(of: news)
    }
  }

  func writeError(_ code: String, _ message: String, time: Int64, to frames: inout FrameWriter) {
    frames.event("error", time: time) { $0.members(ofError: code, message) }
  }

  /// Takes `{"type":"ping"}`; ignores anything else, as the reference server does.
  func request(in message: InboundMessage) -> ClientRequest? {
    message.type == "ping" ? .ping : nil
  }

  func writePong(time: Int64, to frames: inout FrameWriter) {
    frames.text { json in
      json.openObject()
      json.member("event", "pong")
      json.member("type", "pong")
      json.member("data", object: { _ in })
      json.member("timestamp", time: time)
      json.closeObject()
    }
  }
}

extension FrameWriter {
  /// Writes one `{"event","data","timestamp"}`.
  fileprivate mutating func event(
    _ name: String, time: Int64, _ data: (inout [UInt8]) -> Void
  ) {
    envelope("event", name, time: time, data)
  }
}
