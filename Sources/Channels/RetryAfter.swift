// The Retry-After field: RFC 9110, section 10.2.3.

internal import Wire

/// The delay that a server asks for before the next request.
enum RetryAfter {
  private static let name = Array("retry-after".utf8)
  /// Digits of a delay after which it is longer than every bound.
  private static let digitCountLimit = 9

  /// The value of a line of a head, without white space around it, if the line is this field.
  static func value(ofField line: [UInt8]) -> [UInt8]? {
    guard line.count > name.count, line[name.count] == UInt8(ascii: ":"),
      zip(line, name).allSatisfy({ $0 == $1 || $0 ^ 0x20 == $1 && $1 != UInt8(ascii: "-") })
    else { return nil }
    let isSpace: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    let value = line[(name.count + 1)...].drop(while: isSpace)
    let end = value.lastIndex { !isSpace($0) }
    return end.map { Array(value[...$0]) } ?? []
  }

  /// Seconds from now, at most a day: of a number, or of a date in the form that RFC 9110 prefers.
  ///
  /// Nil for any other text. A date that has passed is 0.
  static func seconds(_ value: [UInt8], wallMilliseconds: Int64) -> Int64? {
    let limit = OutgoingLimits.retryAfterSecondsLimit
    guard !value.isEmpty else { return nil }
    let zero = UInt8(ascii: "0")
    guard value.allSatisfy({ (zero...UInt8(ascii: "9")).contains($0) }) else {
      guard let date = HTTPDate.seconds(String(decoding: value, as: UTF8.self)) else { return nil }
      return min(max(0, date - wallMilliseconds / 1_000), limit)
    }
    let digits = value.drop { $0 == zero }
    // guard: retry-after-digits
    guard digits.count <= digitCountLimit else { return limit }
    return min(digits.reduce(0) { $0 * 10 + Int64($1 & 0x0F) }, limit)
  }
}
