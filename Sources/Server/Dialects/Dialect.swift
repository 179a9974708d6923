// What a dialect is: how the one canonical event is written for one kind of client, and how that
// client's messages are read.
//
// Adding a dialect is one file here with a type that conforms to `Dialect`, and one line in
// `DialectRegistry.all`. A dialect keeps no state and does no input or output: it turns values
// into text and text into values, on whichever shard asks.

internal import Notifications
internal import Wire

/// When a client without a good token is turned away.
enum Admission: Sendable {
  /// The upgrade is answered 401.
  case refusedBeforeUpgrade
  /// The upgrade succeeds, then the connection is closed: no token, a bad one, one without a user.
  case closedAfterUpgrade(missing: UInt16, invalid: UInt16, noUser: UInt16)
  /// A bad token is answered 401; without one the upgrade succeeds, and the first message must be
  /// an `auth` with a good one, in time.
  case firstMessage
}

/// How the life of a client is watched.
struct Heartbeat: Sendable {
  /// A protocol ping is sent this often.
  var pingIntervalMilliseconds: UInt64
  /// A client not heard of for this long is gone.
  var silenceLimitMilliseconds: UInt64
  /// Whether the ping is a message of the dialect's, which the client answers with one before the
  /// next is due.
  var isByMessage = false
}

/// What a client's message asks of the server, beyond an answer that the dialect itself can give.
enum ClientRequest: Equatable {
  /// The server's ping is answered.
  case pong
  /// A page of the inbox, newest first.
  case fetch(PageRequest)
  /// To be in a room, or no longer; the name is valid.
  case join(RoomName)
  case leave(RoomName)
  /// The others in the room are told that the user types, or has stopped.
  case type(RoomName, isTyping: Bool)
  /// Those who share a room with the user are told how it is to be seen.
  case status(PresenceStatus)
  /// Nothing that the server understands: the client is told so.
  case invalid(code: String, message: String)
}

/// What a session begins with.
struct Greeting {
  var user: UserID
  var time: Int64
  /// For a client that asked to resume: where it stands.
  var cursor: Cursor?
  /// For a dialect that greets with counts: the counts at which the session begins.
  var counts: Counts?
  /// Whether what the client missed follows.
  var isResumed = false
  /// By what a client of Socket.IO knows itself.
  var socket: SocketIdentity?
}

/// What a client is told that asked to be in a room, or no longer.
struct RoomNews {
  let room: RoomName
  /// Users in the room, in the order in which they came, those that came first.
  let members: [UserID]
  let isJoined: Bool
}

/// What messages are put into on their way.
enum Framing: Sendable {
  /// Frames of a WebSocket, which also ends with one.
  case webSocket
  /// Events of a stream, which just ends.
  case eventStream
  /// Packets of Engine.IO, each with the separator behind it, for the bodies of polls.
  case packets

  /// Writes what keeps an idle connection alive.
  func writeHeartbeat(into output: inout [UInt8]) {
    switch self {
    case .webSocket: WebSocketFrame.append(.ping, payload: [], into: &output)
    case .eventStream: ServerSentEvent.append(comment: .empty, into: &output)
    // Engine.IO has pings of its own.
    case .packets: break
    }
  }

  /// Says goodbye.
  func writeClose(code: UInt16, reason: String, into output: inout [UInt8]) {
    switch self {
    case .webSocket: WebSocketFrame.appendClose(code: code, reason: reason, into: &output)
    // The end of the stream is the whole of it: the client comes back by itself, with its cursor.
    case .eventStream, .packets: break
    }
  }
}

/// How one kind of client is spoken to.
protocol Dialect: Sendable {
  /// Its name, as `listen --dialect` takes it.
  var name: String { get }
  /// Where its clients connect.
  var path: String { get }
  var framing: Framing { get }
  var admission: Admission { get }
  var heartbeat: Heartbeat { get }
  /// The code that a session is closed with when its token ends.
  var expiryCloseCode: UInt16 { get }
  /// Whether the greeting says the user's counts: then it waits for the store.
  var greetsWithCounts: Bool { get }
  /// Whether it has words for what happens in rooms: then `rooms=` in the query names some.
  var supportsRooms: Bool { get }

