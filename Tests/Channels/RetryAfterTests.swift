import Testing

@testable import Channels

@Suite("RFC 9110, 10.2.3: Retry-After")
struct RetryAfterTests {
  @Test(
    "a delay is a number of seconds or a date",
    arguments: [
      ("0", 0), ("7", 7), ("007", 7), ("86400", 86_400), ("86401", 86_400),
      ("999999999", 86_400), ("1000000000", 86_400), (String(repeating: "9", count: 300), 86_400),
      (String(repeating: "0", count: 300), 0), (String(repeating: "0", count: 300) + "5", 5),
      ("Sun, 06 Nov 1994 08:49:37 GMT", 37), ("Sun, 06 Nov 1994 08:49:00 GMT", 0),
      ("Sun, 06 Nov 1994 08:48:59 GMT", 0), ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
      ("Sat, 01 Jan 0000 00:00:00 GMT", 0), ("", nil), ("-1", nil), ("+1", nil), ("1.5", nil),
      ("1 ", nil), ("1, 2", nil), ("1e3", nil), ("0x10", nil), ("soon", nil), ("\u{0}", nil),
      ("Mon, 06 Nov 1994 08:49:37 GMT", nil), ("\u{661}", nil),
    ] as [(String, Int64?)])
  func seconds(text: String, seconds: Int64?) {
    // 08:49:00.
    let now: Int64 = 784_111_740_999
    #expect(RetryAfter.seconds(Array(text.utf8), wallMilliseconds: now) == seconds)
  }

  @Test(
    "the field is found by its name",
    arguments: [
      ("Retry-After: 5", "5"), ("RETRY-AFTER:5", "5"), ("retry-after:\t 5 6\t ", "5 6"),
      ("Retry-After:", ""), ("Retry-After:  ", ""), ("Retry-After", nil), ("Retry-After : 5", nil),
      ("Retry-Afterx: 5", nil), ("X-Retry-After: 5", nil), ("Retry\rAfter: 5", nil),
      ("Retry", nil), ("", nil), (" Retry-After: 5", nil),
    ] as [(String, String?)])
  func field(line: String, value: String?) {
    #expect(RetryAfter.value(ofField: Array(line.utf8)) == value.map { Array($0.utf8) })
  }
}
