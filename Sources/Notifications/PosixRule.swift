// The rule of a time zone as a TZ string of POSIX, with the extensions of RFC 8536, section 3.3.1:
//
//     CET-1CEST,M3.5.0,M10.5.0/3
//     name, offset │ name of daylight time [, its offset] │ its start │ its end
//
// A time of a change is local, and may lie outside of its day: -167 to 167 hours from midnight.

/// The offsets of a zone, repeated each year.
struct PosixRule: Sendable, Equatable {
  /// A day of the year on which the offset changes.
  enum Day: Sendable, Equatable {
    /// 1 to 365; February 29 is not counted.
    case julian(Int)
    /// 0 to 365; February 29 is counted.
    case ordinal(Int)
    /// A weekday, 0 being Sunday, of a week of a month; week 5 is the last one.
    case weekday(month: Int, week: Int, day: Int)
  }

  /// A change of the offset, in seconds of local time from midnight of its day.
  struct Change: Sendable, Equatable {
    let day: Day
    let time: Int
  }

  /// The daylight time of a zone.
  struct Daylight: Sendable, Equatable {
    let offset: Int
    let start: Change
    let end: Change
  }

  /// Seconds east of UTC of standard time.
  let standard: Int
  let daylight: Daylight?

  /// Seconds east of UTC at an instant, in seconds since 1970.
  func offset(at instant: Int64) -> Int {
    guard let daylight else { return standard }
    let year = CivilDate.year(at: instant)
    // A change may fall into the year before or after its own. Of two at one instant the start of
    // daylight time counts as the later one, so that daylight time can last all year.
    var latest: (instant: Int64, isDaylight: Bool)?
    for year in (year - 1)...(year + 1) {
      let start = Self.instant(of: daylight.start, in: year, offset: standard)
      let end = Self.instant(of: daylight.end, in: year, offset: daylight.offset)
      for (at, isDaylight) in [(start, true), (end, false)] where at <= instant {
        guard let known = latest, at < known.instant || at == known.instant && !isDaylight else {
          latest = (at, isDaylight)
          continue
        }
      }
    }
    return latest?.isDaylight == true ? daylight.offset : standard
  }

  /// The instant of a change in a year, where clocks were `offset` seconds ahead of UTC before it.
  private static func instant(of change: Change, in year: Int64, offset: Int) -> Int64 {
    let first = CivilDate.days(toYear: year)
    let day: Int64
    switch change.day {
    case .julian(let number):
      // From March 1 on, a leap year is one day ahead.
      day = first + Int64(number) - (CivilDate.isLeap(year) && number >= 60 ? 0 : 1)
    case .ordinal(let number): day = first + Int64(number)
    case .weekday(let month, let week, let weekday):
      day = first + CivilDate.dayOfYear(year, month, week: week, weekday: weekday)
    }
    return day * 86_400 + Int64(change.time - offset)
  }
}
