// `carillon serve`: runs the server until a signal stops it.

internal import Glibc
internal import Reactor
internal import Server
internal import Tokens

/// `carillon serve`.
enum ServeCommand {
  static let command = Command(
    name: "serve", summary: "run the server",
    examples: [
      "carillon serve --dev",
      #"JWT_SECRET="$(cat secret)" carillon serve --host 0.0.0.0 --data /var/lib/carillon"#,
    ],
    flags: ServeSettings.flags, run: run)

  @Sendable private static func run(_ arguments: Arguments) throws -> Int32 {
    let settings = try ServeSettings(arguments)
    guard settings.hasKey || settings.isDevelopment else {
      throw UsageError(
        "no key to verify tokens: set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL, or use --dev for "
          + "a development server")
    }
    // Before the first thread starts, so that every thread inherits the signal mask.
    Signals.block()
    let files = ProcessResources.raiseOpenFilesLimit()
    let server: CarillonServer
    do throws(ServerError) {
      server = try CarillonServer(settings.configuration)
    } catch {
      if case .listen(let host, _, let reason) = error, reason.code == EINVAL {
        throw UsageError("--host must be a numeric address, not '\(host)'")
      }
      throw error
    }
    let configuration = settings.configuration
    let addresses = ([configuration.host] + configuration.furtherHosts).map { host in
      "http://\(host.contains(":") ? "[\(host)]" : host):\(server.port)"
    }
    if settings.isDevelopment { Terminal.say(Introduction(settings, at: addresses[0]).text) }
    // guard: log-begins-with-address
    server.log(
      .info,
      "carillon \(Program.version), data in \(server.dataPath), "
        + "listening on \(addresses.joined(separator: " and "))")
    if configuration.tokenPolicy.keys.contains(where: { $0.isShort }) {
      server.log(.warning, "the secret is shorter than its digest, the minimum of RFC 7518")
    }
    server.log(.info, "at most \(files) open files; see carillon check")
    waitForSignal()
    server.log(.info, "draining; repeat the signal to exit immediately")
    server.stopInBackground { endProcess(0) }
    waitForSignal()
    server.log(.warning, "exited before the drain was complete")
    return 1
  }

  private static func waitForSignal() {
    while true {
      let signal = Signals.wait(timeoutMilliseconds: -1)
      if signal == SIGTERM || signal == SIGINT { return }
    }
  }
}
