// Parses a publisher's JSON into a draft.
//
// The whole text is parsed first, so broken JSON is always reported as malformed, even when a field
// before the break is invalid; the parser keeps the first invalid field. No value over its limit is
// copied out of the body.

internal import Wire

extension Draft {
  /// Reads the JSON object in `range` of `bytes`.
  package static func parse(_ bytes: [UInt8], in range: Range<Int>) throws(DraftError) -> Draft {
    var fields = DraftFields()
    var reader = JSONReader(bytes, in: range)
    do throws(JSONViolation) {
      if try reader.nextKind() == .object {
        try reader.readObject {
          (reader: inout JSONReader, name: String) throws(JSONViolation) -> Void in
          try fields.take(name, from: &reader, of: bytes)
        }
      } else {
        _ = try reader.skipValue()
        fields.refuse("body", "must be an object")
      }
      try reader.finish()
    } catch {
      throw .malformed(reason: error.reason)
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

  /// Whether `type` is 1 to 64 of `[A-Za-z0-9_.:-]`.
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

/// The fields parsed so far, and the first error.
private struct DraftFields {
  enum Field: String {
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

  private var problem: (field: String, reason: String)?
  private var taken: Set<Field> = []
  private var texts: [Field: String] = [:]
  private var priority = Priority.normal
  private var data = Content.emptyObject
  private var actions: [UInt8]?
  private var expiresAt: Int64?
  private var userIDs: [UserID]?

  mutating func refuse(_ field: String, _ reason: String) {
    if problem == nil { problem = (field, reason) }
  }

  private mutating func refuse(_ field: Field, _ reason: String) {
    refuse(field.rawValue, reason)
  }

  /// Reads one member.
  ///
  /// Always consumes its value.
  mutating func take(
    _ name: String, from reader: inout JSONReader, of bytes: [UInt8]
  ) throws(JSONViolation) {
    guard let field = Field(rawValue: name) else {
      _ = try reader.skipValue()
      return
    }
    guard taken.insert(field).inserted else {
      refuse(field, "given twice")
      _ = try reader.skipValue()
      return
    }
    let kind = try reader.nextKind()
    switch (field, kind) {
    case (_, .null):
      try reader.readNull()
    case (.data, .object):
      let range = try reader.skipValue()
      if range.count <= Draft.dataByteCountLimit {
        data = Array(bytes[range])
      } else {
        refuse(field, "too long")
      }
    case (.userIDs, .array):
      try takeUserIDs(from: &reader)
    case (.actions, .array):
      try takeActions(from: &reader)
    case (.data, _), (.userIDs, _), (.actions, _):
      refuse(field, field == .data ? "must be an object" : "must be an array")
      _ = try reader.skipValue()
    case (_, .string):
      takeText(try reader.readString(), of: field)
    default:
      refuse(field, "must be a string")
      _ = try reader.skipValue()
    }
  }

  private mutating func takeText(_ text: String, of field: Field) {
    texts[field] = text
    switch field {
    case .userID:
      if !UserIDs.isValid(text) { refuse(field, "not a user id") }
    case .type:
      if !Draft.isValidType(text) { refuse(field, "must be 1 to 64 of [A-Za-z0-9_.:-]") }
    case .priority:
      if let named = Priority(name: text) {
        priority = named
      } else {
        refuse(field, "must be low, normal, high or urgent")
      }
    case .title: check(text, of: field, limit: Draft.titleByteCountLimit)
    case .message: check(text, of: field, limit: Draft.messageByteCountLimit)
    case .entityType: check(text, of: field, limit: Draft.entityTypeByteCountLimit)
    case .entityID: check(text, of: field, limit: Draft.entityIDByteCountLimit)
    case .groupKey:
      check(text, of: field, limit: Draft.groupKeyByteCountLimit)
      // An empty group key means no group: it would join unrelated notifications.
      if text.isEmpty { texts[field] = nil }
    case .entityURL:
      if !Draft.isValidURL(text) { refuse(field, "must be a path of this origin, or https") }
    case .audience:
      if text != "everyone" { refuse(field, "must be everyone") }
    case .expiresAt:
      expiresAt = RFC3339.parse(text)
      if expiresAt == nil { refuse(field, "must be an RFC 3339 time") }
    case .data, .userIDs, .actions:
      break
    }
  }

  private mutating func check(_ text: String, of field: Field, limit: Int) {
    if text.utf8.count > limit { refuse(field, "too long") }
  }

  private mutating func takeUserIDs(from reader: inout JSONReader) throws(JSONViolation) {
    var ids: [UserID] = []
    var known: Set<TextKey> = []
    var count = 0
    var reason: String?
    try reader.readArray { (reader: inout JSONReader) throws(JSONViolation) -> Void in
      count += 1
      guard reason == nil, try reader.nextKind() == .string else {
        reason = reason ?? "must hold strings"
        _ = try reader.skipValue()
        return
      }
      let id = try reader.readString()
      if count > Draft.userCountLimit {
        reason = "must hold at most 10000 ids"
      } else if !UserIDs.isValid(id) {
        reason = "holds an invalid user id"
      } else if known.insert(TextKey(id)).inserted {
        ids.append(id)
      }
    }
    if count == 0 { reason = "must not be empty" }
    if let reason { refuse(.userIDs, reason) }
    userIDs = ids
  }

  /// Parses the actions and writes them out again.
  ///
  /// Only the two members that clients know, without white space, so the length is bounded.
  private mutating func takeActions(from reader: inout JSONReader) throws(JSONViolation) {
    var text: [UInt8] = []
    var count = 0
    var reason: String?
    try reader.readArray { (reader: inout JSONReader) throws(JSONViolation) -> Void in
      count += 1
      guard reason == nil, count <= Draft.actionCountLimit else {
        reason = reason ?? "must hold at most 4 actions"
        _ = try reader.skipValue()
        return
      }
      let action = try DraftAction(from: &reader)
      guard let action, action.isValid else {
        reason = "must hold {label, url} with a path of this origin, or https"
        return
      }
      text.append(UInt8(ascii: count == 1 ? "[" : ","))
      text.appendText("{\"label\":")
      text.appendJSONString(action.label)
      text.appendText(",\"url\":")
      text.appendJSONString(action.url)
      text.append(UInt8(ascii: "}"))
    }
    if let reason {
      refuse(.actions, reason)
    } else if count > 0 {
      text.append(UInt8(ascii: "]"))
      actions = text
    }
  }

  /// Builds the draft, or throws the first error.
  func makeDraft() throws(DraftError) -> Draft {
    if let problem { throw .invalid(field: problem.field, reason: problem.reason) }
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

/// One of a draft's actions; nil unless it is an object with two strings, each given once.
private struct DraftAction {
  var label = ""
  var url = ""

  init?(from reader: inout JSONReader) throws(JSONViolation) {
    guard try reader.nextKind() == .object else {
      _ = try reader.skipValue()
      return nil
    }
    var values: [String: String] = [:]
    var isSound = true
    try reader.readObject {
      (reader: inout JSONReader, name: String) throws(JSONViolation) -> Void in
      guard name == "label" || name == "url", try reader.nextKind() == .string else {
        if name == "label" || name == "url" { isSound = false }
        _ = try reader.skipValue()
        return
      }
      if values.updateValue(try reader.readString(), forKey: name) != nil { isSound = false }
    }
    guard isSound, let label = values["label"], let url = values["url"] else { return nil }
    self.label = label
    self.url = url
  }

  var isValid: Bool {
    label.utf8.count >= 1 && label.utf8.count <= Draft.labelByteCountLimit && Draft.isValidURL(url)
  }
}
