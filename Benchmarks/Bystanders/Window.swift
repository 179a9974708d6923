// One window of a round: publishes to the bystanders at a pace and records latency, losses,
// processor time and memory.

internal import BenchmarkSupport
internal import LoadClient
internal import Reactor

/// The server's own counts at one time, over all shards.
struct ServerCounts {
  private let text: String

  init(of server: RunningServer) throws {
    let answer = try HTTPConnection(to: server.url).perform(HTTPRequest("GET", "/metrics"))
    guard answer.isSuccess else { throw BenchmarkError("no /metrics: \(answer.status)") }
    text = String(decoding: answer.body, as: UTF8.self)
  }

  /// The values of a series, one per shard.
  func shards(_ name: String) -> [Int] {
    text.split(separator: "\n").filter { $0.hasPrefix("carillon_\(name){") }
      .compactMap { line in line.lastIndex(of: " ").flatMap { Int(line[$0...].dropFirst()) } }
  }

  func total(_ name: String) -> Int { shards(name).reduce(0, +) }
}

/// The results of one window.
struct Window {
  let latency: LatencyHistogram
  /// Missing, repeated and reordered deliveries to bystanders, and disconnected bystanders.
  let lost: Int
  /// Rejected publishes to the bystanders, and refused requests of the visitors.
  let refused: Int
  /// The times in which the visitors were answered.
  let visitLatency: LatencyHistogram
  /// Processor time of the server and of the bystanders, in cores.
  let serverCores: Double
  let clientCores: Double
  /// Time that they waited for a processor used by other threads, in cores: latency from these
  /// waits is due to the machine, not the server.
  let serverWaitCores: Double
  let clientWaitCores: Double
  let residentBefore: Int
  let residentMost: Int
  let framesPerMinute: Double
  /// Connections closed for exceeding the backlog limit, and dropped pongs.
  let slowConsumers: Int
  let pongsDropped: Int

  /// Publishes to a fleet for a time and waits for the remaining deliveries.
  static func measure(
    _ session: LoadSession, _ options: Options, _ server: RunningServer,
    _ credentials: Credentials
  ) throws -> Window {
    let counts = try ServerCounts(of: server)
    let residentBefore = server.process.residentByteCount()
    var residentMost = residentBefore
    let serverBefore = server.process.processorNanoseconds()
    let serverWaitBefore = server.process.waitedNanoseconds()
    let clientBefore = System.processorNanoseconds(ofProcess: "self")
    let start = Kernel.real.monotonicNanoseconds
    let live = session.liveCount
    session.onProgress = { _ in
      residentMost = max(residentMost, server.process.residentByteCount())
    }
    defer { session.onProgress = nil }
    let (report, visits) = try Visitors.during(server.url, credentials) {
      try session.measure(
        .rate(Double(options.rate)), milliseconds: options.windowMilliseconds)
    }
    let elapsed = Double(max(1, Kernel.real.monotonicNanoseconds &- start))
    let serverSpent = server.process.processorNanoseconds() &- serverBefore
    let serverWait = server.process.waitedNanoseconds() &- serverWaitBefore
    let clientAfter = System.processorNanoseconds(ofProcess: "self")
    let clientSpent = clientAfter.taken &- clientBefore.taken
    let clientWait = clientAfter.waited &- clientBefore.waited
    let countsAfter = try ServerCounts(of: server)
    func gain(_ name: String) -> Int { countsAfter.total(name) - counts.total(name) }
    let tally = report.tally
    return Window(
      latency: tally.latency,
      lost: Int(clamping: report.missing + tally.skipped + tally.repeated)
        + live - session.liveCount,
      refused: report.refused.values.reduce(0, +) + visits.refused,
      visitLatency: visits.latency,
      serverCores: Double(serverSpent) / elapsed,
      clientCores: Double(clientSpent) / elapsed,
      serverWaitCores: Double(serverWait) / elapsed, clientWaitCores: Double(clientWait) / elapsed,
      residentBefore: residentBefore,
      residentMost: residentMost,
      framesPerMinute: Double(gain("frames_received_total")) * 60e9 / elapsed,
      slowConsumers: gain("disconnects_slow_consumer_total"),
      pongsDropped: gain("pongs_dropped_total"))
  }
}
