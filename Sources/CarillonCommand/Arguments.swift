// Parses command lines: `--flag value`, `--flag=value`, `--switch` and `--switch=off`. Flags cannot
// be abbreviated.

internal import Reactor
internal import Wire

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
  /// Whether it can be given several times.
  let isRepeatable: Bool

  init(
    _ name: String, _ value: String?, environment: [String] = [], isSecret: Bool = false,
    isRepeatable: Bool = false, _ help: String
  ) {
    self.name = name
    self.value = value
    self.help = help
    self.environment = environment
    self.isSecret = isSecret
    self.isRepeatable = isRepeatable
  }

  /// The placeholder of a boolean flag that needs a value.
  static let onOrOff = "on|off"

  /// Whether its value is a boolean; one without a placeholder is on when it has no value.
  var isBoolean: Bool { !isSecret && (value == nil || value == Self.onOrOff) }
}

/// The flags of one invocation of a command.
struct Arguments {
  private let flags: [Flag]
  private var given: [String: [String]] = [:]
  /// The placeholder of the word besides the flags; nil if the command takes none.
  private let operandName: String?
  private var operand: String?

  /// Parses `words`, the arguments after the command's name; one of them is not a flag if the
  /// command has an operand.
  init(
    _ words: ArraySlice<String>, flags: [Flag], operand operandName: String? = nil
  ) throws(UsageError) {
    self.flags = flags
    self.operandName = operandName
    var rest = words
    var lastSwitch: String?
    while let word = rest.popFirst() {
      guard word.hasPrefix("--"), word.count > 2 else {
        if operandName != nil, operand == nil, !word.hasPrefix("-") {
          operand = word
          continue
        }
        if let lastSwitch, Switch.isOn(word) != nil {
          throw UsageError("'\(word)' is not a flag: write --\(lastSwitch)=\(word)")
        }
        throw UsageError(
          "'\(word)' is not a flag of this command\(Self.suggestion(for: word, flags))")
      }
      let parts = word.dropFirst(2).split(
        separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      guard let flag = flags.first(where: { $0.name == name }) else {
        throw UsageError("unknown flag --\(name)\(Self.suggestion(for: name, flags))")
      }
      guard !flag.isSecret else {
        throw UsageError(
          "set \(flag.environment[0]) in the environment: other users can read a command line")
      }
      guard given[name] == nil || flag.isRepeatable else {
        throw UsageError("--\(name) is given twice")
      }
      lastSwitch = flag.value == nil && parts.count == 1 ? name : nil
      let value: String
      if parts.count == 2 {
        value = String(parts[1])
      } else if flag.value == nil {
        value = "on"
      } else if let next = rest.popFirst() {
        value = next
      } else {
        throw UsageError("--\(name) needs a value: \(flag.value ?? "")")
      }
      given[name, default: []].append(value)
    }
  }

  /// The flag nearest to a mistyped one, in parentheses; empty when none is near.
  private static func suggestion(for word: String, _ flags: [Flag]) -> String {
    let name = String(word.drop { $0 == "-" })
    guard let near = Suggestion.nearest(to: name, among: flags.map(\.name)),
      let flag = flags.first(where: { $0.name == near })
    else { return "" }
    let shown = flag.isSecret ? "\(flag.environment[0]) in the environment" : "--\(near)"
    return " (did you mean \(shown)?)"
  }

  /// The word besides the flags.
  func requiredOperand() throws(UsageError) -> String {
    guard let operand else { throw UsageError("\(operandName ?? "a word") is missing") }
    return operand
  }

  /// The value of a flag, from the command line or else from the environment.
  func value(_ name: String) -> String? { sourced(name)?.value }

  /// The values of a repeatable flag, in their order on the command line.
  func values(_ name: String) -> [String] { given[name] ?? [] }

  /// The value of a flag and its source.
  func sourced(_ name: String) -> (value: String, source: String)? {
    if let value = given[name]?.first { return (value, "--\(name)") }
    guard let flag = flags.first(where: { $0.name == name }) else { return nil }
    for variable in flag.environment {
      if let value = Environment.value(of: variable), !value.isEmpty { return (value, variable) }
    }
    return nil
  }

  /// Whether a boolean setting is on; `standard` when it is absent.
  ///
  /// Any value but the spellings of `Switch` is refused: `CARILLON_DEV=maybe` must not start a
  /// server that prints its tokens.
  func isOn(_ name: String, otherwise standard: Bool = false) throws(UsageError) -> Bool {
    guard let (text, source) = sourced(name) else { return standard }
    // guard: boolean-spellings
    guard let isOn = Switch.isOn(text) else {
      throw UsageError("\(source) must be \(Switch.spellings), not '\(text)'")
    }
    return isOn
  }

  /// One of several named values, which `names` lists for the error; nil when the flag is absent.
  func choice<Value>(
    _ name: String, _ names: String, _ parse: (String) -> Value?
  ) throws(UsageError) -> Value? {
    guard let (text, source) = sourced(name) else { return nil }
    guard let value = parse(text) else {
      throw UsageError("\(source) must be \(names), not '\(text)'")
    }
    return value
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
        "\(source) must be a number from \(range.lowerBound) to \(range.upperBound), not '\(text)'")
    }
    return number
  }

  /// A time span such as `250ms`, `3s`, `1h`, in milliseconds.
  func duration(_ name: String, otherwise standard: Int64) throws(UsageError) -> Int64 {
    guard let (text, source) = sourced(name) else { return standard }
    guard let milliseconds = Duration.milliseconds(text) else {
      throw UsageError("\(source) must be a time such as 250ms, 3s, 10m, 1h or 30d, not '\(text)'")
    }
    return milliseconds
  }
}

/// Parses boolean settings.
enum Switch {
  /// Every accepted spelling, for errors; upper and lower case are equal.
  static let spellings = "true or false, on or off, yes or no, 1 or 0"

  /// Nil when the text is none of the spellings.
  static func isOn(_ text: String) -> Bool? {
    switch text.lowercased() {
    case "true", "on", "yes", "1": true
    case "false", "off", "no", "0": false
    default: nil
    }
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
