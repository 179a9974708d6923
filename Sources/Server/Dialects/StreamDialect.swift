// The `sse` dialect: `{"type","data"}` as events of a stream, at GET /notifications/events, for
// clients of ghostpay that cannot use WebSockets.
//
// The id of an event is the cursor after it. Only an event that advances the client's position has
// an id: a change is sent at once even to a client that still waits for earlier notifications, and
// a client that gets no new id keeps its last one.

internal import Notifications
internal import Wire

/// Messages are `{"type","data"}`.
struct StreamDialect: Dialect {
  let name = "sse"
  let path = "/notifications/events"
  let admission = Admission.refusedBeforeUpgrade
  // A reader sends nothing, so its silence means nothing. A dead reader does not acknowledge the
  // comments, and the kernel ends its connection.
  let heartbeat = Heartbeat(
    pingIntervalMilliseconds: 15_000, silenceLimitMilliseconds: .max / 2)
  /// Not on the wire, where the stream just ends.
  let expiryCloseCode: UInt16 = 1008
  let supportsRooms = true
  /// The greeting is not an event of its own: it waits for the first one.
  let greetsWithCounts = true
  let greetsInNextMessage = true

  func write(_ event: Event, to frames: inout FrameWriter) {
    switch event.body {
    case .stored(let notification, let counts):
      writeMissed(notification, counts, to: &frames)
      write(counts, to: &frames)
    case .read(_, let counts), .unread(_, let counts), .seen(_, let counts),
      .deleted(_, let counts), .readAll(let counts), .seenAll(let counts), .deletedAll(let counts),
      .counted(let counts):
      write(counts, to: &frames)
    case .system(let message):
      frames.message("system_message") { $0.members(of: message) }
    case .liveUpdate(let update):
      frames.message("live_update") { $0.members(of: update) }
    case .dataUpdate(let update):
      frames.message("data_update") { $0.members(of: update) }
    case .payment(let payment):
      frames.message("payment_update") { $0.members(of: payment) }
    case .room(let message):
      frames.message("room_notification") { $0.members(of: message) }
    case .typing(let typing):
      frames.message("typing_indicator") { $0.members(of: typing) }
    case .presence(let presence):
      frames.message("presence_update") { $0.members(of: presence) }
    case .storedForEveryone, .expiredForEveryone, .probe:
      break
    }
  }

  private func write(_ counts: Counts, to frames: inout FrameWriter) {
    frames.message("unread_count") { data in data.member("count", counts.unread) }
  }

  /// Writes the fields of `flat`, and whether the user has not seen the notification on any device.
  func writeMissed(_ notification: Notification, _ counts: Counts, to frames: inout FrameWriter) {
    frames.message("notification", at: notification.offset) { data in
      data.flatMembers(of: notification)
      data.member("isNew", !notification.isRead && notification.seenAt == nil)
    }
  }

  /// Writes no event: the first one, which follows, carries the time to wait before a reconnect and
  /// the cursor.
  func write(_ greeting: Greeting, to frames: inout FrameWriter) {
    frames.beginStream(at: greeting.cursor)
  }

  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {
    frames.message("resync", at: cursor.offset) { data in
      data.member("cursor", cursor.description)
    }
  }

  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {
    write(counts, to: &frames)
  }

  func writeBegun(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {
    write(counts, to: &frames)
  }

  func writeHeartbeat(time: Int64, to frames: inout FrameWriter) {
    frames.message("heartbeat") { _ in }
  }

  func write(_ news: RoomNews, time: Int64, to frames: inout FrameWriter) {
    frames.message(news.isJoined ? "room_joined" : "room_left") { $0.members(of: news) }
  }

  func writeError(_ code: String, _ message: String, time: Int64, to frames: inout FrameWriter) {
    frames.message("error") { $0.members(ofError: code, message) }
  }
}

extension FrameWriter {
  /// Writes one `{"type","data"}`.
  fileprivate mutating func message(
    _ type: String, at offset: UInt64? = nil, _ data: (inout [UInt8]) -> Void
  ) {
    envelope("type", type, at: offset, data)
  }
}
