// The configuration of a bus.

internal import Reactor
internal import Server
internal import Tokens
internal import Wire

/// The configuration of a bus.
public struct BusConfiguration: Sendable {
  /// The verbosity of the log on standard error, from least to most.
  public enum LogLevel: Sendable, CaseIterable {
    case error, warning, info, debug
  }

  /// The numeric address to listen on.
  public var host = "127.0.0.1"
  /// The port to listen on; 0 selects a free port, which `NotificationBus.port` returns.
  public var port: UInt16 = 8080
  /// The directory of the store, created if necessary; `:memory:` stores nothing on disk.
  public var dataPath: String
  /// The secret that signs client tokens (HS256), shared with the service that issues them.
  public var tokenSecret: String
  /// The required `iss` of a token; nil accepts any.
  public var tokenIssuer: String?
  /// A value that a token's `aud` must contain; nil accepts any.
  public var tokenAudience: String?
  /// The value of `X-API-Key` that authorises an HTTP publisher; nil disables such keys.
  public var apiKey: String?
  /// The number of threads that serve connections: 1 to 128.
  public var shardCount = 1
  /// Allowed browser origins, as `scheme://host[:port]`; `*` allows every origin.
  ///
  /// Empty: this machine's own names.
  public var allowedOrigins: [String] = []
  /// The least severe level that is logged.
  public var logLevel = LogLevel.warning

  /// A configuration with the defaults: port 8080 on loopback, one shard.
  public init(dataPath: String, tokenSecret: String) {
    self.dataPath = dataPath
    self.tokenSecret = tokenSecret
  }

  /// A random secret, for a program that signs all of its clients' tokens itself.
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
    for origin in allowedOrigins {
      guard let fault = OriginPolicy.fault(in: origin) else { continue }
      throw .invalid(field: "allowedOrigins", reason: "'\(origin)' is no page's origin: \(fault)")
    }
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

// Printing, interpolating, reflecting or dumping a configuration shows its address and store path,
// never its secrets.
extension BusConfiguration: CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  public var description: String { "bus on \(host) port \(port), store \(dataPath)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
