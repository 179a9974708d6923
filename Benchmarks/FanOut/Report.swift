// What the benchmark found, for people and for programs.

internal import Glibc
internal import LoadClient
internal import Wire

/// Talks to the one who waits.
func say(_ text: String) { writeLine(text, to: STDERR_FILENO) }

/// Shows a line of the report, at once, also in a file or a pipe.
func show(_ text: String) { writeLine(text, to: STDOUT_FILENO) }

private func writeLine(_ text: String, to descriptor: Int32) {
  let line = Array("\(text)\n".utf8)
  // SAFETY: `line` is readable for its count.
  _ = unsafe write(descriptor, line, line.count)
}

/// One final line of the report.
struct Figure {
  let name: String
  let text: String
  /// Name and number, for programs.
  let values: [(String, Double)]
}

/// The report of one run.
struct Report {
  private(set) var figures: [Figure] = []
  /// Whether every delivery that was owed came, once and in order.
  private(set) var isFaultless = true

  mutating func add(_ rounds: FanOutRounds, targets: [Options.Target]) {
    for window in rounds.options.windows {
      let floor = targets.contains(.joined) ? Options.Target.joined : .separate
      let floorCost = rounds.figures[.init(target: floor, window: window)]
        .map { median($0.microsecondsPerDelivery) }
      for target in targets {
        guard let figure = rounds.figures[.init(target: target, window: window)] else { continue }
        add(
          figure, name: "fan-out \(rounds.connections) x \(window) \(target)",
          floorCost: floorCost)
      }
    }
  }

  private mutating func add(_ figure: FanOutFigures, name: String, floorCost: Double?) {
    let rate = median(figure.deliveriesPerSecond)
    let cost = median(figure.microsecondsPerDelivery)
    let ratio = floorCost.map { $0 > 0 ? cost / $0 : 0 } ?? 0
    let latency = figure.latency
    if figure.faults > 0 { isFaultless = false }
    figures.append(
      Figure(
        name: name,
        text: "\(grouped(Int(rate))) deliveries/s, \(decimals(cost, 3)) us CPU/delivery, "
          + "\(decimals(ratio, 2)) x floor, \(latencyText(latency))"
          + (figure.faults > 0 ? ", \(figure.faults) FAULTS" : ""),
        values: [
          ("deliveries_per_second", rate), ("cpu_microseconds_per_delivery", cost),
          ("cpu_spread", spread(figure.microsecondsPerDelivery)), ("ratio_to_floor", ratio),
          ("delivered", Double(figure.delivered)), ("faults", Double(figure.faults)),
        ] + latencyValues(latency)))
  }

  mutating func add(_ idle: IdleFigures) {
    figures.append(
      Figure(
        name: "idle memory \(idle.connections)",
        text: "\(decimals(idle.bytesPerConnection, 0)) bytes/connection, RSS "
          + "\(mebibytes(idle.residentBefore)) -> \(mebibytes(idle.residentWith)) -> "
          + "\(mebibytes(idle.residentAfter)) MiB, files \(idle.filesBefore) -> "
          + "\(idle.filesAfter)",
        values: [
          ("bytes_per_connection", idle.bytesPerConnection),
          ("resident_before", Double(idle.residentBefore)),
          ("resident_with", Double(idle.residentWith)),
          ("resident_after", Double(idle.residentAfter)),
          ("files_before", Double(idle.filesBefore)), ("files_after", Double(idle.filesAfter)),
        ]))
  }

  mutating func add(_ durable: DurableFigures) {
    for (name, report) in [
      ("durable batches of \(DurableFigures.batchLineCount)", durable.batches),
      ("durable singles on \(DurableFigures.singleConnections) connections", durable.singles),
    ] {
      let refused = report.refused.values.reduce(0, +)
      if refused > 0 || report.units == 0 { isFaultless = false }
      let why = String(decoding: report.firstRefusal.prefix(200), as: UTF8.self)
      figures.append(
        Figure(
          name: name,
          text: "\(grouped(Int(report.unitsPerSecond))) publishes/s, "
            + "\(latencyText(report.latency)) a request"
            + (refused > 0 ? ", \(refused) REFUSED: \(why)" : ""),
          values: [
            ("publishes_per_second", report.unitsPerSecond), ("publishes", Double(report.units)),
            ("refused", Double(refused)),
          ] + latencyValues(report.latency)))
    }
  }

  /// The figures, one line each.
  var text: String {
    let width = figures.map(\.name.count).max() ?? 0
    return figures.map { figure in
      let gap = String(repeating: " ", count: width - figure.name.count)
      return "\(figure.name):\(gap) \(figure.text)"
    }.joined(separator: "\n")
  }

  /// The machine and the figures as one JSON object.
  func json(machine: [(String, String)]) -> String {
    var text: [UInt8] = []
    text.appendText("{\"machine\":{")
    for (position, entry) in machine.enumerated() {
      if position > 0 { text.appendText(",") }
      text.appendJSONString(entry.0)
      text.appendText(":")
      text.appendJSONString(entry.1)
    }
    text.appendText("},\"figures\":[")
    for (position, figure) in figures.enumerated() {
      text.appendText(position > 0 ? ",\n" : "\n")
      text.appendText("{\"name\":")
      text.appendJSONString(figure.name)
      for (name, value) in figure.values {
        text.appendText(",\"\(name)\":\(value.isFinite ? value : 0)")
      }
      text.appendText("}")
    }
    text.appendText("\n]}\n")
    return String(decoding: text, as: UTF8.self)
  }

  private func latencyText(_ latency: LatencyHistogram) -> String {
    let quantiles = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map { name, fraction in
      "\(name) \(milliseconds(latency.quantile(fraction)))"
    }
    return (quantiles + ["max \(milliseconds(latency.maximum))"]).joined(separator: " ") + " ms"
  }

  private func latencyValues(_ latency: LatencyHistogram) -> [(String, Double)] {
    [
      ("p50_ns", Double(latency.quantile(0.5))), ("p99_ns", Double(latency.quantile(0.99))),
      ("p999_ns", Double(latency.quantile(0.999))), ("max_ns", Double(latency.maximum)),
    ]
  }

  private func mebibytes(_ bytes: Int) -> String { decimals(Double(bytes) / 1_048_576, 1) }

  private func milliseconds(_ nanoseconds: UInt64) -> String {
    decimals(Double(nanoseconds) / 1e6, 2)
  }

  private func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return 0 }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// How far the rounds lie apart, as a fraction of their median.
  private func spread(_ values: [Double]) -> Double {
    guard let least = values.min(), let most = values.max(), median(values) > 0 else { return 0 }
    return (most - least) / median(values)
  }

  private func decimals(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
    var scale = 1
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int((abs(value) * Double(scale)).rounded())
    let whole = (value < 0 ? "-" : "") + String(scaled / scale)
    guard digits > 0 else { return whole }
    let fraction = String(scaled % scale)
    return "\(whole).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
  }

  private func grouped(_ number: Int) -> String {
    var groups: [String] = []
    var rest = String(number)[...]
    while rest.count > 3 {
      groups.insert(String(rest.suffix(3)), at: 0)
      rest = rest.dropLast(3)
    }
    return ([String(rest)] + groups).joined(separator: ",")
  }
}
