// Quiet hours in a time zone: the hours that a clock skips and repeats, and the document.

import Notifications
import TestSupport
import Testing
import Wire

@Suite("Quiet hours in a time zone")
struct QuietZoneTests {
  private static func hours(
    _ start: Int, _ end: Int, _ zone: String = "Europe/Zurich",
    days: Set<QuietHours.Day> = Set(QuietHours.Day.allCases)
  ) -> QuietHours {
    QuietHours(start: start, end: end, clock: .timeZone(zone), days: days)
  }

  private static func milliseconds(_ text: String) throws -> Int64 {
    try #require(RFC3339.parse(text), "\(text)")
  }

  @Test(
    "the hour that is skipped, the one that is repeated, and the nights around them",
    arguments: [
      // In Zurich clocks go from 2 to 3 on 2026-03-29 at 01:00 UTC.
      (135, 165, [("2026-03-29T00:59:59Z", false), ("2026-03-29T01:00:00Z", false)]),
      (60, 180, [("2026-03-29T00:59:59.999Z", true), ("2026-03-29T01:00:00Z", false)]),
      (150, 210, [("2026-03-29T01:00:00Z", true), ("2026-03-29T01:30:00Z", false)]),
      (
        1_320, 420,
        [
          ("2026-03-28T20:59:59Z", false), ("2026-03-28T21:00:00Z", true),
          ("2026-03-29T04:59:59Z", true), ("2026-03-29T05:00:00Z", false),
          ("2026-03-29T19:59:59Z", false), ("2026-03-29T20:00:00Z", true),
        ]
      ),
      // They go from 3 to 2 on 2026-10-25 at 01:00 UTC: the hour from 2 occurs twice.
      (
        135, 165,
        [
          ("2026-10-25T00:14:59Z", false), ("2026-10-25T00:15:00Z", true),
          ("2026-10-25T00:45:00Z", false), ("2026-10-25T01:14:59Z", false),
          ("2026-10-25T01:15:00Z", true), ("2026-10-25T01:45:00Z", false),
        ]
      ),
      (
        1_320, 420,
        [
          ("2026-10-24T19:59:59Z", false), ("2026-10-24T20:00:00Z", true),
          ("2026-10-25T05:59:59Z", true), ("2026-10-25T06:00:00Z", false),
          ("2026-10-25T20:59:59Z", false), ("2026-10-25T21:00:00Z", true),
        ]
      ),
    ] as [(Int, Int, [(String, Bool)])])
  func changes(start: Int, end: Int, times: [(String, Bool)]) throws {
    let zones = try ZoneSamples.table("Europe/Zurich")
    for (text, isQuiet) in times {
      let time = try Self.milliseconds(text)
      #expect(Self.hours(start, end).contains(time, zones: zones) == isQuiet, "\(text)")
    }
  }

  @Test func `a span belongs to the day of the zone on which it begins`() throws {
    let zones = try ZoneSamples.table("Pacific/Kiritimati", "America/New_York")
    // 2026-03-02 is a Monday; Kiritimati is 14 hours ahead.
    let ahead = Self.hours(60, 120, "Pacific/Kiritimati", days: [.tuesday])
    #expect(ahead.contains(try Self.milliseconds("2026-03-02T11:30:00Z"), zones: zones))
    #expect(!ahead.contains(try Self.milliseconds("2026-03-03T11:30:00Z"), zones: zones))
    let saturday = Self.hours(1_320, 420, "America/New_York", days: [.saturday])
    // The night in which clocks are set ahead, on 2026-03-08 at 07:00 UTC.
    for (text, isQuiet) in [
      ("2026-03-08T02:59:59Z", false), ("2026-03-08T03:00:00Z", true),
      ("2026-03-08T10:59:59Z", true), ("2026-03-08T11:00:00Z", false),
      ("2026-03-09T02:30:00Z", false),
    ] {
      #expect(saturday.contains(try Self.milliseconds(text), zones: zones) == isQuiet, "\(text)")
    }
  }

  @Test func `quiet hours equal the clock of Python's zoneinfo at each sample`() throws {
    var generator = SeededGenerator.announced()
    for (name, samples) in try ZoneSamples.expected() {
      let zones = try ZoneSamples.table(name)
      for (instant, offset) in samples {
        let start = Int.random(in: 0..<1_440, using: &generator)
        let end = (start + Int.random(in: 1..<1_440, using: &generator)) % 1_440
        let ofDay = Int(((instant + Int64(offset)) % 86_400 + 86_400) % 86_400) / 60
        let isQuiet =
          start < end ? start <= ofDay && ofDay < end : start <= ofDay || ofDay < end
        let hours = Self.hours(start, end, name)
        if hours.contains(instant * 1_000, zones: zones) != isQuiet {
          Issue.record("\(name) at \(instant), from \(start) to \(end)")
        }
      }
    }
  }

