// The `inbox` dialect: notifications and an unread count, at GET /api/notifications/ws, for clients
// of inbox-watch.
//
// The first message has the unread count, and every later message that changes the count has the
// new one. The server's ping is a message, and the client answers it with a message. A client that
// asked to resume also gets cursors with the notifications, and `resync`.

internal import Notifications
internal import Wire

/// Messages are `{"type",…}` with camelCase members.
struct InboxDialect: Dialect {
  let name = "inbox"
  let path = "/api/notifications/ws"
  let admission = Admission.firstMessage
  /// A missing pong is detected earlier, so this silence limit never ends a client first.
  let heartbeat = Heartbeat(
    pingIntervalMilliseconds: 30_000, silenceLimitMilliseconds: 90_000, isByMessage: true)
  let expiryCloseCode: UInt16 = 1008
  let greetsWithCounts = true

  /// Skips events that are not stored: the clients' document has no message for them.
  func write(_ event: Event, to frames: inout FrameWriter) {
    switch event.body {
    case .stored(let notification, let counts):
      writeMissed(notification, counts, to: &frames)
    case .read(let ids, let counts):
      write(changed: ids, isRead: true, counts, to: &frames)
    case .unread(let ids, let counts):
      write(changed: ids, isRead: false, counts, to: &frames)
    case .seen(_, let counts), .deleted(_, let counts), .readAll(let counts), .seenAll(let counts),
      .deletedAll(let counts):
      frames.message("notification_update", counts) { json in
        json.member("notifications", texts: [])
      }
    case .counted(let counts):
      frames.message("unread_count", counts)
    case .storedForEveryone, .expiredForEveryone, .system, .liveUpdate, .dataUpdate, .payment,
      .room, .typing, .presence, .probe:
      break
    }
  }

  /// Writes one change as the new count, and several as an update that lists their ids.
  private func write(
    changed ids: [NotificationID], isRead: Bool, _ counts: Counts, to frames: inout FrameWriter
  ) {
    if ids.count <= 1 { return frames.message("unread_count", counts) }
    frames.message("notification_update", counts) { json in
      json.member("notifications", array: ids) { json, id in
        json.openObject()
        json.member("id", id.text)
        json.member("isRead", isRead)
        json.closeObject()
      }
    }
  }

  func write(_ greeting: Greeting, to frames: inout FrameWriter) {
    frames.text { json in
      json.openObject()
      json.member("type", "connected")
      json.member("userId", greeting.user)
      json.member("unreadCount", greeting.counts?.unread ?? 0)
      if let cursor = greeting.cursor { json.member("cursor", cursor.description) }
      json.closeObject()
    }
  }

  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {
    frames.text { json in
      json.openObject()
      json.member("type", "resync")
      json.member("cursor", cursor.description)
      json.closeObject()
    }
  }

  func writeMissed(
    _ notification: Notification, _ counts: Counts, to frames: inout FrameWriter
  ) {
    let cursor = frames.cursor(at: notification.offset)
    frames.text { json in
      json.openObject()
      json.member("type", "new_notification")
      json.memberName("notification")
      json.appendInboxNotification(notification)
      json.member("unreadCount", counts.unread)
      if let cursor { json.member("cursor", cursor) }
      json.closeObject()
    }
  }

  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {
    frames.message("unread_count", counts)
  }

  /// Writes the counts, unless a notification has already carried them.
  func writeCaughtUp(_ counts: Counts, hasSent: Bool, time: Int64, to frames: inout FrameWriter) {
    if !hasSent { frames.message("unread_count", counts) }
  }

  func writePing(to frames: inout FrameWriter) {
    frames.text { $0.appendText(#"{"type":"ping"}"#) }
  }

  func writePage(
    _ page: [Notification], _ counts: Counts, groups: [UInt64: Int], byteLimit: Int,
    to frames: inout FrameWriter
  ) {
    frames.message("notification_update", counts) { json in
      json.memberName("notifications")
      json.openArray()
      for (index, notification) in page.enumerated() {
        let before = json.count
        json.beginElement()
        json.appendInboxNotification(notification, groupCount: groups[notification.offset])
        if index > 0, json.count > byteLimit {
          json.removeSubrange(before...)
          break
        }
      }
      json.closeArray()
    }
  }

  /// Takes `pong` and `fetch_notifications`; ignores anything else.
  func request(in message: InboundMessage) -> ClientRequest? {
    guard let page = message.page else { return nil }
    switch message.type {
    case "pong": return .pong
    case "fetch_notifications": return .fetch(page)
    default: return nil
    }
  }
}

extension FrameWriter {
  /// Writes `{"type","unreadCount"}` and the members that `rest` adds.
  fileprivate mutating func message(
    _ type: String, _ counts: Counts, _ rest: (inout [UInt8]) -> Void = { _ in }
  ) {
    text { json in
      json.openObject()
      json.member("type", type)
      json.member("unreadCount", counts.unread)
      rest(&json)
      json.closeObject()
    }
  }
}

extension [UInt8] {
  /// Writes a notification with the member names of inbox-watch.
  ///
  /// `groupCount` is the size of the group that the notification stands for, if it stands for one.
  fileprivate mutating func appendInboxNotification(
    _ notification: Notification, groupCount: Int? = nil
  ) {
    openObject()
    member("id", notification.id.text)
    member("userId", notification.userID)
    member("type", notification.type)
    member("priority", notification.priority.name)
    member("title", notification.title)
    member("message", notification.message)
    member("data", json: notification.data)
    member("entityType", notification.entityType)
    member("entityId", notification.entityID)
    member("entityUrl", notification.entityURL)
    member("actions", json: notification.actions ?? [0x5B, 0x5D])
    member("groupKey", notification.groupKey)
    if let groupCount { member("groupCount", groupCount) }
    member("isRead", notification.isRead)
    member("readAt", time: notification.readAt)
    member("seenAt", time: notification.seenAt)
    member("createdAt", time: notification.createdAt)
    member("expiresAt", time: notification.expiresAt)
    closeObject()
  }
}
