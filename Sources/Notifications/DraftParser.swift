// Parses a publisher's JSON into a draft.
//
// `DocumentParser` has the rules of every body. No value over its limit is copied out of the body.

package import Wire

extension Draft {
  /// Reads the JSON object in `range` of `bytes`.
  ///
  /// `isLine` is for a line of a batch: an error of its syntax names the column only.
  package static func parse(
    _ bytes: [UInt8], in range: Range<Int>, isLine: Bool = false
  ) throws(DocumentError) -> Draft {
    var fields = DraftFields()
    try DocumentParser.parse(bytes, in: range, isLine: isLine, DraftFields.names) {
      (parser: inout DocumentParser, reader: inout JSONReader, name: String)
        throws(JSONViolation) in
      try fields.take(name, &parser, from: &reader)
    }
    return try fields.makeDraft()
  }

  /// Whether a link may be sent to clients: a path on the same origin, or https.
  ///
  /// A browser reads `//host` and `/\host` as another origin, and strips tabs and line ends from
  /// anywhere in a URL before parsing it, so backslashes and all control characters are rejected.
  package static func isValidURL(_ url: String) -> Bool {
    let utf8 = url.utf8
    guard utf8.count <= urlByteCountLimit else { return false }
    let isClean = utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\\") }
    guard isClean, !url.hasControlCharacter else { return false }
    if utf8.first == UInt8(ascii: "/") {
      return utf8.dropFirst().first != UInt8(ascii: "/")
    }
    let scheme: [UInt8] = Array("https://".utf8)
    guard utf8.count > scheme.count else { return false }
    let hasScheme = zip(utf8, scheme).allSatisfy { byte, expected in
      byte == expected || (byte | 0x20 == expected && (0x41...0x5A).contains(byte))
    }
    // A host must follow the scheme: not a path, a query or a fragment.
    let host = utf8.dropFirst(scheme.count).first
    return hasScheme
      && host != UInt8(ascii: "/") && host != UInt8(ascii: "?") && host != UInt8(ascii: "#")
  }

  /// Whether `type` is 1 to `typeByteCountLimit` of `[A-Za-z0-9_.:-]`.
  package static func isValidType(_ type: String) -> Bool {
    let utf8 = type.utf8
    guard utf8.count >= 1, utf8.count <= typeByteCountLimit else { return false }
    return utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."),
        UInt8(ascii: ":"), UInt8(ascii: "-"):
        true
      default:
        false
      }
    }
  }
}

/// The fields parsed so far.
private struct DraftFields {
  private enum Field: String, CaseIterable {
    case userID = "user_id"
    case userIDs = "user_ids"
    case audience
    case type
    case priority
    case title
    case message
    case data
    case entityType = "entity_type"
    case entityID = "entity_id"
    case entityURL = "entity_url"
    case actions
    case groupKey = "group_key"
    case expiresAt = "expires_at"
  }

  static let names = Field.allCases.map(\.rawValue)

  private var texts: [Field: String] = [:]
  private var priority = Priority.normal
  private var data = Content.emptyObject
  private var actions: [UInt8]?
  private var expiresAt: Int64?
  private var userIDs: [UserID]?

  /// Reads the value of one field.
  mutating func take(
    _ name: String, _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    guard let field = Field(rawValue: name) else { return }
    switch field {
    case .data:
      let json = try parser.readJSON(
        byteCountLimit: Draft.dataByteCountLimit, mustBeObject: true, from: &reader)
      if let json { data = json }
    case .userIDs: try takeUserIDs(&parser, from: &reader)
    case .actions: actions = try DraftActions.read(&parser, from: &reader)
    default:
      guard let text = try parser.readText(from: &reader) else { return }
      takeText(text, of: field, &parser)
    }
  }

  private mutating func takeText(
    _ text: String, of field: Field, _ parser: inout DocumentParser
  ) {
    texts[field] = text
    switch field {
    case .userID:
      if !UserIDs.isValid(text) { parser.refuse(UserIDs.rule) }
    case .type:
      if !Draft.isValidType(text) { parser.refuse(Draft.typeRule) }
    case .priority:
      if let named = Priority(name: text) {
        priority = named
      } else {
        parser.refuse("must be low, normal, high or urgent")
      }
    case .title: parser.check(text, byteCountLimit: Draft.titleByteCountLimit)
    case .message: parser.check(text, byteCountLimit: Draft.messageByteCountLimit)
    case .entityType: parser.check(text, byteCountLimit: Draft.entityTypeByteCountLimit)
    case .entityID: parser.check(text, byteCountLimit: Draft.entityIDByteCountLimit)
    case .groupKey:
      parser.check(text, byteCountLimit: Draft.groupKeyByteCountLimit)
      // An empty group key means no group: it would join unrelated notifications.
      if text.isEmpty { texts[field] = nil }
    case .entityURL: parser.checkURL(text)
    case .audience:
      if text != "everyone" { parser.refuse("must be everyone") }
    case .expiresAt:
      expiresAt = RFC3339.parse(text)
      if expiresAt == nil { parser.refuse("must be an RFC 3339 time") }
    case .data, .userIDs, .actions:
      break
    }
  }

