// A text message of a WebSocket client, parsed once.
//
// A member means the same in each dialect that has it, so one reader takes the members of all of
// them, and a dialect looks only at those that its own clients send.

internal import Wire

/// The members of a client's message.
///
/// A member of another type counts as absent. Of a repeated member the last one counts, except in
/// an `auth` message.
struct InboundMessage {
  /// Why the text is not a JSON object; then it has no members.
  private(set) var problem: String?
  private(set) var type: String?
  private(set) var data: RoomFields?
  /// The page that a fetch asks for; nil if `limit` is not a whole number.
  private(set) var page: PageRequest? = PageRequest()

  private var isAuth = false
  private var typeCount = 0
  private var tokens: [String] = []

  /// The token of an `auth` message; nil in any other message.
  ///
  /// Without a token, or with a repeated member, it is the empty token, which is never valid: a
  /// credential must have exactly one reading.
  var token: String? {
    guard isAuth else { return nil }
    return typeCount == 1 && tokens.count == 1 ? tokens[0] : ""
  }

  init(_ text: [UInt8]) {
    var reader = JSONReader(text)
    do throws(JSONViolation) {
      guard try reader.nextKind() == .object else {
        problem = "a message is a JSON object"
        return
      }
      try reader.readObject { (reader, name) throws(JSONViolation) in
        try read(name, from: &reader)
      }
      try reader.finish()
    } catch {
      self = InboundMessage(problem: "not JSON: \(error.located(in: text))")
    }
  }

  private init(problem: String) { self.problem = problem }

  private mutating func read(
    _ name: String, from reader: inout JSONReader
  ) throws(JSONViolation) {
    switch (name, try reader.nextKind()) {
    case ("type", .string):
      let type = try reader.readString()
      self.type = type
      isAuth = isAuth || type == "auth"
      typeCount += 1
    case ("token", .string): tokens.append(try reader.readString())
    case ("data", .object): data = try RoomFields(&reader)
    case ("limit", .number):
      var number = JSONReader(reader.bytes, in: try reader.skipValue())
      if let limit = try? number.readInteger() {
        page?.limit = Int(clamping: limit)
      } else {
        page = nil
      }
    case ("unreadOnly", .boolean): page?.unreadOnly = try reader.readBool()
    default: _ = try reader.skipValue()
    }
  }
}
