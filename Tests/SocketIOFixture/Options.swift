// The flags of the fixture, and the server that they describe.

internal import Glibc
internal import Reactor
internal import Server
internal import Tokens

/// What the fixture is started with.
struct FixtureOptions {
  private static let usage = """
    usage: carillon-socketio-fixture [--port N] [--shards N] [--ping-interval MS]
      [--ping-timeout MS] [--upgrade-timeout MS] [--connect-timeout MS] [--max-payload BYTES]
    """

  private var port: UInt16 = 3_000
  // One: then what a client says on two connections is heard in the order in which it said it, as
  // by the reference, and the official suites count on that.
  private var shards = 1
  private var settings = EngineSettings()

  init(_ arguments: ArraySlice<String>) throws(FixtureError) {
    settings.pingIntervalMilliseconds = 300
    settings.pingTimeoutMilliseconds = 200
    settings.connectTimeoutMilliseconds = 1_000
    settings.messageBytesLimit = 1_000_000
    var rest = arguments
    while let flag = rest.popFirst() {
      guard let text = rest.popFirst(), let number = UInt32(text), number <= 100_000_000 else {
        throw FixtureError(text: FixtureOptions.usage)
      }
      switch flag {
      case "--port": port = UInt16(clamping: number)
      case "--shards": shards = max(1, Int(number))
      case "--ping-interval": settings.pingIntervalMilliseconds = UInt64(number)
      case "--ping-timeout": settings.pingTimeoutMilliseconds = UInt64(number)
      case "--upgrade-timeout": settings.upgradeTimeoutMilliseconds = UInt64(number)
      case "--connect-timeout": settings.connectTimeoutMilliseconds = UInt64(number)
      case "--max-payload":
        settings.messageBytesLimit = Int(number)
        settings.bodyBytesLimit = Int(number)
      default: throw FixtureError(text: FixtureOptions.usage)
      }
    }
  }

  /// A server on both of this machine's addresses.
  var configuration: Configuration {
    // Nobody has the secret: there is nothing that a token would be good for.
    let key = VerificationKey.hmac(secret: Kernel.real.randomBytes(count: 32), algorithm: .hs256)
    var configuration = Configuration(tokenPolicy: TokenPolicy(keys: [key]))
    configuration.host = "127.0.0.1"
    configuration.furtherHosts = ["::1"]
    configuration.port = port
    configuration.shardCount = shards
    configuration.allowedOrigins = ["*"]
    // The cases are as fast as they can be, and none is about being too fast.
    configuration.limits.messageRate = .off
    // What was sent at once is echoed at once, and nobody polls for it before all of it was sent.
    configuration.limits.backlogBytesLimit = 512 * 1_024
    configuration.engines = [
      EnginePath("/engine.io/", .messages(EngineEcho()), settings),
      EnginePath("/socket.io/", .socketIO(SocketIOEcho()), settings),
    ]
    return configuration
  }
}

/// Why the fixture does not start.
struct FixtureError: Error, CustomStringConvertible {
  let text: String
  var description: String { text }
}

/// Writes a line to standard error.
func say(_ text: String) {
  let bytes = Array((text + "\n").utf8)
  // SAFETY: the array is not changed while it is read.
  _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

func endProcess(_ status: Int32) -> Never { exit(status) }
