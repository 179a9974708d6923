// The settings of a server and the source of each value: flags win over the environment, the
// environment over defaults.

internal import Channels
internal import Reactor
internal import Server
internal import Tokens
internal import Wire

/// The settings of `carillon serve`.
struct ServeSettings {
  var configuration: Configuration
  private(set) var entries: [SettingEntry] = []
  let isDevelopment: Bool
  /// Whether a key that verifies tokens is configured; a server without one does not start.
  let hasKey: Bool
  /// Whether the environment has the secret that signs tokens.
  let hasSecret: Bool
  /// The key and rules of tokens, for the ready-made tokens of a development server.
  let tokens: TokenSettings

  static let flags: [Flag] =
    serverFlags + TokenSettings.flags + [
      Flag(
        "api-key", nil, environment: ["CARILLON_API_KEY"], isSecret: true,
        "value of X-API-Key that authorises a publisher"),
      Flag(
        "stripe-webhook-secret", nil, environment: ["STRIPE_WEBHOOK_SECRET"], isSecret: true,
        "signing secrets of Stripe's webhook endpoints, comma-separated"),
    ]

  private static let serverFlags: [Flag] = [
    Flag(
      "host", "ADDRESS", environment: ["CARILLON_HOST"],
      "numeric addresses to listen on, comma-separated (127.0.0.1)"),
    Flag("port", "PORT", environment: ["CARILLON_PORT"], "port to listen on (8080)"),
    Flag(
      "data", "DIR", environment: ["CARILLON_DATA"],
      "directory of the store; :memory: keeps nothing (carillon-data)"),
    Flag(
      "dev", nil, environment: ["CARILLON_DEV"],
      "random secret, ready-made tokens, loopback only"),
    Flag(
      "time-zones", "DIR", environment: ["CARILLON_TIME_ZONES"],
      "directory of the zone files for quiet hours (\(TimeZoneFiles.standardPath))"),
    Flag("shards", "N", environment: ["CARILLON_SHARDS"], "reactor threads (one per processor)"),
    Flag("pin", nil, environment: ["CARILLON_PIN"], "pin shard N to processor N"),
    Flag("log-level", "LEVEL", environment: ["LOG_LEVEL"], "error, warning, info or debug"),
    Flag(
      "cors-origins", "LIST", environment: ["WEBSOCKET_CORS_ORIGINS"],
      "allowed browser origins, comma-separated (this machine's names)"),
    Flag(
      "trusted-proxies", "LIST", environment: ["CARILLON_TRUSTED_PROXIES"],
      "proxies with trusted forwarding headers: addresses and networks, comma-separated (none)"),
    Flag(
      "rooms", "POLICY", environment: ["CARILLON_ROOMS"],
      "rooms a user may join: every room (open), or those the token names (claimed) (open)"),
    Flag(
      "backlog-bytes", "N", environment: ["CARILLON_BACKLOG_BYTES"],
      "bytes that a client may be behind (\(Limits().backlogBytesLimit))"),
    Flag(
      "message-bytes", "N", environment: ["CARILLON_MESSAGE_BYTES"],
      "largest message of a client (\(Limits().messageBytesLimit))"),
    Flag(
      "connections-per-address", "N", environment: ["CARILLON_CONNECTIONS_PER_ADDRESS"],
      "connections per address, or per IPv6 /64 network; 0 is no limit "
        + "(\(Limits.standardConnectionsPerAddress))"),
    Flag(
      "connections-per-user", "N", environment: ["CARILLON_CONNECTIONS_PER_USER"],
      "sessions per user; 0 is no limit (\(Limits.standardSessionsPerUser))"),
    Flag(
      "when-user-full", "reject|replace", environment: ["CARILLON_WHEN_USER_FULL"],
      "at that limit, reject the new session or replace the oldest (reject)"),
    Flag(
      "rooms-per-user", "N", environment: ["CARILLON_ROOMS_PER_USER"],
      "rooms that a user holds, by opening them; 0 is no limit (\(Limits.standardRoomsPerUser))"),
    Flag(
      "connect-rate", "N[/BURST]", environment: ["CARILLON_CONNECT_RATE"],
      "new connections per address and second; 0 is no limit (\(Limits.standardConnectRate))"),
    Flag(
      "message-rate", "N[/BURST]", environment: ["CARILLON_MESSAGE_RATE"],
      "messages per connection and second; 0 is no limit (\(Limits.standardMessageRate))"),
    Flag(
      "request-rate", "N[/BURST]", environment: ["CARILLON_REQUEST_RATE"],
      "HTTP requests per user and second; 0 is no limit (\(Limits.standardRequestRate))"),
    Flag(
      "bad-token-rate", "N[/BURST]", environment: ["CARILLON_BAD_TOKEN_RATE"],
      "tokens with a wrong signature per address and second; 0 is no limit "
        + "(\(Limits.standardBadTokenRate))"),
    Flag(
      "publish-rate", "N[/BURST]", environment: ["CARILLON_PUBLISH_RATE"],
      "requests per publisher and second; 0 is no limit (0)"),
    Flag(
      "allow-private-destinations", nil, environment: ["CARILLON_ALLOW_PRIVATE_DESTINATIONS"],
      "webhooks may have private and loopback addresses"),
    Flag(
      "webhook-retries", "LIST", environment: ["CARILLON_WEBHOOK_RETRIES"],
      "delays before the attempts after a failed one (\(RetrySchedule.standard))"),
    Flag(
      "socketio-recovery", "asked|on|off", environment: ["CARILLON_SOCKETIO_RECOVERY"],
      "Socket.IO connection state recovery: for clients that ask with since, all or none (asked)"),
    Flag(
      "socketio-ping-interval", "MS", environment: ["CARILLON_SOCKETIO_PING_INTERVAL"],
      "interval between pings to Socket.IO clients "
        + "(\(EngineSettings().pingIntervalMilliseconds))"),
    Flag(
      "socketio-ping-timeout", "MS", environment: ["CARILLON_SOCKETIO_PING_TIMEOUT"],
      "time in which they must answer (\(EngineSettings().pingTimeoutMilliseconds))"),
  ]

