// The interface between Socket.IO (namespaces, events and acknowledgements) and the application on
// top of it. It does not depend on notifications.

internal import Wire

/// Handles the events of Socket.IO's clients.
///
/// Called on the client's shard. The arguments are valid during the call.
package protocol SocketIOApplication: Sendable {
  /// The namespaces that clients may connect to, each with a slash at its front.
  var namespaces: [String] { get }
  /// An event that is sent to clients with every ping, to one that gets cursors with its position;
  /// nil for none.
  var keepAliveEvent: String? { get }
  /// A client asks to connect; `client.accept` or `client.refuse` answers it, now or later.
  ///
  /// `payload` is the JSON object in its CONNECT, if there is one.
  func connect(_ client: SocketIOClient, payload: [UInt8]?)
  /// A client has sent an event.
  func received(_ event: SocketIOEvent, from client: SocketIOClient)
  /// A client has left the namespace with a DISCONNECT.
  func left(_ client: SocketIOClient)
}

extension SocketIOApplication {
  package var keepAliveEvent: String? { nil }
}

/// An event from a client.
package struct SocketIOEvent {
  package let name: String
  /// The arguments, each as JSON, with placeholders for binary data.
  package let arguments: [[UInt8]]
  package let attachments: [[UInt8]]
  /// The id that the client expects in an acknowledgement; nil if it expects none.
  let acknowledgementID: UInt64?

  package var wantsAcknowledgement: Bool { acknowledgementID != nil }
}

/// A client's acknowledgement of an event.
package struct SocketIOReply {
  package let arguments: [[UInt8]]
  package let attachments: [[UInt8]]
}

/// A client in one namespace, as an application sees it.
package struct SocketIOClient {
  let sockets: SocketIOSessions
  let session: SocketIOSession
  /// Index into the application's namespaces.
  package let namespace: Int

  /// Accepts the client's CONNECT.
  package func accept() {
    sockets.accept(self)
  }

  /// Answers the client's CONNECT with an error.
  package func refuse(_ message: String) {
    sockets.refuse(self, message)
  }

  /// Sends an event; `arguments` are JSON, with a placeholder for each attachment.
  package func emit(_ name: String, _ arguments: [[UInt8]], attachments: [[UInt8]] = []) {
    sockets.emit(name, arguments, attachments, acknowledgementID: nil, to: self)
  }

  /// Acknowledges an event, if the client expects it; `arguments` as for `emit`.
  package func acknowledge(
    _ event: SocketIOEvent, _ arguments: [[UInt8]], attachments: [[UInt8]] = []
  ) {
    guard let id = event.acknowledgementID else { return }
    sockets.acknowledge(id, arguments, attachments, to: self)
  }

  /// Sends an event and awaits its acknowledgement.
  ///
  /// `completion` gets nil if none arrives in time, if the client leaves, or at the limit of
  /// awaited acknowledgements.
  package func ask(
    _ name: String, _ arguments: [[UInt8]], attachments: [[UInt8]] = [],
    timeoutMilliseconds: UInt64, _ completion: @escaping (SocketIOReply?) -> Void
  ) {
    sockets.ask(
      name, arguments, attachments, timeoutMilliseconds: timeoutMilliseconds, self, completion)
  }

  /// Calls `body` after a delay, unless the client leaves before; false at the limit of delays and
  /// awaited acknowledgements.
  @discardableResult
  package func after(milliseconds: UInt64, _ body: @escaping () -> Void) -> Bool {
    sockets.delay(self, milliseconds: milliseconds, body)
  }
}