  /// Writes the frames of `event`, or none if this dialect does not speak of such a thing.
  func write(_ event: Event, to frames: inout FrameWriter)
  /// Writes what a session begins with.
  func write(_ greeting: Greeting, to frames: inout FrameWriter)
  /// Tells a client that continuity cannot be proven: it reloads and goes on from `cursor`.
  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter)
  /// Writes a notification that was missed, in a page that was read at `counts`.
  func writeMissed(_ notification: Notification, _ counts: Counts, to frames: inout FrameWriter)
  /// Ends a resumption, after the last missed notification.
  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter)
  /// Ends the notifications for everyone that a live session was sent by `writeMissed`; there may
  /// have been none.
  ///
  /// `hasSent` is whether one was sent with these counts.
  func writeCaughtUp(_ counts: Counts, hasSent: Bool, time: Int64, to frames: inout FrameWriter)
  /// Tells a client that goes on from the present position, behind its greeting, the counts there.
  func writeBegun(_ counts: Counts, time: Int64, to frames: inout FrameWriter)
  /// Tells a client that it is in a room, or no longer.
  func write(_ news: RoomNews, time: Int64, to frames: inout FrameWriter)
  /// Tells a client what is wrong with what it asked.
  func writeError(_ code: String, _ message: String, time: Int64, to frames: inout FrameWriter)
  /// Answers a client's text message.
  func answer(_ text: [UInt8], time: Int64, to frames: inout FrameWriter)
  /// What a client's text message asks of the server; nil where `answer` is all there is to it.
  func request(in text: [UInt8]) -> ClientRequest?
  /// Whether a client that sends too many messages is told so, rather than closed with 1008.
  var forgivesTooManyMessages: Bool { get }
  /// Writes the ping of a heartbeat by messages.
  func writePing(to frames: inout FrameWriter)
  /// Answers a fetch with as much of `page` as fits into `byteLimit`, but one at the least.
  ///
  /// `groups` says by its offset how many a notification stands for, where it does.
  func writePage(
    _ page: [Notification], _ counts: Counts, groups: [UInt64: Int], byteLimit: Int,
    to frames: inout FrameWriter)
}

/// What a dialect has that does not say otherwise.
extension Dialect {
  var greetsWithCounts: Bool { false }
  var supportsRooms: Bool { false }
  func request(in text: [UInt8]) -> ClientRequest? { nil }
  var forgivesTooManyMessages: Bool { false }
  func writePing(to frames: inout FrameWriter) {}
  func write(_ news: RoomNews, time: Int64, to frames: inout FrameWriter) {}
  func writeError(_ code: String, _ message: String, time: Int64, to frames: inout FrameWriter) {}
  func writePage(
    _ page: [Notification], _ counts: Counts, groups: [UInt64: Int], byteLimit: Int,
    to frames: inout FrameWriter
  ) {}
  var framing: Framing { .webSocket }
  func writeCaughtUp(_ counts: Counts, hasSent: Bool, time: Int64, to frames: inout FrameWriter) {
    writeResumed(counts, time: time, to: &frames)
  }
  func writeBegun(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {}
}

/// The dialects that a server speaks.
enum DialectRegistry {
  static let all: [any Dialect] = [
    FlatDialect(), EventDialect(), TypedDialect(), InboxDialect(), StreamDialect(),
  ]
}

/// Gathers finished messages: WebSocket text frames, or events of a stream.
struct FrameWriter {
  /// The frames, one behind the other, as they go on the wire.
  private(set) var bytes: [UInt8] = []
  /// How many there are.
  private(set) var count = 0
  /// The store's epoch, when this client is told its cursors.
  let epoch: String?
  let framing: Framing
  private var payload: [UInt8] = []

  init(epoch: String?, framing: Framing = .webSocket) {
    self.epoch = epoch
    self.framing = framing
  }

  /// Writes one message whose text `body` writes.
  ///
  /// `offset` is where a client that has got so far would go on from, in a stream.
  mutating func text(at offset: UInt64? = nil, _ body: (inout [UInt8]) -> Void) {
    payload.removeAll(keepingCapacity: true)
    body(&payload)
    switch framing {
    case .webSocket:
      WebSocketFrame.appendHeader(.text, payloadByteCount: payload.count, into: &bytes)
      bytes.append(contentsOf: payload)
    case .eventStream:
      // JSON has line ends only between its tokens, where a space means the same, and a line of
      // its own for each of them would make a small message large.
      for index in payload.indices where payload[index] == 0x0A || payload[index] == 0x0D {
        payload[index] = 0x20
      }
      var id: EventStreamLine?
      if let offset, let epoch { id = EventStreamLine(Cursor(epoch: epoch, offset: offset)) }
      ServerSentEvent.append(data: payload, id: id, into: &bytes)
    case .packets:
      bytes.append(contentsOf: payload)
      bytes.append(EngineIOPayload.separator)
    }
    count += 1
  }

  /// Writes one message of binary data, as text where only text can go or is wanted.
  mutating func binary(_ data: [UInt8], asText: Bool) {
    if framing == .webSocket, !asText {
      WebSocketFrame.append(.binary, payload: data, into: &bytes)
      count += 1
    } else {
      text { EngineIOPacket.appendBase64(data, into: &$0) }
    }
  }

  /// Tells the client of a stream where it stands.
  mutating func position(_ cursor: Cursor) {
    ServerSentEvent.append(position: EventStreamLine(cursor), into: &bytes)
  }

  /// The cursor at `offset`, for a client that is told its cursors.
  func cursor(at offset: UInt64) -> String? {
    epoch.map { Cursor(epoch: $0, offset: offset).description }
  }

  /// Forgets the frames and keeps the memory, unless there is much of it.
  mutating func removeAll() {
    bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 20)
    if payload.capacity > 1 << 17 { payload = [] }
    count = 0
  }
}
