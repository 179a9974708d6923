// The `socketio` dialect: events of Socket.IO in `/notifications` and `/`, for clients of ghostpay.
//
// Events have the names in ghostpay's document, or else those of the `typed` dialect. Each has one
// argument, because a client's handler may have one parameter. For a client that asked to resume, a
// notification has its cursor as an additional argument, which Socket.IO's clients keep and send
// when they recover their state.

internal import Notifications
internal import Wire

/// Messages are packets of Socket.IO for one namespace.
struct SocketIODialect: Dialect {
  static let servedAt = "/socket.io/"
  /// The namespaces that use this dialect.
  static let namespaces = ["/notifications", "/"]

  let name = "socketio"
  let path = SocketIODialect.servedAt
  let admission = Admission.firstMessage
  let expiryCloseCode: UInt16 = 1008
  /// The answer to CONNECT waits for the store, because it shows whether the state was recovered.
  let greetsWithCounts = true
  let forgivesTooManyMessages = true
  /// For the recovery of the client's state.
  let keepsPositions = true
  let namespace: String
  let heartbeat: Heartbeat

  func write(_ event: Event, to frames: inout FrameWriter) {
    switch event.body {
    case .stored(let notification, let counts):
      write(notification, to: &frames)
      write(counts, to: &frames)
    case .read(_, let counts), .unread(_, let counts), .seen(_, let counts),
      .deleted(_, let counts), .readAll(let counts), .seenAll(let counts),
      .deletedAll(let counts), .counted(let counts):
      write(counts, to: &frames)
    case .system(let message):
      frames.event("system_message", in: namespace) { $0.members(of: message) }
    case .liveUpdate(let update):
      frames.event("live_update", in: namespace) { $0.members(of: update) }
    case .dataUpdate(let update):
      frames.event("data_update", in: namespace) { $0.members(of: update) }
    case .room(let message):
      frames.event("room_notification", in: namespace) { $0.members(of: message) }
    case .typing(let typing):
      frames.event("typing_indicator", in: namespace) { $0.members(of: typing) }
    case .presence(let presence):
      frames.event("presence_update", in: namespace) { $0.members(of: presence) }
    case .payment(let payment):
      frames.event("payment_update", in: namespace) { $0.members(of: payment) }
    case .storedForEveryone, .expiredForEveryone, .probe:
      break
    }
  }

  /// Writes the fields of the `flat` dialect, and whether the notification is unread.
  private func write(_ notification: Notification, to frames: inout FrameWriter) {
    let cursor = frames.cursor(at: notification.offset)
    frames.event("notification", in: namespace, cursor: cursor) { json in
      json.flatMembers(of: notification)
      json.member("isNew", !notification.isRead)
    }
  }

  private func write(_ counts: Counts, to frames: inout FrameWriter) {
    frames.event("unread_count", in: namespace) { $0.member("count", counts.unread) }
  }

  func write(_ greeting: Greeting, to frames: inout FrameWriter) {
    guard let socket = greeting.socket else { return }
    frames.packet { packet in
      SocketIOPacket.appendConnected(
        sessionID: socket.id, privateSessionID: socket.recovery, namespace: namespace,
        into: &packet)
    }
    // A resumption ends with newer counts, so these are omitted.
    if let counts = greeting.counts, !greeting.isResumed { write(counts, to: &frames) }
  }

  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {
    let text = cursor.description
    frames.event("resync", in: namespace, cursor: text) { $0.member("cursor", text) }
  }

  func writeMissed(
    _ notification: Notification, _ counts: Counts, to frames: inout FrameWriter
  ) {
    write(notification, to: &frames)
  }

  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {
    write(counts, to: &frames)
  }

  func write(_ news: RoomNews, time: Int64, to frames: inout FrameWriter) {
    frames.event(news.isJoined ? "room_joined" : "room_left", in: namespace) {
      $0.members(of: news)
    }
  }

  func writeError(_ code: String, _ message: String, time: Int64, to frames: inout FrameWriter) {
    frames.event("error", in: namespace) { $0.members(ofError: code, message) }
  }

  /// Writes only the counts, which are the reason for asking for a page.
  func writePage(
    _ page: [Notification], _ counts: Counts, groups: [UInt64: Int], byteLimit: Int,
    to frames: inout FrameWriter
  ) {
    write(counts, to: &frames)
  }
}

extension FrameWriter {
  /// Writes one event with an object and, for a client that gets cursors, the cursor.
  fileprivate mutating func event(
    _ name: String, in namespace: String, cursor: String? = nil,
    _ members: (inout [UInt8]) -> Void
  ) {
    packet { packet in
      SocketIOPacket.appendEvent(name, namespace: namespace, into: &packet) { arguments in
        arguments.openObject()
        members(&arguments)
        arguments.closeObject()
        if let cursor {
          arguments.beginElement()
          arguments.appendJSONString(cursor)
        }
      }
    }
  }
}