  /// Reads the settings.
  ///
  /// A development server without JWT_SECRET gets a random secret.
  init(_ arguments: Arguments) throws(UsageError) {
    isDevelopment = try arguments.isOn("dev")
    let given = arguments.value("jwt-secret") ?? ""
    let apiKey = arguments.value("api-key")
    hasSecret = !given.isEmpty
    // 64 characters: as long as the digest of every algorithm.
    let random = isDevelopment ? Base64.encodeURL(Kernel.real.randomBytes(count: 48)) : nil
    tokens = try TokenSettings(arguments, secret: hasSecret ? given : random)
    let keySource = try arguments.keySource()
    hasKey = !tokens.policy.keys.isEmpty || keySource != nil
    configuration = Configuration(tokenPolicy: tokens.policy)
    configuration.keySource = keySource
    configuration.apiKey = apiKey
    configuration.stripeSecrets = try arguments.stripeSecrets()
    configuration.explainsRefusals = isDevelopment
    configuration.servesLoopbackNamesOnly = isDevelopment
    if isDevelopment {
      configuration.demoTokens = DevelopmentTokens(settings: tokens).demo(at:)
    }
    try readAddresses(arguments)
    try readLimits(arguments)
    describe(arguments)
  }

  private mutating func readAddresses(_ arguments: Arguments) throws(UsageError) {
    let hosts = (arguments.value("host") ?? "127.0.0.1").split(
      separator: ",", omittingEmptySubsequences: false
    ).map { $0 == "localhost" ? "127.0.0.1" : String($0).trimmed }
    guard hosts.count <= Configuration.hostLimit else {
      throw UsageError("--host takes at most \(Configuration.hostLimit) addresses")
    }
    configuration.host = hosts[0]
    configuration.furtherHosts = Array(hosts.dropFirst())
    if isDevelopment, !hosts.allSatisfy({ ["127.0.0.1", "::1"].contains($0) }) {
      throw UsageError("--dev allows only 127.0.0.1 and ::1, because it prints its secrets")
    }
    configuration.port = try arguments.port(otherwise: 8_080)
    guard arguments.value("data") != "" else {
      throw UsageError("--data must name a directory, or be :memory:")
    }
    configuration.dataPath =
      arguments.value("data") ?? (isDevelopment ? ":memory:" : "carillon-data")
    guard arguments.value("time-zones") != "" else {
      throw UsageError("--time-zones must name a directory")
    }
    if let path = arguments.value("time-zones") { configuration.timeZonePath = path }
    configuration.shardCount = try arguments.number(
      "shards", in: Configuration.shardCounts, otherwise: Host.processorCount)
    configuration.pinsShards = try arguments.isOn("pin")
    guard !configuration.pinsShards || configuration.shardCount <= Host.processorCount else {
      throw UsageError(
        "--pin needs a processor for each shard: this process may use \(Host.processorCount), and "
          + "--shards is \(configuration.shardCount)")
    }
    configuration.allowedOrigins = try arguments.origins()
    configuration.trustedProxies = try arguments.trustedProxies()
  }

