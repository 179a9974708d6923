// The results of the rounds for each attack, and the verdict.

internal import BenchmarkSupport
internal import LoadClient

/// A window during an attack.
struct AttackedWindow {
  let window: Window
  let progress: AttackProgress
  let attackerCores: Double
  /// The growth of the server's resident memory since before the attack, in bytes.
  let residentGrowth: Int
}

/// The windows of one attack: per round, one quiet and one attacked.
struct Finding {
  /// An attacked p99 up to this limit is good, even when the quiet p99 is much smaller.
  static let p99LimitNanoseconds = 50_000_000.0
  /// The same for a page of a user that takes turns with 381 others, which read large ones.
  static let crowdLimitNanoseconds = 250_000_000.0
  /// The most server time, in cores, that one client with small frames may use.
  static let shareLimit = 0.6
  /// The most memory that the server may use for a client that does not read.
  static let heldBytesLimit = 64 * 1_024
  /// The most memory for pages that clients do not take: the server's bound, and an eighth for the
  /// notifications in its store.
  static let pagesBytesLimit = 576 << 20

  let attack: Attack
  var quiet: [Window] = []
  var attacked: [AttackedWindow] = []

  var quietP99: Double { median(quiet.map { Double($0.latency.quantile(0.99)) }) }
  var attackedP99: Double {
    median(attacked.map { Double($0.window.latency.quantile(0.99)) })
  }
  var quietVisitP99: Double { median(quiet.map { Double($0.visitLatency.quantile(0.99)) }) }
  var attackedVisitP99: Double {
    median(attacked.map { Double($0.window.visitLatency.quantile(0.99)) })
  }
  var lost: Int { (quiet + attacked.map(\.window)).reduce(0) { $0 + $1.lost } }
  var refused: Int { (quiet + attacked.map(\.window)).reduce(0) { $0 + $1.refused } }
  /// The server time spent on the attack, in cores: attacked minus quiet.
  var share: Double {
    median(zip(attacked, quiet).map { $0.window.serverCores - $1.serverCores })
  }
  var residentGrowth: Int { attacked.map(\.residentGrowth).max() ?? 0 }

  /// The violated limits; empty when the verdict is good.
  func complaints(_ options: Options) -> [String] {
    var complaints: [String] = []
    if attackedP99 > max(2 * quietP99, Self.p99LimitNanoseconds) { complaints.append("p99") }
    let limit = attack == .unreadPages ? Self.crowdLimitNanoseconds : Self.p99LimitNanoseconds
    if attackedVisitP99 > max(2 * quietVisitP99, limit) {
      complaints.append("p99 of requests")
    }
    if lost > 0 { complaints.append("\(lost) lost") }
    if refused > 0 { complaints.append("\(refused) honest requests refused") }
    switch attack {
    case .pacedFlood:
      if share > Self.shareLimit { complaints.append("share of the server") }
    case .zeroWindowReaders, .stalledReaders:
      let limit = options.zeroWindowReaders * Self.heldBytesLimit
      if residentGrowth > limit + limit / 10 { complaints.append("memory") }
    case .takenRooms:
      if attacked.contains(where: { $0.progress.ended > 0 }) {
        complaints.append("honest rooms refused")
      }
    case .typingToggles:
      if attacked.contains(where: { $0.progress.ended > 0 }) { complaints.append("members cut") }
    case .unreadPages:
      if residentGrowth > Self.pagesBytesLimit { complaints.append("memory") }
    case .unpacedFlood, .pings, .requestFlood, .heldBodies, .idleStrangers, .busyReader,
      .fetchFlood, .ownLists:
      break
    }
    // A round without an attack proves nothing.
    if attacked.contains(where: { $0.progress.sent == 0 }) { complaints.append("no attack") }
    return complaints
  }
}

