// `carillon publish`: one notification, the same one several times at a pace, or NDJSON from
// standard input.

internal import LoadClient
internal import Wire

/// `carillon publish`.
enum PublishCommand {
  static let command = Command(
    name: "publish", summary: "publish a notification, or NDJSON from standard input",
    examples: [
      #"carillon publish --user alice --title "It rings""#,
      #"carillon publish --everyone --type news --title "Back at noon" --priority high"#,
      #"carillon publish --room lobby --title "Tick" --count 4 --every 3s"#,
      "carillon publish < notifications.ndjson",
    ],
    flags: [
      Flag("url", "URL", environment: ["CARILLON_URL"], "the server (http://127.0.0.1:8080)"),
      Flag("user", "ID", "publish to one user"),
      Flag("everyone", nil, "publish to every user, including future ones"),
      Flag("room", "NAME", "publish to the room's current members; not stored"),
      Flag("type", "TYPE", "type (info)"),
      Flag("title", "TEXT", "title"),
      Flag("message", "TEXT", "message"),
      Flag("priority", "NAME", "low, normal, high or urgent; not for a room"),
      Flag("data", "JSON", "an object with your own data"),
      Flag("count", "N", "number of times to publish it (1)"),
      Flag("every", "TIME", "interval between them, such as 500ms, 3s or 1m (none)"),
      Flag("token", "TOKEN", environment: ["CARILLON_TOKEN"], "a publisher's token"),
      Flag("api-key", "KEY", environment: ["CARILLON_API_KEY"], "a publisher's key"),
    ], run: run)

  @Sendable private static func run(_ arguments: Arguments) throws -> Int32 {
    let server = try ServerURL(parsing: arguments.value("url") ?? "http://127.0.0.1:8080")
    let credentials = try Credentials.fields(of: arguments)
    guard let audience = try Audience(arguments) else {
      return try publishInput(to: server, credentials)
    }
    let count = try arguments.number("count", in: 1...1_000_000, otherwise: 1)
    let every = try arguments.duration("every", otherwise: 0)
    let request = HTTPRequest(
      "POST", audience.path,
      fields: credentials + [HTTPField("Content-Type", "application/json")],
      body: try audience.body(arguments))
    var connection = try HTTPConnection(to: server)
    let start = Host.monotonicMilliseconds
    var status: Int32 = 0
    for index in 0..<count {
      // Each publish has its own scheduled time, so a slow answer does not delay the later ones. A
      // server closes an idle connection after a while, so a long wait needs a new one.
      if Host.wait(until: start, plus: every, times: index) > Self.idleMilliseconds {
        connection = try HTTPConnection(to: server)
      }
      let answer = try connection.perform(request)
      let text = String(decoding: answer.body, as: UTF8.self)
      if answer.isSuccess {
        Terminal.print(text)
      } else {
        Terminal.say("carillon publish: rejected with \(answer.status): \(text)")
        status = 1
      }
    }
    return status
  }

  /// A connection that was idle for longer is not reused: servers and proxies typically close one
  /// after about a minute.
  private static let idleMilliseconds: UInt64 = 10_000

  /// Sends the lines of standard input in batches of 1,000 lines or 4 MiB.
  private static func publishInput(
    to server: ServerURL, _ credentials: [HTTPField]
  ) throws -> Int32 {
    let connection = try HTTPConnection(to: server)
    var status: Int32 = 0
    var batch: [UInt8] = []
    var lines = 0
    let send = {
      guard lines > 0 else { return }
      let answer = try connection.perform(
        HTTPRequest(
          "POST", "/api/v1/notifications/batch",
          fields: credentials + [HTTPField("Content-Type", "application/x-ndjson")], body: batch))
      let text = String(decoding: answer.body, as: UTF8.self)
      Terminal.print(text.hasSuffix("\n") ? String(text.dropLast()) : text)
      if !answer.isSuccess || text.contains("\"success\":false") { status = 1 }
      batch.removeAll(keepingCapacity: true)
      lines = 0
    }
    while let line = Terminal.readInputLine() {
      batch.append(contentsOf: line.utf8)
      batch.append(0x0A)
      lines += 1
      if lines == 1_000 || batch.count > 4 << 20 { try send() }
    }
    try send()
    return status
  }
}

/// The audience of a publish, from the command line.
private enum Audience {
  case user(String)
  case everyone
  case room(String)

  /// Nil without an audience and without content flags: standard input holds both.
  init?(_ arguments: Arguments) throws(UsageError) {
    let given = [
      arguments.value("user").map(Audience.user), try arguments.isOn("everyone") ? .everyone : nil,
      arguments.value("room").map(Audience.room),
    ].compactMap { $0 }
    guard given.count <= 1 else {
      throw UsageError("only one of --user, --everyone and --room can be given")
    }
    guard let one = given.first else {
      let parts = ["type", "title", "message", "priority", "data", "count", "every"]
      for name in parts where arguments.value(name) != nil {
        throw UsageError("--\(name) needs one of --user, --everyone and --room")
      }
      return nil
    }
    self = one
  }

  var path: String {
    switch self {
    case .user, .everyone: "/api/v1/notifications"
    case .room: "/api/v1/websocket/send/room"
    }
  }

  /// The body of the request, with the field names of its endpoint.
  func body(_ arguments: Arguments) throws(UsageError) -> [UInt8] {
    var json: [UInt8] = []
    json.openObject()
    var names = (type: "type", data: "data")
    switch self {
    case .user(let user): json.member("user_id", user)
    case .everyone: json.member("audience", "everyone")
    case .room(let room):
      json.member("room", room)
      names = (type: "notification_type", data: "payload")
    }
    json.member(names.type, arguments.value("type") ?? "info")
    json.member("title", try arguments.required("title"))
    if let message = arguments.value("message") { json.member("message", message) }
    if let priority = arguments.value("priority") {
      if case .room = self { throw UsageError("--priority is not for a room") }
      json.member("priority", priority)
    }
    if let data = arguments.value("data") {
      let bytes = Array(data.utf8)
      var reader = JSONReader(bytes)
      do throws(JSONViolation) {
        _ = try reader.skipValue()
        try reader.finish()
      } catch {
        throw UsageError("--data is not JSON: \(error.reason)")
      }
      json.member(names.data, json: bytes)
    }
    json.closeObject()
    return json
  }
}

/// The header fields that authenticate a command.
enum Credentials {
  /// The field with the token or the key.
  static func fields(of arguments: Arguments) throws(UsageError) -> [HTTPField] {
    if let token = arguments.value("token"), !token.isEmpty { return [try bearer(token)] }
    if let key = arguments.value("api-key"), !key.isEmpty {
      guard isOneLine(key) else { throw UsageError("the key contains a control character") }
      return [.apiKey(key)]
    }
    throw UsageError("a publisher's --token or --api-key is required (CARILLON_TOKEN)")
  }

  /// The field with `token`.
  static func bearer(_ token: String) throws(UsageError) -> HTTPField {
    guard isOneLine(token) else { throw UsageError("the token contains a control character") }
    return .bearer(token)
  }

  /// Whether a header field can hold the text: a newline would begin another field.
  private static func isOneLine(_ text: String) -> Bool {
    text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
  }
}
