// `carillon key`: create, list, revoke and rotate the API keys of a running server.
//
// A secret goes to standard output alone, so `KEY=$(carillon key create --name ci)` has it and no
// terminal shows it; the rest goes to standard error.

internal import LoadClient
internal import Wire

/// `carillon key`.
enum KeyCommand {
  static let command = Command(
    name: "key", summary: "create, list, revoke or rotate API keys",
    subcommands: [
      Command(
        name: "key create", summary: "create an API key and print its secret, once",
        examples: [
          "carillon key create --name billing",
          "carillon key create --name ci --verbs publish,read --types 'build_*,deploy' --ttl 90d",
        ],
        flags: [
          Flag("name", "NAME", "its name in lists"),
          Flag(
            "verbs", "LIST",
            "of publish, broadcast, read, disconnect, webhooks and admin, "
              + "comma-separated (publish)"),
          Flag("types", "LIST", "types it may publish, comma-separated; * matches any text (all)"),
          Flag("ttl", "TIME", "lifetime, such as 90d (unlimited)"),
        ] + commonFlags, run: create),
      Command(
        name: "key list", summary: "list the API keys, without their secrets",
        examples: ["carillon key list"], flags: commonFlags, run: list),
      Command(
        name: "key revoke", summary: "revoke an API key; it is refused everywhere at once",
        examples: ["carillon key revoke key_4k0c2w9z7q1m8x3a"], flags: commonFlags,
        operand: "ID", run: revoke),
      Command(
        name: "key rotate", summary: "print a new secret of an API key; the old one ends later",
        examples: [
          "carillon key rotate key_4k0c2w9z7q1m8x3a",
          "carillon key rotate key_4k0c2w9z7q1m8x3a --overlap 0",
        ],
        flags: [
          Flag("overlap", "TIME", "how long the old secret stays valid, at most 7d (24h)")
        ] + commonFlags, operand: "ID", run: rotate),
    ])

  private static let commonFlags = [
    Flag("url", "URL", environment: ["CARILLON_URL"], "the server (http://127.0.0.1:8080)"),
    Flag("token", "TOKEN", environment: ["CARILLON_TOKEN"], "an administrator's token"),
    Flag("api-key", "KEY", environment: ["CARILLON_API_KEY"], "an administrator's key"),
    Flag("json", nil, "print the server's answer as JSON"),
  ]

  /// The largest lifetime of a key, a hundred years, so that its end has four digits of the year.
  private static let longestMilliseconds: Int64 = 100 * 365 * 86_400_000

  // MARK: Commands

  @Sendable private static func create(_ arguments: Arguments) throws -> Int32 {
    var body: [UInt8] = []
    body.openObject()
    body.member("name", try arguments.required("name"))
    body.member("verbs", texts: parts(of: arguments.value("verbs") ?? "publish"))
    body.member("types", texts: parts(of: arguments.value("types") ?? ""))
    if arguments.value("ttl") != nil {
      let milliseconds = try arguments.duration("ttl", otherwise: 0)
      guard 1...longestMilliseconds ~= milliseconds else {
        throw UsageError("--ttl must be a time such as 12h or 90d, at most 36500d")
      }
      body.member("expires_at", time: Host.now * 1_000 + milliseconds)
    }
    body.closeObject()
    return try printSecret("POST", "", body, arguments) { "created \($0.id), \($0.name)" }
  }

  @Sendable private static func rotate(_ arguments: Arguments) throws -> Int32 {
    let id = try operand(of: arguments)
    let milliseconds = try arguments.duration("overlap", otherwise: 86_400_000)
    var body: [UInt8] = []
    body.openObject()
    body.member("overlap", Int(milliseconds / 1_000))
    body.closeObject()
    return try printSecret("POST", "/\(id)/rotate", body, arguments) { key in
      let end = key.earlierEnd.map { "until \($0)" } ?? "no more"
      return "rotated \(key.id), \(key.name); the old secret is valid \(end)"
    }
  }

