// The bodies of rooms-hub's endpoints and similar ones: an object of short texts, whole numbers and
// a payload.
//
// The rules are those of a draft. Broken JSON is malformed (400) and takes precedence over all
// other errors. The error names the first invalid field (422). `null` means absent, except in a
// payload that may be any value. A known field given twice is refused; an unknown one is ignored.

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
      case .userID: UserIDs.isValid(text) ? nil : "not a user id"
      case .room: RoomNames.isValid(text) ? nil : "not the name of a room"
      case .notificationType, .currency, .paymentStatus:
        Draft.isValidType(text) ? nil : "must be 1 to 64 of [A-Za-z0-9_.:-]"
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
  private var taken: Set<Field> = []
  private var problem: String?

  /// Reads the body of a request to an endpoint that accepts `fields`.
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
          guard let field = fields.first(where: { $0.name == name }) else {
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

  private mutating func refuse(_ reason: String) {
    if problem == nil { problem = reason }
  }

  /// Reads one member; its value is always consumed.
  private mutating func take(
    _ field: Field, _ payloadKind: PayloadKind, from reader: inout JSONReader
  ) throws(JSONViolation) {
    guard taken.insert(field).inserted else {
      refuse("\(field.name): given twice")
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
    case (.amount, .number), (.paymentID, .number):
      takeNumber(field, try reader.skipValue(), of: reader.bytes)
    case (.amount, _):
      refuse("amount: must be a whole number")
      _ = try reader.skipValue()
    case (_, .string):
      let text = try reader.readString()
      texts[field] = text
      if let reason = field.problem(with: text) { refuse("\(field.name): \(reason)") }
    default:
      let kinds = field == .paymentID ? "a string or a whole number" : "a string"
      refuse("\(field.name): must be \(kinds)")
      _ = try reader.skipValue()
    }
  }

  /// Takes the number in `range`.
  ///
  /// It is valid JSON but may be out of bounds for this field. A reader of its own parses it, so
  /// that its error does not make the whole body malformed.
  private mutating func takeNumber(_ field: Field, _ range: Range<Int>, of bytes: [UInt8]) {
    let numbers = PaymentRules.numbers
    var reader = JSONReader(bytes, in: range)
    do throws(JSONViolation) {
      let number = try reader.readInteger()
      // guard: payment-number-range
      if numbers.contains(number) { return self.numbers[field] = number }
    } catch {
      // A fraction, an exponent or too many digits: refused like a number that is out of range.
    }
    refuse(
      "\(field.name): must be a whole number of \(numbers.lowerBound) to \(numbers.upperBound)")
  }

  private mutating func takePayload(_ range: Range<Int>, of bytes: [UInt8]) {
    if range.count > Draft.dataByteCountLimit {
      refuse("payload: over \(Draft.dataByteCountLimit) bytes")
    } else {
      payload = Array(bytes[range])
    }
  }
}
