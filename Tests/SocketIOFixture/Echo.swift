// The fixture's applications, which echo messages.

internal import Server

/// Echoes every message.
struct EngineEcho: EngineApplication {
  func received(text: [UInt8], from client: EngineClient) { client.send(text: text) }
  func received(binary: [UInt8], from client: EngineClient) { client.send(binary: binary) }
}

/// Echoes events as the conformance cases expect.
///
/// Sends the payload of a connect packet as `auth` a little later, echoes `message` as
/// `message-back`, acknowledges `message-with-ack` with its arguments, and on `ask` emits
/// `question` with the same arguments and waits for the client's acknowledgement.
struct SocketIOEcho: SocketIOApplication {
  private static let askTimeoutMilliseconds: UInt64 = 200
  /// Between the answer to CONNECT and `auth`.
  ///
  /// The reference server sends them with two writes. The official suite waits for `auth` only
  /// after it has handled the answer, and with both in one read it would miss `auth`.
  private static let authDelayMilliseconds: UInt64 = 20

  let namespaces = ["/", "/custom"]

  func connect(_ client: SocketIOClient, payload: [UInt8]?) {
    client.accept()
    client.after(milliseconds: SocketIOEcho.authDelayMilliseconds) {
      client.emit("auth", [payload ?? Array("{}".utf8)])
    }
  }

  func received(_ event: SocketIOEvent, from client: SocketIOClient) {
    switch event.name {
    case "message":
      client.emit("message-back", event.arguments, attachments: event.attachments)
    case "message-with-ack":
      client.acknowledge(event, event.arguments, attachments: event.attachments)
    case "ask":
      client.ask(
        "question", event.arguments, attachments: event.attachments,
        timeoutMilliseconds: SocketIOEcho.askTimeoutMilliseconds
      ) { reply in
        guard let reply else { return client.emit("unanswered", []) }
        client.emit("answered", reply.arguments, attachments: reply.attachments)
      }
    default:
      break
    }
  }

  func left(_ client: SocketIOClient) {}
}
