// The table of all bounds of a server: sizes, counts, times and rates that limit what a client, a
// publisher, an operator or the machine may send, hold, wait for or cause.
//
// A bound stays with the code that uses it, or in `Limits` if it can be configured. The table reads
// each value from there, so it cannot differ from the one that applies. A test finds the bounds in
// the sources by their names and requires a row for each.

internal import Notifications
internal import Storage
internal import Tokens
internal import Wire

/// All bounds of a server with a configuration, in groups.
package struct LimitTable: Sendable {
  /// The bounds of one subject.
  package struct Group: Sendable {
    package let name: String
    package fileprivate(set) var entries: [LimitEntry] = []
  }

  package let groups: [Group]

  /// The bounds that are in force with `configuration`.
  package init(_ configuration: Configuration) {
    var rows = LimitRows(configuration)
    rows.addConnections()
    rows.addRequests()
    rows.addBodies()
    rows.addMessages()
    rows.addHeartbeats()
    rows.addSending()
    rows.addResuming()
    rows.addRooms()
    rows.addNotifications()
    rows.addInboxes()
    rows.addTokens()
    rows.addAPIKeys()
    for engine in configuration.engines { rows.addEngine(engine) }
    rows.addWebhooks()
    rows.addOutgoing()
    rows.addOperators()
    rows.addTurns()
    rows.addStore()
    rows.addStoreCare()
    rows.addStoreQueries()
    groups = rows.groups
  }

  /// Its lines for a reader: aligned columns, a heading for each group.
  package var text: String {
    let entries = groups.flatMap(\.entries)
    let nameWidth = entries.reduce(0) { max($0, $1.name.count) }
    let valueWidth = entries.reduce(0) { max($0, $1.value.text.count) }
    var lines: [String] = []
    for group in groups {
      if !lines.isEmpty { lines.append("") }
      lines.append(group.name)
      for entry in group.entries {
        let name = LimitTable.padded(entry.name, nameWidth)
        let value = LimitTable.padded(entry.value.text, valueWidth)
        let origin = entry.origin.isEmpty ? "" : " \(entry.origin)"
        lines.append("  \(name)  \(value)  \(entry.effect)\(origin)")
      }
    }
    return lines.joined(separator: "\n")
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  /// Its JSON: an array of groups, each with its name and limits.
  package var json: [UInt8] {
    var json: [UInt8] = []
    json.openObject()
    json.member("groups", array: groups) { json, group in
      json.openObject()
      json.member("name", group.name)
      json.member("limits", array: group.entries) { $1.write(to: &$0) }
      json.closeObject()
    }
    json.closeObject()
    return json
  }
}

/// Collects the rows of the table.
struct LimitRows {
  private let limits: Limits
  private let standard = Limits()
  private let quotas: Quotas
  private let standardQuotas = Quotas(Limits())
  private let tokens: TokenPolicy
  /// No setting of a server changes the store's.
  private let store = StoreConfiguration(path: Configuration.inMemory)
  private let head = HTTPLimits()
  private(set) var groups: [LimitTable.Group] = []

  init(_ configuration: Configuration) {
    limits = configuration.limits
    quotas = Quotas(configuration.limits)
    tokens = configuration.tokenPolicy
  }

  /// Begins a group.
  mutating func begin(_ name: String) { groups.append(LimitTable.Group(name: name)) }

  private mutating func append(_ entry: LimitEntry) {
    groups[groups.count - 1].entries.append(entry)
  }

  /// Adds a bound that no configuration changes.
  mutating func add(
    _ name: String, _ value: some BinaryInteger, _ unit: LimitUnit, _ effect: String
  ) {
    add(name, value, standard: value, unit, effect)
  }

  private mutating func add(
    _ name: String, _ value: some BinaryInteger, standard: some BinaryInteger, _ unit: LimitUnit,
    flag: String? = nil, _ effect: String
  ) {
    append(
      LimitEntry(
        name: name, unit: unit, value: .amount(Int(clamping: value), unit),
        standard: .amount(Int(clamping: standard), unit), flag: flag, effect: effect))
  }

  /// Adds a bound of `Limits`.
  mutating func add<Value: BinaryInteger>(
    _ name: String, _ path: KeyPath<Limits, Value>, _ unit: LimitUnit, flag: String? = nil,
    _ effect: String
  ) {
    add(
      name, limits[keyPath: path], standard: standard[keyPath: path], unit, flag: flag, effect)
  }

  /// Adds a bound of the store's configuration.
  mutating func add<Value: BinaryInteger>(
    _ name: String, _ path: KeyPath<StoreConfiguration, Value>, _ unit: LimitUnit, _ effect: String
  ) {
    add(name, store[keyPath: path], unit, effect)
  }

  /// Adds a bound of the head of a request.
  mutating func add(
    _ name: String, _ path: KeyPath<HTTPLimits, Int>, _ unit: LimitUnit, _ effect: String
  ) {
    add(name, head[keyPath: path], unit, effect)
  }

  /// Adds a count that `Limits` may leave to its default, or lift.
  mutating func add(
    _ name: String, _ path: KeyPath<Quotas, Int>, flag: String? = nil, _ effect: String
  ) {
    func value(_ quotas: Quotas) -> LimitValue {
      let count = quotas[keyPath: path]
      return count == .max ? .unlimited : .amount(count, .count)
    }
    append(
      LimitEntry(
        name: name, unit: .count, value: value(quotas), standard: value(standardQuotas),
        flag: flag, effect: effect))
  }

  /// Adds a rate.
  mutating func add(
    _ name: String, _ path: KeyPath<Quotas, RateLimit>, flag: String, _ effect: String
  ) {
    func value(_ quotas: Quotas) -> LimitValue {
      let rate = quotas[keyPath: path]
      return rate.isOff ? .unlimited : .rate(rate)
    }
    append(
      LimitEntry(
        name: name, unit: .count, value: value(quotas), standard: value(standardQuotas),
        flag: flag, effect: effect))
  }

  /// Adds a bound of the sessions at a path of Engine.IO.
  mutating func add<Value: BinaryInteger>(
    _ name: String, _ path: KeyPath<EngineSettings, Value>, of settings: EngineSettings,
    _ unit: LimitUnit, flag: String? = nil, _ effect: String
  ) {
    add(
      name, settings[keyPath: path], standard: EngineSettings()[keyPath: path], unit, flag: flag,
      effect)
  }

  /// Adds the tolerated difference of clocks.
  mutating func addLeeway(_ name: String, flag: String, _ effect: String) {
    add(
      name, tokens.leewaySeconds, standard: TokenPolicy.leeways.upperBound, .seconds, flag: flag,
      effect)
  }
}
