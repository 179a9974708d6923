// The interface of a dialect: how the canonical event is encoded for one kind of client, and how
// that client's messages are parsed.
//
// A dialect is stateless and does no input or output: it turns values into text and text into
// values, on whichever shard calls it. `DialectRegistry` lists all of them.

internal import Notifications
internal import Wire

/// When a client without a valid token is rejected.
enum Admission: Sendable {
  /// The upgrade is answered with 401.
  case refusedBeforeUpgrade
  /// The upgrade succeeds, then the connection is closed with the code for a missing token, an
  /// invalid one, or one without a user.
  case closedAfterUpgrade(missing: UInt16, invalid: UInt16, noUser: UInt16)
  /// An invalid token is answered with 401. Without a token the upgrade succeeds, and the first
  /// message must be an `auth` with a valid token, within a time limit.
  case firstMessage
}

/// How a client's liveness is checked.
struct Heartbeat: Sendable {
  /// Interval between protocol pings.
  var pingIntervalMilliseconds: UInt64
  /// A client that has sent nothing for this long is considered dead.
  var silenceLimitMilliseconds: UInt64
  /// Whether the ping is a message of the dialect, which the client must answer with a message
  /// before the next ping is due.
  var isByMessage = false

  /// Interval between the heartbeats that a program can see: browsers hide protocol pings.
  static let visibleIntervalMilliseconds: UInt64 = 25_000
}

/// A request in a client's message that the dialect cannot answer by itself.
enum ClientRequest: Equatable {
  /// The client's own ping, to be answered by a pong.
  case ping
  /// The answer to the server's ping.
  case pong
  /// A page of the inbox, newest first.
  case fetch(PageRequest)
  /// Join or leave a room; the name is valid.
  case join(RoomName)
  case leave(RoomName)
  /// Notify the other members of the room that the user is typing, or has stopped.
  case type(RoomName, isTyping: Bool)
  /// Publish the user's presence status to the users that share a room with it.
  case status(PresenceStatus)
  /// Not understood by the server; the client gets this error.
  case invalid(code: String, message: String)
}

/// The data of a session's first message.
struct Greeting {
  var user: UserID
  var time: Int64
  /// The client's position in the store, if the client asked to resume.
  var cursor: Cursor?
  /// The counts at the start of the session, for a dialect that greets with counts.
  var counts: Counts?
  /// Whether the missed notifications follow.
  var isResumed = false
  /// The ids of a Socket.IO client.
  var socket: SocketIdentity?
}

/// The confirmation that a client has joined or left a room.
struct RoomNews {
  let room: RoomName
  /// The first users in the room, in order of arrival.
  let members: [UserID]
  let isJoined: Bool
}

/// How messages are framed on the wire.
enum Framing: Sendable {
  /// WebSocket frames; a close frame ends the connection.
  case webSocket
  /// Events of a stream, which ends with the connection: for HTTP/1.0.
  case eventStream
  /// Events of a stream as a chunked body, each event or comment in a chunk of its own.
  ///
  /// A reader that fills a buffer, such as Python's `requests`, returns at the end of a chunk. From
  /// a stream without chunks it would return an event only after the buffer is full.
  case chunkedEventStream
  /// Packets of Engine.IO for the bodies of polls, each followed by the separator.
  case packets

  /// The framing of an Engine.IO session, by its transport.
  static func engineIO(isPolling: Bool) -> Framing { isPolling ? .packets : .webSocket }

  /// The framing of the stream that answers a request.
  static func eventStream(answering head: HTTPRequestHead) -> Framing {
    // guard: http10-stream-not-chunked
    head.minorVersion == 0 ? .eventStream : .chunkedEventStream
  }

  /// Writes the bytes that keep an idle connection alive.
  func writeHeartbeat(into output: inout [UInt8]) {
    switch self {
    case .webSocket: WebSocketFrame.append(.ping, payload: [], into: &output)
    case .eventStream: ServerSentEvent.append(comment: .empty, into: &output)
    case .chunkedEventStream:
      let start = output.count
      ServerSentEvent.append(comment: .empty, into: &output)
      ChunkedBody.frame(from: start, in: &output)
    // Engine.IO has its own pings.
    case .packets: break
    }
  }

