// `carillon listen`: print what arrives, one JSON a line.

internal import LoadClient
internal import Wire

/// `carillon listen`.
enum ListenCommand {
  private static let paths = [
    "flat": "/api/ws", "event": "/api/v1/ws/notifications", "inbox": "/api/notifications/ws",
  ]
  /// A heartbeat, and its answer, where the dialect sends it as a message.
  private static let ping = #"{"type":"ping"}"#
  private static let pong = #"{"type":"pong"}"#

  static let command = Command(
    name: "listen", summary: "print what arrives, one JSON a line",
    flags: [
      Flag("url", "URL", environment: ["CARILLON_URL"], "the server (http://127.0.0.1:8080)"),
      Flag("token", "TOKEN", environment: ["TOKEN"], "a user's token"),
      Flag("dialect", "NAME", "flat, event or inbox (event)"),
      Flag("since", "CURSOR", "begin with what was missed since; 0 for everything"),
      Flag("count", "N", "end after so many messages"),
    ], run: run)

  @Sendable private static func run(_ arguments: Arguments) throws -> Int32 {
    let server = try ServerURL(parsing: arguments.value("url") ?? "http://127.0.0.1:8080")
    let token = try arguments.required("token")
    let dialect = arguments.value("dialect") ?? "event"
    guard let path = paths[dialect] else {
      throw UsageError("--dialect must be one of \(paths.keys.sorted().joined(separator: ", "))")
    }
    let count = try arguments.number("count", in: 1...Int.max, otherwise: .max)
    var target = path
    if let since = arguments.value("since") { target += "?since=\(Percent.encode(since))" }
    let client = try WebSocketClient(to: server, target: target, fields: [.bearer(token)])
    var printed = 0
    while printed < count {
      switch try client.receive(timeoutMilliseconds: 60_000) {
      case .text(Self.ping):
        // Answered, and not printed: it is no news.
        try client.sendText(Self.pong)
      case .text(let text):
        Terminal.print(text)
        printed += 1
      case .closed(let code, let reason):
        Terminal.say("carillon listen: closed with \(code ?? 1005) \(reason)")
        return code == 1000 ? 0 : 1
      case .binary, nil:
        break
      }
    }
    client.close()
    return 0
  }
}
