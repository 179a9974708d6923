// One bound of a server, as it is shown to people: its name, value, default and effect.

internal import Wire

/// The unit of a bound's value.
package enum LimitUnit: String, Sendable {
  case bytes, kibibytes, milliseconds, seconds, minutes, percent
  /// The name of the bound says of what.
  case count
}

/// The value of a bound.
package enum LimitValue: Sendable, Equatable {
  case unlimited
  case amount(Int, LimitUnit)
  /// So many a second, and after a pause so many at once.
  case rate(RateLimit)

  /// The value in the largest unit that keeps it a whole number.
  package var text: String {
    switch self {
    case .unlimited: "no limit"
    case .amount(let amount, .bytes): Self.text(amount, Self.sizes)
    case .amount(let amount, .kibibytes): Self.text(amount, Self.sizes.dropLast())
    case .amount(let amount, .milliseconds): Self.text(amount, Self.times)
    case .amount(let amount, .seconds): Self.text(amount, Self.times.dropLast())
    case .amount(let amount, .minutes): Self.text(amount, Self.times.dropLast(2))
    case .amount(let amount, .percent): "\(amount) %"
    case .amount(let amount, .count): Self.grouped(amount)
    case .rate(let rate):
      "\(Self.grouped(rate.perSecond))/s, \(Self.grouped(rate.burst)) at once"
    }
  }

  /// Units, each with its size in the next one.
  private typealias Scale = ArraySlice<(name: String, size: Int)>
  private static let sizes: Scale = [("GiB", 1_024), ("MiB", 1_024), ("KiB", 1_024), ("bytes", 1)]
  private static let times: Scale = [("h", 60), ("min", 60), ("s", 1_000), ("ms", 1)]

  /// The amount, which is in the last unit of the scale.
  private static func text(_ amount: Int, _ scale: Scale) -> String {
    var amount = amount
    var name = ""
    for unit in scale.reversed() {
      let isWhole = name.isEmpty || amount >= unit.size && amount.isMultiple(of: unit.size)
      guard isWhole else { break }
      if !name.isEmpty { amount /= unit.size }
      name = unit.name
    }
    return "\(grouped(amount)) \(name)"
  }

  /// The number with commas between its thousands.
  private static func grouped(_ number: Int) -> String {
    let digits = String(number.magnitude)
    var text = number < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3) { text += "," }
      text.append(digit)
    }
    return text
  }

  /// Writes the value as a member of an object: a number, null for no limit, or a rate's spelling.
  fileprivate func write(_ name: String, to json: inout [UInt8]) {
    switch self {
    case .unlimited: json.member(name, String?.none)
    case .amount(let amount, _): json.member(name, amount)
    case .rate(let rate): json.member(name, rate.description)
    }
  }
}

/// One bound of a server.
package struct LimitEntry: Sendable, Equatable {
  package let name: String
  let unit: LimitUnit
  /// The value in force.
  package let value: LimitValue
  /// The value without any setting.
  package let standard: LimitValue
  /// The setting of the command that changes it, if there is one.
  package let flag: String?
  /// What happens past it.
  package let effect: String

  /// The default where another value is in force, and the setting, in brackets; else empty.
  package var origin: String {
    let parts = [
      flag.map { "--\($0)" }, value == standard ? nil : "default \(standard.text)",
    ].compactMap { $0 }
    return parts.isEmpty ? "" : "[\(parts.joined(separator: ", "))]"
  }

  /// Writes it as an object.
  func write(to json: inout [UInt8]) {
    json.openObject()
    json.member("name", name)
    value.write("value", to: &json)
    standard.write("default", to: &json)
    json.member("unit", unitName)
    json.member("flag", flag.map { "--\($0)" })
    json.member("effect", effect)
    json.closeObject()
  }

  private var unitName: String {
    if case .rate = standard { return "per second/at once" }
    if case .rate = value { return "per second/at once" }
    return unit.rawValue
  }
}
