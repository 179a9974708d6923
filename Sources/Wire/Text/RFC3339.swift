// Dates and times as text: RFC 3339, with its own calendar arithmetic.
//
// Years 0000 to 9999 of the proleptic Gregorian calendar, to the millisecond, in UTC. The format
// has no other years, so a time outside is refused when parsed and clamped when written.

/// A point in time as `2026-01-31T12:00:00.000Z`, and back.
///
/// Times are milliseconds since 1970-01-01T00:00:00Z, without leap seconds, as clocks give them.
package enum RFC3339 {
  /// 0000-01-01T00:00:00.000Z.
  package static let earliestMilliseconds: Int64 = -62_167_219_200_000
  /// The most bytes of a time's text.
  package static let textBytesLimit = 64
  /// 9999-12-31T23:59:59.999Z.
  package static let latestMilliseconds: Int64 = 253_402_300_799_999

  private static let millisecondsPerDay: Int64 = 86_400_000

  /// Appends 24 bytes: a time outside the years 0000 to 9999 is written as the nearest one inside.
  package static func append(milliseconds: Int64, into bytes: inout [UInt8]) {
    let time = min(max(milliseconds, earliestMilliseconds), latestMilliseconds)
    var day = time / millisecondsPerDay
    var rest = Int(time % millisecondsPerDay)
    if rest < 0 {
      rest += Int(millisecondsPerDay)
      day -= 1
    }
    let date = civilDate(daysSince1970: Int(day))
    let start = bytes.count
    bytes.append(contentsOf: template)
    func set(_ number: Int, _ field: Range<Int>) {
      let place = (start + field.lowerBound)..<(start + field.upperBound)
      bytes.setDigits(of: UInt64(number), in: place)
    }
    set(date.year, 0..<4)
    set(date.month, 5..<7)
    set(date.day, 8..<10)
    set(rest / 3_600_000, 11..<13)
    set(rest / 60_000 % 60, 14..<16)
    set(rest / 1_000 % 60, 17..<19)
    set(rest % 1_000, 20..<23)
  }

  private static let template = [UInt8]("0000-00-00T00:00:00.000Z".utf8)

  /// The same text as a string.
  package static func string(milliseconds: Int64) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(24)
    append(milliseconds: milliseconds, into: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Reads a time in UTC or with an offset; nil unless it is exactly RFC 3339's `date-time`.
  ///
  /// Digits of the fraction past the third are dropped. A leap second, which the format allows at
  /// the end of a month only, is read as the second after it, as clocks show it.
  package static func parse(_ text: String) -> Int64? {
    var reader = FieldReader(bytes: Array(text.utf8.prefix(textBytesLimit + 1)))
    // No sensible spelling is longer; only a fraction could make it so.
    guard reader.bytes.count <= textBytesLimit else { return nil }
    guard let year = reader.digits(4), reader.take("-"),
      let month = reader.digits(2), reader.take("-"),
      let day = reader.digits(2), reader.take("T") || reader.take("t"),
      let hour = reader.digits(2), reader.take(":"),
      let minute = reader.digits(2), reader.take(":"),
      let second = reader.digits(2),
      let millisecond = reader.fraction(),
      let offsetMinutes = reader.offset(),
      reader.isAtEnd
    else { return nil }
    guard 1...12 ~= month, 1...dayCount(year: year, month: month) ~= day,
      hour <= 23, minute <= 59, second <= 60
    else { return nil }

    let minutes = hour * 60 + minute - offsetMinutes
    let days = daysSince1970(year: year, month: month, day: day)
    let seconds = days * 86_400 + minutes * 60 + second
    if second == 60 {
      // The leap second of a month's last day becomes midnight of a first day.
      guard seconds % 86_400 == 0, civilDate(daysSince1970: seconds / 86_400).day == 1 else {
        return nil
      }
    }
    // Cannot overflow: four-digit years are under 2^58 milliseconds.
    let time = Int64(seconds) * 1_000 + Int64(millisecond)
    guard earliestMilliseconds...latestMilliseconds ~= time else { return nil }
    return time
  }

  // Both directions count years from March, so that the leap day is a year's last, and in eras of
  // 400 years, after which the calendar repeats. The years here reach from -1 to 10000.

  private static func daysSince1970(year: Int, month: Int, day: Int) -> Int {
    // From March of the year -400 on, so that no dividend is negative.
    let shiftedYear = (month <= 2 ? year - 1 : year) + 400
    let monthFromMarch = (month + 9) % 12
    let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
    let days = shiftedYear * 365 + shiftedYear / 4 - shiftedYear / 100 + shiftedYear / 400
    return days + dayOfYear - daysFromMarchOfMinus400To1970
  }

  private static func civilDate(daysSince1970: Int) -> (year: Int, month: Int, day: Int) {
    let days = daysSince1970 + daysFromMarchOfMinus400To1970
    let era = days / daysPerEra
    let dayOfEra = days % daysPerEra
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let year = era * 400 + yearOfEra - 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
  }

  private static let daysPerEra = 146_097
  private static let daysFromMarchOfMinus400To1970 = 719_468 + 146_097

  private static func dayCount(year: Int, month: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }
}

/// Reads fields of fixed form from the front of a text.
private struct FieldReader {
  let bytes: [UInt8]
  private var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position == bytes.count }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  mutating func digit() -> Int? {
    guard position < bytes.count,
      UInt8(ascii: "0")...UInt8(ascii: "9") ~= bytes[position]
    else { return nil }
    position += 1
    return Int(bytes[position - 1] - UInt8(ascii: "0"))
  }

  mutating func digits(_ count: Int) -> Int? {
    var value = 0
    for _ in 0..<count {
      guard let digit = digit() else { return nil }
      value = value * 10 + digit
    }
    return value
  }

  /// The fraction in milliseconds: zero without one, nil for a point without digits.
  mutating func fraction() -> Int? {
    guard take(".") else { return 0 }
    guard let first = digit() else { return nil }
    var value = first * 100
    var scale = 10
    while let next = digit() {
      value += next * scale
      scale /= 10
    }
    return value
  }

  /// The offset from UTC in minutes.
  mutating func offset() -> Int? {
    if take("Z") || take("z") { return 0 }
    let sign: Int
    if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
    guard let hours = digits(2), take(":"), let minutes = digits(2), hours <= 23, minutes <= 59
    else { return nil }
    return sign * (hours * 60 + minutes)
  }
}
