// The paths of Engine.IO, and the application at each of them.
//
// Engine.IO carries messages without interpreting them. That is left to the application at the
// path, which may be the Socket.IO layer with an application of its own.

internal import Notifications
internal import Wire

/// Timeouts and limits of the sessions at one path.
package struct EngineSettings: Sendable {
  /// The milliseconds that a setting may give the interval and the timeout of pings.
  package static let pingMilliseconds = 100...3_600_000

  /// Delay from the start of the session, or from the last pong, to the next ping.
  package var pingIntervalMilliseconds: UInt64 = 25_000
  /// Time that a client has to answer a ping; after that it is considered dead.
  package var pingTimeoutMilliseconds: UInt64 = 20_000
  /// Time from the WebSocket handshake of an upgrade to its completion.
  package var upgradeTimeoutMilliseconds: UInt64 = 10_000
  /// Time that a client has to connect to a namespace of Socket.IO.
  package var connectTimeoutMilliseconds: UInt64 = 45_000
  /// Bytes of one message, sent to clients as `maxPayload`; a larger message ends the session.
  package var messageBytesLimit = 64 * 1_024
  /// Bytes of a posted body, which may have several messages; a larger body is answered 413.
  package var bodyBytesLimit = 1_000_000
  /// Bytes of a posted body before the session is connected to a namespace of Socket.IO; a larger
  /// one is answered 413.
  package var firstBodyBytesLimit = 64 * 1_024

  /// The defaults of the reference server, except for the size of messages.
  package init() {}
}

/// The application on top of Engine.IO.
package enum EngineUse: Sendable {
  case messages(any EngineApplication)
  case socketIO(any SocketIOApplication)
}

/// A path of Engine.IO with its application and its settings.
package struct EnginePath: Sendable {
  /// The path in a URL, with a trailing slash, which clients may omit.
  package let path: String
  package let use: EngineUse
  package let settings: EngineSettings
  private let shortPath: String

  package init(_ path: String, _ use: EngineUse, _ settings: EngineSettings = EngineSettings()) {
    precondition(path.hasPrefix("/") && path.hasSuffix("/"), "path: \(path)")
    if case .socketIO(let application) = use {
      // A session keeps the index of a namespace in one byte.
      precondition(application.namespaces.count <= Int(UInt8.max), "too many namespaces")
    }
    self.path = path
    self.use = use
    self.settings = settings
    shortPath = String(path.dropLast())
  }

  /// Makes the state of a session at this path, with the link to it for its slot.
  ///
  /// `since` is from the query of its first request.
  func makeSession(
    _ opening: EngineOpening, since: String?, now: UInt64
  ) -> (session: EngineSession, link: EngineLink) {
    switch use {
    case .messages:
      let session = EngineSession(opening)
      return (session, .messages(session))
    case .socketIO:
      let session = SocketIOSession(
        opening, beginsBy: now + settings.connectTimeoutMilliseconds)
      session.since = since.map { SocketIOSession.bounded(since: $0) }
      return (session, .socketIO(session))
    }
  }

  /// Whether a request for `path` is for this one.
  func matches(_ path: String) -> Bool { path == self.path || path == shortPath }

  /// The spellings of the path.
  var paths: [String] { [path, shortPath] }

  /// The namespaces in which sessions are users'; in those of other applications none are.
  var userNamespaces: [String] {
    guard case .socketIO(let application) = use, application is SocketIONotifications else {
      return []
    }
    return application.namespaces
  }
}

extension EnginePath {
  /// The path at which Socket.IO's clients get notifications.
  ///
  /// `recovery` is for which clients there is connection state recovery.
  package static func notifications(
    recovery: SocketIORecoveryPolicy = .asked, _ settings: EngineSettings = EngineSettings()
  ) -> EnginePath {
    EnginePath(
      SocketIODialect.servedAt, .socketIO(SocketIONotifications(recovery: recovery)), settings)
  }
}

/// Handles the messages of sessions.
package protocol EngineApplication: Sendable {
  func received(text: [UInt8], from client: EngineClient)
  func received(binary: [UInt8], from client: EngineClient)
}

/// A session as an application sees it.
///
/// Valid only during a call of the application.
package struct EngineClient {
  let engine: EngineSessions
  let session: EngineSession

  /// Sends a text message, which must be UTF-8 without U+001E.
  ///
  /// It does nothing once the session has ended.
  package func send(text: [UInt8]) {
    // guard: ended-session-sends-nothing
    guard !session.hasEnded else { return }
    engine.write(to: session.slot) { frames in
      frames.text { message in EngineIOPacket.append(.message, into: &message) { $0 += text } }
    }
  }

  /// Sends a binary message, like `send(text:)`.
  package func send(binary: [UInt8]) {
    guard !session.hasEnded else { return }
    engine.send(binary: binary, to: session)
  }
}

extension Heartbeat {
  /// The heartbeat of an Engine.IO session, which is dead if it does not answer a ping in time.
  init(_ settings: EngineSettings) {
    self.init(
      pingIntervalMilliseconds: settings.pingIntervalMilliseconds,
      silenceLimitMilliseconds: settings.pingIntervalMilliseconds
        + settings.pingTimeoutMilliseconds)
  }
}
