// The notification of `carillon publish` that the flags describe.

internal import LoadClient
internal import Server
internal import Wire

/// A publish to one audience, with its content from the command line.
struct FlagPublish {
  private enum Audience {
    case user(String), everyone
    case room(String)
  }

  /// The flags that describe what is published; without an audience they have no effect.
  private static let contentFlags =
    ["type", "title", "message", "data", "count", "every"] + storedFlags
  /// The flags that only a stored notification can have.
  private static let storedFlags = [
    "priority", "entity-url", "action", "group-key", "expires", "idempotency-key",
  ]

  private let audience: Audience
  private let fields: [HTTPField]
  private let expiry: Expiry?
  /// The body's members, less the expiry.
  private var members: [UInt8] = []

  /// Nil without an audience and without content flags: standard input holds both.
  init?(_ arguments: Arguments, _ credentials: [HTTPField]) throws(UsageError) {
    guard let audience = try Self.audience(arguments) else { return nil }
    self.audience = audience
    expiry = try arguments.expiry()
    let key = try arguments.idempotencyKey(with: expiry)
    fields = credentials + [HTTPField("Content-Type", "application/json")] + key
    members = try Self.members(arguments, audience)
  }

  /// The request; an expiry that is a time span counts from now.
  func request() -> HTTPRequest {
    var json = members
    switch expiry {
    case nil: break
    case .at(let time): json.member("expires_at", time)
    case .after(let milliseconds):
      // The sum is in range: `expiry()` limits the span.
      json.member("expires_at", time: Host.now * 1_000 + milliseconds)
    }
    json.closeObject()
    let path =
      if case .room = audience {
        "/api/v1/websocket/send/room"
      } else {
        "/api/v1/notifications"
      }
    return HTTPRequest("POST", path, fields: fields, body: json)
  }

  private static func audience(_ arguments: Arguments) throws(UsageError) -> Audience? {
    let given = [
      arguments.value("user").map(Audience.user), try arguments.isOn("everyone") ? .everyone : nil,
      arguments.value("room").map(Audience.room),
    ].compactMap { $0 }
    guard given.count <= 1 else {
      throw UsageError("only one of --user, --everyone and --room can be given")
    }
    guard let audience = given.first else {
      for name in contentFlags where arguments.value(name) != nil {
        throw UsageError("--\(name) needs one of --user, --everyone and --room")
      }
      return nil
    }
    if case .room = audience {
      for name in storedFlags where arguments.value(name) != nil {
        throw UsageError("--\(name) is not for a room, whose messages are not stored")
      }
    }
    return audience
  }

  /// The members, with the field names of the audience's endpoint.
  private static func members(
    _ arguments: Arguments, _ audience: Audience
  ) throws(UsageError) -> [UInt8] {
    var json: [UInt8] = []
    json.openObject()
    var names = (type: "type", data: "data")
    switch audience {
    case .user(let user): json.member("user_id", user)
    case .everyone: json.member("audience", "everyone")
    case .room(let room):
      json.member("room", room)
      names = (type: "notification_type", data: "payload")
    }
    json.member(names.type, arguments.value("type") ?? "info")
    json.member("title", try arguments.required("title"))
    // guard: flags-of-a-notification
    for (flag, name) in [
      ("message", "message"), ("priority", "priority"), ("entity-url", "entity_url"),
      ("group-key", "group_key"),
    ] {
      if let text = arguments.value(flag) { json.member(name, text) }
    }
    let actions = try arguments.actions()
    if !actions.isEmpty {
      json.member("actions", array: actions) { json, action in
        json.openObject()
        json.member("label", action.label)
        json.member("url", action.url)
        json.closeObject()
      }
    }
    if let data = try arguments.data() { json.member(names.data, json: data) }
    return json
  }
}

/// The end of a notification: an RFC 3339 time, or milliseconds from its publish.
private enum Expiry {
  case at(String)
  case after(Int64)
}

extension Arguments {
  /// The value of `--expires`.
  fileprivate func expiry() throws(UsageError) -> Expiry? {
    guard let text = value("expires") else { return nil }
    if RFC3339.parse(text) != nil { return .at(text) }
    // A hundred years, so that the sum with the present time is a time that RFC 3339 can write.
    guard let milliseconds = Duration.milliseconds(text), milliseconds > 0,
      milliseconds <= 100 * 365 * 86_400_000
    else {
      throw UsageError(
        "--expires must be a time span such as 90s, 2h or 30d, at most 36500d, "
          + "or a time such as 2031-01-31T12:00:00Z, not '\(text)'")
    }
    return .after(milliseconds)
  }

  /// The field with the idempotency key; none when it is absent.
  ///
  /// A server compares the bytes of a repeated request, so they must be the same each time.
  fileprivate func idempotencyKey(with expiry: Expiry?) throws(UsageError) -> [HTTPField] {
    guard let key = value("idempotency-key") else { return [] }
    let limit = Limits.idempotencyKeyBytesLimit
    guard 1...limit ~= key.utf8.count, key.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
      throw UsageError("--idempotency-key must be 1 to \(limit) printable ASCII characters")
    }
    guard value("count") == nil else {
      throw UsageError("--idempotency-key and --count cannot be used together")
    }
    if case .after = expiry {
      throw UsageError("with --idempotency-key, --expires must be a time, not a time span")
    }
    return [HTTPField("Idempotency-Key", key)]
  }

  /// The actions in the order of their flags.
  fileprivate func actions() throws(UsageError) -> [(label: String, url: String)] {
    try values("action").map { (text) throws(UsageError) in
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
        throw UsageError("--action must be LABEL=URL, such as Open=/orders/7, not '\(text)'")
      }
      return (String(parts[0]), String(parts[1]))
    }
  }

  /// The JSON of `--data`.
  fileprivate func data() throws(UsageError) -> [UInt8]? {
    guard let text = value("data") else { return nil }
    let bytes = Array(text.utf8)
    var reader = JSONReader(bytes)
    do throws(JSONViolation) {
      _ = try reader.skipValue()
      try reader.finish()
    } catch {
      throw UsageError("--data is not JSON: \(error.located(in: bytes))")
    }
    return bytes
  }
}
