// The results of the fan-out benchmark as figures of the report.

internal import BenchmarkSupport
internal import LoadClient

extension Report {
  mutating func add(_ rounds: FanOutRounds, targets: [Options.Target]) {
    for window in rounds.options.windows {
      let baseline = targets.contains(.joined) ? Options.Target.joined : .separate
      let baselineCost = rounds.figures[.init(target: baseline, window: window)]
        .map { median($0.microsecondsPerDelivery) }
      for target in targets {
        guard let figure = rounds.figures[.init(target: target, window: window)] else { continue }
        add(
          figure, name: "fan-out \(rounds.connections) x \(window) \(target)",
          baselineCost: baselineCost)
      }
    }
  }

  private mutating func add(_ figure: FanOutFigures, name: String, baselineCost: Double?) {
    let rate = median(figure.deliveriesPerSecond)
    let cost = median(figure.microsecondsPerDelivery)
    let ratio = baselineCost.map { $0 > 0 ? cost / $0 : 0 } ?? 0
    let latency = figure.latency
    if figure.faults > 0 { fault() }
    add(
      Figure(
        name: name,
        text: "\(grouped(Int(rate))) deliveries/s, \(decimals(cost, 3)) us CPU/delivery, "
          + "\(decimals(ratio, 2)) x baseline, \(latencyText(latency))"
          + (figure.faults > 0 ? ", \(figure.faults) FAULTS" : ""),
        values: [
          ("deliveries_per_second", rate), ("cpu_microseconds_per_delivery", cost),
          ("cpu_spread", spread(figure.microsecondsPerDelivery)), ("ratio_to_baseline", ratio),
          ("delivered", Double(figure.delivered)), ("faults", Double(figure.faults)),
        ] + latencyValues(latency)))
  }

  mutating func add(_ idle: IdleFigures) {
    add(
      Figure(
        name: "idle memory \(idle.connections), \(idle.dialect)",
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
      if refused > 0 || report.units == 0 { fault() }
      let why = String(decoding: report.firstRefusal.prefix(200), as: UTF8.self)
      add(
        Figure(
          name: name,
          text: "\(grouped(Int(report.unitsPerSecond))) publishes/s, "
            + "\(latencyText(report.latency)) per request"
            + (refused > 0 ? ", \(refused) REFUSED: \(why)" : ""),
          values: [
            ("publishes_per_second", report.unitsPerSecond), ("publishes", Double(report.units)),
            ("refused", Double(refused)),
          ] + latencyValues(report.latency)))
    }
  }
}
