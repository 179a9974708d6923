// The fixture's command-line flags, and the server configuration made from them.

internal import Glibc
internal import Reactor
internal import Server
internal import Tokens

/// The fixture's command-line options.
struct FixtureOptions {
  private static let usage = """
    usage: carillon-socketio-fixture [--port N] [--shards N] [--ping-interval MS]
      [--ping-timeout MS] [--upgrade-timeout MS] [--connect-timeout MS] [--max-payload BYTES]
    """

  private var port: UInt16 = 3_000
  // With one shard, the messages that a client sends on two connections arrive in the order sent,
  // as with the reference server. The official suites rely on that order.
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

  /// The configuration of a server on both loopback addresses.
  var configuration: Configuration {
    // A random secret that is never shared: no case uses a token.
    let key = VerificationKey.hmac(secret: Kernel.real.randomBytes(count: 32), algorithm: .hs256)
    var configuration = Configuration(tokenPolicy: TokenPolicy(keys: [key]))
    configuration.host = "127.0.0.1"
    configuration.furtherHosts = ["::1"]
    configuration.port = port
    configuration.shardCount = shards
    configuration.allowedOrigins = ["*"]
    // The cases send as fast as they can, and none of them tests the rate limit.
    configuration.limits.messageRate = .off
    // Some cases send many messages at once and poll for the echoes only afterwards, so the backlog
    // must hold all of them.
    configuration.limits.backlogBytesLimit = 512 * 1_024
    configuration.engines = [
      EnginePath("/engine.io/", .messages(EngineEcho()), settings),
      EnginePath("/socket.io/", .socketIO(SocketIOEcho()), settings),
    ]
    return configuration
  }
}

/// The reason why the fixture does not start.
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
