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
  /// Rejected publishes to the bystanders, and those of a publisher with a new connection for each.
  let refused: Int
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

  /// The interval at which a publisher comes with a connection of its own.
  private static let visitNanoseconds: UInt64 = 100_000_000

  /// Publishes on a new connection; false if that is refused.
  private static func visit(_ server: RunningServer, _ credentials: Credentials) -> Bool {
    let body = Array(#"{"user_id":"visited","type":"info","title":"t"}"#.utf8)
    let request = HTTPRequest(
      "POST", "/api/v1/notifications",
      fields: credentials.publisher + [HTTPField("Content-Type", "application/json")], body: body)
    guard let connection = try? HTTPConnection(to: server.url, timeoutMilliseconds: 1_000),
      let answer = try? connection.perform(request)
    else { return false }
    return answer.isSuccess
  }

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
    var (visits, refusedVisits) = (0, 0)
    session.onProgress = { _ in
      residentMost = max(residentMost, server.process.residentByteCount())
      guard Kernel.real.monotonicNanoseconds &- start > UInt64(visits) * visitNanoseconds else {
        return
      }
      visits += 1
      if !visit(server, credentials) { refusedVisits += 1 }
    }
    defer { session.onProgress = nil }
    let report = try session.measure(
      .rate(Double(options.rate)), milliseconds: options.windowMilliseconds)
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
      refused: report.refused.values.reduce(0, +) + refusedVisits,
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