  private mutating func readLimits(_ arguments: Arguments) throws(UsageError) {
    configuration.limits.backlogBytesLimit = try arguments.number(
      "backlog-bytes", in: Limits.backlogBytes, otherwise: configuration.limits.backlogBytesLimit)
    configuration.limits.messageBytesLimit = try arguments.number(
      "message-bytes", in: Limits.messageBytes, otherwise: configuration.limits.messageBytesLimit)
    let rooms = try arguments.choice("rooms", "open or claimed", RoomPolicy.init(rawValue:))
    if let rooms { configuration.roomPolicy = rooms }
    try readQuotas(arguments)
    try readSocketIO(arguments)
    try readWebhooks(arguments)
    let level = try arguments.choice(
      "log-level", "error, warning, info or debug", LogLevel.init(name:))
    if let level { configuration.logLevel = level }
  }

  private mutating func readWebhooks(_ arguments: Arguments) throws(UsageError) {
    configuration.addressPolicy = AddressPolicy(
      allowsPrivateDestinations: try arguments.isOn("allow-private-destinations"))
    guard let text = arguments.value("webhook-retries") else { return }
    do throws(RetryScheduleError) {
      configuration.webhookRetries = try RetrySchedule(parsing: text)
    } catch {
      throw UsageError("--webhook-retries: \(error)")
    }
  }

  private mutating func readSocketIO(_ arguments: Arguments) throws(UsageError) {
    let recovery = try arguments.choice(
      "socketio-recovery", "asked, on or off", SocketIORecoveryPolicy.init(spelling:))
    var settings = EngineSettings()
    let range = EngineSettings.pingMilliseconds
    settings.pingIntervalMilliseconds = UInt64(
      try arguments.number(
        "socketio-ping-interval", in: range, otherwise: Int(settings.pingIntervalMilliseconds)))
    settings.pingTimeoutMilliseconds = UInt64(
      try arguments.number(
        "socketio-ping-timeout", in: range, otherwise: Int(settings.pingTimeoutMilliseconds)))
    configuration.engines = [.notifications(recovery: recovery ?? .asked, settings)]
  }

