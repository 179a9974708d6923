// What a bus is started with.

internal import Reactor
internal import Server
internal import Tokens
internal import Wire

/// How a bus is set up.
public struct BusConfiguration: Sendable {
  /// How much a bus says on standard error, from least to most.
  public enum LogLevel: Sendable, CaseIterable {
    case error, warning, info, debug
  }

  /// The numeric address that clients connect to.
  public var host = "127.0.0.1"
  /// The port that clients connect to; 0 lets the kernel choose, and `NotificationBus.port` says
  /// which.
  public var port: UInt16 = 8080
  /// The directory of the store, made where there is none; `:memory:` keeps nothing.
  public var dataPath: String
  /// What clients' tokens are signed with (HS256), shared with whoever signs them.
  public var tokenSecret: String
  /// What `iss` of a token must be; nil for any.
  public var tokenIssuer: String?
  /// What `aud` of a token must name; nil for any.
  public var tokenAudience: String?
  /// The value of `X-API-Key` that makes an HTTP caller a publisher; nil: there is none.
  public var apiKey: String?
  /// Threads that connections are spread over: 1 to 128.
  public var shardCount = 1
  /// Origins that browsers may come from, as `scheme://host[:port]`; `*` is every one.
  ///
  /// Empty: this machine's own names.
  public var allowedOrigins: [String] = []
  /// What is logged.
  public var logLevel = LogLevel.warning

  /// A configuration with the defaults: port 8080 on loopback, one shard.
  public init(dataPath: String, tokenSecret: String) {
    self.dataPath = dataPath
    self.tokenSecret = tokenSecret
  }

  /// A secret that cannot be guessed, for a program that signs all of its clients' tokens itself.
  public static func makeSecret() -> String {
    Base64.encodeURL(Kernel.real.randomBytes(count: 32))
  }

  /// The server's configuration.
  func serverConfiguration() throws(BusError) -> Configuration {
    guard !tokenSecret.isEmpty else { throw .invalid(field: "tokenSecret", reason: "is empty") }
    guard apiKey != "" else { throw .invalid(field: "apiKey", reason: "is empty") }
    guard (1...128).contains(shardCount) else {
      throw .invalid(field: "shardCount", reason: "must be 1 to 128")
    }
    guard !dataPath.isEmpty else { throw .invalid(field: "dataPath", reason: "is empty") }
    let policy = TokenPolicy(
      keys: [.hmac(secret: Array(tokenSecret.utf8))], issuer: tokenIssuer, audience: tokenAudience)
    var configuration = Configuration(tokenPolicy: policy)
    configuration.host = host
    configuration.port = port
    configuration.dataPath = dataPath
    configuration.apiKey = apiKey
    configuration.shardCount = shardCount
    configuration.allowedOrigins = allowedOrigins
    configuration.logLevel =
      switch logLevel {
      case .error: .error
      case .warning: .warning
      case .info: .info
      case .debug: .debug
      }
    return configuration
  }
}

// Printing, interpolating, reflecting or dumping one shows where it listens, never its secrets.
extension BusConfiguration: CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  public var description: String { "bus on \(host) port \(port), store \(dataPath)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
