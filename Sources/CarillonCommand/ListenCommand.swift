// `carillon listen`: print the received messages, one JSON per line, until Ctrl-C.

internal import LoadClient
internal import Reactor
internal import Wire

/// `carillon listen`.
enum ListenCommand {
  static let command = Command(
    name: "listen", summary: "print the received messages, one JSON per line",
    examples: [
      #"carillon listen --token "$TOKEN" --since 0"#,
      "carillon listen --dialect typed --room lobby --count 10",
    ],
    flags: [
      Flag("url", "URL", environment: ["CARILLON_URL"], "the server (http://127.0.0.1:8080)"),
      Flag("token", "TOKEN", environment: ["TOKEN"], "a user's token"),
      Flag("dialect", "NAME", "event, flat, inbox, typed or sse (event)"),
      Flag("room", "LIST", "rooms to join, comma-separated; for event, typed and sse"),
      Flag("since", "CURSOR", "begin with the messages missed since; 0 for all of them"),
      Flag("count", "N", "exit after N messages"),
    ], run: run)

  @Sendable private static func run(_ arguments: Arguments) throws -> Int32 {
    let server = try ServerURL(parsing: arguments.value("url") ?? "http://127.0.0.1:8080")
    let fields = [try Credentials.bearer(arguments.required("token"))]
    let dialect =
      try arguments.choice(
        "dialect", "event, flat, inbox, typed or sse", ListenDialect.init(rawValue:)) ?? .event
    let rooms = (arguments.value("room") ?? "").split(separator: ",").map(String.init)
    guard rooms.isEmpty || dialect.roomsAre != .nowhere else {
      throw UsageError("--room is for event, typed and sse; \(dialect) has no rooms")
    }
    let count = try arguments.number("count", in: 1...Int.max, otherwise: .max)
    let target = dialect.target(since: arguments.value("since"), rooms: rooms)
    guard dialect != .sse else {
      var listener = try EventStreamListener(
        to: server, target: target, fields: fields, showsCursor: arguments.value("since") != nil)
      return try listener.printEvents(count: count)
    }
    // Once connected, signals are blocked and polled, so Ctrl-C closes the connection normally.
    let client = try WebSocketClient(to: server, target: target, fields: fields)
    Signals.block()
    if dialect.roomsAre == .joined { try join(rooms, client) }
    return try printMessages(of: client, count: count)
  }

  /// The longest wait, and so the longest delay before a signal is noticed.
  static let waitMilliseconds = 250
  /// A heartbeat of the dialects that send it as a message, and its answer.
  private static let ping = #"{"type":"ping"}"#
  private static let pong = #"{"type":"pong"}"#

  /// Whether a message is the heartbeat of a client that resumes, which is not printed.
  static func isHeartbeat(_ text: String) -> Bool {
    text.hasPrefix(#"{"type":"heartbeat""#) || text.hasPrefix(#"{"event":"heartbeat""#)
  }

  private static func join(_ rooms: [String], _ client: WebSocketClient) throws(ClientError) {
    for room in rooms {
      var json: [UInt8] = []
      json.openObject()
      json.member("type", "join_room")
      json.member("data", object: { $0.member("room", room) })
      json.closeObject()
      try client.sendText(String(decoding: json, as: UTF8.self))
    }
  }

  private static func printMessages(of client: WebSocketClient, count: Int) throws -> Int32 {
    var printed = 0
    while printed < count, !Signals.endIsRequested() {
      switch try client.receive(timeoutMilliseconds: waitMilliseconds) {
      case .text(Self.ping):
        // Heartbeats are answered and not printed.
        try client.sendText(Self.pong)
      case .text(let text) where isHeartbeat(text):
        break
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

/// A dialect, by its name in the server's documentation.
private enum ListenDialect: String {
  case flat, event, typed, inbox, sse

  /// The way in which a client joins rooms: in the query, or with messages.
  enum Rooms {
    case nowhere, inQuery, joined
  }

  var roomsAre: Rooms {
    switch self {
    case .flat, .inbox: .nowhere
    case .event, .sse: .inQuery
    case .typed: .joined
    }
  }

  private var path: String {
    switch self {
    case .flat: "/api/ws"
    case .event: "/api/v1/ws/notifications"
    case .typed: "/ws/connect"
    case .inbox: "/api/notifications/ws"
    case .sse: "/notifications/events"
    }
  }

  /// Path and query.
  func target(since: String?, rooms: [String]) -> String {
    var query: [String] = []
    if let since { query.append("since=\(Percent.encode(since))") }
    if roomsAre == .inQuery, !rooms.isEmpty {
      // The comma separates the names, so it is not encoded.
      query.append("rooms=" + rooms.map(Percent.encode).joined(separator: ","))
    }
    return query.isEmpty ? path : path + "?" + query.joined(separator: "&")
  }
}
