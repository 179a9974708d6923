// The Engine.IO handshake and its refusals: protocol version 4, "Handshake".
//
// The refusals are those of the reference server: the document does not list them, but clients rely
// on them.

/// The transport that carries the packets.
package enum EngineIOTransport: String, Sendable, CaseIterable {
  case polling
  case webSocket = "websocket"
}

/// The content of a session's first packet, which is of type `open`.
package struct EngineIOHandshake: Equatable, Sendable {
  package let sessionID: String
  /// The transports to which the session may upgrade from its first one.
  package let upgrades: [EngineIOTransport]
  package let pingIntervalMilliseconds: Int
  package let pingTimeoutMilliseconds: Int
  /// The most bytes of a body that the client may send by polling.
  package let payloadBytesLimit: Int

  package init(
    sessionID: String, upgrades: [EngineIOTransport], pingIntervalMilliseconds: Int,
    pingTimeoutMilliseconds: Int, payloadBytesLimit: Int
  ) {
    self.sessionID = sessionID
    self.upgrades = upgrades
    self.pingIntervalMilliseconds = pingIntervalMilliseconds
    self.pingTimeoutMilliseconds = pingTimeoutMilliseconds
    self.payloadBytesLimit = payloadBytesLimit
  }

  /// Appends the payload of the open packet.
  package func append(into bytes: inout [UInt8]) {
    bytes.openObject()
    bytes.member("sid", sessionID)
    bytes.member("upgrades", texts: upgrades.map(\.rawValue))
    bytes.member("pingInterval", pingIntervalMilliseconds)
    bytes.member("pingTimeout", pingTimeoutMilliseconds)
    bytes.member("maxPayload", payloadBytesLimit)
    bytes.closeObject()
  }
}

/// A reason to refuse a request, with the reference server's numbers.
package enum EngineIORefusal: Int, Error, Sendable, CaseIterable {
  case unknownTransport = 0
  case unknownSession = 1
  case badHandshakeMethod = 2
  case badRequest = 3
  case forbidden = 4
  case unsupportedProtocolVersion = 5

  /// The status of the HTTP answer.
  package var status: Int { self == .forbidden ? 403 : 400 }

  package var message: String {
    switch self {
    case .unknownTransport: "Transport unknown"
    case .unknownSession: "Session ID unknown"
    case .badHandshakeMethod: "Bad handshake method"
    case .badRequest: "Bad request"
    case .forbidden: "Forbidden"
    case .unsupportedProtocolVersion: "Unsupported protocol version"
    }
  }

  /// Appends the body of the HTTP answer, with another text than `message` if there is one.
  package func append(into bytes: inout [UInt8], message text: String? = nil) {
    bytes.openObject()
    bytes.member("code", rawValue)
    bytes.member("message", text ?? message)
    bytes.closeObject()
  }
}