  @Sendable private static func revoke(_ arguments: Arguments) throws -> Int32 {
    let id = try operand(of: arguments)
    guard let (text, data) = try perform("DELETE", "/\(id)", [], arguments) else { return 1 }
    if try arguments.isOn("json") { return printed(text) }
    let key = try KeyAnswer(data)
    return printed("revoked \(key.id), \(key.name)")
  }

  @Sendable private static func list(_ arguments: Arguments) throws -> Int32 {
    let isJSON = try arguments.isOn("json")
    var keys: [KeyAnswer] = []
    var json: [UInt8] = []
    var next: String?
    repeat {
      let query = next.map { "?after=\($0)" } ?? ""
      guard let (_, data) = try perform("GET", query, [], arguments) else { return 1 }
      let page = try KeyPage(data)
      keys += page.keys
      for key in page.keys {
        json.append(contentsOf: json.isEmpty ? [] : [UInt8(ascii: ",")])
        json.append(contentsOf: key.json)
      }
      next = page.next
    } while next != nil
    if isJSON { return printed("[" + String(decoding: json, as: UTF8.self) + "]") }
    if keys.isEmpty { Terminal.say("no API keys") }
    for key in keys { Terminal.print(key.line) }
    return 0
  }

  // MARK: Requests

  /// Sends a request that makes a secret; prints the secret, and says `text` of the key.
  private static func printSecret(
    _ method: String, _ path: String, _ body: [UInt8], _ arguments: Arguments,
    _ text: (KeyAnswer) -> String
  ) throws -> Int32 {
    guard let (answer, data) = try perform(method, path, body, arguments) else { return 1 }
    if try arguments.isOn("json") { return printed(answer) }
    let key = try KeyAnswer(data)
    Terminal.say("\(text(key)); the secret is shown only now:")
    return printed(key.secret ?? "")
  }

  /// Sends a request; returns the text of the answer and its bytes, nil after a refusal.
  private static func perform(
    _ method: String, _ path: String, _ body: [UInt8], _ arguments: Arguments
  ) throws -> (text: String, data: [UInt8])? {
    let server = try ServerURL(parsing: arguments.value("url") ?? "http://127.0.0.1:8080")
    var fields = try Credentials.fields(of: arguments)
    if !body.isEmpty { fields.append(HTTPField("Content-Type", "application/json")) }
    let connection = try HTTPConnection(to: server)
    defer { connection.close() }
    let answer = try connection.perform(
      HTTPRequest(method, "/api/v1/keys" + path, fields: fields, body: body))
    let text = String(decoding: answer.body, as: UTF8.self)
    guard answer.isSuccess else {
      Terminal.say("carillon key: rejected with \(answer.status): \(text)")
      return nil
    }
    return (text, answer.body)
  }

  private static func printed(_ text: String) -> Int32 {
    Terminal.print(text)
    return 0
  }

  /// The id on the command line, which becomes a part of the path.
  private static func operand(of arguments: Arguments) throws(UsageError) -> String {
    let id = try arguments.requiredOperand()
    // guard: key-id-in-path
    guard !id.isEmpty,
      id.utf8.allSatisfy({ byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
          UInt8(ascii: "_"):
          true
        default: false
        }
      })
    else {
      throw UsageError("'\(id)' is not the id of a key, such as key_4k0c2w9z7q1m8x3a")
    }
    return id
  }

  private static func parts(of list: String) -> [String] {
    list.split { $0 == "," || $0 == " " }.map(String.init)
  }
}

/// An answer that is none of this interface.
private struct UnexpectedAnswer: Error, CustomStringConvertible {
  var description: String { "the answer is not that of a Carillon server" }
}

