// The fan-out benchmark: its method, its limits and the order of its sections.
//
// Server and load client share one machine and loopback. The server has processor 0 to itself and
// the client processor 1, so the server's own processor time, read from its threads' schedstat, is
// comparable between machines; the client may limit the deliveries per second. Loopback delivers in
// the sender's context, so the receiving half of TCP is part of the figure, for the server and the
// baseline alike. Left out: networks with loss and delay, TLS, compression, slow or hostile
// clients, and more than one shard.

internal import BenchmarkSupport
internal import LoadClient

struct Benchmark {
  let options: Options
  private let credentials = Credentials()

  init(_ options: Options) { self.options = options }

  /// Runs the selected sections and prints the report.
  ///
  /// Returns whether every delivery and every publish was correct.
  func run() throws -> Bool {
    var report = Report()
    for (name, value) in machine { show("\(name): \(value)") }
    if options.sections.contains("fanout") { try runFanOut(&report) }
    if options.sections.contains("idle"), options.targets.contains(.server) {
      // One server per dialect, so that the first one's heap does not affect the second.
      for dialect in [LoadDialect.event, .socketIO] {
        say("idle memory, \(dialect)")
        let server = try RunningServer.carillon(
          at: options.server, credentials, data: ":memory:", name: "idle")
        defer { server.process.stop() }
        report.add(
          try System.onClientProcessor {
            try IdleFigures.measure(dialect, options, credentials, server)
          })
      }
    }
    if options.sections.contains("durable"), options.targets.contains(.server) {
      try runDurable(&report)
    }
    show(report.text)
    if let path = options.jsonPath {
      try System.write(report.json(machine: machine), to: path)
    }
    return report.isFaultless
  }

  private func runFanOut(_ report: inout Report) throws {
    say("fan-out")
    var servers: [Options.Target: RunningServer] = [:]
    defer { for (target, server) in servers where target != .room { server.process.stop() } }
    var frameByteCount = options.frameByteCount
    if options.targets.contains(where: { $0 == .server || $0 == .room }) {
      let server = try RunningServer.carillon(
        at: options.server, credentials, data: ":memory:", name: "server")
      servers[.server] = server
      servers[.room] = server
      frameByteCount = try System.onClientProcessor {
        try FanOutRounds.frameByteCount(options, credentials, server)
      }
    }
    for target in options.targets where servers[target] == nil {
      servers[target] = try RunningServer.baseline(
        options, frameByteCount: frameByteCount, name: target.rawValue)
    }
    show("frame: \(frameByteCount) bytes")
    for connections in options.connections {
      let targets = options.targets.compactMap { target in servers[target].map { (target, $0) } }
      let rounds = try System.onClientProcessor {
        var rounds = FanOutRounds(
          options: options, credentials: credentials, connections: connections)
        try rounds.run(targets)
        return rounds
      }
      report.add(rounds, targets: options.targets)
    }
  }

  private func runDurable(_ report: inout Report) throws {
    say("durable publishing")
    let directory = System.productDirectory() + "/FanOut-data"
    try remove(directory)
    defer { try? remove(directory) }  // After a failure the next run removes it.
    let server = try RunningServer.carillon(
      at: options.server, credentials, data: directory, name: "durable")
    defer { server.process.stop() }
    report.add(
      try System.onClientProcessor {
        try DurableFigures.measure(options, credentials, server)
      })
  }

  private func remove(_ directory: String) throws {
    let process = try ChildProcess(
      ["/bin/rm", "-rf", directory], processor: nil, output: "/dev/null")
    guard try System.wait(seconds: 30, until: { !process.isAlive() }) else {
      throw BenchmarkError("cannot remove \(directory)")
    }
  }

  private var machine: [(String, String)] {
    let isPinned = System.processorCount > 1
    return System.description + [
      ("pinning", isPinned ? "server on 0, load client on 1" : "none: one processor"),
      ("command", CommandLine.arguments.joined(separator: " ")),
      ("rounds", "\(options.rounds) of \(options.roundMilliseconds) ms each, medians"),
      ("payload", "\(options.payloadBytes) bytes"),
      (
        "measured",
        "the server's processor time from its threads' schedstat, system calls and loopback's "
          + "receiving half included; latency at the client, from the intended send time"
      ),
      (
        "left out",
        "networks with delay and loss, TLS, compression, slow clients, more than one shard; in "
          + "idle memory the kernel's socket buffers; in the baseline as listed in its source"
      ),
    ]
  }
}
