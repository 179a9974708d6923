// Parses command lines: `--flag value`, `--flag=value` and `--switch`. Flags cannot be abbreviated.

internal import Reactor

/// An invalid command line; it is printed with a hint, and the exit status is 2.
struct UsageError: Error {
  let message: String
  init(_ message: String) { self.message = message }
}

/// One flag of a command.
struct Flag: Sendable {
  let name: String
  /// The placeholder for its value in the help; nil for a switch.
  let value: String?
  let help: String
  /// The environment variables that replace it; the first one that is set wins.
  let environment: [String]
  /// Whether it can be set only in the environment, because every user of the machine can read a
  /// command line in the list of processes.
  let isSecret: Bool

  init(
    _ name: String, _ value: String?, environment: [String] = [], isSecret: Bool = false,
    _ help: String
  ) {
    self.name = name
    self.value = value
    self.help = help
    self.environment = environment
    self.isSecret = isSecret
  }
}

/// The flags of one invocation of a command.
struct Arguments {
  private let flags: [Flag]
  private var values: [String: String] = [:]

  /// Parses `words`, the arguments after the command's name.
  init(_ words: ArraySlice<String>, flags: [Flag]) throws(UsageError) {
    self.flags = flags
    var rest = words
    while let word = rest.popFirst() {
      guard word.hasPrefix("--"), word.count > 2 else {
        throw UsageError("'\(word)' is not a flag of this command")
      }
      let parts = word.dropFirst(2).split(
        separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      guard let flag = flags.first(where: { $0.name == name }) else {
        throw UsageError("unknown flag --\(name)")
      }
      guard !flag.isSecret else {
        throw UsageError(
          "set \(flag.environment[0]) in the environment: other users can read a command line")
      }
      guard values[name] == nil else { throw UsageError("--\(name) is given twice") }
      if flag.value == nil {
        guard parts.count == 1 else { throw UsageError("--\(name) takes no value") }
        values[name] = "1"
      } else if parts.count == 2 {
        values[name] = String(parts[1])
      } else if let next = rest.popFirst() {
        values[name] = next
      } else {
        throw UsageError("--\(name) needs a value: \(flag.value ?? "")")
      }
    }
  }

  /// The value of a flag, from the command line or else from the environment.
  func value(_ name: String) -> String? { sourced(name)?.value }

  /// The value of a flag and its source.
  func sourced(_ name: String) -> (value: String, source: String)? {
    if let value = values[name] { return (value, "--\(name)") }
    guard let flag = flags.first(where: { $0.name == name }) else { return nil }
    for variable in flag.environment {
      if let value = Environment.value(of: variable), !value.isEmpty { return (value, variable) }
    }
    return nil
  }

  /// Whether a switch is on.
  func isOn(_ name: String) -> Bool {
    guard let value = value(name) else { return false }
    return value != "0" && value.lowercased() != "false" && value.lowercased() != "no"
  }

  /// The value of a required flag.
  func required(_ name: String) throws(UsageError) -> String {
    guard let value = value(name) else { throw UsageError("--\(name) is required") }
    return value
  }

  /// A number within `range`; `standard` when the flag is absent.
  func number(
    _ name: String, in range: ClosedRange<Int>, otherwise standard: Int
  ) throws(UsageError) -> Int {
    guard let (text, source) = sourced(name) else { return standard }
    guard let number = Int(text), range.contains(number) else {
      throw UsageError(
        "\(source) must be a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// A time span such as `250ms`, `3s`, `1h`, in milliseconds.
  func duration(_ name: String, otherwise standard: Int64) throws(UsageError) -> Int64 {
    guard let (text, source) = sourced(name) else { return standard }
    guard let milliseconds = Duration.milliseconds(text) else {
      throw UsageError("\(source) must be a time such as 250ms, 3s, 10m, 1h or 30d")
    }
    return milliseconds
  }
}

/// Parses time spans such as `250ms` or `1h`.
enum Duration {
  /// The milliseconds of a number with a unit; a number without a unit is seconds.
  ///
  /// Nil when the text is neither.
  static func milliseconds(_ text: String) -> Int64? {
    let digits = text.prefix { ("0"..."9").contains($0) }
    guard let number = Int64(digits) else { return nil }
    let factor: Int64
    switch text.dropFirst(digits.count) {
    case "ms": factor = 1
    case "", "s": factor = 1_000
    case "m": factor = 60_000
    case "h": factor = 3_600_000
    case "d": factor = 86_400_000
    default: return nil
    }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : product
  }
}
