// An event stream, at `GET /notifications/events`: a request that becomes a session.
//
// The answer is chunked, or over HTTP/1.0 ends with the connection. After its head comes the same
// fan-out that WebSocket sessions get, with events of a stream instead of frames: the same logs,
// the same replay, the same bound on a reader's lag. `Shard/Streams.swift` writes the head and
// opens the session.

internal import Notifications
internal import Wire

extension Endpoints {
  /// Begins a stream after the client's last event, else at `since`, else now.
  ///
  /// The last event's id is the header `Last-Event-ID`, else in the query: a polyfill that cannot
  /// set the header sends `lastEventId` or `lastEventID`. A client that reconnects sends `since` or
  /// an older id again with its address, so the header, which is the newest, wins.
  static func events(
    of dialect: any Dialect, _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let ids = request.head.values(of: "last-event-id")
    guard ids.count <= 1 else { throw .malformed("one Last-Event-ID at the most") }
    guard !shard.drain.hasBegun else {
      throw Refusal(.unavailable("draining", "the server is shutting down"))
    }
    let rooms = try RoomQuery.rooms(in: request.query, for: dialect)
    try shard.rooms.mayEnter(rooms, request.caller)
    // guard: event-id-in-query
    let query = ["lastEventId", "lastEventID", "since"].map { request.query[$0] }
    let since = ([ids.first] + query).lazy.compactMap { $0 }.first { !$0.isEmpty }
    return .stream(dialect, since: since ?? "", rooms: rooms)
  }
}