extension Report {
  mutating func add(_ finding: Finding, _ options: Options) {
    let complaints = finding.complaints(options)
    if !complaints.isEmpty { fault() }
    let windows = finding.attacked.map(\.window)
    add(figure("quiet before \(finding.attack.rawValue)", finding.quiet, "", []))
    let attackers = median(finding.attacked.map(\.attackerCores))
    let frames = median(windows.map(\.framesPerMinute))
    let slow = median(windows.map { Double($0.slowConsumers) })
    let begun = finding.attacked.map(\.progress.begun).max() ?? 0
    let ended = finding.attacked.map(\.progress.ended).max() ?? 0
    let sent = median(finding.attacked.map { Double($0.progress.sent) })
    let growth = Double(finding.residentGrowth) / 1_048_576
    let kind =
      switch finding.attack {
      case .pacedFlood, .unpacedFlood, .pings: "\(grouped(Int(frames))) frames/min"
      case .zeroWindowReaders, .stalledReaders:
        "\(grouped(Int(sent))) messages, \(Int(slow)) of \(grouped(begun)) closed as too slow"
      case .takenRooms: "\(grouped(Int(sent))) rooms tried, \(grouped(ended)) honest ones refused"
      case .requestFlood, .unreadPages, .busyReader, .ownLists, .fetchFlood:
        "\(grouped(Int(sent))) requests"
      case .typingToggles:
        "\(grouped(Int(sent))) toggles, \(grouped(ended)) of \(grouped(begun)) members cut"
      case .heldBodies, .idleStrangers:
        "\(grouped(begun)) strangers, \(grouped(ended)) ended by the server, "
          + "\(grouped(finding.refused)) honest requests refused"
      }
    add(
      figure(
        "during \(finding.attack.rawValue)", windows,
        ", attackers \(decimals(attackers, 2)) cores, server for them "
          + "\(decimals(finding.share, 2)), \(kind), RSS +\(decimals(growth, 1)) MiB: "
          + (complaints.isEmpty ? "good" : "BAD: " + complaints.joined(separator: ", ")),
        [
          ("attacker_cores", attackers), ("share_cores", finding.share),
          ("frames_per_minute", frames), ("slow_consumers", slow), ("sent", sent),
          ("pongs_dropped", median(windows.map { Double($0.pongsDropped) })),
          ("connections_begun", Double(begun)), ("resident_growth", Double(finding.residentGrowth)),
          ("good", complaints.isEmpty ? 1 : 0),
        ]))
  }

  private func figure(
    _ name: String, _ windows: [Window], _ more: String, _ values: [(String, Double)]
  ) -> Figure {
    func middle(_ value: (Window) -> Double) -> Double { median(windows.map(value)) }
    let p50 = middle { Double($0.latency.quantile(0.5)) }
    let p99 = middle { Double($0.latency.quantile(0.99)) }
    let most = windows.map(\.latency.maximum).max() ?? 0
    let visitP50 = middle { Double($0.visitLatency.quantile(0.5)) }
    let visitP99 = middle { Double($0.visitLatency.quantile(0.99)) }
    let lost = windows.reduce(0) { $0 + $1.lost }
    let delivered = windows.reduce(0) { $0 + Double($1.latency.count) }
    let server = middle(\.serverCores)
    let client = middle(\.clientCores)
    let serverWait = middle(\.serverWaitCores)
    let clientWait = middle(\.clientWaitCores)
    return Figure(
      name: name,
      text: "p50 \(decimals(p50 / 1e6, 2)) p99 \(decimals(p99 / 1e6, 2)) "
        + "max \(milliseconds(most)) ms, \(grouped(Int(delivered))) delivered, \(lost) lost, "
        + "requests p50 \(decimals(visitP50 / 1e6, 2)) p99 \(decimals(visitP99 / 1e6, 2)) ms, "
        + "server \(decimals(server, 2)) cores and \(decimals(serverWait, 2)) waiting, "
        + "bystanders \(decimals(client, 2)) and \(decimals(clientWait, 2))" + more,
      values: [
        ("requests_p50_ns", visitP50), ("requests_p99_ns", visitP99),
        ("p50_ns", p50), ("p99_ns", p99), ("max_ns", Double(most)), ("delivered", delivered),
        ("lost", Double(lost)), ("server_cores", server), ("client_cores", client),
        ("server_wait_cores", serverWait), ("client_wait_cores", clientWait),
      ] + values)
  }
}
