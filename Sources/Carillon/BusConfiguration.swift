// The configuration of a bus: the settings of `carillon serve`, without its flags.

internal import Reactor
internal import Server
internal import Tokens
internal import Wire

/// The configuration of a bus.
///
/// Every setting has the default of `carillon serve`, except that a bus has one thread and logs
/// warnings only.
public struct BusConfiguration: Sendable {
  /// The verbosity of the log on standard error, from least to most.
  public enum LogLevel: Sendable, CaseIterable {
    /// Failures of the server.
    case error
    /// Also conditions that need an operator's attention.
    case warning
    /// Also the course of the server.
    case info
    /// Also each connection and each refusal, at most ten lines a second.
    case debug
  }

  /// An algorithm that signs tokens with a shared secret.
  public enum TokenAlgorithm: String, Sendable, CaseIterable {
    /// HMAC with SHA-256; the secret has at least 32 bytes.
    case hs256 = "HS256"
    /// HMAC with SHA-384; the secret has at least 48 bytes.
    case hs384 = "HS384"
    /// HMAC with SHA-512; the secret has at least 64 bytes.
    case hs512 = "HS512"
  }

  /// The rooms that a client may join by itself.
  public enum RoomPolicy: Sendable, CaseIterable {
    /// Any room.
    case open
    /// The rooms that its token names in the claim `rooms`.
    case claimed
  }

  /// The fate of a session past its user's limit.
  public enum FullUserPolicy: Sendable, CaseIterable {
    /// The new session is answered 429, or closed with 1008.
    case reject
    /// The user's oldest session ends in favour of the new one.
    case replace
  }

  /// So many actions a second, and more at once after a pause.
  public struct RateLimit: Sendable, Equatable {
    /// No limit.
    public static let unlimited = RateLimit(perSecond: 0, burst: 0)

    /// Actions a second: 1 to 1,000,000, or 0 for no limit.
    public var perSecond: Int
    /// Actions at once: 1 to 1,000,000.
    public var burst: Int

    /// Creates a limit.
    ///
    /// - Parameters:
    ///   - perSecond: Actions a second.
    ///   - burst: Actions at once; nil for as many as a second's.
    public init(perSecond: Int, burst: Int? = nil) {
      self.perSecond = perSecond
      self.burst = burst ?? perSecond
    }
  }

  /// The settings of Socket.IO.
  public struct SocketIO: Sendable, Equatable {
    /// The clients with connection state recovery, which resume at their last position.
    ///
    /// Such a client gets an additional argument with each notification.
    public enum Recovery: Sendable {
      /// Those that ask for it with `since`, in the query or in CONNECT's payload.
      case asked
      /// All, as with the reference server when its option is set.
      case on
      case off
    }

    /// The clients with connection state recovery.
    public var recovery = Recovery.asked
    /// The time between pings: 0.1 s to an hour.
    public var pingInterval = Duration.milliseconds(EngineSettings().pingIntervalMilliseconds)
    /// The time in which a client must answer a ping: 0.1 s to an hour.
    public var pingTimeout = Duration.milliseconds(EngineSettings().pingTimeoutMilliseconds)

    /// The defaults.
    public init() {}
  }

  /// The numeric address to listen on.
  public var host = "127.0.0.1"
  /// Further numeric addresses to listen on, at most 15.
  public var furtherHosts: [String] = []
  /// The port to listen on; 0 selects a free port, which `NotificationBus.port` returns.
  public var port: UInt16 = 8080
  /// The directory of the store, created if necessary; `:memory:` stores nothing on disk.
  public var dataPath: String
  /// The number of threads that serve connections: 1 to 128.
  public var shardCount = 1
  /// Whether each of these threads is pinned to a processor of its own.
  public var pinsShards = false
  /// The least severe level that is logged.
  public var logLevel = LogLevel.warning

