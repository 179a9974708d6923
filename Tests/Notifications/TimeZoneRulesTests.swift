// Time zones from files: their offsets, compared with Python's, and files that are refused.

import TestSupport
import Testing

@testable import Notifications

@Suite("RFC 8536: time zones")
struct TimeZoneRulesTests {
  @Test func `every offset is that of Python's zoneinfo`() throws {
    let expected = try ZoneSamples.expected()
    #expect(expected.count == 24)
    var count = 0
    for (name, samples) in expected {
      let rules = try ZoneSamples.rules(name)
      for (instant, offset) in samples {
        count += 1
        let found = rules.offset(at: instant)
        if found != offset { Issue.record("\(name) at \(instant): \(found), not \(offset)") }
      }
    }
    #expect(count > 3_000)
  }

  @Test(
    "the time before the first change, and that after the last one",
    arguments: [
      ("\n\n", [(-1, 60), (999, 60), (1_000, 120), (1_999, 120), (2_000, 180), (9_999, 180)]),
      ("\n<+05>-5\n", [(-1, 60), (1_999, 120), (2_000, 18_000), (9_999, 18_000)]),
    ])
  func edges(footer: String, expected: [(Int64, Int)]) throws {
    let file = ZoneFile(
      times: [1_000, 2_000], indices: [1, 2], offsets: [60, 120, 180], footer: footer)
    let rules = try TimeZoneRules(file.bytes)
    for (instant, offset) in expected { #expect(rules.offset(at: instant) == offset) }
  }

  @Test func `a file without changes has the offset of its TZ string, else of its first type`()
    throws
  {
    let string = try TimeZoneRules(ZoneFile(offsets: [60], footer: "\nAAA-2\n").bytes)
    let type = try TimeZoneRules(ZoneFile(offsets: [60], footer: "\n\n").bytes)
    for instant: Int64 in [-1_000_000_000, 0, 4_000_000_000] {
      #expect(string.offset(at: instant) == 7_200 && type.offset(at: instant) == 60)
    }
  }

  // MARK: Refused files

  private static func refusal(_ file: ZoneFile) -> String? {
    refusal(file.bytes)
  }

  private static func refusal(_ bytes: [UInt8]) -> String? {
    do throws(TimeZoneFileError) {
      _ = try TimeZoneRules(bytes)
      return nil
    } catch {
      return error.reason
    }
  }

  @Test func `files outside of the format are refused with a reason`() {
    let cases: [(ZoneFile, String)] = [
      (ZoneFile(version: 0), "version 1"), (ZoneFile(leapCount: 1), "leap seconds"),
      (ZoneFile(offsets: []), "no type"),
      (ZoneFile(times: [2, 1], indices: [0, 0]), "do not rise"),
      (ZoneFile(times: [1, 1], indices: [0, 0]), "do not rise"),
      (ZoneFile(times: [1], indices: [1]), "missing"),
      (ZoneFile(offsets: [93_600]), "more than a day"),
      (ZoneFile(offsets: [-90_000]), "more than a day"),
      (ZoneFile(offsets: [.min]), "more than a day"), (ZoneFile(footer: ""), "no TZ string"),
      (ZoneFile(footer: "\nUTC0"), "no TZ string"), (ZoneFile(footer: "UTC0\n"), "no TZ string"),
      (ZoneFile(footer: "\nUTC\n"), "POSIX"), (ZoneFile(footer: "\nUTC0 \n"), "POSIX"),
    ]
    for (file, reason) in cases {
      #expect(Self.refusal(file)?.contains(reason) == true, "\(file): \(Self.refusal(file) ?? "")")
    }
    #expect(Self.refusal(ZoneFile()) == nil)
    #expect(Self.refusal(ZoneFile(offsets: [93_599])) == nil)
    #expect(Self.refusal(Array("TZif".utf8)) == "too short")
    #expect(Self.refusal([UInt8](repeating: 0x54, count: 200)) == "no TZif")
    let long = ZoneFile().bytes + [UInt8](repeating: 0, count: 65_536)
    #expect(Self.refusal(long)?.contains("longer") == true)
  }

  @Test func `every prefix of a file is refused`() throws {
    for name in ["Europe/Zurich", "Etc/UTC"] {
      let file = try ZoneSamples.file(name)
      for end in 0..<file.count where Self.refusal(Array(file[..<end])) == nil {
        Issue.record("\(name): the first \(end) bytes")
      }
    }
  }

  @Test("a count beyond the file is refused before anything is read")
  func damagedCounts() throws {
    let file = ZoneFile().bytes
    // The counts of both headers.
    for header in [0, 44 + 10] {
      for position in stride(from: header + 20, to: header + 44, by: 4) {
        for text: [UInt8] in [[0xFF, 0xFF, 0xFF, 0xFF], [0x7F, 0xFF, 0xFF, 0xFF], [0, 1, 0, 0]] {
          var damaged = file
          damaged.replaceSubrange(position..<(position + 4), with: text)
          #expect(Self.refusal(damaged) != nil, "\(position)")
        }
      }
    }
  }

  @Test func `no mutant of a file traps, nor does an instant`() throws {
    var generator = SeededGenerator.announced()
    let instants: [Int64] = [.min, .min / 1_000, -1, 0, 1 << 40, .max / 1_000, .max]
    var refusedCount = 0
    for name in ["Europe/Dublin", "America/Nuuk", "Etc/UTC"] {
      let file = try ZoneSamples.file(name)
      for mutant in mutants(of: file, count: 1_000, using: &generator) {
        guard let rules = try? TimeZoneRules(mutant) else {
          refusedCount += 1
          continue
        }
        for instant in instants where abs(rules.offset(at: instant)) > 100_000 {
          Issue.record("\(mutant)")
        }
      }
    }
    #expect(refusedCount > 100)
  }

  // MARK: TZ strings

  private static func rule(_ text: String) -> PosixRule? { PosixRule(Array(text.utf8)[...]) }

  @Test(
    "TZ strings are read",
    arguments: [
      ("UTC0", 0, nil), ("EST5", -18_000, nil), ("<+0545>-5:45", 20_700, nil),
      ("<-00>+00:00:01", -1, nil), ("AAA-24", 86_400, nil),
      ("CET-1CEST,M3.5.0,M10.5.0/3", 3_600, 7_200),
      ("IST-1GMT0,M10.5.0,M3.5.0/1", 3_600, 0),
      ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 37_800, 39_600),
      ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", -7_200, -3_600),
      ("EST5EDT,0/0,J365/25", -18_000, -14_400),
      ("EET-2EEST,M4.5.5/0,M10.5.4/24", 7_200, 10_800),
      ("AAA3BBB,J60/167:59:59,365/-167", -10_800, -7_200),
    ] as [(String, Int, Int?)])
  func strings(text: String, standard: Int, daylight: Int?) throws {
    let rule = try #require(Self.rule(text))
    #expect(rule.standard == standard && rule.daylight?.offset == daylight)
  }

