// A user's notification preferences: types, channels and hours.
//
// The server applies them when it stores a notification. A notification that its user does not want
// is *silent*: it is stored, appears in the inbox and is counted like any other, but it does not
// ring. No device receives it, neither live, nor on resume, nor by polling; all devices receive the
// new counts. The transaction that stores the notification decides this once and keeps it with the
// row, so every device and every resume sees the same, whatever the user's later preferences.
//
// A notification for everyone is stored once, for users with different preferences. Whether it is
// silent is decided for each user when it is read for that user. A silent one is skipped in the
// same way, but it may ring later for a device that resumes after its user changed the preferences.

internal import Wire

/// A user's preferences.
///
/// Invariant: `rules` has at most 256 entries, each named by a type or by `otherTypes`, and `json`
/// has at most 16 KiB. `Preferences.parse` ensures this; any other caller must ensure it itself.
package struct Preferences: Sendable, Equatable {
  /// The channels by which a type of notification may reach the user.
  package struct Channels: Sendable, Equatable {
    /// Live: all transports of this server, the event stream and polling included.
    package var websocket: Bool
    package var email: Bool
    package var webhook: Bool
    package var push: Bool

    package init(
      websocket: Bool = true, email: Bool = true, webhook: Bool = true, push: Bool = true
    ) {
      self.websocket = websocket
      self.email = email
      self.webhook = webhook
      self.push = push
    }
  }

  /// A user's preferences for one type of notification.
  package struct Rule: Sendable, Equatable {
    package var isMuted: Bool
    package var channels: Channels

    package init(isMuted: Bool = false, channels: Channels = Channels()) {
      self.isMuted = isMuted
      self.channels = channels
    }
  }

  /// Rules by notification type; `otherTypes` applies to a type without a rule of its own.
  package var rules: [String: Rule]
  package var quietHours: QuietHours?

  /// The name of the rule for all types without their own; it is not a valid type.
  package static let otherTypes = "*"
  package static let ruleCountLimit = 256
  package static let documentByteCountLimit = 16_384

  package init(rules: [String: Rule] = [:], quietHours: QuietHours? = nil) {
    self.rules = rules
    self.quietHours = quietHours
  }

  /// Whether they restrict nothing, like the preferences of a user that never set any.
  package var isEmpty: Bool { rules.isEmpty && quietHours == nil }

  /// The rule for a type: its own, else the rule for other types, else one that allows everything.
  package func rule(for type: String) -> Rule {
    rules[type] ?? rules[Self.otherTypes] ?? Rule()
  }

  /// Whether a notification does not ring.
  ///
  /// True when its type is muted or excluded from the live channel, or when it was created in quiet
  /// hours and is not urgent. A muted type stays muted even if urgent. `createdAt` is milliseconds
  /// since 1970; `zones` are the time zones that the server knows.
  package func isMuted(
    type: String, priority: Priority, createdAt: Int64, zones: TimeZoneTable
  ) -> Bool {
    let rule = rule(for: type)
    if rule.isMuted || !rule.channels.websocket { return true }
    guard priority != .urgent, let quietHours else { return false }
    return quietHours.contains(createdAt, zones: zones)
  }

  /// The document: every field explicit, in a fixed order, without white space.
  ///
  /// Equal preferences always produce the same bytes, and parsing them produces equal preferences.
  package var json: [UInt8] {
    var json: [UInt8] = []
    json.openObject()
    json.member(
      "types",
      object: { json in
        for (type, rule) in rules.sorted(by: { $0.key < $1.key }) {
          json.member(type, object: { $0.members(of: rule) })
        }
      })
    json.memberName("quiet_hours")
    if let quietHours {
      json.openObject()
      json.members(of: quietHours)
      json.closeObject()
    } else {
      json.appendText("null")
    }
    json.closeObject()
    return json
  }
}

