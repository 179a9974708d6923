// The Date field: RFC 9110, section 5.6.7.
//
// A server with a clock must send one (section 6.6.1). The caller has the clock, and makes the text
// once per second rather than once per response.

/// Points in time as HTTP writes them.
package enum HTTPDate {
  private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// The time as `Sun, 06 Nov 1994 08:49:37 GMT`.
  ///
  /// A time outside the years 0000 to 9999 is written as the nearest one inside.
  package static func string(seconds: Int64) -> String {
    let earliest = RFC3339.earliestMilliseconds / 1_000
    let latest = RFC3339.latestMilliseconds / 1_000
    let seconds = min(max(seconds, earliest), latest)
    // `RFC3339` does the calendar arithmetic: in "1994-11-06T08:49:37.000Z" every part has a fixed
    // position.
    var digits: [UInt8] = []
    RFC3339.append(milliseconds: seconds * 1_000, into: &digits)
    let dayOf1970 = seconds / 86_400 - (seconds % 86_400 < 0 ? 1 : 0)
    // 1970 began on a Thursday.
    let weekday = Int((dayOf1970 % 7 + 7) % 7)
    let month = Int(digits[5] &- 0x30) * 10 + Int(digits[6] &- 0x30) - 1
    var text: [UInt8] = []
    text.reserveCapacity(29)
    text.appendText(weekdays[weekday])
    text.appendText(", ")
    text.append(contentsOf: digits[8..<10])
    text.append(HTTPCharacter.space)
    text.appendText(months[month])
    text.append(HTTPCharacter.space)
    text.append(contentsOf: digits[0..<4])
    text.append(HTTPCharacter.space)
    text.append(contentsOf: digits[11..<19])
    text.appendText(" GMT")
    return String(decoding: text, as: UTF8.self)
  }
}
