// Parses a user's JSON into preferences.
//
// The rules are those of a publisher's draft: broken JSON is malformed and takes precedence over
// every other error; the first invalid field is reported; unknown fields are ignored; `null` is the
// same as absent; a known field given twice is rejected. An absent field has its default.

internal import Wire

/// Why a preferences document was rejected.
///
/// Reasons are constant text. A field's name may include a type from the document: a valid type, so
/// at most 64 plain characters.
package enum PreferencesError: Error, Equatable {
  /// Not JSON: 400.
  case malformed(reason: String)
  /// JSON, but not preferences: 422.
  case invalid(field: String, reason: String)
}

extension Preferences {
  /// Parses the JSON object that is all of `bytes`.
  ///
  /// Rejects preferences whose own document would exceed 16 KiB, so that every document the server
  /// returns can be submitted again.
  package static func parse(_ bytes: [UInt8]) throws(PreferencesError) -> Preferences {
    var document = PreferencesDocument()
    var reader = JSONReader(bytes)
    do throws(JSONViolation) {
      try document.take(from: &reader)
      try reader.finish()
    } catch {
      throw .malformed(reason: error.reason)
    }
    if let problem = document.problem {
      throw .invalid(field: problem.field, reason: problem.reason)
    }
    let preferences = Preferences(rules: document.rules, quietHours: document.quietHours)
    guard preferences.json.count <= documentByteCountLimit else {
      throw .invalid(field: "body", reason: "expands to more than 16384 bytes")
    }
    return preferences
  }
}

extension QuietHours {
  /// The minutes denoted by `HH:MM`, `00:00` to `23:59`; nil for any other text.
  package static func minutes(_ text: String) -> Int? {
    let bytes = Array(text.utf8)
    guard bytes.count == 5, bytes[2] == UInt8(ascii: ":"),
      let hours = twoDigits(bytes[0], bytes[1]), let minutes = twoDigits(bytes[3], bytes[4]),
      hours < 24, minutes < 60
    else { return nil }
    return hours * 60 + minutes
  }

  /// The minutes denoted by `+HH:MM` or `-HH:MM`, up to 14 hours; nil for any other text.
  package static func utcOffset(_ text: String) -> Int? {
    guard let sign = text.utf8.first,
      sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"),
      let minutes = minutes(String(text.unicodeScalars.dropFirst())), minutes <= utcOffsetLimit
    else { return nil }
    return sign == UInt8(ascii: "-") ? -minutes : minutes
  }

  private static func twoDigits(_ tens: UInt8, _ ones: UInt8) -> Int? {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard digits ~= tens, digits ~= ones else { return nil }
    return Int(tens - UInt8(ascii: "0")) * 10 + Int(ones - UInt8(ascii: "0"))
  }
}

/// The document parsed so far, and the first error.
private struct PreferencesDocument {
  private(set) var problem: (field: String, reason: String)?
  private(set) var rules: [String: Preferences.Rule] = [:]
  private(set) var quietHours: QuietHours?
  /// Names of the members being parsed, outermost first; joined only for an error.
  private var path: [String] = []

  private mutating func refuse(_ reason: String) {
    guard problem == nil else { return }
    problem = (path.isEmpty ? "body" : path.joined(separator: "."), reason)
  }

  /// Reports an error of the object that contains the current member.
  private mutating func refuseAll(_ reason: String) {
    let name = path.removeLast()
    refuse(reason)
    path.append(name)
  }

  mutating func take(from reader: inout JSONReader) throws(JSONViolation) {
    guard try reader.nextKind() != .null else {
      refuse("must be an object")
      return try reader.readNull()
    }
    try takeObject(["types", "quiet_hours"], from: &reader) {
      (document, reader, name) throws(JSONViolation) in
      switch name {
      case "types": try document.takeRules(from: &reader)
      default: try document.takeQuietHours(from: &reader)
      }
    }
  }