  @Test("any time is accepted", arguments: [Int64.min, .min + 1, -1, 0, .max - 1, .max])
  func extremes(time: Int64) throws {
    let zones = try ZoneSamples.table("Europe/Zurich", "Etc/UTC")
    for name in ["Europe/Zurich", "Etc/UTC"] {
      let whole = Self.hours(0, 1_439, name)
      let rest = Self.hours(1_439, 0, name)
      #expect(whole.contains(time, zones: zones) != rest.contains(time, zones: zones))
    }
  }

  @Test func `in a zone that the server does not know everything rings`() throws {
    let preferences = Preferences(quietHours: Self.hours(0, 1_439))
    for zones in [TimeZoneTable.empty, try ZoneSamples.table("Etc/UTC")] {
      #expect(
        !preferences.isMuted(type: "t", priority: .low, createdAt: 60_000, zones: zones))
    }
    let known = try ZoneSamples.table("Europe/Zurich")
    #expect(preferences.isMuted(type: "t", priority: .low, createdAt: 60_000, zones: known))
  }

  // MARK: The document

  private static func document(_ hours: String) -> [UInt8] {
    Array(#"{"quiet_hours":{"start":"22:00","end":"07:00",\#(hours)}}"#.utf8)
  }

  /// The reason for which a document is refused; nil if it is accepted.
  private static func refusal(_ hours: String, _ zones: TimeZoneTable) -> String? {
    do throws(DocumentError) {
      _ = try Preferences.parse(document(hours), zones: zones)
      return nil
    } catch {
      switch error {
      case .malformed(let reason): return reason
      case .invalid(let field, let reason): return "\(field): \(reason)"
      }
    }
  }

  @Test func `a known zone is accepted, and written again`() throws {
    let zones = try ZoneSamples.table("Europe/Zurich")
    let read = try Preferences.parse(
      Self.document(#""time_zone":"Europe/Zurich","days":["mon"]"#), zones: zones)
    #expect(read.quietHours == Self.hours(1_320, 420, days: [.monday]))
    let text =
      #"{"types":{},"quiet_hours":{"start":"22:00","end":"07:00","time_zone":"Europe/Zurich","#
      + #""days":["mon"]}}"#
    #expect(String(decoding: read.json, as: UTF8.self) == text)
    #expect(try Preferences.parse(read.json, zones: zones) == read)
  }

  @Test(
    "an unknown zone is refused without its name, and so is a zone beside an offset",
    arguments: [
      (#""time_zone":"Europe/Atlantis""#, "quiet_hours.time_zone: must be the name of a time zone"),
      (#""time_zone":"europe/zurich""#, "quiet_hours.time_zone: must be the name"),
      (#""time_zone":"../Zurich""#, "quiet_hours.time_zone: must be the name"),
      (#""time_zone":"""#, "quiet_hours.time_zone: must be the name"),
      (#""time_zone":"Europe/Zurich\u0000""#, "quiet_hours.time_zone: must be the name"),
      (#""time_zone":7"#, "quiet_hours.time_zone: must be a string"),
      (
        #""time_zone":"Europe/Zurich","utc_offset":"+01:00""#,
        "quiet_hours: must have a utc_offset or a time_zone, not both"
      ),
      (
        #""utc_offset":"+00:00","time_zone":"Europe/Zurich""#,
        "quiet_hours: must have a utc_offset or a time_zone, not both"
      ),
    ])
  func refused(hours: String, reason: String) throws {
    let found = Self.refusal(hours, try ZoneSamples.table("Europe/Zurich"))
    #expect(found?.hasPrefix(reason) == true, "\(found ?? "accepted")")
    #expect(found?.contains("Atlantis") == false)
  }

  @Test func `without zones an offset is accepted, and a zone is refused with the remedy`() {
    #expect(Self.refusal(#""utc_offset":"+01:00""#, .empty) == nil)
    #expect(
      Self.refusal(#""time_zone":"Europe/Zurich""#, .empty)
        == "quiet_hours.time_zone: this server has no time zones: give a utc_offset")
    #expect(Self.refusal(#""time_zone":null"#, .empty) == nil)
  }

  @Test func `a stored document keeps a zone that the server does not know any more`() throws {
    let stored = Preferences.stored(Self.document(#""time_zone":"Europe/Zurich""#))
    #expect(stored?.quietHours == Self.hours(1_320, 420))
    // Its form is checked all the same.
    #expect(Preferences.stored(Self.document(#""time_zone":"../Zurich""#)) == nil)
  }
}
