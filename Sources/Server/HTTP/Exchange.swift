// A request in progress: received, then answered at once or when a reply arrives.

internal import Wire

/// The request in progress on an HTTP connection.
final class Exchange {
  var parser = HTTPRequestHeadParser(limits: HTTPLimits())
  var head: HTTPRequestHead?
  var route: Endpoints.Match?
  var caller: Caller?
  var body: [UInt8] = []
  /// The caller that the bytes of the body are counted for in `BodiesInFlight`.
  ///
  /// Set with the head, while nothing is counted.
  var bodyHolder = BodyHolder.publishers
  /// Bytes of this request that are counted in `BodiesInFlight`.
  var countedBytes = 0
  /// Whether the caller has a valid token or key, or addresses the session of such a caller.
  var isAuthenticated = false
  /// Bytes of a body that became a store command which the store still holds.
  var heldBytes = 0
  var chunked: ChunkedBodyDecoder?
  var bodyLimit = 0
  /// The length of the body at which its timeout begins again.
  var renewsTimeoutAt = 0
  /// The reply that the request waits for, and how it becomes the response.
  var pending: PendingAnswer?
  /// The Engine.IO session that the request addresses; `requestKind` says whether it polls or
  /// posts.
  private(set) var engine: EngineSession?
  private(set) var requestKind = EngineRequestKind.post
  /// Whether the connection ends with this response: the peer ended its side, or input is left
  /// unread.
  var isLast = false

  /// Makes it a request of an Engine.IO session.
  func address(_ session: EngineSession, _ kind: EngineRequestKind) {
    engine = session
    requestKind = kind
  }

  /// Forgets the Engine.IO session that the request addresses, and returns it.
  func takeEngine() -> EngineSession? {
    defer { engine = nil }
    return engine
  }

  /// Clears the request and keeps the object for the next one.
  func reset() {
    parser.reset()
    head = nil
    route = nil
    caller = nil
    isAuthenticated = false
    body = []
    heldBytes = 0
    chunked = nil
    pending = nil
    if requestKind == .post { engine?.isPosting = false }
    engine = nil
  }

  /// Whether the connection can carry another request after this one.
  var keepsAlive: Bool { !isLast && head?.keepsAlive == true }
}
