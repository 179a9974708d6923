import Channels
import Testing

@Suite("When a failed delivery is tried again")
struct RetryTests {
  @Test("the standard schedule has the delays of Standard Webhooks")
  func standard() throws {
    let text = "5s,5m,30m,2h,5h,10h,14h,20h,24h"
    #expect(try RetrySchedule(parsing: text) == .standard)
    let delays = (1...10).map {
      RetrySchedule.standard.delayMilliseconds(failureCount: $0, random: 0)
    }
    #expect(
      delays == [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map { $0 * 1_000 }
        + [nil])
  }

  @Test(
    "jitter adds up to a tenth, uniformly",
    arguments: [(0, 5_000), (1 << 62, 5_125), (1 << 63, 5_250), (.max, 5_500)] as [(UInt64, Int64)])
  func jitter(random: UInt64, delay: Int64) {
    #expect(RetrySchedule.standard.delayMilliseconds(failureCount: 1, random: random) == delay)
  }

  @Test(
    "a Retry-After counts if it is longer than the delay, and at most a day",
    arguments: [
      (0, 5_000), (4, 5_000), (6, 6_000), (86_400, 86_400_000), (86_401, 86_400_000),
      (-1, 5_000), (.min, 5_000), (.max, 86_400_000),
    ] as [(Int64, Int64)])
  func retryAfter(seconds: Int64, delay: Int64) {
    let schedule = RetrySchedule.standard
    #expect(
      schedule.delayMilliseconds(failureCount: 1, random: 0, retryAfterSeconds: seconds) == delay)
    #expect(
      schedule.delayMilliseconds(failureCount: 10, random: 0, retryAfterSeconds: seconds) == nil)
  }

  @Test(
    "a schedule is a list of delays with units",
    arguments: [
      ("1s", [1]), ("604800s", [604_800]), ("7d", [604_800]), ("10080m,168h", [604_800, 604_800]),
      (Array(repeating: "1s", count: 20).joined(separator: ","), Array(repeating: 1, count: 20)),
    ] as [(String, [Int64])])
  func parsed(text: String, delays: [Int64]) throws {
    #expect(try RetrySchedule(parsing: text).delaySeconds == delays)
  }

  @Test(
    "other texts are refused",
    arguments: [
      "", ",", "5", "s", "5s,", ",5s", "5s,,5s", "0s", "05s", "-5s", "+5s", "5 s", " 5s", "5S",
      "5ms", "5.5s", "1e3s", "8d", "169h", "10081m", "604801s", "999999d", "1000000s",
      "9223372036854775807d",
      "99999999999999999999s", String(repeating: "9", count: 200) + "s", "٥s", "5ſ",
      Array(repeating: "1s", count: 21).joined(separator: ","),
      String(repeating: ",", count: 1 << 20), String(repeating: "1", count: 1 << 20),
    ])
  func refused(text: String) {
    #expect(throws: RetryScheduleError.self) { try RetrySchedule(parsing: text) }
  }
}
