// Where Engine.IO is served, and what is spoken over it there.
//
// Engine.IO carries messages and knows nothing of what they say: that is for the application that
// is named here, which may be the Socket.IO layer with an application of its own.

internal import Notifications
internal import Wire

/// Times and bounds of the sessions at one path.
package struct EngineSettings: Sendable {
  /// A ping is sent this long after the session began or the last ping was answered.
  package var pingIntervalMilliseconds: UInt64 = 25_000
  /// A client that has not answered a ping after this long is gone.
  package var pingTimeoutMilliseconds: UInt64 = 20_000
  /// Time from a WebSocket's coming for a session to its taking it over.
  package var upgradeTimeoutMilliseconds: UInt64 = 10_000
  /// Time in which a client has to connect to a namespace of Socket.IO.
  package var connectTimeoutMilliseconds: UInt64 = 45_000
  /// Bytes of one message, which clients are told as `maxPayload`; more ends the session.
  package var messageBytesLimit = 64 * 1_024
  /// Bytes of a body with several; more is answered 413.
  package var bodyBytesLimit = 1_000_000

  /// The defaults of the reference server, but for the size of messages.
  package init() {}
}

/// What is spoken over Engine.IO.
package enum EngineUse: Sendable {
  case messages(any EngineApplication)
  case socketIO(any SocketIOApplication)
}

/// A path, what is spoken there, and within which bounds.
package struct EnginePath: Sendable {
  /// As it stands in a URL, with a slash at its end, which clients may leave out.
  package let path: String
  package let use: EngineUse
  package let settings: EngineSettings
  private let shortPath: String

  package init(_ path: String, _ use: EngineUse, _ settings: EngineSettings = EngineSettings()) {
    precondition(path.hasPrefix("/") && path.hasSuffix("/"), "path: \(path)")
    self.path = path
    self.use = use
    self.settings = settings
    shortPath = String(path.dropLast())
  }

  /// Whether a request for `path` is for this one.
  func matches(_ path: String) -> Bool { path == self.path || path == shortPath }

  /// The encodings of its sessions, in the order that `FanOutGroups` describes.
  func encodings(epoch: String) -> [FanOutEncoding] {
    let framings = [Framing.webSocket, .packets]
    var encodings = framings.map {
      FanOutEncoding(dialect: EngineDialect(self, framing: $0), epoch: nil)
    }
    guard case .socketIO(let application) = use else { return encodings }
    // The namespaces of other applications have no sessions of users.
    guard let notifications = application as? SocketIONotifications else { return encodings }
    for namespace in application.namespaces {
      for framing in framings {
        let dialect = SocketIODialect(
          namespace: namespace, framing: framing, heartbeat: Heartbeat(settings))
        encodings.append(
          FanOutEncoding(dialect: dialect, epoch: notifications.recovers ? epoch : nil))
      }
    }
    return encodings
  }
}

extension EnginePath {
  /// Where clients of Socket.IO are served notifications.
  ///
  /// `recovers` is whether one that comes back goes on where it was.
  package static func notifications(
    recovers: Bool = true, _ settings: EngineSettings = EngineSettings()
  ) -> EnginePath {
    EnginePath(
      SocketIODialect.servedAt, .socketIO(SocketIONotifications(recovers: recovers)), settings)
  }
}

/// Takes the messages of sessions and answers them.
package protocol EngineApplication: Sendable {
  func received(text: [UInt8], from client: EngineClient)
  func received(binary: [UInt8], from client: EngineClient)
}

/// A session as an application sees it.
///
/// Valid while the application is called with it.
package struct EngineClient {
  let shard: Shard
  let session: EngineSession

  /// Sends a message of text, which is UTF-8 without U+001E.
  package func send(text: [UInt8]) {
    shard.write(to: session.slot) { frames in
      frames.text { message in EngineIOPacket.append(.message, into: &message) { $0 += text } }
    }
  }

  /// Sends a message of binary data.
  package func send(binary: [UInt8]) {
    shard.send(binary: binary, to: session)
  }
}

/// What an engine's sessions are written in while nobody has begun a namespace: nothing that
/// happens is for them.
struct EngineDialect: Dialect {
  let name = "engine"
  let path: String
  let framing: Framing
  let admission = Admission.firstMessage
  let heartbeat: Heartbeat
  let expiryCloseCode: UInt16 = 1008

  init(_ path: EnginePath, framing: Framing) {
    self.path = path.path
    self.framing = framing
    heartbeat = Heartbeat(path.settings)
  }

  func write(_ event: Event, to frames: inout FrameWriter) {}
  func write(_ greeting: Greeting, to frames: inout FrameWriter) {}
  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {}
  func writeMissed(_ one: Notification, _ counts: Counts, to frames: inout FrameWriter) {}
  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {}
  func answer(_ text: [UInt8], time: Int64, to frames: inout FrameWriter) {}
}

extension Heartbeat {
  /// That of a session of Engine.IO, which answers a ping in time or is gone.
  init(_ settings: EngineSettings) {
    self.init(
      pingIntervalMilliseconds: settings.pingIntervalMilliseconds,
      silenceLimitMilliseconds: settings.pingIntervalMilliseconds
        + settings.pingTimeoutMilliseconds)
  }
}
