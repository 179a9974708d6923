// Times as text, against a calendar counted day by day.

import TestSupport
import Testing

@testable import Wire

@Suite("RFC 3339: dates and times")
struct RFC3339Tests {
  @Test("known points in time are written and read")
  func known() {
    let table: [(Int64, String)] = [
      (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
      (1_769_860_800_000, "2026-01-31T12:00:00.000Z"),
      (951_782_399_999, "2000-02-28T23:59:59.999Z"),
      (951_782_400_000, "2000-02-29T00:00:00.000Z"),
      (1_000_000_000_123, "2001-09-09T01:46:40.123Z"),
      (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
      (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
      (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
      (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
    ]
    for (milliseconds, text) in table {
      #expect(RFC3339.string(milliseconds: milliseconds) == text)
      #expect(RFC3339.parse(text) == milliseconds)
    }
  }

  @Test("every day of 220 years, and each month's first and last day of every year, are correct")
  func calendar() {
    var day: Int64 = -719_528  // 0000-01-01, counted from 1970-01-01
    for year in 0...9999 {
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      for (month, count) in [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        .enumerated()
      {
        // Between 1890 and 2110 every day; elsewhere every month's last, each 7th year.
        let days = 1890...2110 ~= year ? Array(1...count) : year % 7 == 0 ? [count] : []
        for dayOfMonth in days {
          let milliseconds = (day + Int64(dayOfMonth) - 1) * 86_400_000 + 12_345
          let text =
            "\(pad(year, 4))-\(pad(month + 1, 2))-\(pad(dayOfMonth, 2))T00:00:12.345Z"
          if RFC3339.string(milliseconds: milliseconds) != text
            || RFC3339.parse(text) != milliseconds
          {
            Issue.record("\(text)")
          }
        }
        if !days.isEmpty {
          #expect(
            RFC3339.parse("\(pad(year, 4))-\(pad(month + 1, 2))-\(count + 1)T00:00:00Z") == nil)
        }
        day += Int64(count)
      }
    }
    #expect(day == 2_932_897)  // 10000-01-01
  }

  private func pad(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  @Test("offsets, fractions, lower-case letters and leap seconds are read as section 5 specifies")
  func forms() {
    let noon: Int64 = 1_769_860_800_000
    let table: [(String, Int64)] = [
      ("2026-01-31T12:00:00Z", noon), ("2026-01-31t12:00:00z", noon),
      ("2026-01-31T13:00:00+01:00", noon), ("2026-01-31T06:30:00-05:30", noon),
      ("2026-01-31T12:00:00-00:00", noon), ("2026-01-31T12:00:00+00:00", noon),
      ("2026-02-01T11:59:00+23:59", noon), ("2026-01-30T12:01:00-23:59", noon),
      ("2026-01-31T12:00:00.5Z", noon + 500), ("2026-01-31T12:00:00.05Z", noon + 50),
      ("2026-01-31T12:00:00.1239999999Z", noon + 123), ("2026-01-31T12:00:00.000001Z", noon),
      // The examples of section 5.8.
      ("1985-04-12T23:20:50.52Z", 482_196_050_520), ("1996-12-19T16:39:57-08:00", 851_042_397_000),
      ("1990-12-31T23:59:60Z", 662_688_000_000), ("1990-12-31T15:59:60-08:00", 662_688_000_000),
      ("1937-01-01T12:00:27.87+00:20", -1_041_337_172_130),
    ]
    for (text, milliseconds) in table { #expect(RFC3339.parse(text) == milliseconds, "\(text)") }
  }

  @Test("any text that is not exactly a date-time is refused")
  func refused() {
    let long = "2026-01-31T12:00:00." + String(repeating: "1", count: 44) + "Z"
    #expect(RFC3339.parse(String(long.dropFirst(0))) == nil)
    #expect(RFC3339.parse("2026-01-31T12:00:00." + String(repeating: "1", count: 43) + "Z") != nil)
    let texts = [
      "", "2026", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31 12:00:00Z",
      "2026-01-31T12:00Z", "2026-1-31T12:00:00Z", "26-01-31T12:00:00Z", "02026-01-31T12:00:00Z",
      "+2026-01-31T12:00:00Z", "-2026-01-31T12:00:00Z", "2026-00-31T12:00:00Z",
      "2026-13-01T12:00:00Z", "2026-01-00T12:00:00Z", "2026-01-32T12:00:00Z",
      "2026-02-29T12:00:00Z", "1900-02-29T12:00:00Z", "2026-04-31T12:00:00Z",
      "2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z", "2026-01-31T12:00:61Z",
      "2026-01-31T12:00:60Z", "2026-02-01T12:00:60Z", "2026-02-01T00:00:60Z",
      "2026-01-30T23:59:60Z", "1990-12-31T23:59:60+01:00",
      "2026-01-31T12:00:00.Z", "2026-01-31T12:00:00,5Z", "2026-01-31T12:00:00+24:00",
      "2026-01-31T12:00:00+01:60", "2026-01-31T12:00:00+0100", "2026-01-31T12:00:00+01",
      "2026-01-31T12:00:00ZZ", "2026-01-31T12:00:00Z ", " 2026-01-31T12:00:00Z",
      "2026-01-31T12:00:00+1:00", "2026-01-31T12:00:00Z\0", "２026-01-31T12:00:00Z",
      "2026-01-31T12:00:0٣Z", "2026/01/31T12:00:00Z", "20260131T120000Z",
      // In UTC these are outside the four-digit years.
      "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60Z",
      String(repeating: "9", count: 100_000),
    ]
    for text in texts { #expect(RFC3339.parse(text) == nil, "\(text.prefix(40))") }
    for prefix in properPrefixes(of: Array("2026-01-31T12:00:00.123+01:00".utf8)) {
      #expect(RFC3339.parse(String(decoding: prefix, as: UTF8.self)) == nil)
    }
  }

  // Case 33
  @Test("times outside the years 0000 to 9999 are written as the nearest one inside")
  func clamped() {
    for milliseconds in [Int64.max, Int64.max - 1, RFC3339.latestMilliseconds + 1] {
      #expect(RFC3339.string(milliseconds: milliseconds) == "9999-12-31T23:59:59.999Z")
    }
    for milliseconds in [Int64.min, Int64.min + 1, RFC3339.earliestMilliseconds - 1] {
      #expect(RFC3339.string(milliseconds: milliseconds) == "0000-01-01T00:00:00.000Z")
    }
  }

  @Test("random times are read back, and mutants never trap")
  func fuzz() {
    var generator = SeededGenerator.announced()
    for _ in 0..<3_000 {
      let time = Int64.random(
        in: RFC3339.earliestMilliseconds...RFC3339.latestMilliseconds, using: &generator)
      #expect(RFC3339.parse(RFC3339.string(milliseconds: time)) == time)
    }
    let seeds = [
      "2026-01-31T12:00:00.123Z", "9999-12-31T23:59:60-23:59", "0000-01-01T00:00:00+00:00",
    ]
    for seed in seeds {
      for mutant in mutants(of: Array(seed.utf8), count: 5_000, using: &generator) {
        guard let time = RFC3339.parse(String(decoding: mutant, as: UTF8.self)) else { continue }
        #expect(RFC3339.parse(RFC3339.string(milliseconds: time)) == time)
      }
    }
  }
}
