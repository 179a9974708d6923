// `GET /notifications/events`: a request that becomes a session.
//
// The answer has no length and ends with the connection. After its head comes the same fan-out that
// WebSocket sessions get, with events of a stream instead of frames: the same logs, the same
// replay, the same bound on a reader's lag.

internal import Notifications
internal import Wire

extension Endpoints {
  /// Begins a stream after the client's last event, else at `since`, else now.
  ///
  /// A browser that reconnects sends both: the header is the newer.
  static func events(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let ids = request.head.values(of: "last-event-id")
    guard ids.count <= 1 else { throw .malformed("one Last-Event-ID at the most") }
    guard shard.drain == nil else {
      throw Refusal(.unavailable("draining", "the server is shutting down"))
    }
    let rooms = try Shard.rooms(in: request.query, for: StreamDialect())
    try shard.mayEnter(rooms, request.caller)
    let since = ids.first.flatMap { $0.isEmpty ? nil : $0 } ?? request.query["since"] ?? ""
    return .stream(since: since, rooms: rooms)
  }
}

extension Shard {
  /// Delay before a client reconnects.
  private static let retryMilliseconds: UInt32 = 5_000

  /// Answers the request with a stream.
  func openStream(_ request: Request, since: String, rooms: [RoomName]) {
    let slot = request.slot
    table[slot].userAgent = userAgents.shared(userAgent(of: request.head))
    // guard: session-quota-stream
    if request.head.method != .head, let user = request.caller.user,
      !countSession(of: user, at: slot)
    {
      return respond(Shard.tooManySessions, at: slot)
    }
    guard beginStream(request) else { return }
    openSession(.success(request.caller), StreamDialect(), since: since, rooms: rooms, at: slot)
  }

  /// Writes the head of a stream and the client's reconnect delay.
  ///
  /// False for a HEAD request, which gets only the head.
  func beginStream(_ request: Request) -> Bool {
    let slot = request.slot
    var head: [UInt8] = []
    head.appendText("HTTP/1.1 ")
    HTTPResponse.appendStatus(200, into: &head)
    let fields =
      [
        ("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-store"),
        // Without it nginx keeps events until its buffer is full.
        ("X-Accel-Buffering", "no"), ("Connection", "close"), ("Date", date()),
      ] + core.origins.fields(for: request.head)
    for (name, value) in fields { HTTPResponse.appendField(name, value, into: &head) }
    head.appendText("\r\n")
    if request.head.method == .head {
      table[slot].privateBytes.append(contentsOf: head)
      closeWhenSent(slot)
      return false
    }
    ServerSentEvent.append(retryMilliseconds: Shard.retryMilliseconds, into: &head)
    table[slot].privateBytes.append(contentsOf: head)
    return true
  }
}
