// `carillon publish`: one notification, the same one several times at a pace, or NDJSON from
// standard input.

internal import LoadClient

/// `carillon publish`.
enum PublishCommand {
  static let command = Command(
    name: "publish", summary: "publish a notification, or NDJSON from standard input",
    examples: [
      #"carillon publish --user alice --title "It rings""#,
      #"carillon publish --everyone --type news --title "Back at noon" --priority high"#,
      #"carillon publish --room lobby --title "Tick" --count 4 --every 3s"#,
      #"carillon publish --user alice --title "Order 7" --action Open=/orders/7 --expires 1h"#,
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
      Flag("data", "JSON", "an object with your own data"),
      Flag("priority", "NAME", "low, normal, high or urgent; not for a room"),
      Flag("entity-url", "URL", "its page: a path, or https; not for a room"),
      Flag(
        "action", "LABEL=URL", isRepeatable: true,
        "a button, up to four of them: repeat the flag; not for a room"),
      Flag("group-key", "KEY", "notifications with one key are one row; not for a room"),
      Flag("expires", "TIME", "a time span such as 2h, or an RFC 3339 time; not for a room"),
      Flag(
        "idempotency-key", "KEY",
        "publish once, however often it is repeated within 24 hours; not for a room"),
      Flag("count", "N", "number of times to publish it (1)"),
      Flag("every", "TIME", "interval between them, such as 500ms, 3s or 1m (none)"),
      Flag("token", "TOKEN", environment: ["CARILLON_TOKEN"], "a publisher's token"),
      Flag("api-key", "KEY", environment: ["CARILLON_API_KEY"], "a publisher's key"),
    ], run: run)

  @Sendable private static func run(_ arguments: Arguments) throws -> Int32 {
    let server = try ServerURL(parsing: arguments.value("url") ?? "http://127.0.0.1:8080")
    let credentials = try Credentials.fields(of: arguments)
    guard let publish = try FlagPublish(arguments, credentials) else {
      var publisher = try InputPublisher(to: server, credentials)
      return try publisher.run()
    }
    let count = try arguments.number("count", in: 1...1_000_000, otherwise: 1)
    let every = try arguments.duration("every", otherwise: 0)
    var connection = try HTTPConnection(to: server)
    let start = Host.monotonicMilliseconds
    var status: Int32 = 0
    for index in 0..<count {
      // Each publish has its own scheduled time, so a slow answer does not delay the later ones. A
      // server closes an idle connection after a while, so a long wait needs a new one.
      if Host.wait(until: start, plus: every, times: index) > idleMilliseconds {
        connection = try HTTPConnection(to: server)
      }
      let answer = try connection.perform(publish.request())
      let text = String(decoding: answer.body, as: UTF8.self)
      if answer.isSuccess {
        Terminal.print(text)
      } else {
        Terminal.say("carillon publish: \(PublishRefusal(status: answer.status, text: text))")
        status = 1
      }
    }
    return status
  }

  /// A connection that was idle for longer is not reused: servers and proxies typically close one
  /// after about a minute.
  static let idleMilliseconds: UInt64 = 10_000
}

/// A publish that the server refused.
struct PublishRefusal: Error, CustomStringConvertible {
  let status: Int
  let text: String

  /// Whether the notifications may be stored nevertheless.
  var isOutcomeUnknown: Bool { status == 504 }

  var description: String {
    isOutcomeUnknown
      ? "no outcome (504), published or not; repeat it with the same --idempotency-key: \(text)"
      : "rejected with \(status): \(text)"
  }
}

/// The header fields that authenticate a command.
enum Credentials {
  /// The field with the token or the key.
  static func fields(of arguments: Arguments) throws(UsageError) -> [HTTPField] {
    if let token = arguments.value("token"), !token.isEmpty { return [try bearer(token)] }
    if let key = arguments.value("api-key"), !key.isEmpty {
      guard HTTPField.canHold(key) else { throw UsageError("the key contains a control character") }
      return [.apiKey(key)]
    }
    throw UsageError("a publisher's --token or --api-key is required (CARILLON_TOKEN)")
  }

  /// The field with `token`.
  static func bearer(_ token: String) throws(UsageError) -> HTTPField {
    guard HTTPField.canHold(token) else {
      throw UsageError("the token contains a control character")
    }
    return .bearer(token)
  }
}
