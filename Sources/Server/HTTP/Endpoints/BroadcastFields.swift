// The bodies of rooms-hub's endpoints and similar ones: an object of short texts, whole numbers and
// a payload.
//
// `DocumentParser` has the rules of every body. `null` means absent, except in a payload that may
// be any value.

internal import Notifications
internal import Wire

/// The fields of a body, each validated.
struct BroadcastFields {
  /// A field that an endpoint may accept.
  enum Field: String {
    case userID = "user_id"
    case room
    case messageType = "message_type"
    case notificationType = "notification_type"
    case updateType = "update_type"
    case title
    case message
    case reason
    /// A user's presence status.
    case status
    case isTyping = "is_typing"
    case paymentID = "payment_id"
    case amount
    case currency
    /// The state of a payment, also named `status` in a body.
    case paymentStatus
    case payload

    /// The field's name in a body.
    var name: String { self == .paymentStatus ? Field.status.rawValue : rawValue }

    /// Why `text` is not valid in this field; nil if it is valid.
    fileprivate func problem(with text: String) -> String? {
      switch self {
      case .userID: UserIDs.isValid(text) ? nil : UserIDs.rule
      case .room: RoomNames.isValid(text) ? nil : RoomNames.rule
      case .notificationType, .currency, .paymentStatus:
        Draft.isValidType(text) ? nil : Draft.typeRule
      case .messageType, .updateType: tooLong(text, Draft.typeByteCountLimit)
      case .title: tooLong(text, Draft.titleByteCountLimit)
      case .message: tooLong(text, Draft.messageByteCountLimit)
      case .reason:
        DisconnectReasons.isValid(text)
          ? nil : "at most \(DisconnectReasons.byteCountLimit) bytes without control characters"
      case .status: PresenceStatus(name: text) == nil ? "online, away, busy or offline" : nil
      case .paymentID:
        PaymentRules.isValidID(text)
          ? nil : "1 to \(PaymentRules.idByteCountLimit) bytes without control characters"
      case .isTyping, .amount, .payload: nil
      }
    }

    private func tooLong(_ text: String, _ byteCountLimit: Int) -> String? {
      text.utf8.count > byteCountLimit ? "over \(byteCountLimit) bytes" : nil
    }
  }

  /// The values that an endpoint accepts as a payload.
  enum PayloadKind {
    case object, anyValue
  }

  private var texts: [Field: String] = [:]
  private var numbers: [Field: Int64] = [:]
  /// The payload as it was sent; an empty object when it is absent.
  private(set) var payload = Content.emptyObject
  /// The value of `is_typing`; nil when it is absent.
  private(set) var isTyping: Bool?

  /// Reads the body of a request to an endpoint that accepts `fields`.
  init(
    _ request: Request, _ fields: Set<Field>, payload kind: PayloadKind = .object,
    ignoresUnknown: Bool = false
  ) throws(Refusal) {
    try Endpoints.requireJSON(request)
    try self.init(request.body, fields, payload: kind, ignoresUnknown: ignoresUnknown)
  }

  /// Reads a body.
  init(
    _ body: [UInt8], _ fields: Set<Field>, payload kind: PayloadKind = .object,
    ignoresUnknown: Bool = false
  ) throws(Refusal) {
    let names = fields.map(\.name).sorted()
    let nullable = kind == .anyValue ? Field.payload.name : nil
    do throws(DocumentError) {
      try DocumentParser.parse(
        body, names, ignoresUnknown: ignoresUnknown, keepingNullOf: nullable
      ) {
        (parser: inout DocumentParser, reader: inout JSONReader, name: String)
          throws(JSONViolation) in
        guard let field = fields.first(where: { $0.name == name }) else { return }
        try take(field, kind, &parser, from: &reader)
      }
    } catch {
      throw Refusal(error)
    }
  }

  /// A required text field.
  func text(_ field: Field) throws(Refusal) -> String {
    guard let text = texts[field] else { throw .invalid("\(field.name): missing") }
    return text
  }

  /// A required number.
  func number(_ field: Field) throws(Refusal) -> Int64 {
    guard let number = numbers[field] else { throw .invalid("\(field.name): missing") }
    return number
  }

  /// The required id of a payment, a number or a text.
  func paymentID() throws(Refusal) -> PaymentID {
    if let number = numbers[.paymentID] { return .number(number) }
    return .text(try text(.paymentID))
  }

  /// An optional text field.
  func optional(_ field: Field) -> String? { texts[field] }

  /// Reads one member.
  private mutating func take(
    _ field: Field, _ payloadKind: PayloadKind, _ parser: inout DocumentParser,
    from reader: inout JSONReader
  ) throws(JSONViolation) {
    switch field {
    case .payload:
      let json = try parser.readJSON(
        byteCountLimit: Draft.dataByteCountLimit, mustBeObject: payloadKind == .object,
        from: &reader)
      if let json { payload = json }
    case .isTyping: isTyping = try parser.readFlag(from: &reader)
    case .amount: numbers[field] = try parser.readInteger(in: PaymentRules.numbers, from: &reader)
    case .paymentID where try reader.nextKind() == .number:
      numbers[field] = try parser.readInteger(in: PaymentRules.numbers, from: &reader)
    case .paymentID where try reader.nextKind() != .string:
      parser.refuse("must be a string or a whole number")
    default:
      guard let text = try parser.readText(from: &reader) else { return }
      texts[field] = text
      if let reason = field.problem(with: text) { parser.refuse(reason) }
    }
  }
}

extension Refusal {
  /// The answer to a refused document.
  init(_ error: DocumentError) {
    switch error {
    case .malformed(let reason): self = .malformed(reason)
    case .invalid(let field, let reason): self = .invalid("\(field): \(reason)")
    }
  }
}
