// The benchmark of rule (b) of the acceptance list: its method and its limits.
//
// 200 honest clients on all shards receive messages at a steady pace. The benchmark measures the
// time from the intended publish to each receipt, alternately quiet and attacked, on the same
// connections. Attackers have their own process but share the machine: two processors serve two
// shards, the bystanders and the attackers. So the processor time of the clients on both sides is
// part of the bystanders' latency, and the report states it. Nothing is pinned, because an attack
// could not slow down a process that has a processor to itself. Left out: networks with loss and
// delay, TLS, and the limit on a connection's messages, which does not apply to connections from
// this machine and would end most of these attacks at their 200th frame. The attackers of shares
// come from other machines, as a trusted proxy says, and meet the default limits.

internal import BenchmarkSupport
internal import LoadClient
internal import Reactor

struct Benchmark {
  private static let warmUpMilliseconds = 300
  private static let room = "bystanders"

  let options: Options
  private let credentials = Credentials()

  init(_ options: Options) { self.options = options }

  /// Runs all rounds and prints the report.
  ///
  /// Returns whether every verdict was good.
  func run() throws -> Bool {
    let machine = System.description + self.machine
    for (name, value) in machine { show("\(name): \(value)") }
    let servers = try startServers()
    defer { for server in servers.values { server.process.stop() } }
    var findings = options.attacks.map { Finding(attack: $0) }
    for round in 1...options.rounds {
      for index in findings.indices {
        say("  round \(round) of \(options.rounds): quiet, then \(findings[index].attack.rawValue)")
        guard let server = servers[findings[index].attack.fileLimit] else { continue }
        try runRound(server, &findings[index])
      }
    }
    var report = Report()
    for finding in findings { report.add(finding, options) }
    show(report.text)
    if let path = options.jsonPath { try System.write(report.json(machine: machine), to: path) }
    return report.isFaultless
  }

  /// A server for each limit of files that the attacks need.
  private func startServers() throws -> [Int?: RunningServer] {
    var servers: [Int?: RunningServer] = [:]
    for limit in Set(options.attacks.map(\.fileLimit)) {
      servers[limit] = try RunningServer.carillon(
        at: options.server, credentials, data: ":memory:", shards: options.shards, processor: nil,
        fileLimit: limit, arguments: ["--trusted-proxies", "127.0.0.1"],
        name: limit.map { "server-\($0)-files" } ?? "server")
    }
    return servers
  }

  /// Measures the same connections without and during one attack.
  private func runRound(_ server: RunningServer, _ finding: inout Finding) throws {
    try waitForCalm(server)
    let session = try LoadSession(configuration(server))
    defer { session.close() }
    try session.connect()
    let shards = try ServerCounts(of: server).shards("sessions")
    guard shards.reduce(0, +) == options.bystanders, !shards.contains(0) else {
      throw BenchmarkError("some shard has no bystanders: \(shards)")
    }
    _ = try session.measure(.rate(Double(options.rate)), milliseconds: Self.warmUpMilliseconds)
    finding.quiet.append(try Window.measure(session, options, server, credentials))
    let residentBefore = server.process.residentByteCount()
    let running = try RunningAttack(
      AttackOrder(finding.attack, options, port: server.url.port), credentials)
    let spentBefore = running.process.processorNanoseconds()
    let start = Kernel.real.monotonicNanoseconds
    let window = try Window.measure(session, options, server, credentials)
    let spent = Double(running.process.processorNanoseconds() &- spentBefore)
    finding.attacked.append(
      AttackedWindow(
        window: window, progress: running.progress,
        attackerCores: spent / Double(max(1, Kernel.real.monotonicNanoseconds &- start)),
        residentGrowth: max(0, window.residentMost - residentBefore)))
    running.process.stop()
  }

  private func configuration(_ server: RunningServer) -> LoadConfiguration {
    var configuration = LoadConfiguration(
      server: server.url, credentials: credentials.publisher,
      token: { [credentials] in credentials.token(user: $0) })
    configuration.connections = options.bystanders
    configuration.payloadBytes = options.payloadBytes
    configuration.room = Self.room
    return configuration
  }

  /// Waits until the sessions of the previous round have ended.
  private func waitForCalm(_ server: RunningServer) throws {
    let isCalm = try System.wait(seconds: 30) {
      try ServerCounts(of: server).total("sessions") == 0
    }
    guard isCalm else { throw BenchmarkError("sessions of the previous round do not end") }
  }

  private var machine: [(String, String)] {
    [
      ("command", CommandLine.arguments.joined(separator: " ")),
      (
        "rounds", "\(options.rounds) of \(options.windowMilliseconds) ms quiet and attacked in turn"
      ),
      (
        "bystanders",
        "\(options.bystanders) on \(options.shards) shards, \(options.rate) messages/s to each"
      ),
      ("pinning", "none: server, bystanders and attackers share all processors"),
      (
        "measured",
        "from the intended publish to each receipt; medians of the rounds' p50 and p99, the "
          + "maximum of all; processor time in cores, system calls included"
      ),
      (
        "requests",
        "a publish, a disconnect and a page, one after the other on a new connection each 100 ms"
      ),
      (
        "verdict",
        "nothing lost, no request refused, and each p99 at most twice the quiet one, or 50 ms; "
          + "250 ms for a page beside 381 users that read large ones"
      ),
      ("left out", "networks with delay and loss, TLS, the limit on a connection's messages"),
    ]
  }
}