/// A key in an answer.
private struct KeyAnswer {
  private(set) var id = ""
  private(set) var name = ""
  private(set) var secret: String?
  private(set) var earlierEnd: String?
  /// Its own text.
  private(set) var json: [UInt8] = []
  private var verbs: [String] = []
  private var types: [String] = []
  private var expiresAt: String?
  private var revokedAt: String?
  private var lastUsedAt: String?

  /// Reads the key in the `data` of an answer.
  init(_ answer: [UInt8]) throws(UnexpectedAnswer) {
    var key: KeyAnswer?
    try AnswerReading.readData(answer) { (reader) throws(JSONViolation) in
      key = try KeyAnswer(from: &reader)
    }
    guard let key else { throw UnexpectedAnswer() }
    self = key
  }

  /// Reads the next value.
  init(from reader: inout JSONReader) throws(JSONViolation) {
    var copy = reader
    json = Array(reader.bytes[try copy.skipValue()])
    try reader.readObject { (reader: inout JSONReader, member: String) throws(JSONViolation) in
      switch (member, try reader.nextKind()) {
      case ("id", .string): id = try reader.readString()
      case ("name", .string): name = try reader.readString()
      case ("secret", .string): secret = try reader.readString()
      case ("earlier_secret_expires_at", .string): earlierEnd = try reader.readString()
      case ("expires_at", .string): expiresAt = try reader.readString()
      case ("revoked_at", .string): revokedAt = try reader.readString()
      case ("last_used_at", .string): lastUsedAt = try reader.readString()
      case ("verbs", .array): verbs = try AnswerReading.texts(from: &reader)
      case ("types", .array): types = try AnswerReading.texts(from: &reader)
      default: _ = try reader.skipValue()
      }
    }
  }

  /// Its line in a list.
  var line: String {
    let rights = verbs.joined(separator: ",")
    let end = revokedAt.map { "revoked \($0)" } ?? expiresAt.map { "expires \($0)" } ?? "no end"
    return [
      id, Program.padded(name, 20), Program.padded(rights, 20),
      types.isEmpty ? "all types" : types.joined(separator: ","), end,
      lastUsedAt.map { "used \($0)" } ?? "not used yet",
    ].joined(separator: "  ")
  }
}

/// A page of keys in an answer.
private struct KeyPage {
  private(set) var keys: [KeyAnswer] = []
  private(set) var next: String?

  init(_ answer: [UInt8]) throws(UnexpectedAnswer) {
    try AnswerReading.readData(answer) { (reader) throws(JSONViolation) in
      try reader.readObject { (reader: inout JSONReader, member: String) throws(JSONViolation) in
        switch (member, try reader.nextKind()) {
        case ("keys", .array):
          try reader.readArray { (reader: inout JSONReader) throws(JSONViolation) in
            keys.append(try KeyAnswer(from: &reader))
          }
        case ("next", .string): next = try reader.readString()
        default: _ = try reader.skipValue()
        }
      }
    }
  }
}

/// Reads the answers of a server.
private enum AnswerReading {
  /// Calls `read` for the object in `data`.
  static func readData(
    _ answer: [UInt8], _ read: (inout JSONReader) throws(JSONViolation) -> Void
  ) throws(UnexpectedAnswer) {
    var reader = JSONReader(answer)
    do throws(JSONViolation) {
      try reader.readObject { (reader: inout JSONReader, member: String) throws(JSONViolation) in
        if member == "data", try reader.nextKind() == .object {
          try read(&reader)
        } else {
          _ = try reader.skipValue()
        }
      }
    } catch {
      throw UnexpectedAnswer()
    }
  }

  /// Reads the texts of an array.
  static func texts(from reader: inout JSONReader) throws(JSONViolation) -> [String] {
    var texts: [String] = []
    try reader.readArray { (reader: inout JSONReader) throws(JSONViolation) in
      if try reader.nextKind() == .string {
        texts.append(try reader.readString())
      } else {
        _ = try reader.skipValue()
      }
    }
    return texts
  }
}
