// The benchmark of rule (b) of the acceptance list: what it measures and what it leaves out.
//
// 200 honest clients on every shard are published to at a steady pace, and the time from the
// intended publish to each receipt is taken, quiet and attacked in turn, on the same connections.
// Attackers have a process of their own. But the machine is one: with two processors for two
// shards, the innocents and the attackers, what the clients on both sides take of the processors
// is part of what the innocents wait for, so the report says how much that is; nothing is pinned,
// because whoever is given a processor of his own is not attacked on it. Left out: networks with
// loss and delay, TLS, and the limit on a connection's messages, which counts nobody from this
// machine and would end most of these attacks at their 200th frame.

internal import BenchmarkSupport
internal import LoadClient
internal import Reactor

struct Benchmark {
  private static let warmUpMilliseconds = 300
  private static let room = "innocents"

  let options: Options
  private let credentials = Credentials()

  init(_ options: Options) { self.options = options }

  /// Runs all rounds and prints the report.
  ///
  /// Returns whether every verdict was good.
  func run() throws -> Bool {
    let machine = System.description + self.machine
    for (name, value) in machine { show("\(name): \(value)") }
    let server = try RunningServer.carillon(
      at: options.server, credentials, data: ":memory:", shards: options.shards, processor: nil,
      name: "server")
    defer { server.process.stop() }
    var findings = options.attacks.map { Finding(attack: $0) }
    for round in 1...options.rounds {
      for index in findings.indices {
        say("  round \(round) of \(options.rounds): quiet, then \(findings[index].attack)")
        try runRound(server, &findings[index])
      }
    }
    var report = Report()
    for finding in findings { report.add(finding, options) }
    show(report.text)
    if let path = options.jsonPath { try System.write(report.json(machine: machine), to: path) }
    return report.isFaultless
  }

  /// Measures the same connections quiet and beside one attack.
  private func runRound(_ server: RunningServer, _ finding: inout Finding) throws {
    try waitForCalm(server)
    let session = try LoadSession(configuration(server))
    defer { session.close() }
    try session.connect()
    let shards = try ServerCounts(of: server).shards("sessions")
    guard shards.reduce(0, +) == options.bystanders, !shards.contains(0) else {
      throw BenchmarkError("the innocents are not on every shard: \(shards)")
    }
    _ = try session.measure(.rate(Double(options.rate)), milliseconds: Self.warmUpMilliseconds)
    finding.quiet.append(try Window.measure(session, options, server))
    let residentBefore = server.process.residentByteCount()
    let running = try RunningAttack(
      AttackOrder(finding.attack, options, port: server.url.port), credentials)
    let spentBefore = running.process.processorNanoseconds()
    let start = Kernel.real.monotonicNanoseconds
    let window = try Window.measure(session, options, server)
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

  /// Waits until nobody is there: those of the round before have all been let go.
  private func waitForCalm(_ server: RunningServer) throws {
    let isCalm = try System.wait(seconds: 30) {
      try ServerCounts(of: server).total("sessions") == 0
    }
    guard isCalm else { throw BenchmarkError("sessions of the round before do not end") }
  }

  private var machine: [(String, String)] {
    [
      ("command", CommandLine.arguments.joined(separator: " ")),
      (
        "rounds", "\(options.rounds) of \(options.windowMilliseconds) ms quiet and attacked in turn"
      ),
      (
        "innocents",
        "\(options.bystanders) on \(options.shards) shards, \(options.rate) messages/s to each"
      ),
      ("pinning", "none: server, innocents and attackers share all processors"),
      (
        "measured",
        "from the intended publish to each receipt; medians of the rounds' p50 and p99, the "
          + "maximum of all; processor time in cores, system calls included"
      ),
      ("verdict", "nothing lost, and p99 at most twice the quiet one, or 50 ms"),
      ("left out", "networks with delay and loss, TLS, the limit on a connection's messages"),
    ]
  }
}
