// When a set of keys is fetched.

import Testing

@testable import Server

@Suite("The schedule of a fetched set of keys")
struct KeySetScheduleTests {
  /// The wait after a set was fetched at 1,000,000 ms with that max-age.
  static func wait(afterMaxAge seconds: Int64?) -> UInt64 {
    var schedule = KeySetSchedule(at: 0)
    schedule.begin(at: 999_000)
    schedule.succeed(at: 1_000_000, maxAgeSeconds: seconds)
    return schedule.wait(at: 1_000_000)
  }

  @Test(
    "a set is fetched again before its time is over, which is 5 minutes to a day",
    arguments: [
      (nil, 720_000), (0, 240_000), (-5, 240_000), (299, 240_000), (300, 240_000), (600, 480_000),
      (86_400, 69_120_000), (1_000_000_000, 69_120_000), (.max, 69_120_000),
    ] as [(Int64?, UInt64)])
  func lifetimes(maxAge: Int64?, wait: UInt64) {
    #expect(Self.wait(afterMaxAge: maxAge) == wait)
  }

  @Test("the first fetch is due at once, and one that failed is repeated with growing waits")
  func failures() {
    var schedule = KeySetSchedule(at: 5)
    #expect(schedule.wait(at: 5) == 0)
    var now: UInt64 = 5
    for wait: UInt64 in [1, 2, 4, 8, 16, 32, 60, 60] {
      schedule.begin(at: now)
      schedule.fail(at: now)
      #expect(schedule.wait(at: now) == wait * 1_000)
      now += wait * 1_000
      #expect(schedule.wait(at: now) == 0)
    }
    schedule.succeed(at: now, maxAgeSeconds: nil)
    schedule.fail(at: now)
    #expect(schedule.wait(at: now) == 1_000)
  }

  @Test("an unknown key begins a fetch at once, and at most one in ten seconds")
  func unknownKeys() {
    var schedule = KeySetSchedule(at: 0)
    schedule.begin(at: 1_000_000)
    schedule.succeed(at: 1_000_100, maxAgeSeconds: nil)
    var begun: [UInt64] = []
    // An unknown key in every 100 ms of a minute.
    for now in stride(from: UInt64(1_000_200), to: 1_060_200, by: 100) {
      schedule.noteUnknownKey()
      guard schedule.wait(at: now) == 0 else { continue }
      begun.append(now)
      schedule.begin(at: now)
      schedule.succeed(at: now, maxAgeSeconds: nil)
    }
    #expect(begun == [1_010_000, 1_020_000, 1_030_000, 1_040_000, 1_050_000, 1_060_000])
    // Long after a fetch it is due at once.
    schedule.noteUnknownKey()
    #expect(schedule.wait(at: 1_100_000) == 0)
  }
}
