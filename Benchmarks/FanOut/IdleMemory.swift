// Measures the memory of an idle connection, and whether the server releases it afterwards.

internal import BenchmarkSupport
internal import LoadClient

struct IdleFigures {
  let dialect: LoadDialect
  let connections: Int
  let residentBefore: Int
  let residentWith: Int
  let residentAfter: Int
  let filesBefore: Int
  let filesAfter: Int

  var bytesPerConnection: Double {
    Double(residentWith - residentBefore) / Double(connections)
  }

  /// Connects one user per connection, measures, and disconnects.
  ///
  /// One connection opens and closes before the first measurement, so that the server's one-time
  /// allocations are not attributed to the connections.
  static func measure(
    _ dialect: LoadDialect, _ options: Options, _ credentials: Credentials,
    _ server: RunningServer
  ) throws -> IdleFigures {
    var configuration = FanOutRounds.configuration(options, credentials, server, connections: 1)
    configuration.dialect = dialect
    try connectAndLeave(configuration, server) {}
    let filesBefore = server.process.fileCount()
    let residentBefore = server.process.residentByteCount()
    var residentWith = 0
    configuration.connections = options.idleConnections
    try connectAndLeave(configuration, server) {
      residentWith = server.process.residentByteCount()
    }
    // The server releases the memory within 30 s; it remembers departed users for 3 s of them.
    _ = try System.wait(seconds: 30) {
      server.process.residentByteCount() <= residentBefore + residentBefore / 20 + (4 << 20)
    }
    return IdleFigures(
      dialect: dialect, connections: options.idleConnections, residentBefore: residentBefore,
      residentWith: residentWith, residentAfter: server.process.residentByteCount(),
      filesBefore: filesBefore, filesAfter: server.process.fileCount())
  }

  private static func connectAndLeave(
    _ configuration: LoadConfiguration, _ server: RunningServer, while connected: () -> Void
  ) throws {
    let files = server.process.fileCount()
    let session = try LoadSession(configuration)
    try session.connect()
    guard session.liveCount == configuration.connections else {
      session.close()
      throw BenchmarkError(
        "\(session.liveCount) of \(configuration.connections) are established: \(session.endings)")
    }
    connected()
    session.close()
    // Descriptors that are still open after 30 s appear in the figures.
    _ = try System.wait(seconds: 30) { server.process.fileCount() <= files }
  }
}
