// Parses a user's JSON into preferences.
//
// `DocumentParser` has the rules of every body. An absent field has its default.

package import Wire

extension Preferences {
  /// Parses the JSON object that is all of `bytes`.
  ///
  /// Rejects preferences whose own document would exceed 16 KiB, so that every document the server
  /// returns can be submitted again. An error may name a type from the document: a valid type, so
  /// at most 64 plain characters. A time zone must be one of `zones`.
  package static func parse(
    _ bytes: [UInt8], zones: TimeZoneTable
  ) throws(DocumentError) -> Preferences {
    try parse(bytes, zones: zones, ignoresUnknown: false)
  }

  /// Parses a stored document, which a later version may have written; nil when it is damaged.
  ///
  /// Its time zone may be unknown to this server, whose zone files may have changed since.
  package static func stored(_ bytes: [UInt8]) -> Preferences? {
    do throws(DocumentError) {
      return try parse(bytes, zones: nil, ignoresUnknown: true)
    } catch {
      return nil
    }
  }

  private static func parse(
    _ bytes: [UInt8], zones: TimeZoneTable?, ignoresUnknown: Bool
  ) throws(DocumentError) -> Preferences {
    var document = PreferencesDocument(zones: zones)
    try DocumentParser.parse(
      bytes, ["types", "quiet_hours"], ignoresUnknown: ignoresUnknown
    ) {
      (parser: inout DocumentParser, reader: inout JSONReader, name: String)
        throws(JSONViolation) in
      switch name {
      case "types": try document.takeRules(&parser, from: &reader)
      default: try document.takeQuietHours(&parser, from: &reader)
      }
    }
    let preferences = Preferences(rules: document.rules, quietHours: document.quietHours)
    guard preferences.json.count <= documentByteCountLimit else {
      throw .invalid(
        field: "body", reason: "expands to more than \(documentByteCountLimit) bytes")
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

/// The document parsed so far.
private struct PreferencesDocument {
  private(set) var rules: [String: Preferences.Rule] = [:]
  private(set) var quietHours: QuietHours?
  /// The zones that may be named; nil for any name.
  private let zones: TimeZoneTable?

  init(zones: TimeZoneTable?) { self.zones = zones }

  mutating func takeRules(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    try parser.readMap(
      from: &reader,
      isValid: { parser, name in
        // The error does not repeat the name.
        if name == Preferences.otherTypes || Draft.isValidType(name) { return true }
        parser.refuse("has an invalid type: \(Draft.typeRule), or *")
        return false
      }
    ) { (parser, reader, name) throws(JSONViolation) in
      guard rules.count < Preferences.ruleCountLimit else {
        return parser.refuseObject("must hold at most \(Preferences.ruleCountLimit) types")
      }
      var rule = Preferences.Rule()
      try parser.readObject(["muted", "channels"], from: &reader) {
        (parser, reader, name) throws(JSONViolation) in
        switch name {
        case "muted": rule.isMuted = try parser.readFlag(from: &reader) ?? false
        default: rule.channels = try Self.readChannels(&parser, from: &reader)
        }
      }
      rules[name] = rule
    }
  }

  private static func readChannels(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) -> Preferences.Channels {
    var channels = Preferences.Channels()
    try parser.readObject(["websocket", "email", "webhook", "push"], from: &reader) {
      (parser, reader, name) throws(JSONViolation) in
      let isOn = try parser.readFlag(from: &reader) ?? false
      switch name {
      case "websocket": channels.websocket = isOn
      case "email": channels.email = isOn
      case "webhook": channels.webhook = isOn
      default: channels.push = isOn
      }
    }
    return channels
  }

  mutating func takeQuietHours(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    var start: Int?
    var end: Int?
    var utcOffset: Int?
    var timeZone: String?
    var days = Set(QuietHours.Day.allCases)
    let names = ["start", "end", "utc_offset", "time_zone", "days"]
    try parser.readObject(names, from: &reader) {
      (parser, reader, name) throws(JSONViolation) in
      switch name {
      case "start": start = try Self.readMinutes(&parser, from: &reader)
      case "end": end = try Self.readMinutes(&parser, from: &reader)
      case "utc_offset":
        guard let text = try parser.readText(from: &reader) else { return }
        guard let minutes = QuietHours.utcOffset(text) else {
          return parser.refuse("must be +HH:MM or -HH:MM, at most 14:00")
        }
        utcOffset = minutes
      case "time_zone": timeZone = try readTimeZone(&parser, from: &reader)
      default: days = try Self.readDays(&parser, from: &reader)
      }
    }
    guard !parser.hasProblem else { return }
    guard let start, let end else { return parser.refuse("must have a start and an end") }
    guard start != end else { return parser.refuse("must not start and end at the same time") }
    guard timeZone == nil || utcOffset == nil else {
      return parser.refuse("must have a utc_offset or a time_zone, not both")
    }
    let clock = timeZone.map { QuietHours.Clock.timeZone($0) } ?? .utcOffset(utcOffset ?? 0)
    quietHours = QuietHours(start: start, end: end, clock: clock, days: days)
  }

  private func readTimeZone(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) -> String? {
    guard let name = try parser.readText(from: &reader) else { return nil }
    guard zones?.count != 0 else {
      parser.refuse("this server has no time zones: give a utc_offset")
      return nil
    }
    // The error does not repeat the name.
    // guard: zone-name-in-table
    guard TimeZoneTable.isName(name), zones == nil || zones?[name] != nil else {
      parser.refuse("must be the name of a time zone, such as Europe/Zurich")
      return nil
    }
    return name
  }

  private static func readMinutes(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) -> Int? {
    guard let text = try parser.readText(from: &reader) else { return nil }
    let minutes = QuietHours.minutes(text)
    if minutes == nil { parser.refuse("must be HH:MM, 00:00 to 23:59") }
    return minutes
  }

  private static func readDays(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) -> Set<QuietHours.Day> {
    var days: Set<QuietHours.Day> = []
    var isSound = true
    try parser.readArray(from: &reader) { (_, reader) throws(JSONViolation) in
      guard try reader.nextKind() == .string else {
        isSound = false
        return
      }
      let name = try reader.readString()
      let day = QuietHours.Day.allCases.first { $0.name == name }
      if let day, days.insert(day).inserted { return }
      isSound = false
    }
    if !isSound || days.isEmpty { parser.refuse("must hold days from mon to sun, each once") }
    return days
  }
}