  private mutating func takeUserIDs(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    var ids: [UserID] = []
    var known: Set<TextKey> = []
    var count = 0
    try parser.readArray(from: &reader) { (parser, reader) throws(JSONViolation) in
      count += 1
      guard !parser.hasProblem else { return }
      guard count <= Draft.userCountLimit else {
        return parser.refuse("must hold at most \(Draft.userCountLimit) ids")
      }
      guard try reader.nextKind() == .string else { return parser.refuse("must hold strings") }
      let id = try reader.readString()
      guard UserIDs.isValid(id) else {
        return parser.refuse("holds an invalid user id: each \(UserIDs.rule)")
      }
      if known.insert(TextKey(id)).inserted { ids.append(id) }
    }
    if count == 0 { parser.refuse("must not be empty") }
    userIDs = ids
  }

  /// Builds the draft, or throws the first error.
  func makeDraft() throws(DocumentError) -> Draft {
    let users: [UserID]?
    switch (texts[.userID], userIDs, texts[.audience]) {
    case (.some, .some, _): throw .invalid(field: "user_ids", reason: "not allowed with user_id")
    case (.some, nil, .some): throw .invalid(field: "audience", reason: "not allowed with user_id")
    case (nil, .some, .some): throw .invalid(field: "audience", reason: "not allowed with user_ids")
    case (.some(let id), nil, nil): users = [id]
    case (nil, .some(let ids), nil): users = ids
    case (nil, nil, .some): users = nil
    case (nil, nil, nil): throw .invalid(field: "user_id", reason: "missing")
    }
    guard let type = texts[.type] else { throw .invalid(field: "type", reason: "missing") }
    guard let title = texts[.title] else { throw .invalid(field: "title", reason: "missing") }
    let content = Content(
      type: type, priority: priority, title: title, message: texts[.message] ?? "", data: data,
      entityType: texts[.entityType], entityID: texts[.entityID], entityURL: texts[.entityURL],
      actions: actions, groupKey: texts[.groupKey], expiresAt: expiresAt)
    guard let users else { return Draft(forEveryone: content) }
    return Draft(content: content, userIDs: users, isForMany: userIDs != nil)
  }
}

/// Reads a draft's actions.
private enum DraftActions {
  /// Reads the array and writes it out again, without white space, so the length is bounded.
  ///
  /// Nil for an empty array.
  static func read(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) -> [UInt8]? {
    var json: [UInt8] = []
    var count = 0
    json.openArray()
    try parser.readArray(from: &reader) { (parser, reader) throws(JSONViolation) in
      count += 1
      guard !parser.hasProblem else { return }
      guard count <= Draft.actionCountLimit else {
        return parser.refuse("must hold at most \(Draft.actionCountLimit) actions")
      }
      guard try reader.nextKind() == .object else {
        return parser.refuse("must hold objects of a label and a url")
      }
      json.beginElement()
      try readOne(&parser, from: &reader, into: &json)
    }
    guard count > 0 else { return nil }
    json.closeArray()
    return json
  }

  private static func readOne(
    _ parser: inout DocumentParser, from reader: inout JSONReader, into json: inout [UInt8]
  ) throws(JSONViolation) {
    var label: String?
    var url: String?
    try parser.readObject(["label", "url"], from: &reader) {
      (parser, reader, name) throws(JSONViolation) in
      guard let text = try parser.readText(from: &reader) else { return }
      if name == "label" {
        if text.isEmpty { parser.refuse("must not be empty") }
        parser.check(text, byteCountLimit: Draft.labelByteCountLimit)
        label = text
      } else {
        parser.checkURL(text)
        url = text
      }
    }
    guard !parser.hasProblem else { return }
    guard let label else { return parser.refuse(member: "label", "missing") }
    guard let url else { return parser.refuse(member: "url", "missing") }
    json.openObject()
    json.member("label", label)
    json.member("url", url)
    json.closeObject()
  }
}

extension DocumentParser {
  /// Refuses a text that is no link for clients.
  fileprivate mutating func checkURL(_ text: String) {
    check(text, byteCountLimit: Draft.urlByteCountLimit)
    if !Draft.isValidURL(text) { refuse("must be a path of this origin, or https") }
  }
}