  @Test(
    "other strings are refused, and no number in them traps",
    arguments: [
      "", "UTC", "0", "UT0", "<UTC0", "<U>0", "UTC+", "UTC25", "UTC-25", "UTC0:60", "UTC0:00:60",
      "UTC0:", "UTC0:0:0:0", "UTC 0", "UTC0x", "UTC0000", "UTC99999999999999999999", ":UTC0",
      "CET-1CEST", "CET-1CEST,", "CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,",
      "CET-1CEST,M3.5.0,M10.5.0,",
      "CET-1CEST,M0.5.0,M10.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.0.0,M10.5.0",
      "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J365",
      "CET-1CEST,J1,J366",
      "CET-1CEST,0,366", "CET-1CEST,M3.5.0/168,M10.5.0", "CET-1CEST,M3.5.0/,M10.5.0",
      "CET-1CEST,M3.5,M10.5.0", "CET-1CEST,Mx.5.0,M10.5.0", "CET-1CEST,1000,2000", "CET-1é",
    ])
  func refusedStrings(text: String) {
    #expect(Self.rule(text) == nil)
  }

  @Test func `daylight time can last all year`() throws {
    let rule = try #require(Self.rule("EST5EDT,0/0,J365/25"))
    for instant in stride(from: Int64(1_700_000_000), to: 1_900_000_000, by: 43_201) {
      if rule.offset(at: instant) != -14_400 { Issue.record("\(instant)") }
    }
    // January 1, 2027, 0 o'clock of standard time, and the second before.
    #expect(rule.offset(at: 1_798_779_600) == -14_400 && rule.offset(at: 1_798_779_599) == -14_400)
  }

  @Test func `the days of a rule are those of the calendar`() {
    // 2024 is a leap year: March 1 is its day 60, counted from 0, and J60 in every year.
    let march: [Int64: Int64] = [2023: 1_677_628_800, 2024: 1_709_251_200]
    for (year, instant) in march {
      let rule = Self.rule("AAA0BBB,J60/0,J300/0")
      #expect(rule?.offset(at: instant - 1) == 0 && rule?.offset(at: instant) == 3_600, "\(year)")
    }
    let ordinal = Self.rule("AAA0BBB,59/0,300/0")
    #expect(ordinal?.offset(at: 1_677_628_800) == 3_600)
    #expect(ordinal?.offset(at: 1_709_164_800) == 3_600 && ordinal?.offset(at: 1_709_164_799) == 0)
    for year: Int64 in [-400, 0, 1, 1900, 1970, 2000, 2024, 2100, 9999, 1_000_000] {
      let first = CivilDate.days(toYear: year) * 86_400
      #expect(CivilDate.year(at: first) == year && CivilDate.year(at: first - 1) == year - 1)
      #expect(
        CivilDate.days(toYear: year + 1) - CivilDate.days(toYear: year)
          == (CivilDate.isLeap(year) ? 366 : 365))
    }
  }

  // MARK: Names

  @Test(
    "a name has letters, digits, signs and inner slashes",
    arguments: [
      ("Europe/Zurich", true), ("America/Argentina/Buenos_Aires", true), ("Etc/GMT+12", true),
      ("EST5EDT", true), ("UTC", true), (String(repeating: "a", count: 64), true), ("", false),
      ("/", false), ("/etc/passwd", false), ("Europe/", false), ("Europe//Zurich", false),
      ("../Zurich", false), ("Europe/..", false), ("Europe Zurich", false), ("Europe\u{0}", false),
      ("Zürich", false), (String(repeating: "a", count: 65), false),
    ])
  func names(name: String, isName: Bool) {
    #expect(TimeZoneTable.isName(name) == isName)
  }
}
