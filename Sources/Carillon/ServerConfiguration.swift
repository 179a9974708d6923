// A bus's configuration as its server takes it, once every value is checked.

internal import Reactor
internal import Server
internal import Tokens

extension BusConfiguration {
  /// The server's configuration.
  func serverConfiguration() throws(BusError) -> Configuration {
    var configuration = Configuration(tokenPolicy: try tokenPolicy())
    if let tokenKeySetURL {
      configuration.keySource = KeySource(url: tokenKeySetURL)
      try require(
        configuration.keySource != nil, "tokenKeySetURL",
        "must be an https URL, or http to this machine")
    }
    try require(apiKey != "", "apiKey", "is empty")
    try require(!dataPath.isEmpty, "dataPath", "is empty")
    let furtherLimit = Configuration.hostLimit - 1
    try require(
      furtherHosts.count <= furtherLimit, "furtherHosts", "must hold at most \(furtherLimit)")
    try require(Configuration.shardCounts, holds: shardCount, "shardCount")
    let processorCount = ProcessResources.processorCount
    try require(
      !pinsShards || shardCount <= processorCount, "pinsShards",
      "needs a processor for each shard: this process may use \(processorCount)")
    configuration.host = host
    configuration.furtherHosts = furtherHosts
    configuration.port = port
    configuration.dataPath = dataPath
    configuration.apiKey = apiKey
    configuration.shardCount = shardCount
    configuration.pinsShards = pinsShards
    for origin in allowedOrigins {
      guard let fault = OriginPolicy.fault(in: origin) else { continue }
      throw .invalid(field: "allowedOrigins", reason: "'\(origin)' is no page's origin: \(fault)")
    }
    configuration.allowedOrigins = allowedOrigins
    configuration.engines = [try socketIO.path()]
    configuration.roomPolicy =
      switch roomPolicy {
      case .open: .open
      case .claimed: .claimed
      }
    configuration.logLevel =
      switch logLevel {
      case .error: .error
      case .warning: .warning
      case .info: .info
      case .debug: .debug
      }
    try setLimits(of: &configuration.limits)
    return configuration
  }

  private func tokenPolicy() throws(BusError) -> TokenPolicy {
    var keys: [VerificationKey] = []
    if let tokenPublicKeys {
      do throws(KeyFault) {
        keys = try KeyDocument.parse(tokenPublicKeys)
      } catch {
        throw .invalid(field: "tokenPublicKeys", reason: error.text)
      }
    }
    if let tokenSecret {
      let secret = Array(tokenSecret.utf8)
      let algorithm = tokenAlgorithm.signing
      try require(!secret.isEmpty, "tokenSecret", "is empty")
      // guard: short-secret-refused
      guard secret.count >= algorithm.secretByteCount else {
        throw .shortSecret(byteCount: secret.count, minimum: algorithm.secretByteCount)
      }
      keys.append(.hmac(secret: secret, algorithm: algorithm))
    }
    try require(
      !keys.isEmpty || tokenKeySetURL != nil, "tokenSecret",
      "is nil, and there are no public keys")
    try require(tokenUserClaim != "", "tokenUserClaim", "is empty")
    let leeway = tokenLeeway.components
    let leeways = TokenPolicy.leeways
    try require(
      leeway.attoseconds == 0 && leeways ~= leeway.seconds, "tokenLeeway",
      "must be \(leeways.lowerBound) to \(leeways.upperBound) whole seconds")
    return TokenPolicy(
      keys: keys, issuer: tokenIssuer, audience: tokenAudience, leewaySeconds: leeway.seconds,
      userClaim: tokenUserClaim, requiresExpiry: requiresTokenExpiry)
  }

  private func setLimits(of limits: inout Limits) throws(BusError) {
    try require(
      Limits.quotas, holds: connectionsPerAddressLimit ?? 0, "connectionsPerAddressLimit")
    try require(Limits.quotas, holds: sessionsPerUserLimit ?? 0, "sessionsPerUserLimit")
    try require(Limits.backlogBytes, holds: backlogByteLimit, "backlogByteLimit")
    try require(Limits.messageBytes, holds: messageByteLimit, "messageByteLimit")
    limits.connectionsPerAddressLimit = connectionsPerAddressLimit
    limits.sessionsPerUserLimit = sessionsPerUserLimit
    try require(Limits.quotas, holds: roomsPerUserLimit ?? 0, "roomsPerUserLimit")
    limits.roomsPerUserLimit = roomsPerUserLimit
    limits.whenUserFull =
      switch whenUserFull {
      case .reject: .reject
      case .replace: .replace
      }
    limits.connectRate = try connectRate?.checked("connectRate")
    limits.messageRate = try messageRate?.checked("messageRate")
    limits.requestRate = try requestRate?.checked("requestRate")
    limits.badTokenRate = try badTokenRate?.checked("badTokenRate")
    limits.publishRate = try publishRate.checked("publishRate")
    limits.backlogBytesLimit = backlogByteLimit
    limits.messageBytesLimit = messageByteLimit
  }
}

/// Throws `BusError.invalid` unless the condition holds.
private func require(
  _ condition: Bool, _ field: String, _ reason: @autoclosure () -> String
) throws(BusError) {
  guard condition else { throw .invalid(field: field, reason: reason()) }
}

/// Throws `BusError.invalid` unless the number is in the range.
func require(
  _ range: ClosedRange<Int>, holds number: Int, _ field: String
) throws(BusError) {
  try require(range ~= number, field, "must be \(range.lowerBound) to \(range.upperBound)")
}

extension BusConfiguration.TokenAlgorithm {
  /// The algorithm as the tokens know it.
  var signing: SigningAlgorithm {
    switch self {
    case .hs256: .hs256
    case .hs384: .hs384
    case .hs512: .hs512
    }
  }
}

extension BusConfiguration.RateLimit {
  /// The limit as the server takes it.
  fileprivate func checked(_ field: String) throws(BusError) -> Server.RateLimit {
    if perSecond == 0 { return .off }
    let range = 1...Server.RateLimit.highest
    try require(
      range ~= perSecond && range ~= burst, field,
      "both numbers must be 1 to \(Server.RateLimit.highest)")
    return Server.RateLimit(perSecond: perSecond, burst: burst)
  }
}

extension BusConfiguration.SocketIO {
  /// The path of Socket.IO with these settings.
  fileprivate func path() throws(BusError) -> EnginePath {
    var settings = EngineSettings()
    settings.pingIntervalMilliseconds = try milliseconds(pingInterval, "socketIO.pingInterval")
    settings.pingTimeoutMilliseconds = try milliseconds(pingTimeout, "socketIO.pingTimeout")
    let recovery: SocketIORecoveryPolicy =
      switch recovery {
      case .asked: .asked
      case .on: .on
      case .off: .off
      }
    return .notifications(recovery: recovery, settings)
  }

  private func milliseconds(_ time: Duration, _ field: String) throws(BusError) -> UInt64 {
    let range = EngineSettings.pingMilliseconds
    try require(
      .milliseconds(range.lowerBound)...(.milliseconds(range.upperBound)) ~= time, field,
      "must be 0.1 s to an hour")
    let (seconds, attoseconds) = time.components
    return UInt64(seconds) * 1_000 + UInt64(attoseconds) / 1_000_000_000_000_000
  }
}
