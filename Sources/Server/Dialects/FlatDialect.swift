// The `flat` dialect: one object per notification, at GET /api/ws, for clients of tradepulse.
//
// A client that asked to resume gets cursors, and three messages that its document does not have: a
// first message of type `connected`, `resync` and `heartbeat`.

internal import Notifications
internal import Wire

/// Messages are `{"id","type","user_id","title","message","data","timestamp"}`.
struct FlatDialect: Dialect {
  let name = "flat"
  let path = "/api/ws"
  let admission = Admission.refusedBeforeUpgrade
  let heartbeat = Heartbeat(pingIntervalMilliseconds: 54_000, silenceLimitMilliseconds: 60_000)
  let expiryCloseCode: UInt16 = 1008

  func write(_ event: Event, to frames: inout FrameWriter) {
    switch event.body {
    case .stored(let notification, let counts):
      writeMissed(notification, counts, to: &frames)
    case .system(let message):
      frames.text { json in
        json.openObject()
        json.flatMembers(
          id: message.id, type: "info", user: "", title: message.title, message: message.message,
          data: message.payload, time: event.timestamp)
        json.closeObject()
      }
    case .read, .unread, .seen, .deleted, .readAll, .seenAll, .deletedAll, .counted,
      .storedForEveryone, .expiredForEveryone, .liveUpdate, .dataUpdate, .payment, .room, .typing,
      .presence, .probe:
      break
    }
  }

  func writeMissed(
    _ notification: Notification, _ counts: Counts, to frames: inout FrameWriter
  ) {
    let cursor = frames.cursor(at: notification.offset)
    frames.text { json in
      json.openObject()
      json.flatMembers(of: notification)
      if let cursor { json.member("cursor", cursor) }
      json.closeObject()
    }
  }

  func write(_ greeting: Greeting, to frames: inout FrameWriter) {
    guard let cursor = greeting.cursor else { return }
    frames.text { json in
      json.openObject()
      json.member("type", "connected")
      json.member("user_id", greeting.user)
      json.member("timestamp", time: greeting.time)
      json.member("cursor", cursor.description)
      json.closeObject()
    }
  }

  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {
    frames.text { json in
      json.openObject()
      json.member("type", "resync")
      json.member("timestamp", time: time)
      json.member("cursor", cursor.description)
      json.closeObject()
    }
  }

  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {}

  func writeHeartbeat(time: Int64, to frames: inout FrameWriter) {
    frames.text { $0.append(contentsOf: #"{"type":"heartbeat"}"#.utf8) }
  }
}

extension [UInt8] {
  /// Writes the members of a notification in the `flat` dialect, which others extend.
  mutating func flatMembers(of notification: Notification) {
    flatMembers(
      id: notification.id, type: notification.type, user: notification.userID,
      title: notification.title, message: notification.message, data: notification.data,
      time: notification.createdAt)
  }

  fileprivate mutating func flatMembers(
    id: NotificationID, type: String, user: UserID, title: String, message: String, data: [UInt8],
    time: Int64
  ) {
    member("id", id.text)
    member("type", type)
    member("user_id", user)
    member("title", title)
    member("message", message)
    member("data", json: data)
    member("timestamp", time: time)
  }
}
