// One setting as `carillon check` shows it: its value in force and the source of that.

internal import Wire

/// A value as text for a reader, and as JSON for a program.
enum ShownValue {
  case none
  case number(Int)
  case flag(Bool)
  case text(String)

  /// Nil for a value that is not set.
  var text: String? {
    switch self {
    case .none: nil
    case .number(let number): "\(number)"
    case .flag(let isOn): isOn ? "on" : "off"
    case .text(let text): text
    }
  }

  /// Writes it as a member of an object.
  func write(_ name: String, to json: inout [UInt8]) {
    switch self {
    case .none: json.member(name, String?.none)
    case .number(let number): json.member(name, number)
    case .flag(let isOn): json.member(name, isOn)
    case .text(let text): json.member(name, text)
    }
  }
}

/// A setting in force.
struct SettingEntry {
  /// The placeholders of flags whose value is a whole number.
  private static let numberPlaceholders: Set<String> = ["N", "PORT", "MS", "SECONDS"]

  let name: String
  /// Never a secret: a secret is shown as set or not set.
  let value: ShownValue
  /// Where a default holds, or what it means.
  let note: String?
  let source: String

  /// `given` is a valid value of the flag; nil when it is not set.
  init(_ flag: Flag, _ given: String?, note: String? = nil, source: String) {
    name = flag.name
    self.note = note
    self.source = source
    guard let given else {
      value = .none
      return
    }
    if flag.isSecret {
      value = .text("set")
    } else if flag.isBoolean, let isOn = Switch.isOn(given) {
      // guard: json-of-check-has-values
      value = .flag(isOn)
    } else if Self.numberPlaceholders.contains(flag.value ?? ""), let number = Int(given) {
      value = .number(number)
    } else {
      value = .text(given)
    }
  }

  /// The value and its note, or either, or `not set`.
  var text: String {
    let parts = [value.text, note].compactMap { $0 }
    return parts.isEmpty ? "not set" : parts.joined(separator: ", ")
  }

  /// Writes it as a member of an object.
  func write(to json: inout [UInt8]) {
    json.member(
      name,
      object: { members in
        value.write("value", to: &members)
        if let note { members.member("note", note) }
        members.member("source", source)
      })
  }
}
