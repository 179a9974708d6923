// From a request to an event stream: the head of the answer, then the session.

internal import Delivery
internal import Notifications
internal import Wire

extension Shard {
  /// Answers the request with a stream.
  func openStream(
    _ request: Request, of dialect: any Dialect, since: String, rooms: [RoomName]
  ) {
    let slot = request.slot
    connections.keepUserAgent(of: request.head, at: slot)
    // guard: session-quota-stream
    if request.head.method != .head, let user = request.caller.user,
      !admission.countSession(of: user, at: slot)
    {
      return http.respond(admission.tooManySessions, at: slot)
    }
    guard beginStream(request) else { return }
    let group = fanOutGroups.first(
      of: .named(dialect.name), .eventStream(answering: request.head))
    // `EventSource` resumes by itself, so only `since` in the query asks for more messages.
    // guard: stream-heartbeat-when-asked
    if request.query["since"] != nil { table[slot].flags.insert(.visibleHeartbeats) }
    sessions.open(.success(request.caller), in: group, since: since, rooms: rooms, at: slot)
  }

  /// Writes the head of a stream.
  ///
  /// False for a HEAD request, which gets only the head.
  func beginStream(_ request: Request) -> Bool {
    let slot = request.slot
    var head: [UInt8] = []
    head.appendText("HTTP/1.1 ")
    HTTPResponse.appendStatus(200, into: &head)
    // guard: stream-not-transformed
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
