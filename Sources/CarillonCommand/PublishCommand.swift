// `carillon publish`: one notification, several of them at a pace, or NDJSON from standard input.

internal import LoadClient
internal import Wire

/// `carillon publish`.
enum PublishCommand {
  static let command = Command(
    name: "publish", summary: "publish a notification, or NDJSON from standard input",
    flags: [
      Flag("url", "URL", environment: ["CARILLON_URL"], "the server (http://127.0.0.1:8080)"),
      Flag("user", "ID", "for one user"),
      Flag("everyone", nil, "for every user, those of tomorrow too"),
      Flag("room", "NAME", "for those in the room now; not kept"),
      Flag("type", "TYPE", "its type (info)"),
      Flag("title", "TEXT", "its title"),
      Flag("message", "TEXT", "its message"),
      Flag("priority", "NAME", "low, normal, high or urgent; not for a room"),
      Flag("data", "JSON", "an object of your own"),
      Flag("count", "N", "publish it so many times (1)"),
      Flag("every", "TIME", "begin one each TIME, such as 500ms, 3s or 1m (at once)"),
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
      // Each has its own time, so a slow answer does not put off those behind it. A server closes
      // a connection that is idle for long.
      if Host.wait(until: start, plus: every, times: index) > Self.idleMilliseconds {
        connection = try HTTPConnection(to: server)
      }
      let answer = try connection.perform(request)
      let text = String(decoding: answer.body, as: UTF8.self)
      if answer.isSuccess {
        Terminal.print(text)
      } else {
        Terminal.say("carillon publish: refused with \(answer.status): \(text)")
        status = 1
      }
    }
    return status
  }

  /// A connection that was idle for longer is not asked again: servers, and what stands before
  /// them, keep one for a minute or so.
  private static let idleMilliseconds: UInt64 = 10_000

  /// Sends standard input, line by line, in batches of what fits into one.
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

/// Whom a publish is for, as the command line says it.
private enum Audience {
  case user(String)
  case everyone
  case room(String)

  /// Nil when there is nobody, and nothing to say either: standard input says both.
  init?(_ arguments: Arguments) throws(UsageError) {
    let given = [
      arguments.value("user").map(Audience.user), arguments.isOn("everyone") ? .everyone : nil,
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

  /// The body of the request, with the names that its endpoint has for the same things.
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

/// What a command proves itself with.
enum Credentials {
  /// The field that carries the token, or the key.
  static func fields(of arguments: Arguments) throws(UsageError) -> [HTTPField] {
    if let token = arguments.value("token"), !token.isEmpty { return [try bearer(token)] }
    if let key = arguments.value("api-key"), !key.isEmpty {
      guard isOneLine(key) else { throw UsageError("the key has a line end in it") }
      return [.apiKey(key)]
    }
    throw UsageError("a publisher's --token or --api-key is needed (CARILLON_TOKEN)")
  }

  /// The field that carries `token`.
  static func bearer(_ token: String) throws(UsageError) -> HTTPField {
    guard isOneLine(token) else { throw UsageError("the token has a line end in it") }
    return .bearer(token)
  }

  /// Whether a field of a request can carry it: a line end would begin another field.
  private static func isOneLine(_ text: String) -> Bool {
    text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
  }
}