  /// A flag that is absent stays nil: its default does not count this machine's own connections.
  private mutating func readQuotas(_ arguments: Arguments) throws(UsageError) {
    if arguments.value("connections-per-address") != nil {
      configuration.limits.connectionsPerAddressLimit = try arguments.number(
        "connections-per-address", in: Limits.quotas, otherwise: 0)
    }
    if arguments.value("connections-per-user") != nil {
      configuration.limits.sessionsPerUserLimit = try arguments.number(
        "connections-per-user", in: Limits.quotas, otherwise: 0)
    }
    if arguments.value("rooms-per-user") != nil {
      configuration.limits.roomsPerUserLimit = try arguments.number(
        "rooms-per-user", in: Limits.quotas, otherwise: 0)
    }
    let whenFull = try arguments.choice(
      "when-user-full", "reject or replace", FullUserPolicy.init(rawValue:))
    if let whenFull { configuration.limits.whenUserFull = whenFull }
    configuration.limits.connectRate = try arguments.rate("connect-rate")
    configuration.limits.messageRate = try arguments.rate("message-rate")
    configuration.limits.requestRate = try arguments.rate("request-rate")
    configuration.limits.badTokenRate = try arguments.rate("bad-token-rate")
    configuration.limits.publishRate = try arguments.rate("publish-rate") ?? .off
  }

  private mutating func describe(_ arguments: Arguments) {
    let limits = configuration.limits
    let engine = EngineSettings()
    let standard: [String: String] = [
      "host": configuration.host, "port": "\(configuration.port)",
      "data": configuration.dataPath, "time-zones": configuration.timeZonePath,
      "shards": "\(configuration.shardCount)",
      "jwt-algorithm": "HS256", "jwt-leeway": "\(TokenPolicy.leeways.upperBound)",
      "jwt-require-exp": "on", "log-level": "info",
      "backlog-bytes": "\(limits.backlogBytesLimit)", "dev": "off", "pin": "off",
      "message-bytes": "\(limits.messageBytesLimit)",
      "socketio-recovery": "asked", "allow-private-destinations": "off",
      "webhook-retries": "\(RetrySchedule.standard)",
      "socketio-ping-interval": "\(engine.pingIntervalMilliseconds)",
      "socketio-ping-timeout": "\(engine.pingTimeoutMilliseconds)", "rooms": "open",
      "connections-per-address": "\(Limits.standardConnectionsPerAddress)",
      "connections-per-user": "\(Limits.standardSessionsPerUser)", "when-user-full": "reject",
      "rooms-per-user": "\(Limits.standardRoomsPerUser)",
      "connect-rate": "\(Limits.standardConnectRate)",
      "message-rate": "\(Limits.standardMessageRate)",
      "bad-token-rate": "\(Limits.standardBadTokenRate)",
      "request-rate": "\(Limits.standardRequestRate)", "publish-rate": "\(RateLimit.off)",
      "trusted-proxies": "none",
    ]
    let notes = [
      "cors-origins": "this machine's names", "connections-per-address": "remote clients only",
      "connections-per-user": "remote clients only", "rooms-per-user": "remote clients only",
      "connect-rate": "remote clients only", "bad-token-rate": "remote clients only",
      "message-rate": "remote clients only", "request-rate": "remote clients only",
    ]
    entries = ServeSettings.flags.map { flag in
      if case .some((var value, let source)) = arguments.sourced(flag.name) {
        // In the spelling of the help.
        if flag.name == "socketio-recovery" {
          value = Switch.isOn(value).map { $0 ? "on" : "off" } ?? value.lowercased()
        }
        // Kinds and ids: the text of the keys has many lines.
        if flag.name == "jwt-public-key" { value = tokens.publicKeyList }
        return SettingEntry(flag, value, source: source)
      }
      return SettingEntry(
        flag, standard[flag.name], note: notes[flag.name], source: "default")
    }
  }
}

extension Arguments {
  /// The port to listen on.
  ///
  /// For every service, Kubernetes sets variables with its name in the pods of its namespace:
  /// those of a service named carillon include CARILLON_PORT, with a URL.
  fileprivate func port(otherwise standard: Int) throws(UsageError) -> UInt16 {
    // guard: service-link-explained
    if let (text, source) = sourced("port"), source != "--port",
      ["tcp://", "udp://", "sctp://"].contains(where: text.hasPrefix)
    {
      throw UsageError(
        "\(source) is '\(text)', which Kubernetes sets for a service named carillon: "
          + "set enableServiceLinks: false in the pod's spec, or pass --port")
    }
    return UInt16(try number("port", in: 0...65_535, otherwise: standard))
  }

