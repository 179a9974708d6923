// Days and years of the Gregorian calendar, for the rules of time zones.

/// The Gregorian calendar, for years far beyond those of any notification.
enum CivilDate {
  private static let daysBefore: [Int64] = [
    0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365,
  ]

  static func isLeap(_ year: Int64) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  }

  /// Days from the first of 1970 to the first of a year.
  static func days(toYear year: Int64) -> Int64 {
    let before = year - 1
    return 365 * (year - 1970) + (floor(before, 4) - 492) - (floor(before, 100) - 19)
      + (floor(before, 400) - 4)
  }

  /// The year of an instant in UTC, in seconds since 1970.
  static func year(at instant: Int64) -> Int64 {
    let day = floor(instant, 86_400)
    // 146,097 days are 400 years. The estimate is at most a year off.
    var year = 1970 + floor(day * 400, 146_097)
    while days(toYear: year) > day { year -= 1 }
    while days(toYear: year + 1) <= day { year += 1 }
    return year
  }

  /// The day of the year, from 0, of a weekday (0 is Sunday) in a week of a month (5 is the last).
  static func dayOfYear(_ year: Int64, _ month: Int, week: Int, weekday: Int) -> Int64 {
    let leapDay: Int64 = isLeap(year) ? 1 : 0
    let first = daysBefore[month - 1] + (month > 2 ? leapDay : 0)
    let next = daysBefore[month] + (month > 1 ? leapDay : 0)
    // The first day of 1970 was a Thursday.
    let firstWeekday = modulo(days(toYear: year) + first + 4, 7)
    var day = first + modulo(Int64(weekday) - firstWeekday, 7) + Int64(week - 1) * 7
    if day >= next { day -= 7 }
    return day
  }

  static func floor(_ number: Int64, _ divisor: Int64) -> Int64 {
    let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }

  private static func modulo(_ number: Int64, _ divisor: Int64) -> Int64 {
    number - floor(number, divisor) * divisor
  }
}
