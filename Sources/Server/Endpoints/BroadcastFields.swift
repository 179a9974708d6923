// The bodies of rooms-hub's endpoints and of those that are alike: an object of short texts and a
// payload.
//
// The rules are those of a draft. Broken JSON is malformed (400) and wins over everything else;
// the first field that is wrong is named (422); `null` is the same as absent, but where a payload
// may be any value; a known field given twice is refused, and one that nobody knows is ignored.

internal import Notifications
internal import Wire

/// What a body says, checked field by field.
struct BroadcastFields {
  /// A field that an endpoint may know.
  enum Field: String {
    case userID = "user_id"
    case room
    case messageType = "message_type"
    case notificationType = "notification_type"
    case updateType = "update_type"
    case title
    case message
    case reason
    case status
    case isTyping = "is_typing"
    case payload

    /// Why `text` cannot be this field's; nil when it can.
    fileprivate func problem(with text: String) -> String? {
      switch self {
      case .userID: UserIDs.isValid(text) ? nil : "not a user id"
      case .room: RoomNames.isValid(text) ? nil : "not the name of a room"
      case .notificationType:
        Draft.isValidType(text) ? nil : "must be 1 to 64 of [A-Za-z0-9_.:-]"
      case .messageType, .updateType: tooLong(text, Draft.typeByteCountLimit)
      case .title: tooLong(text, Draft.titleByteCountLimit)
      case .message: tooLong(text, Draft.messageByteCountLimit)
      case .reason:
        DisconnectReasons.isValid(text)
          ? nil : "at most \(DisconnectReasons.byteCountLimit) bytes without control characters"
      case .status: PresenceStatus(name: text) == nil ? "online, away, busy or offline" : nil
      case .isTyping, .payload: nil
      }
    }

    private func tooLong(_ text: String, _ byteCountLimit: Int) -> String? {
      text.utf8.count > byteCountLimit ? "over \(byteCountLimit) bytes" : nil
    }
  }

  /// What a payload may be.
  enum PayloadKind {
    case object, anyValue
  }

  private var texts: [Field: String] = [:]
  /// The payload as it was sent; an empty object when it is absent.
  private(set) var payload = Content.emptyObject
  /// What `is_typing` says; nil when it is absent.
  private(set) var isTyping: Bool?
  private var taken: Set<Field> = []
  private var problem: String?

  /// Reads the body of a request to an endpoint that knows `fields`.
  init(
    _ request: Request, _ fields: Set<Field>, payload kind: PayloadKind = .object
  ) throws(Refusal) {
    try Endpoints.requireJSON(request)
    try self.init(request.body, fields, payload: kind)
  }

  /// Reads a body.
  init(
    _ body: [UInt8], _ fields: Set<Field>, payload kind: PayloadKind = .object
  ) throws(Refusal) {
    var reader = JSONReader(body)
    do throws(JSONViolation) {
      if try reader.nextKind() == .object {
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONViolation) in
          guard let field = Field(rawValue: name), fields.contains(field) else {
            _ = try reader.skipValue()
            return
          }
          try take(field, kind, from: &reader)
        }
      } else {
        refuse("body: must be an object")
        _ = try reader.skipValue()
      }
      try reader.finish()
    } catch {
      throw .malformed(error.reason)
    }
    if let problem { throw .invalid(problem) }
  }

  /// A field that must be there.
  func text(_ field: Field) throws(Refusal) -> String {
    guard let text = texts[field] else { throw .invalid("\(field.rawValue): missing") }
    return text
  }

  /// A field that may be there.
  func optional(_ field: Field) -> String? { texts[field] }

  private mutating func refuse(_ reason: String) {
    if problem == nil { problem = reason }
  }

  /// Reads one member; its value is always consumed.
  private mutating func take(
    _ field: Field, _ payloadKind: PayloadKind, from reader: inout JSONReader
  ) throws(JSONViolation) {
    guard taken.insert(field).inserted else {
      refuse("\(field.rawValue): given twice")
      _ = try reader.skipValue()
      return
    }
    switch (field, try reader.nextKind()) {
    case (.payload, .object):
      takePayload(try reader.skipValue(), of: reader.bytes)
    case (.payload, _) where payloadKind == .anyValue:
      takePayload(try reader.skipValue(), of: reader.bytes)
    case (_, .null):
      try reader.readNull()
    case (.payload, _):
      refuse("payload: must be an object")
      _ = try reader.skipValue()
    case (.isTyping, .boolean):
      isTyping = try reader.readBool()
    case (.isTyping, _):
      refuse("is_typing: must be true or false")
      _ = try reader.skipValue()
    case (_, .string):
      let text = try reader.readString()
      texts[field] = text
      if let reason = field.problem(with: text) { refuse("\(field.rawValue): \(reason)") }
    default:
      refuse("\(field.rawValue): must be a string")
      _ = try reader.skipValue()
    }
  }

  private mutating func takePayload(_ range: Range<Int>, of bytes: [UInt8]) {
    if range.count > Draft.dataByteCountLimit {
      refuse("payload: over \(Draft.dataByteCountLimit) bytes")
    } else {
      payload = Array(bytes[range])
    }
  }
}