  /// The secret that signs client tokens, shared with the service that issues them.
  ///
  /// It has at least as many bytes as the digest of `tokenAlgorithm`; `makeSecret()` makes one. Nil
  /// if tokens are signed with private keys only; then `NotificationBus.makeToken` cannot be used.
  public var tokenSecret: String?
  /// The algorithm of that secret; tokens with a signature by another one are refused.
  public var tokenAlgorithm = TokenAlgorithm.hs256
  /// Public keys that verify client tokens: one or more PEM blocks `PUBLIC KEY`, or the JSON of a
  /// JWK or of a set of them; nil for none.
  ///
  /// A key is used with one algorithm only: that of its curve, RS256 for RSA, or the one that is
  /// named as `alg` in its JWK or before its PEM block, as `PS256:-----BEGIN PUBLIC KEY-----`.
  public var tokenPublicKeys: String?
  /// The URL of a set of public keys, which the bus fetches again and again; nil for none.
  ///
  /// `https`, or `http` to this machine. The bus starts after ten seconds without it, too, and
  /// refuses the tokens of its keys until it is there.
  public var tokenKeySetURL: String?
  /// The required `iss` of a token; nil accepts any.
  public var tokenIssuer: String?
  /// A value that a token's `aud` must contain; nil accepts any.
  public var tokenAudience: String?
  /// The tolerated difference between the clocks of issuer and server, in whole seconds: 0 to 30.
  public var tokenLeeway = Duration.seconds(TokenPolicy.leeways.upperBound)
  /// The claim with the user's id; nil is `sub`, else `user_id`, `userId` or `id`.
  public var tokenUserClaim: String?
  /// Whether a token without `exp` is refused.
  public var requiresTokenExpiry = true
  /// The value of `X-API-Key` that authorises an HTTP publisher; nil disables such keys.
  public var apiKey: String?

  /// Allowed browser origins, as `scheme://host[:port]`; `*` allows every origin.
  ///
  /// Empty: this machine's own names.
  public var allowedOrigins: [String] = []
  /// The rooms that a client may join by itself.
  public var roomPolicy = RoomPolicy.open
  /// The settings of Socket.IO.
  public var socketIO = SocketIO()

  /// Connections of one address, or of one IPv6 network of 64 bits: 0 to 1,000,000; 0 is no limit.
  ///
  /// Nil: 100, and connections from this machine are not counted.
  public var connectionsPerAddressLimit: Int?
  /// Sessions of one user: 0 to 1,000,000; 0 is no limit.
  ///
  /// Nil: 20, and sessions from this machine are not counted.
  public var sessionsPerUserLimit: Int?
  /// The fate of a session past that limit.
  public var whenUserFull = FullUserPolicy.reject
  /// Rooms that one user holds, by opening them: 0 to 1,000,000; 0 is no limit.
  ///
  /// Nil: 500. Those that the user opens from this machine are not counted, and neither are those
  /// that the program has it join.
  public var roomsPerUserLimit: Int?
  /// New connections of one address.
  ///
  /// Nil: 20 a second and 100 at once, and those from this machine are not counted.
  public var connectRate: RateLimit?
  /// Messages of one connection.
  ///
  /// Nil: 50 a second and 200 at once, and those from this machine are not counted.
  public var messageRate: RateLimit?
  /// HTTP requests of one user that is no publisher.
  ///
  /// Nil: 100 a second and 500 at once, and those from this machine are not counted.
  public var requestRate: RateLimit?
  /// Tokens with a wrong signature from one address; past it, none of the address is verified.
  ///
  /// Nil: 20 a second and 40 at once, and those from this machine are not counted.
  public var badTokenRate: RateLimit?
  /// Publish requests of one user, or of the API key, over HTTP.
  public var publishRate = RateLimit.unlimited
  /// Bytes that a client may be behind: 4,096 to 262,144; past it, it is closed with 1013.
  public var backlogByteLimit = Limits().backlogBytesLimit
  /// Bytes of a client's message: 125 to 65,536; a longer one closes the connection with 1009.
  public var messageByteLimit = Limits().messageBytesLimit

  /// A configuration with the defaults: port 8080 on loopback, one shard.
  ///
  /// - Parameters:
  ///   - dataPath: The directory of the store, or `:memory:`.
  ///   - tokenSecret: The secret that signs client tokens.
  public init(dataPath: String, tokenSecret: String) {
    self.dataPath = dataPath
    self.tokenSecret = tokenSecret
  }

  /// A configuration with the defaults, for tokens that another service signs with private keys.
  ///
  /// - Parameters:
  ///   - dataPath: The directory of the store, or `:memory:`.
  ///   - tokenPublicKeys: The public keys of these private keys, as in the property of this name.
  public init(dataPath: String, tokenPublicKeys: String) {
    self.dataPath = dataPath
    self.tokenPublicKeys = tokenPublicKeys
  }

  /// Makes a random secret, for a program that signs all of its clients' tokens itself.
  ///
  /// - Returns: The secret, long enough for every algorithm.
  public static func makeSecret() -> String {
    Base64.encodeURL(Kernel.real.randomBytes(count: 48))
  }
}

// Printing, interpolating, reflecting or dumping a configuration shows its address and store path,
// never its secrets.
extension BusConfiguration: CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  /// The address and the path of the store.
  public var description: String { "bus on \(host) port \(port), store \(dataPath)" }
  /// The address and the path of the store.
  public var debugDescription: String { description }
  /// A mirror without the secrets.
  public var customMirror: Mirror { Mirror(self, children: []) }
}
