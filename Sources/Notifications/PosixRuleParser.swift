// Parses a TZ string of POSIX into the rule of a time zone: see `PosixRule`.

extension PosixRule {
  /// Nil unless all of `text` is a rule.
  ///
  /// Daylight time without the days of its changes is refused: POSIX leaves them to the system.
  init?(_ text: ArraySlice<UInt8>) {
    var scanner = PosixScanner(text)
    guard scanner.takeName(), let west = scanner.takeTime(hours: 0...24) else { return nil }
    // POSIX counts offsets west of Greenwich.
    standard = -west
    guard !scanner.isAtEnd else {
      daylight = nil
      return
    }
    guard scanner.takeName() else { return nil }
    var offset = standard + 3_600
    if !scanner.isAt(",") {
      guard let west = scanner.takeTime(hours: 0...24) else { return nil }
      offset = -west
    }
    guard scanner.take(","), let start = scanner.takeChange(), scanner.take(","),
      let end = scanner.takeChange(), scanner.isAtEnd
    else { return nil }
    daylight = Daylight(offset: offset, start: start, end: end)
  }
}

/// Reads the parts of a TZ string.
///
/// A function returns nil or false when its part is not next; the caller then refuses all of it.
private struct PosixScanner {
  /// The most digits of a number in a TZ string.
  private static let digits = 1...3

  private var rest: ArraySlice<UInt8>

  init(_ text: ArraySlice<UInt8>) { rest = text }

  var isAtEnd: Bool { rest.isEmpty }

  func isAt(_ character: Unicode.Scalar) -> Bool { rest.first == UInt8(ascii: character) }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard isAt(character) else { return false }
    rest.removeFirst()
    return true
  }

  /// Takes a name: letters, or letters, digits and signs in angle brackets.
  mutating func takeName() -> Bool {
    let isQuoted = take("<")
    let name = rest.prefix { byte in
      let letter = byte | 0x20
      if UInt8(ascii: "a")...UInt8(ascii: "z") ~= letter { return true }
      let isDigit = UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
      return isQuoted && (isDigit || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-"))
    }
    guard name.count >= 3 else { return false }
    rest = rest.dropFirst(name.count)
    return !isQuoted || take(">")
  }

  /// Takes a change of the offset: its day, and its time, by default 2 o'clock.
  mutating func takeChange() -> PosixRule.Change? {
    guard let day = takeDay() else { return nil }
    guard take("/") else { return PosixRule.Change(day: day, time: 7_200) }
    return takeTime(hours: 0...167).map { PosixRule.Change(day: day, time: $0) }
  }

  private mutating func takeDay() -> PosixRule.Day? {
    if take("J") { return takeNumber(in: 1...365).map { .julian($0) } }
    guard take("M") else { return takeNumber(in: 0...365).map { .ordinal($0) } }
    guard let month = takeNumber(in: 1...12), take("."), let week = takeNumber(in: 1...5),
      take("."), let day = takeNumber(in: 0...6)
    else { return nil }
    return .weekday(month: month, week: week, day: day)
  }

  /// Takes `[+-]hh[:mm[:ss]]` and returns it in seconds.
  mutating func takeTime(hours: ClosedRange<Int>) -> Int? {
    let isNegative = take("-")
    if !isNegative { _ = take("+") }
    guard let hours = takeNumber(in: hours) else { return nil }
    var seconds = hours * 3_600
    if take(":") {
      guard let minutes = takeNumber(in: 0...59) else { return nil }
      seconds += minutes * 60
      if take(":") {
        guard let rest = takeNumber(in: 0...59) else { return nil }
        seconds += rest
      }
    }
    return isNegative ? -seconds : seconds
  }

  private mutating func takeNumber(in range: ClosedRange<Int>) -> Int? {
    let text = rest.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    guard Self.digits ~= text.count else { return nil }
    let number = text.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    rest = rest.dropFirst(text.count)
    return range ~= number ? number : nil
  }
}