  /// Writes the close frame or the last chunk, if the framing has one.
  func writeClose(code: UInt16, reason: String, into output: inout [UInt8]) {
    switch self {
    case .webSocket: WebSocketFrame.appendClose(code: code, reason: reason, into: &output)
    // There is no close message: the client reconnects by itself, with its cursor.
    // guard: stream-ends-with-last-chunk
    case .chunkedEventStream: ChunkedBody.appendEnd(into: &output)
    case .eventStream, .packets: break
    }
  }
}

/// The protocol of one kind of client.
protocol Dialect: Sendable {
  /// The name, as `listen --dialect` takes it.
  var name: String { get }
  /// The path that its clients connect to.
  var path: String { get }
  var admission: Admission { get }
  var heartbeat: Heartbeat { get }
  /// The close code of a session with an expired token.
  var expiryCloseCode: UInt16 { get }
  /// Whether the greeting has the user's counts; such a greeting waits for the store.
  var greetsWithCounts: Bool { get }
  /// Whether it has messages about rooms; if so, `rooms=` in the query names rooms to join.
  var supportsRooms: Bool { get }
  /// Whether the greeting is not a message of its own but a part of the next one.
  var greetsInNextMessage: Bool { get }
  /// Whether a session with cursors keeps the position of the last notification sent to it.
  var keepsPositions: Bool { get }

  /// Writes the frames of `event`, or none if the dialect has no message for it.
  func write(_ event: Event, to frames: inout FrameWriter)
  /// Writes the first message of a session.
  func write(_ greeting: Greeting, to frames: inout FrameWriter)
  /// Writes that continuity is lost: the client reloads and goes on from `cursor`.
  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter)
  /// Writes a missed notification, from a page that was read at `counts`.
  func writeMissed(_ notification: Notification, _ counts: Counts, to frames: inout FrameWriter)
  /// Ends a resumption, after the last missed notification.
  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter)
  /// Ends a catch-up of a live session, which wrote the new notifications for everyone (maybe none)
  /// by `writeMissed`.
  ///
  /// `hasSent` is whether a notification was written with these counts.
  func writeCaughtUp(_ counts: Counts, hasSent: Bool, time: Int64, to frames: inout FrameWriter)
  /// Writes the current counts after the greeting of a client that starts at the present position.
  func writeBegun(_ counts: Counts, time: Int64, to frames: inout FrameWriter)
  /// Writes that the client has joined or left a room.
  func write(_ news: RoomNews, time: Int64, to frames: inout FrameWriter)
  /// Writes the error in a client's request.
  func writeError(_ code: String, _ message: String, time: Int64, to frames: inout FrameWriter)
  /// The request in a client's message; nil if the dialect ignores the message.
  func request(in message: InboundMessage) -> ClientRequest?
  /// Writes the answer to a client's ping.
  func writePong(time: Int64, to frames: inout FrameWriter)
  /// Whether a client that sends too many messages gets an error instead of a close with 1008.
  var forgivesTooManyMessages: Bool { get }
  /// Writes the ping of a heartbeat by messages.
  func writePing(to frames: inout FrameWriter)
  /// Writes the message by which a resuming client notices that its connection lives.
  func writeHeartbeat(time: Int64, to frames: inout FrameWriter)
  /// Answers a fetch with as much of `page` as fits into `byteLimit`, but at least one of them.
  ///
  /// `groups` has the group size of each notification that stands for its group, by offset.
  func writePage(
    _ page: [Notification], _ counts: Counts, groups: [UInt64: Int], byteLimit: Int,
    to frames: inout FrameWriter)
}

/// Defaults for the optional parts of a dialect.
extension Dialect {
  var greetsWithCounts: Bool { false }
  var supportsRooms: Bool { false }
  var greetsInNextMessage: Bool { false }
  var keepsPositions: Bool { false }
  func request(in message: InboundMessage) -> ClientRequest? { nil }
  func writePong(time: Int64, to frames: inout FrameWriter) {}
  var forgivesTooManyMessages: Bool { false }
  func writePing(to frames: inout FrameWriter) {}
  func writeHeartbeat(time: Int64, to frames: inout FrameWriter) {}
  func write(_ news: RoomNews, time: Int64, to frames: inout FrameWriter) {}
  func writeError(_ code: String, _ message: String, time: Int64, to frames: inout FrameWriter) {}
  func writePage(
    _ page: [Notification], _ counts: Counts, groups: [UInt64: Int], byteLimit: Int,
    to frames: inout FrameWriter
  ) {}
  func writeCaughtUp(_ counts: Counts, hasSent: Bool, time: Int64, to frames: inout FrameWriter) {
    writeResumed(counts, time: time, to: &frames)
  }
  func writeBegun(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {}
}

/// The fields that the first event of a stream has besides its own.
struct StreamOpening {
  /// Delay before a client reconnects.
  static let retryMilliseconds: UInt32 = 5_000

