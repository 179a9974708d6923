// Points in time: RFC 7519, section 2, NumericDate.
//
// A JSON number of seconds since 1970, which may have a fraction. It is a peer's input, so it may
// also be 1e308 or have 400 digits; a number that is not a point in time between 1970 and the end
// of the year 9999 is refused. The upper end is the last time that RFC 3339 can write. It is far
// from Int64's, so arithmetic with an accepted date cannot overflow, even in milliseconds; and it
// refuses dates that were given in milliseconds by mistake, which would otherwise be valid for the
// next 50,000 years.

internal import Wire

/// The reading of `exp`, `nbf` and `iat`.
enum NumericDate {
  /// 9999-12-31T23:59:59Z.
  static let latestSeconds: Int64 = 253_402_300_799

  /// Whole seconds since 1970, a fraction cut off, or nil for a number outside that range.
  ///
  /// Parsed as a Double, which holds every whole second up to 2^53 exactly and so each in this
  /// range.
  static func seconds(_ number: ArraySlice<UInt8>) -> Int64? {
    var reader = JSONReader(Array(number))
    // The reader refuses a number that a Double cannot hold; its reason is not needed here.
    // guard: numeric-date-fits-int64
    guard let seconds = try? reader.readDouble(),
      seconds >= 0, seconds < Double(latestSeconds + 1)
    else { return nil }
    return Int64(seconds)
  }

  /// Whether a number outside of that range is inside as milliseconds.
  static func isMilliseconds(_ number: ArraySlice<UInt8>) -> Bool {
    var reader = JSONReader(Array(number))
    guard let value = try? reader.readDouble() else { return false }
    return value >= Double(latestSeconds + 1) && value < Double(latestSeconds + 1) * 1_000
  }
}