  /// Parses an object and calls `member` for each known, non-null member at its first occurrence.
  ///
  /// During the call `path` ends with the member's name. If `known` is nil, all names are known.
  /// Always consumes the value.
  private mutating func takeObject(
    _ known: Set<String>?, from reader: inout JSONReader,
    _ member: (inout Self, inout JSONReader, String) throws(JSONViolation) -> Void
  ) throws(JSONViolation) {
    guard try reader.nextKind() == .object else {
      refuse("must be an object")
      _ = try reader.skipValue()
      return
    }
    var taken: Set<String> = []
    try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONViolation) in
      if let known, !known.contains(name) { return }
      path.append(name)
      defer { path.removeLast() }
      if known == nil, !isRuleName(name) { return }
      guard taken.insert(name).inserted else { return refuse("given twice") }
      if try reader.nextKind() == .null { return }
      try member(&self, &reader, name)
    }
  }

  /// Whether `name` is a valid rule name; the error does not repeat the name.
  private mutating func isRuleName(_ name: String) -> Bool {
    if name == Preferences.otherTypes || Draft.isValidType(name) { return true }
    refuseAll("has an invalid type: must be 1 to 64 of [A-Za-z0-9_.:-], or *")
    return false
  }

  private mutating func takeRules(from reader: inout JSONReader) throws(JSONViolation) {
    try takeObject(nil, from: &reader) { (document, reader, name) throws(JSONViolation) in
      guard document.rules.count < Preferences.ruleCountLimit else {
        return document.refuseAll("must hold at most \(Preferences.ruleCountLimit) types")
      }
      var rule = Preferences.Rule()
      try document.takeObject(["muted", "channels"], from: &reader) {
        (document, reader, name) throws(JSONViolation) in
        switch name {
        case "muted": rule.isMuted = try document.takeFlag(from: &reader)
        default: rule.channels = try document.takeChannels(from: &reader)
        }
      }
      document.rules[name] = rule
    }
  }

  private mutating func takeChannels(
    from reader: inout JSONReader
  ) throws(JSONViolation) -> Preferences.Channels {
    var channels = Preferences.Channels()
    try takeObject(["websocket", "email", "webhook", "push"], from: &reader) {
      (document, reader, name) throws(JSONViolation) in
      let isOn = try document.takeFlag(from: &reader)
      switch name {
      case "websocket": channels.websocket = isOn
      case "email": channels.email = isOn
      case "webhook": channels.webhook = isOn
      default: channels.push = isOn
      }
    }
    return channels
  }

  private mutating func takeFlag(from reader: inout JSONReader) throws(JSONViolation) -> Bool {
    guard try reader.nextKind() == .boolean else {
      refuse("must be true or false")
      _ = try reader.skipValue()
      return false
    }
    return try reader.readBool()
  }

  private mutating func takeText(from reader: inout JSONReader) throws(JSONViolation) -> String? {
    guard try reader.nextKind() == .string else {
      refuse("must be a string")
      _ = try reader.skipValue()
      return nil
    }
    return try reader.readString()
  }

  private mutating func takeQuietHours(from reader: inout JSONReader) throws(JSONViolation) {
    var start: Int?
    var end: Int?
    var utcOffset = 0
    var days = Set(QuietHours.Day.allCases)
    try takeObject(["start", "end", "utc_offset", "days"], from: &reader) {
      (document, reader, name) throws(JSONViolation) in
      switch name {
      case "start": start = try document.takeMinutes(from: &reader)
      case "end": end = try document.takeMinutes(from: &reader)
      case "utc_offset":
        guard let text = try document.takeText(from: &reader) else { return }
        guard let minutes = QuietHours.utcOffset(text) else {
          return document.refuse("must be +HH:MM or -HH:MM, at most 14:00")
        }
        utcOffset = minutes
      default: days = try document.takeDays(from: &reader)
      }
    }
    guard problem == nil else { return }
    guard let start, let end else { return refuse("must have a start and an end") }
    guard start != end else { return refuse("must not start and end at the same time") }
    quietHours = QuietHours(start: start, end: end, utcOffset: utcOffset, days: days)
  }

  private mutating func takeMinutes(from reader: inout JSONReader) throws(JSONViolation) -> Int? {
    guard let text = try takeText(from: &reader) else { return nil }
    let minutes = QuietHours.minutes(text)
    if minutes == nil { refuse("must be HH:MM, 00:00 to 23:59") }
    return minutes
  }

  private mutating func takeDays(
    from reader: inout JSONReader
  ) throws(JSONViolation) -> Set<QuietHours.Day> {
    var days: Set<QuietHours.Day> = []
    guard try reader.nextKind() == .array else {
      refuse("must be an array")
      _ = try reader.skipValue()
      return days
    }
    var isSound = true
    try reader.readArray { (reader: inout JSONReader) throws(JSONViolation) in
      guard try reader.nextKind() == .string else {
        isSound = false
        return
      }
      let name = try reader.readString()
      let day = QuietHours.Day.allCases.first { $0.name == name }
      if let day, days.insert(day).inserted { return }
      isSound = false
    }
    if !isSound || days.isEmpty { refuse("must hold days from mon to sun, each once") }
    return days
  }
}
