// The fan-out rounds: one publisher, many connections, server and baseline in turn.
//
// The speed of a machine drifts by more than the differences of interest, so the targets alternate
// within the run (A B A B), each round uses new connections, and only medians of one run's rounds
// are compared, never two runs. All windows of a round are measured on the same connections.

internal import BenchmarkSupport
internal import LoadClient

/// The results of one target for one number of connections and one burst size.
struct FanOutFigures {
  /// One entry per round.
  var deliveriesPerSecond: [Double] = []
  var microsecondsPerDelivery: [Double] = []
  var latency = LatencyHistogram()
  var delivered: UInt64 = 0
  /// Missing, repeated and reordered deliveries, and lost connections.
  var faults: UInt64 = 0
}

/// Runs the rounds for one number of connections.
struct FanOutRounds {
  struct Key: Hashable {
    let target: Options.Target
    let window: Int
  }

  private static let warmUpMilliseconds = 200

  let options: Options
  let credentials: Credentials
  let connections: Int
  private(set) var figures: [Key: FanOutFigures] = [:]

  init(options: Options, credentials: Credentials, connections: Int) {
    self.options = options
    self.credentials = credentials
    self.connections = connections
  }

  /// Alternates between the targets for all rounds.
  mutating func run(_ targets: [(Options.Target, RunningServer)]) throws {
    for round in 1...options.rounds {
      for (target, server) in targets {
        try System.pause(milliseconds: 0)
        say("  \(connections) connections, round \(round) of \(options.rounds): \(target)")
        try runRound(target, server)
      }
    }
  }

  private mutating func runRound(_ target: Options.Target, _ server: RunningServer) throws {
    let session = try LoadSession(
      Self.configuration(
        options, credentials, server, connections: connections,
        room: target == .room ? "all" : nil))
    defer { session.close() }
    try session.connect()
    guard session.liveCount == connections else {
      throw BenchmarkError(
        "\(session.liveCount) of \(connections) are established: \(session.endings)")
    }
    for window in options.windows {
      if target == .joined || target == .separate {
        try server.configureBaseline(target, window: window)
      }
      _ = try session.measure(
        .window(window), milliseconds: min(Self.warmUpMilliseconds, options.roundMilliseconds))
      let before = server.process.processorNanoseconds()
      let report = try session.measure(
        .window(window), milliseconds: options.roundMilliseconds)
      let spent = server.process.processorNanoseconds() &- before
      guard !report.hasStalled, report.tally.delivered > 0 else {
        throw BenchmarkError("\(target) stalled: \(report.json)")
      }
      let key = Key(target: target, window: window)
      var figure = figures[key] ?? FanOutFigures()
      figure.deliveriesPerSecond.append(report.deliveriesPerSecond)
      figure.microsecondsPerDelivery.append(
        Double(spent) / 1_000 / Double(report.tally.delivered))
      figure.latency.merge(report.tally.latency)
      figure.delivered += report.tally.delivered
      figure.faults += report.missing + report.tally.repeated + report.tally.skipped
      figure.faults += UInt64(report.connections - session.liveCount)
      figures[key] = figure
    }
  }

  /// The size of the server's frame for this payload, measured on one connection.
  static func frameByteCount(
    _ options: Options, _ credentials: Credentials, _ server: RunningServer
  ) throws -> Int {
    let session = try LoadSession(configuration(options, credentials, server, connections: 1))
    defer { session.close() }
    try session.connect()
    let report = try session.measure(.window(1), milliseconds: 50)
    guard report.tally.frameByteCount > 0 else {
      throw BenchmarkError("the server delivered nothing: \(report.json)")
    }
    return report.tally.frameByteCount
  }

  static func configuration(
    _ options: Options, _ credentials: Credentials, _ server: RunningServer, connections: Int,
    room: String? = nil
  ) -> LoadConfiguration {
    var configuration = LoadConfiguration(
      server: server.url, credentials: credentials.publisher,
      token: { credentials.token(user: $0, idByteCount: options.idByteCount) })
    configuration.connections = connections
    configuration.payloadBytes = options.payloadBytes
    configuration.room = room
    return configuration
  }
}
