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

  /// The time of a text in the form above, in seconds since 1970; nil for any other text.
  ///
  /// RFC 9110's two obsolete forms are refused, and so is a weekday that is not the date's.
  package static func seconds(_ text: String) -> Int64? {
    // The form has 29 bytes: "Sun, 06 Nov 1994 08:49:37 GMT".
    let bytes = Array(text.utf8.prefix(30))
    guard bytes.count == 29 else { return nil }
    func part(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
    guard let month = months.firstIndex(of: part(8..<11)) else { return nil }
    let number = month + 1 < 10 ? "0\(month + 1)" : "\(month + 1)"
    let date = "\(part(12..<16))-\(number)-\(part(5..<7))T\(part(17..<25))Z"
    guard let milliseconds = RFC3339.parse(date) else { return nil }
    // All that the parts do not show has one spelling, which is compared.
    let seconds = milliseconds / 1_000
    return string(seconds: seconds).utf8.elementsEqual(bytes) ? seconds : nil
  }
}
