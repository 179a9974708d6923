// `carillon publish`: one notification, several of them at a pace, or NDJSON from standard input.

internal import LoadClient
internal import Wire

/// `carillon publish`.
enum PublishCommand {
  static let command = Command(
    name: "publish", summary: "publish a notification, or NDJSON from standard input",
    flags: [
      Flag("url", "URL", environment: ["CARILLON_URL"], "the server (http://127.0.0.1:8080)"),
      Flag("user", "ID", "whom it is for"),
      Flag("type", "TYPE", "its type (info)"),
      Flag("title", "TEXT", "its title"),
      Flag("message", "TEXT", "its message"),
      Flag("priority", "NAME", "low, normal, high or urgent"),
      Flag("data", "JSON", "an object of your own"),
      Flag("count", "N", "publish it so many times (1)"),
      Flag("every", "TIME", "wait so long between two (0s)"),
      Flag("token", "TOKEN", environment: ["CARILLON_TOKEN"], "a publisher's token"),
      Flag("api-key", "KEY", environment: ["CARILLON_API_KEY"], "a publisher's key"),
    ], run: run)

  @Sendable private static func run(_ arguments: Arguments) throws -> Int32 {
    let server = try ServerURL(parsing: arguments.value("url") ?? "http://127.0.0.1:8080")
    let credentials = try Credentials.fields(of: arguments)
    guard let user = arguments.value("user") else {
      return try publishInput(to: server, credentials)
    }
    let count = try arguments.number("count", in: 1...1_000_000, otherwise: 1)
    let every = try arguments.duration("every", otherwise: 0)
    let body = try body(for: user, arguments)
    let connection = try HTTPConnection(to: server)
    var status: Int32 = 0
    for index in 0..<count {
      if index > 0, every > 0 { Host.pause(milliseconds: Int(every)) }
      let answer = try connection.perform(
        HTTPRequest(
          "POST", "/api/v1/notifications",
          fields: credentials + [HTTPField("Content-Type", "application/json")], body: body))
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

  private static func body(for user: String, _ arguments: Arguments) throws(UsageError) -> [UInt8] {
    var json: [UInt8] = []
    json.openObject()
    json.member("user_id", user)
    json.member("type", arguments.value("type") ?? "info")
    json.member("title", try arguments.required("title"))
    if let message = arguments.value("message") { json.member("message", message) }
    if let priority = arguments.value("priority") { json.member("priority", priority) }
    if let data = arguments.value("data") {
      let bytes = Array(data.utf8)
      var reader = JSONReader(bytes)
      do throws(JSONViolation) {
        _ = try reader.skipValue()
        try reader.finish()
      } catch {
        throw UsageError("--data is not JSON: \(error.reason)")
      }
      json.member("data", json: bytes)
    }
    json.closeObject()
    return json
  }

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

/// What a command proves itself with.
enum Credentials {
  /// The field that carries the token, or the key.
  static func fields(of arguments: Arguments) throws(UsageError) -> [HTTPField] {
    if let token = arguments.value("token"), !token.isEmpty { return [.bearer(token)] }
    if let key = arguments.value("api-key"), !key.isEmpty { return [.apiKey(key)] }
    throw UsageError("a publisher's --token or --api-key is needed (CARILLON_TOKEN)")
  }
}
