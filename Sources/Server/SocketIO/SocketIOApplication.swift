// What is spoken over Socket.IO: namespaces, events and acknowledgements, and nothing of
// notifications.

internal import Wire

/// Takes what clients of Socket.IO say and answers it.
///
/// Called on the shard that the client lives on. What it is called with is valid during the call.
package protocol SocketIOApplication: Sendable {
  /// The namespaces that clients may connect to, each with a slash at its front.
  var namespaces: [String] { get }
  /// An event that clients are sent as often as a ping; nil where there is none.
  var keepAliveEvent: String? { get }
  /// A client asks to be connected: `client.accept` or `client.refuse` answers it, now or later.
  ///
  /// `payload` is the JSON object that it came with, if it did.
  func connect(_ client: SocketIOClient, payload: [UInt8]?)
  /// A client has sent an event.
  func received(_ event: SocketIOEvent, from client: SocketIOClient)
  /// A client has left the namespace by itself.
  func left(_ client: SocketIOClient)
}

extension SocketIOApplication {
  package var keepAliveEvent: String? { nil }
}

/// What a client has sent.
package struct SocketIOEvent {
  package let name: String
  /// The arguments, each as JSON; binary data is a placeholder in it.
  package let arguments: [[UInt8]]
  package let attachments: [[UInt8]]
  /// What the client wants it acknowledged by.
  let acknowledgementID: UInt64?

  package var wantsAcknowledgement: Bool { acknowledgementID != nil }
}

/// What a client has answered.
package struct SocketIOReply {
  package let arguments: [[UInt8]]
  package let attachments: [[UInt8]]
}

/// A client in one namespace, as an application sees it.
package struct SocketIOClient {
  let shard: Shard
  let session: SocketIOSession
  /// Which of the application's namespaces.
  package let namespace: Int

  /// Lets the client in, and tells it so.
  package func accept() {
    shard.accept(self)
  }

  /// Does not let the client in.
  package func refuse(_ message: String) {
    shard.refuse(self, message)
  }

  /// Sends an event; `arguments` are JSON, with a placeholder for each attachment.
  package func emit(_ name: String, _ arguments: [[UInt8]], attachments: [[UInt8]] = []) {
    shard.emit(name, arguments, attachments, acknowledgementID: nil, to: self)
  }

  /// Acknowledges an event that wants it; `arguments` as for `emit`.
  package func acknowledge(
    _ event: SocketIOEvent, _ arguments: [[UInt8]], attachments: [[UInt8]] = []
  ) {
    guard let id = event.acknowledgementID else { return }
    shard.acknowledge(id, arguments, attachments, to: self)
  }

  /// Sends an event and waits for it to be acknowledged; nil when it is not, in time or at all.
  package func ask(
    _ name: String, _ arguments: [[UInt8]], attachments: [[UInt8]] = [],
    timeoutMilliseconds: UInt64, _ completion: @escaping (SocketIOReply?) -> Void
  ) {
    shard.ask(
      name, arguments, attachments, timeoutMilliseconds: timeoutMilliseconds, self, completion)
  }
}
