// `carillon bench`: load a server with connections and broadcasts, and report the results.

internal import Glibc
internal import LoadClient
internal import Reactor

/// `carillon bench`.
enum BenchCommand {
  static let command = Command(
    name: "bench", summary: "load a server with connections and broadcasts",
    examples: [
      "carillon bench --connections 1000 --duration 30s",
      "carillon bench --rate 100 --payload 1024 --json",
    ],
    flags: [
      Flag("url", "URL", environment: ["CARILLON_URL"], "the server (http://127.0.0.1:8080)"),
      Flag("connections", "N", "number of connections (1000)"),
      Flag("window", "W", "publish bursts of W, each when all have received the last one (1)"),
      Flag("rate", "R", "publish R messages a second instead"),
      Flag("duration", "TIME", "duration of the measurement (10s)"),
      Flag("payload", "BYTES", "size of each message's payload (64)"),
      Flag("json", nil, "print the report as JSON"),
      Flag(
        "token", "TOKEN", environment: ["CARILLON_TOKEN"],
        "a publisher's token (one signed with JWT_SECRET)"),
      Flag("api-key", "KEY", environment: ["CARILLON_API_KEY"], "a publisher's key"),
    ] + TokenSettings.flags, run: run)

  @Sendable private static func run(_ arguments: Arguments) throws -> Int32 {
    guard let secret = arguments.value("jwt-secret"), !secret.isEmpty else {
      throw UsageError(
        "JWT_SECRET is required to sign the listeners' tokens; a development server prints the "
          + "line that sets it")
    }
    let tokens = try TokenSettings(arguments, secret: secret)
    let printsJSON = try arguments.isOn("json")
    let now = Host.now
    var configuration = LoadConfiguration(
      server: try ServerURL(parsing: arguments.value("url") ?? "http://127.0.0.1:8080"),
      credentials: try credentials(arguments, tokens, now)
    ) { index in
      tokens.token(of: "bench-\(index)", from: now) ?? ""
    }
    configuration.connections = try arguments.number(
      "connections", in: 1...19_000, otherwise: 1_000)
    configuration.durationMilliseconds = Int(try arguments.duration("duration", otherwise: 10_000))
    configuration.payloadBytes = try arguments.number("payload", in: 40...8_192, otherwise: 64)
    if arguments.value("rate") != nil {
      configuration.pace = .rate(
        Double(try arguments.number("rate", in: 1...1_000_000, otherwise: 1)))
    } else {
      configuration.pace = .window(try arguments.number("window", in: 1...1_024, otherwise: 1))
    }
    // From here on Ctrl-C ends the load, and the report so far is printed.
    // guard: interrupted-bench-reports
    Signals.block()
    let report = try LoadTest.run(configuration, isInterrupted: { Signals.endIsRequested() }) {
      if isatty(2) == 1 { show($0) }
    }
    if isatty(2) == 1 { Terminal.say("") }
    if report.wasInterrupted {
      Terminal.say("carillon bench: interrupted; this is the report of the time before")
    }
    Terminal.print(printsJSON ? report.json : text(of: report))
    return report.missing == 0 && !report.hasStalled ? 0 : 1
  }

  /// The publisher's credentials; a token of its own when none are given.
  private static func credentials(
    _ arguments: Arguments, _ tokens: TokenSettings, _ now: Int64
  ) throws(UsageError) -> [HTTPField] {
    let isGiven = ["token", "api-key"].contains { arguments.value($0)?.isEmpty == false }
    if isGiven { return try Credentials.fields(of: arguments) }
    let token = tokens.token(of: "bench", scopes: ["publish"], from: now)
    return [try Credentials.bearer(token ?? "")]
  }

  private static func show(_ progress: LoadProgress) {
    let width = 30
    let filled = min(width, max(0, Int(progress.fraction * Double(width))))
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    let phase = progress.phase == .connecting ? "connecting" : "measuring"
    Terminal.sayOver(
      "[\(bar)] \(phase) \(progress.live) live, \(progress.accepted) published, "
        + "\(progress.delivered) delivered")
  }

  private static func text(of report: LoadReport) -> String {
    let latency = report.tally.latency
    let milliseconds = { (fraction: Double) in
      "\(Double(latency.quantile(fraction) / 1_000) / 1_000) ms"
    }
    return """
      \(report.pace) to \(report.established) of \(report.connections) connections, \
      \(report.tally.frameByteCount) bytes a frame
      accepted   \(report.accepted) publishes, \(Int(report.publishesPerSecond)) a second
      delivered  \(report.tally.delivered) frames, \(Int(report.deliveriesPerSecond)) a second
      missing    \(report.missing)
      latency    p50 \(milliseconds(0.5)), p99 \(milliseconds(0.99)), \
      p99.9 \(milliseconds(0.999)), max \(milliseconds(1))
      \(histogram(of: latency))
      """
  }

  /// The distribution of the latency, one line per power of two of microseconds.
  private static func histogram(of latency: LatencyHistogram) -> String {
    var lines: [(lower: UInt64, count: UInt64)] = []
    for bucket in latency.filled {
      let microseconds = max(1, bucket.lower / 1_000)
      let lower: UInt64 = 1 << UInt64(63 - microseconds.leadingZeroBitCount)
      if lines.last?.lower == lower {
        lines[lines.count - 1].count += bucket.count
      } else {
        lines.append((lower, bucket.count))
      }
    }
    let most = max(1, lines.map(\.count).max() ?? 1)
    return lines.map { line in
      let width = Int(Double(line.count) / Double(most) * 40)
      let label = Program.padded("\(line.lower) us", 12)
      return "  \(label) \(String(repeating: "#", count: max(1, width))) \(line.count)"
    }.joined(separator: "\n")
  }
}
