// `GET /notifications/events`: a request that becomes a session.
//
// The answer is chunked, or over HTTP/1.0 ends with the connection. After its head comes the same
// fan-out that WebSocket sessions get, with events of a stream instead of frames: the same logs,
// the same replay, the same bound on a reader's lag.

internal import Delivery
internal import Notifications
internal import Wire

extension Endpoints {
  /// Begins a stream after the client's last event, else at `since`, else now.
  ///
  /// The last event's id is the header `Last-Event-ID`, else in the query: a polyfill that cannot
  /// set the header sends `lastEventId` or `lastEventID`. A client that reconnects sends `since` or
  /// an older id again with its address, so the header, which is the newest, wins.
  static func events(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let ids = request.head.values(of: "last-event-id")
    guard ids.count <= 1 else { throw .malformed("one Last-Event-ID at the most") }
    guard !shard.drain.hasBegun else {
      throw Refusal(.unavailable("draining", "the server is shutting down"))
    }
    let rooms = try RoomQuery.rooms(in: request.query, for: StreamDialect())
    try shard.rooms.mayEnter(rooms, request.caller)
    let query = ["lastEventId", "lastEventID", "since"].map { request.query[$0] }
    let since = ([ids.first] + query).lazy.compactMap { $0 }.first { !$0.isEmpty }
    return .stream(since: since ?? "", rooms: rooms)
  }
}

extension Shard {
  /// Answers the request with a stream.
  func openStream(_ request: Request, since: String, rooms: [RoomName]) {
    let slot = request.slot
    connections.keepUserAgent(of: request.head, at: slot)
    // guard: session-quota-stream
    if request.head.method != .head, let user = request.caller.user,
      !admission.countSession(of: user, at: slot)
    {
      return respond(tooManySessions, at: slot)
    }
    guard beginStream(request) else { return }
    let dialect = StreamDialect(framing: .eventStream(answering: request.head))
    // `EventSource` resumes by itself, so only `since` in the query asks for more messages.
    if request.query["since"] != nil { table[slot].flags.insert(.visibleHeartbeats) }
    openSession(.success(request.caller), dialect, since: since, rooms: rooms, at: slot)
  }

  /// Writes the head of a stream.
  ///
  /// False for a HEAD request, which gets only the head.
  func beginStream(_ request: Request) -> Bool {
    let slot = request.slot
    var head: [UInt8] = []
    head.appendText("HTTP/1.1 ")
    HTTPResponse.appendStatus(200, into: &head)
    var fields = [
      ("Content-Type", "text/event-stream; charset=utf-8"),
      // A proxy that compresses events keeps them until its buffer is full.
      ("Cache-Control", "no-store, no-transform"),
      // Without it nginx keeps events until its buffer is full.
      ("X-Accel-Buffering", "no"), ("Connection", "close"), ("Date", clock.date()),
    ]
    if Framing.eventStream(answering: request.head) == .chunkedEventStream {
      fields.append(("Transfer-Encoding", "chunked"))
    }
    fields += core.origins.fields(for: request.head)
    for (name, value) in fields { HTTPResponse.appendField(name, value, into: &head) }
    head.appendText("\r\n")
    delivery.write(at: slot) { $0.append(contentsOf: head) }
    guard request.head.method == .head else { return true }
    connections.closeWhenSent(slot)
    return false
  }
}