  /// The proxies with trusted forwarding headers.
  fileprivate func trustedProxies() throws(UsageError) -> TrustedProxies {
    guard let (list, source) = sourced("trusted-proxies") else { return TrustedProxies() }
    var ranges: [AddressRange] = []
    for entry in list.split(separator: ",").map({ String($0).trimmed }) where !entry.isEmpty {
      guard let range = AddressRange(entry) else {
        throw UsageError(
          "\(source): '\(entry)' is no address and no network, such as 10.0.0.7, 10.0.0.0/8 or "
            + "fd00::/8")
      }
      ranges.append(range)
    }
    return TrustedProxies(ranges)
  }

  /// The allowed origins, each of which some page may have.
  fileprivate func origins() throws(UsageError) -> [String] {
    guard let (list, source) = sourced("cors-origins") else { return [] }
    let entries = list.split(separator: ",").map { String($0).trimmed }.filter { !$0.isEmpty }
    for entry in entries {
      // guard: origin-of-no-page
      guard let fault = OriginPolicy.fault(in: entry) else { continue }
      throw UsageError("\(source): '\(entry)' is the origin of no page: \(fault)")
    }
    return entries
  }

  /// The signing secrets of Stripe's webhook endpoints.
  fileprivate func stripeSecrets() throws(UsageError) -> [String] {
    guard let (list, source) = sourced("stripe-webhook-secret") else { return [] }
    let secrets = list.split(separator: ",", omittingEmptySubsequences: false).map {
      String($0).trimmed
    }
    // An empty secret would sign for everyone.
    // guard: stripe-secret-is-a-secret
    if let fault = Configuration.fault(inStripeSecrets: secrets) {
      throw UsageError("\(source) \(fault)")
    }
    return secrets
  }

  /// The source of a set of keys; nil if there is none.
  fileprivate func keySource() throws(UsageError) -> KeySource? {
    guard let (url, source) = sourced("jwt-jwks-url") else { return nil }
    guard let keySource = KeySource(url: url, authorities: value("jwt-jwks-ca")) else {
      throw UsageError(
        "\(source) must be an https URL, or http to localhost, 127.0.0.1 or [::1], without a user "
          + "name")
    }
    return keySource
  }

  /// The algorithm that signs tokens.
  func signingAlgorithm() throws(UsageError) -> SigningAlgorithm {
    // guard: secret-algorithm-of-hmac
    try choice("jwt-algorithm", "HS256, HS384 or HS512") { name in
      SigningAlgorithm.ofSecrets.first { $0.rawValue == name }
    } ?? .hs256
  }

  /// A rate as `N` or `N/BURST`; without a burst, the burst is N.
  ///
  /// Nil when the flag is absent.
  fileprivate func rate(_ name: String) throws(UsageError) -> RateLimit? {
    guard let (text, source) = sourced(name) else { return nil }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    let numbers = parts.map { Int($0) ?? -1 }
    guard numbers.count <= 2, let perSecond = numbers.first, let burst = numbers.last,
      (0...RateLimit.highest).contains(perSecond),
      (perSecond == 0 ? 0...RateLimit.highest : 1...RateLimit.highest).contains(burst)
    else {
      throw UsageError(
        "\(source) must be N or N/BURST, both from 1 to \(RateLimit.highest), or 0 for no limit, "
          + "not '\(text)'")
    }
    return perSecond == 0 ? .off : RateLimit(perSecond: perSecond, burst: burst)
  }
}

extension SocketIORecoveryPolicy {
  /// Nil when the text is neither `asked` nor a spelling of `Switch`.
  fileprivate init?(spelling text: String) {
    if text.lowercased() == SocketIORecoveryPolicy.asked.rawValue {
      self = .asked
    } else if let isOn = Switch.isOn(text) {
      self = isOn ? .on : .off
    } else {
      return nil
    }
  }
}

extension String {
  /// The text without the spaces around it.
  fileprivate var trimmed: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}
