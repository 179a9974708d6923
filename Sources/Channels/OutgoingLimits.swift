// The bounds of requests to other servers.

/// Bounds of `OutgoingHTTP`: each has its standard value.
package struct OutgoingLimits: Sendable {
  /// Transfers in flight.
  package static let transferCountLimit = 256
  /// Connections to one host and port.
  package static let hostConnectionCountLimit = 16
  /// Connections that are kept for further requests.
  package static let idleConnectionCountLimit = 64
  /// Time to connect, with the handshake of TLS.
  package static let connectMilliseconds: UInt64 = 5_000
  /// Time from `start` to the end of the answer.
  package static let totalMilliseconds: UInt64 = 20_000
  /// The longest such time that a request may ask for.
  package static let longestTotalMilliseconds: UInt64 = 120_000
  /// Bytes of the head of an answer, with those of its interim answers and trailers.
  package static let headBytesLimit = 16 * 1_024
  /// Bytes of a body after which a transfer ends.
  package static let bodyBytesLimit = 64 * 1_024
  /// Bytes of a body that are kept.
  package static let keptBodyBytes = 1_024
  /// Lookups that wait for the resolver.
  package static let lookupCountLimit = 256
  /// Names in the cache of addresses.
  package static let cachedNameCountLimit = 1_024
  /// Time for which the addresses of a name are used.
  package static let nameMilliseconds: UInt64 = 30_000
  /// Time for which a name that does not resolve is not looked up again.
  package static let failedNameMilliseconds: UInt64 = 5_000
  /// The longest `Retry-After`; a longer one counts as this.
  package static let retryAfterSecondsLimit: Int64 = 86_400

  package var transfers = transferCountLimit
  package var hostConnections = hostConnectionCountLimit
  package var idleConnections = idleConnectionCountLimit
  package var connectTimeout = connectMilliseconds
  package var lookups = lookupCountLimit
  package var cachedNames = cachedNameCountLimit
  package var nameLifetime = nameMilliseconds
  package var failedNameLifetime = failedNameMilliseconds

  package init() {}
}