  /// The client's position, which is the id of an event without one.
  let position: EventStreamLine?
}

/// A dialect without messages of its own: its sessions get no events from the ring.
protocol SilentDialect: Dialect {}

extension SilentDialect {
  func write(_ event: Event, to frames: inout FrameWriter) {}
  func write(_ greeting: Greeting, to frames: inout FrameWriter) {}
  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {}
  func writeMissed(_ notification: Notification, _ counts: Counts, to frames: inout FrameWriter) {}
  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {}
}

/// Collects finished messages, framed for the wire.
struct FrameWriter {
  /// The framed messages, back to back, as they go on the wire.
  private(set) var bytes: [UInt8] = []
  /// Number of messages.
  private(set) var count = 0
  /// The spelling of cursors, if this client gets them.
  let cursors: CursorFormat?
  let framing: Framing
  /// The fields that the next message of a stream has besides its own.
  var opening: StreamOpening?
  private var payload: [UInt8] = []

  init(cursors: CursorFormat?, framing: Framing = .webSocket) {
    self.cursors = cursors
    self.framing = framing
  }

  /// Appends one message with the text that `body` writes.
  ///
  /// `offset` is the position after this message; in a stream it becomes the event's id.
  mutating func text(at offset: UInt64? = nil, _ body: (inout [UInt8]) -> Void) {
    payload.removeAll(keepingCapacity: true)
    body(&payload)
    switch framing {
    case .webSocket:
      WebSocketFrame.appendHeader(.text, payloadByteCount: payload.count, into: &bytes)
      bytes.append(contentsOf: payload)
    case .eventStream:
      appendEvent(at: offset)
    case .chunkedEventStream:
      let start = bytes.count
      appendEvent(at: offset)
      ChunkedBody.frame(from: start, in: &bytes)
    case .packets:
      bytes.append(contentsOf: payload)
      bytes.append(EngineIOPayload.separator)
    }
    count += 1
  }

  /// Appends one message `{key:name,"data":{…}}`, with a `timestamp` where a time is given.
  mutating func envelope(
    _ key: String, _ name: String, time: Int64? = nil, at offset: UInt64? = nil,
    _ data: (inout [UInt8]) -> Void
  ) {
    text(at: offset) { json in
      json.openObject()
      json.member(key, name)
      json.member("data", object: data)
      if let time { json.member("timestamp", time: time) }
      json.closeObject()
    }
  }

  /// Appends the payload as one event of a stream.
  private mutating func appendEvent(at offset: UInt64?) {
    // JSON has line ends only between its tokens, where a space means the same. A `data:` line
    // for each of them would make a small message large.
    for index in payload.indices where payload[index] == 0x0A || payload[index] == 0x0D {
      payload[index] = 0x20
    }
    var id: EventStreamLine?
    if let offset, let cursors { id = EventStreamLine(cursors, at: offset) }
    ServerSentEvent.append(
      data: payload, id: id ?? opening?.position,
      retryMilliseconds: opening.map { _ in StreamOpening.retryMilliseconds }, into: &bytes)
    opening = nil
  }

  /// Appends one binary message, as base64 text if `asText` is set or the framing has only text.
  mutating func binary(_ data: [UInt8], asText: Bool) {
    if framing == .webSocket, !asText {
      WebSocketFrame.append(.binary, payload: data, into: &bytes)
      count += 1
    } else {
      text { EngineIOPacket.appendBase64(data, into: &$0) }
    }
  }

  /// Begins a stream, with the client's position: the next event carries the opening.
  mutating func beginStream(at cursor: Cursor? = nil) {
    opening = StreamOpening(position: cursor.map { EventStreamLine($0) })
  }

  /// The cursor at `offset`, if this client gets cursors.
  func cursor(at offset: UInt64) -> String? {
    cursors?.text(at: offset)
  }

  /// Removes the messages and keeps the memory, unless it is large.
  mutating func removeAll() {
    bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 20)
    if payload.capacity > 1 << 17 { payload = [] }
    count = 0
    opening = nil
  }
}
