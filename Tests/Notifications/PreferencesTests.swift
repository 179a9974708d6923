// Preferences: valid documents, how they are written, and which notifications they silence.

import Notifications
import TestSupport
import Testing
import Wire

@Suite("A user's preferences")
struct PreferencesTests {
  private func parse(_ text: String) throws(DocumentError) -> Preferences {
    try Preferences.parse(Array(text.utf8), zones: .empty)
  }

  /// The error for a document: `malformed`, or the field and the reason.
  private func refusal(_ text: String) -> String? {
    do throws(DocumentError) {
      _ = try parse(text)
      return nil
    } catch {
      switch error {
      case .malformed: return "malformed"
      case .invalid(let field, let reason): return "\(field): \(reason)"
      }
    }
  }

  private func normalised(_ text: String) throws -> String {
    String(decoding: try parse(text).json, as: UTF8.self)
  }

  private static let allOn = #"{"websocket":true,"email":true,"webhook":true,"push":true}"#
  private static let nothing = #"{"types":{},"quiet_hours":null}"#

  @Test("an absent or null field has its default")
  func defaults() throws {
    for text in [
      "{}", #"{"types":null,"quiet_hours":null}"#, #"{"types":{}}"#, #"{"types":{"a":null}}"#,
      " { } ", Self.nothing,
    ] {
      #expect(try normalised(text) == Self.nothing, "\(text)")
      #expect(try parse(text).isEmpty)
    }
    #expect(
      try normalised(#"{"types":{"b":{},"a":{"muted":null,"channels":{"email":false}}}}"#)
        == #"{"types":{"a":{"muted":false,"channels":{"websocket":true,"email":false,"#
        + #""webhook":true,"push":true}},"b":{"muted":false,"channels":\#(Self.allOn)}},"#
        + #""quiet_hours":null}"#)
    #expect(
      try normalised(#"{"quiet_hours":{"end":"07:00","start":"22:00"}}"#)
        == #"{"types":{},"quiet_hours":{"start":"22:00","end":"07:00","utc_offset":"+00:00"}}"#)
  }

  @Test("every given field is parsed, and written in one spelling")
  func complete() throws {
    let text =
      #"{"types":{"*":{"muted":false,"channels":{"websocket":false,"email":true,"webhook":true,"#
      + #""push":false}},"comment":{"muted":true,"channels":\#(Self.allOn)}},"quiet_hours":"#
      + #"{"start":"22:00","end":"07:05","utc_offset":"-09:30","days":["mon","fri","sun"]}}"#
    #expect(try normalised(text) == text)
    let preferences = try parse(text)
    #expect(preferences.rule(for: "comment") == .init(isMuted: true))
    #expect(preferences.rule(for: "else").channels == .init(websocket: false, push: false))
    #expect(
      preferences.quietHours
        == QuietHours(start: 1_320, end: 425, utcOffset: -570, days: [.sunday, .monday, .friday]))
    #expect(
      try normalised(
        #"{"quiet_hours":{"days":["sun","sat","fri","thu","wed","tue","mon"],"#
          + #""utc_offset":"-00:00","start":"00:00","end":"23:59"}}"#)
        == #"{"types":{},"quiet_hours":{"start":"00:00","end":"23:59","utc_offset":"+00:00"}}"#)
  }

  private static let notFlag = "must be true or false"
  private static let notObject = "must be an object"
  private static let notMinutes = "must be HH:MM, 00:00 to 23:59"
  private static let notOffset = "must be +HH:MM or -HH:MM, at most 14:00"
  private static let notDays = "must hold days from mon to sun, each once"

  @Test(
    "the error names the invalid field",
    arguments: [
      ("null", "body: \(notObject)"), ("[]", "body: \(notObject)"), ("1", "body: \(notObject)"),
      (#"{"types":[]}"#, "types: \(notObject)"),
      (#"{"types":{"a":true}}"#, "types.a: \(notObject)"),
      (#"{"types":{"comment":{"muted":"yes"}}}"#, "types.comment.muted: \(notFlag)"),
      (#"{"types":{"comment":{"muted":1}}}"#, "types.comment.muted: \(notFlag)"),
      (#"{"types":{"*":{"channels":[]}}}"#, "types.*.channels: \(notObject)"),
      (#"{"types":{"a":{"channels":{"push":0}}}}"#, "types.a.channels.push: \(notFlag)"),
      (#"{"types":{},"types":{}}"#, "types: given twice"),
      (#"{"types":null,"types":{}}"#, "types: given twice"),
      (#"{"types":{"a":{},"a":{}}}"#, "types.a: given twice"),
      (#"{"types":{"a":{},"\u0061":{}}}"#, "types.a: given twice"),
      (#"{"types":{"a":{"muted":true,"muted":true}}}"#, "types.a.muted: given twice"),
      (
        #"{"types":{"a":{"channels":{"email":true,"email":false}}}}"#,
        "types.a.channels.email: given twice"
      ),
      (#"{"quiet_hours":true}"#, "quiet_hours: \(notObject)"),
      (#"{"theme":"dark"}"#, "theme: unknown field"),
      (#"{"quiethours":{}}"#, "quiethours: unknown field (did you mean quiet_hours?)"),
      (
        #"{"types":{"a":{"mutd":true}}}"#, "types.a.mutd: unknown field (did you mean muted?)"
      ),
      (
        #"{"types":{"a":{"channels":{"emial":true}}}}"#,
        "types.a.channels.emial: unknown field (did you mean email?)"
      ),
      (#"{"quiet_hours":{}}"#, "quiet_hours: must have a start and an end"),
      (#"{"quiet_hours":{"start":"22:00"}}"#, "quiet_hours: must have a start and an end"),
      (
        #"{"quiet_hours":{"start":"22:00","end":null}}"#,
        "quiet_hours: must have a start and an end"
      ),
      (
        #"{"quiet_hours":{"start":"22:00","end":"22:00"}}"#,
        "quiet_hours: must not start and end at the same time"
      ),
      (#"{"quiet_hours":{"start":2200,"end":"1"}}"#, "quiet_hours.start: must be a string"),
      (#"{"quiet_hours":{"start":"22:00","end":"24:00"}}"#, "quiet_hours.end: \(notMinutes)"),
      (
        #"{"quiet_hours":{"start":"22:00","end":"07:00","utc_offset":"Z"}}"#,
        "quiet_hours.utc_offset: \(notOffset)"
      ),
      (#"{"quiet_hours":{"days":"mon"}}"#, "quiet_hours.days: must be an array"),
      (#"{"quiet_hours":{"days":[]}}"#, "quiet_hours.days: \(notDays)"),
      (#"{"quiet_hours":{"days":["mon","mon"]}}"#, "quiet_hours.days: \(notDays)"),
      (#"{"quiet_hours":{"days":["Mon"]}}"#, "quiet_hours.days: \(notDays)"),
      (#"{"quiet_hours":{"days":[1]}}"#, "quiet_hours.days: \(notDays)"),
      ("", "malformed"), ("{", "malformed"), ("{}x", "malformed"),
      // Broken JSON takes precedence over an earlier invalid field.
      (#"{"types":[],"quiet_hours":{"start":1}"#, "malformed"),
    ])
  func refused(text: String, expected: String) {
    #expect(refusal(text) == expected)
  }

  @Test("a rule's name must be a valid type, and the error does not repeat an invalid one")
  func typeNames() {
    let longest = String(repeating: "x", count: 64)
    #expect(refusal(#"{"types":{"\#(longest)":{}}}"#) == nil)
    for name in ["", "a b", "ü", "**", #"\u0000"#, #"\n"#, longest + "x", "a/b", "\\\""] {
      #expect(
        refusal(#"{"types":{"\#(name)":{"muted":1}}}"#)
          == "types: has an invalid type: must be 1 to 64 of [A-Za-z0-9_.:-], or *", "\(name)")
    }
  }

  @Test("a document holds at most 256 types and 16 KiB, and nesting is limited")
  func limits() throws {
    func document(_ count: Int, name: (Int) -> String) -> String {
      #"{"types":{"# + (0..<count).map { #""\#(name($0))":{}"# }.joined(separator: ",") + "}}"
    }
    #expect(refusal(document(257) { "t\($0)" }) == "types: must hold at most 256 types")
    // The size of the written document decides how many rules fit.
    func fits(_ count: Int) -> Bool { refusal(document(count) { "t\(1_000 + $0)" }) == nil }
    let most = try #require((1...256).last { fits($0) })
    let largest = try parse(document(most) { "t\(1_000 + $0)" })
    #expect(largest.json.count <= 16_384)
    #expect(largest.json.count > 16_384 - 120)
    #expect(try Preferences.parse(largest.json, zones: .empty) == largest)
    #expect(
      refusal(document(most + 1) { "t\(1_000 + $0)" })
        == "body: expands to more than 16384 bytes")
    for (open, close) in [("[", "]"), (#"{"types":"#, "}"), (#"{"a":"#, "}")] {
      let deep =
        String(repeating: open, count: 4_000) + "1" + String(repeating: close, count: 4_000)
      #expect(refusal(#"{"x":"# + deep + "}") == "malformed")
    }
  }

  // Case 33
  @Test("no text of five or six bytes is parsed as a wrong time, and none traps")
  func everyText() {
    for (text, minutes): (String, Int?) in [
      ("00:00", 0), ("23:59", 1_439), ("07:05", 425), ("24:00", nil), ("12:60", nil), ("7:00", nil),
      ("07.00", nil), ("07:00 ", nil), ("-7:00", nil), ("+1:00", nil), ("0x:00", nil), ("", nil),
      ("٠٧:٠٠", nil), ("07:0\u{0}", nil), ("ab:cd", nil), ("99:99", nil), ("::::::", nil),
    ] {
      #expect(QuietHours.minutes(text) == minutes, "\(text)")
    }
    for (text, minutes): (String, Int?) in [
      ("+00:00", 0), ("-00:00", 0), ("+14:00", 840), ("-14:00", -840), ("+14:01", nil),
      ("-14:01", nil), ("+05:45", 345), ("-09:30", -570), ("14:00", nil), ("Z", nil), ("", nil),
      ("+", nil), ("+0545", nil), ("+05:45:00", nil), ("−05:45", nil), ("++5:45", nil),
      ("+\u{301}05:45", nil),
    ] {
      #expect(QuietHours.utcOffset(text) == minutes, "\(text)")
    }
    for byte in UInt8.min...UInt8.max {
      for position in 0..<5 {
        var bytes = Array("12:34".utf8)
        bytes[position] = byte
        let text = String(decoding: bytes, as: UTF8.self)
        let isSame = text.utf8.count == 5 && byte == Array("12:34".utf8)[position]
        if let minutes = QuietHours.minutes(text) {
          #expect(0..<1_440 ~= minutes)
          #expect(isSame || (0x30...0x39) ~= byte)
        } else {
          #expect(!isSame)
        }
      }
    }
  }

  @Test("a damaged document is rejected, or survives a round trip")
  func damaged() throws {
    var random = SeededGenerator.announced()
    let sound = Array(
      (#"{"types":{"*":{"muted":true},"a.b":{"channels":{"push":false}}},"quiet_hours":"#
        + #"{"start":"22:00","end":"07:00","utc_offset":"+02:00","days":["sat"]}}"#).utf8)
    for _ in 0..<20_000 {
      var bytes = sound
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let position = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: position)
        default: bytes.insert(bytes.randomElement(using: &random)!, at: position)
        }
      }
      guard let preferences = try? Preferences.parse(bytes, zones: .empty) else { continue }
      #expect(try Preferences.parse(preferences.json, zones: .empty) == preferences)
    }
    for end in 0..<sound.count {
      #expect(refusal(String(decoding: sound[..<end], as: UTF8.self)) == "malformed")
    }
  }

  @Test("a muted type is silent even if urgent, and its own rule replaces the rule for others")
  func muting() throws {
    let preferences = try parse(
      #"{"types":{"*":{"muted":true},"a":{},"b":{"channels":{"websocket":false}},"#
        + #""c":{"channels":{"email":false,"webhook":false,"push":false}}}}"#)
    for priority in Priority.allCases {
      func isMuted(_ type: String) -> Bool {
        preferences.isMuted(type: type, priority: priority, createdAt: 0, zones: .empty)
      }
      #expect(!isMuted("a"))
      #expect(isMuted("b"))
      #expect(!isMuted("c"), "only the websocket channel affects ringing")
      #expect(isMuted("d"))
      #expect(isMuted("A"))
      #expect(!Preferences().isMuted(type: "a", priority: priority, createdAt: 0, zones: .empty))
    }
  }

  /// 2024-01-01, a Monday, at midnight UTC.
  private static let monday: Int64 = 1_704_067_200_000

  private static func at(_ day: Int64, _ hour: Int64, _ minute: Int64, _ milliseconds: Int64 = 0)
    -> Int64
  {
    monday + ((day * 24 + hour) * 60 + minute) * 60_000 + milliseconds
  }

  @Test("quiet hours begin and end at their minute, and can cross midnight")
  func quietHours() {
    let night = QuietHours(start: 22 * 60, end: 7 * 60)
    let day = QuietHours(start: 7 * 60, end: 22 * 60)
    for (time, isNight): (Int64, Bool) in [
      (Self.at(0, 21, 59, 59_999), false), (Self.at(0, 22, 0), true), (Self.at(0, 23, 59), true),
      (Self.at(1, 0, 0), true), (Self.at(1, 6, 59, 59_999), true), (Self.at(1, 7, 0), false),
      (Self.at(1, 12, 0), false), (0, true), (-1, true), (-2 * 3_600_000 - 1, false),
    ] {
      #expect(night.contains(time, zones: .empty) == isNight, "\(time)")
      #expect(day.contains(time, zones: .empty) != isNight, "\(time)")
    }
  }

  @Test("an offset shifts quiet hours to the user's own clock")
  func offsets() {
    let berlin = QuietHours(start: 22 * 60, end: 7 * 60, utcOffset: 120)
    #expect(!berlin.contains(Self.at(0, 19, 59), zones: .empty))
    #expect(berlin.contains(Self.at(0, 20, 0), zones: .empty))
    #expect(berlin.contains(Self.at(1, 4, 59), zones: .empty))
    #expect(!berlin.contains(Self.at(1, 5, 0), zones: .empty))
    let west = QuietHours(start: 22 * 60, end: 7 * 60, utcOffset: -570)
    #expect(!west.contains(Self.at(0, 7, 29), zones: .empty))
    #expect(west.contains(Self.at(0, 7, 30), zones: .empty))
    #expect(west.contains(Self.at(0, 16, 29), zones: .empty))
    #expect(!west.contains(Self.at(0, 16, 30), zones: .empty))
  }

  @Test("with days, a span belongs to the day on which it begins, by the user's clock")
  func days() {
    let friday = QuietHours(start: 22 * 60, end: 7 * 60, days: [.friday])
    #expect(!friday.contains(Self.at(4, 6, 0), zones: .empty), "the night from Thursday")
    #expect(friday.contains(Self.at(4, 22, 0), zones: .empty))
    #expect(friday.contains(Self.at(5, 6, 59), zones: .empty))
    #expect(!friday.contains(Self.at(5, 22, 0), zones: .empty))
    let ahead = QuietHours(start: 1 * 60, end: 2 * 60, utcOffset: 840, days: [.tuesday])
    #expect(ahead.contains(Self.at(0, 11, 0), zones: .empty), "Tuesday there, still Monday here")
    #expect(!ahead.contains(Self.at(1, 11, 0), zones: .empty))
  }

  @Test("quiet hours equal a minute-by-minute model")
  func model() {
    var random = SeededGenerator.announced()
    for _ in 0..<200 {
      let start = Int.random(in: 0..<1_440, using: &random)
      let end = (start + Int.random(in: 1..<1_440, using: &random)) % 1_440
      let offset = Int.random(in: -840...840, using: &random)
      let days = Set(
        QuietHours.Day.allCases.filter { _ in Bool.random(using: &random) } + [.monday])
      let hours = QuietHours(start: start, end: end, utcOffset: offset, days: days)
      // A week and a day before Monday, by the user's clock.
      var isQuiet = false
      for minute in -8 * 1_440..<7 * 1_440 {
        let ofDay = (minute + 8 * 1_440) % 1_440
        let weekday = QuietHours.Day(rawValue: (minute + 14 * 1_440) / 1_440 % 7)!
        if ofDay == end { isQuiet = false }
        if ofDay == start, days.contains(weekday) { isQuiet = true }
        guard minute >= 0 else { continue }
        let time = Self.monday + Int64(minute - offset) * 60_000
        #expect(hours.contains(time, zones: .empty) == isQuiet)
      }
    }
  }

  @Test("any time is accepted", arguments: [Int64.min, .min + 1, -1, 0, .max - 1, .max])
  func extremes(time: Int64) {
    for offset in [-840, 0, 840] {
      let whole = QuietHours(start: 0, end: 1_439, utcOffset: offset)
      let rest = QuietHours(start: 1_439, end: 0, utcOffset: offset)
      #expect(whole.contains(time, zones: .empty) != rest.contains(time, zones: .empty))
    }
  }

  @Test("only urgent notifications ring in quiet hours")
  func urgent() {
    let preferences = Preferences(quietHours: QuietHours(start: 0, end: 60))
    for priority in Priority.allCases {
      #expect(
        preferences.isMuted(type: "t", priority: priority, createdAt: 0, zones: .empty)
          == (priority != .urgent))
      #expect(
        !preferences.isMuted(type: "t", priority: priority, createdAt: 3_600_000, zones: .empty))
    }
  }
}