/// The hours in which only urgent notifications ring, by the user's own clock.
///
/// They follow the time that the user's clock shows: in a time zone, a span that lies in the hour
/// that is skipped in spring does not occur on that day, and one in the hour that is repeated in
/// autumn occurs twice.
///
/// Invariant: `start` and `end` are in 0..<1440 and differ; an offset is in -840...840, and a zone
/// has the form of a name; `days` is not empty.
package struct QuietHours: Sendable, Equatable {
  /// A day of the week; the raw value counts from Monday.
  package enum Day: Int, Sendable, CaseIterable {
    case monday, tuesday, wednesday, thursday, friday, saturday, sunday

    /// The day's name on the wire.
    package var name: String {
      switch self {
      case .monday: "mon"
      case .tuesday: "tue"
      case .wednesday: "wed"
      case .thursday: "thu"
      case .friday: "fri"
      case .saturday: "sat"
      case .sunday: "sun"
      }
    }
  }

  /// The user's clock.
  package enum Clock: Sendable, Equatable {
    /// Minutes that it is ahead of UTC, all year.
    case utcOffset(Int)
    /// A time zone of the IANA database.
    case timeZone(String)
  }

  /// First quiet minute of a span, counted from midnight.
  package let start: Int
  /// First minute after the quiet span; less than `start` if the span crosses midnight.
  package let end: Int
  package let clock: Clock
  /// The days on which a span begins; it may end on the next.
  package let days: Set<Day>

  package static let minutesPerDay = 1_440
  package static let utcOffsetLimit = 14 * 60

  package init(start: Int, end: Int, clock: Clock, days: Set<Day> = Set(Day.allCases)) {
    precondition(0..<Self.minutesPerDay ~= start, "start: \(start)")
    precondition(0..<Self.minutesPerDay ~= end && end != start, "end: \(end)")
    switch clock {
    case .utcOffset(let minutes):
      precondition(-Self.utcOffsetLimit...Self.utcOffsetLimit ~= minutes, "offset: \(minutes)")
    case .timeZone(let name): precondition(TimeZoneTable.isName(name), "time zone: \(name)")
    }
    precondition(!days.isEmpty, "no days")
    self.start = start
    self.end = end
    self.clock = clock
    self.days = days
  }

  package init(start: Int, end: Int, utcOffset: Int = 0, days: Set<Day> = Set(Day.allCases)) {
    self.init(start: start, end: end, clock: .utcOffset(utcOffset), days: days)
  }

  /// Whether a time, in milliseconds since 1970, falls in the quiet hours.
  ///
  /// In a time zone that the server does not know, no time does: everything rings, which is better
  /// than nothing.
  package func contains(_ milliseconds: Int64, zones: TimeZoneTable) -> Bool {
    // Divide first, so that adding the offset cannot overflow the integer.
    let second = Self.floor(milliseconds, 1_000).quotient
    let offset: Int
    switch clock {
    case .utcOffset(let minutes): offset = minutes * 60
    case .timeZone(let name):
      // guard: unknown-zone-rings
      guard let zone = zones[name] else { return false }
      offset = zone.offset(at: second)
    }
    let minute = Self.floor(second + Int64(offset), 60).quotient
    let (day, ofDay) = Self.floor(minute, Int64(Self.minutesPerDay))
    let minuteOfDay = Int(ofDay)
    if start < end { return start <= minuteOfDay && minuteOfDay < end && begins(on: day) }
    if minuteOfDay >= start { return begins(on: day) }
    return minuteOfDay < end && begins(on: day - 1)
  }

  private func begins(on day: Int64) -> Bool {
    // The first day of 1970 was a Thursday.
    let index = Self.floor(day + Int64(Day.thursday.rawValue), 7).remainder
    return Day(rawValue: Int(index)).map { days.contains($0) } ?? false
  }

  /// Division that rounds down, so that times before 1970 are on the right day.
  private static func floor(
    _ number: Int64, _ divisor: Int64
  ) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }
}

extension [UInt8] {
  fileprivate mutating func members(of rule: Preferences.Rule) {
    member("muted", rule.isMuted)
    member(
      "channels",
      object: { json in
        json.member("websocket", rule.channels.websocket)
        json.member("email", rule.channels.email)
        json.member("webhook", rule.channels.webhook)
        json.member("push", rule.channels.push)
      })
  }

  fileprivate mutating func members(of hours: QuietHours) {
    member("start", Self.clock(hours.start))
    member("end", Self.clock(hours.end))
    switch hours.clock {
    case .utcOffset(let minutes):
      member("utc_offset", (minutes < 0 ? "-" : "+") + Self.clock(abs(minutes)))
    case .timeZone(let name): member("time_zone", name)
    }
    // Omitted when it contains every day, the default.
    guard hours.days.count < QuietHours.Day.allCases.count else { return }
    member("days", texts: QuietHours.Day.allCases.filter(hours.days.contains).map(\.name))
  }

  /// Minutes as `HH:MM`.
  private static func clock(_ minutes: Int) -> String {
    func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return twoDigits(minutes / 60) + ":" + twoDigits(minutes % 60)
  }
}
