// The fields of requests about webhooks.

internal import Channels
internal import Notifications
internal import Wire

/// The valid fields of a request's body.
struct WebhookFields {
  enum Name: String {
    case url, types, secret, description, enabled, overlap, ids, since
  }

  /// Deliveries that one replay may name.
  static let idCountLimit = 100

  private(set) var url: String?
  private(set) var types: WebhookTypes?
  private(set) var secret: WebhookSecret?
  private(set) var description: String?
  private(set) var isEnabled: Bool?
  private(set) var overlapMilliseconds: Int64?
  /// The numbers of events.
  private(set) var ids: [Int64]?
  /// Milliseconds since 1970.
  private(set) var since: Int64?

  /// Reads the fields of these names; an empty body has none.
  init(_ request: Request, _ names: [Name]) throws(Refusal) {
    try Endpoints.requireJSON(request)
    if request.body.isEmpty { return }
    var fields = WebhookFields()
    do throws(DocumentError) {
      try DocumentParser.parse(request.body, names.map(\.rawValue)) {
        (parser: inout DocumentParser, reader: inout JSONReader, name: String)
          throws(JSONViolation) in
        guard let name = Name(rawValue: name) else { return }
        try fields.take(name, &parser, from: &reader)
      }
    } catch {
      throw Refusal(error)
    }
    self = fields
  }

  private init() {}

  private mutating func take(
    _ name: Name, _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    switch name {
    case .url:
      guard let text = try parser.readText(from: &reader) else { return }
      parser.check(text, byteCountLimit: WebhookEndpoint.urlByteCountLimit)
      url = text
    case .types:
      types = try readTypes(&parser, from: &reader)
    case .secret:
      guard let text = try parser.readText(from: &reader) else { return }
      secret = WebhookSecret(text)
      if secret == nil { parser.refuse("must be whsec_ and 24 to 64 bytes in base64") }
    case .description:
      guard let text = try parser.readText(from: &reader) else { return }
      parser.check(text, byteCountLimit: WebhookEndpoint.descriptionByteCountLimit)
      if text.hasControlCharacter { parser.refuse("must have no control characters") }
      description = text
    case .enabled:
      isEnabled = try parser.readFlag(from: &reader)
    case .overlap:
      let limit = WebhookEndpoint.overlapMillisecondsLimit / 1_000
      overlapMilliseconds = try parser.readInteger(in: 0...limit, from: &reader).map { $0 * 1_000 }
    case .ids:
      ids = try readIDs(&parser, from: &reader)
    case .since:
      guard let text = try parser.readText(from: &reader) else { return }
      since = RFC3339.parse(text)
      if since == nil { parser.refuse("must be a time as 2026-01-31T12:00:00Z") }
    }
  }

  private func readTypes(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) -> WebhookTypes? {
    var found: [WebhookEventType] = []
    try parser.readArray(from: &reader) {
      (parser: inout DocumentParser, reader: inout JSONReader) throws(JSONViolation) in
      guard let text = try parser.readText(from: &reader) else { return }
      guard let type = WebhookEventType.selectable.first(where: { $0.name == text }) else {
        return parser.refuse(
          "must be of " + WebhookEventType.selectable.map(\.name).joined(separator: ", "))
      }
      found.append(type)
    }
    if found.isEmpty { parser.refuse("must name a type; without the field it is every type") }
    return WebhookTypes(found)
  }

  private func readIDs(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) -> [Int64]? {
    var found: [Int64] = []
    try parser.readArray(from: &reader) {
      (parser: inout DocumentParser, reader: inout JSONReader) throws(JSONViolation) in
      guard let text = try parser.readText(from: &reader) else { return }
      guard let number = OutboxMessageID.sequence(text) else {
        return parser.refuse("must be ids of deliveries")
      }
      found.append(number)
    }
    guard (1...Self.idCountLimit).contains(found.count) else {
      parser.refuse("must be 1 to \(Self.idCountLimit) ids")
      return nil
    }
    return found
  }
}
