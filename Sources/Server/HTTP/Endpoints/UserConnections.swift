// The connected users and their connections, and the forced disconnect of a user.
//
// Each request is a shard query, because the kernel may put a user's connections on any shard.

internal import Delivery
internal import Notifications
internal import Wire

extension Endpoints {
  /// `GET /api/v1/websocket/connections/user`: the caller's own connections, the oldest first; and
  /// `GET /api/v1/users/:id/connections`, for publishers: that user's.
  static func connections(
    of user: UserID, _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    return try ask(.connections(of: user), request, on: shard) { connections in
      .object { data in write(connections, into: &data) }
    }
  }

  /// `GET /api/v1/users/online`: a page of the connected users, in byte order.
  static func usersOnline(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let limit = try number("limit", in: request.query, 1...UInt64(ConnectedUsers.largestLimit))
    let query = TypedShardQuery.onlineUsers(
      limit: limit.map { Int($0) } ?? ConnectedUsers.standardLimit, after: request.query["after"])
    return try ask(query, request, on: shard) { page in
      .object { data in write(page, into: &data) }
    }
  }

  /// `GET /api/v1/users/:id/online`: whether the user is online, its presence status, and the
  /// number of its connections.
  ///
  /// For a moment after its last connection has ended, the user is online with no connection.
  static func userOnline(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let user = try namedUser(in: request)
    return try ask(.presence(of: user), request, on: shard) { presence in
      .object { data in
        data.member("user_id", user)
        data.member("online", presence.status != nil)
        data.member("connections", presence.connections)
        data.member("status", (presence.status ?? .offline).name)
      }
    }
  }

  /// `POST /api/v1/disconnect`: ends the user's sessions and answers its waiting polls.
  static func disconnect(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let fields = try BroadcastFields(request, [.userID, .reason])
    let reason = fields.optional(.reason) ?? DisconnectReasons.standard
    return try ask(.disconnect(fields.text(.userID), reason: reason), request, on: shard) { count in
      .object { data in data.member("disconnected", count) }
    }
  }

  private static func write(_ connections: [ConnectionSummary], into data: inout [UInt8]) {
    data.member("connections", array: connections) { data, connection in
      data.openObject()
      data.member("id", connection.id)
      data.member("dialect", connection.dialect)
      data.member("connected_at", time: connection.connectedAt)
      data.member("remote_address", connection.remoteAddress)
      data.member("user_agent", connection.userAgent.isEmpty ? nil : connection.userAgent)
      data.member("rooms", texts: connection.rooms)
      data.closeObject()
    }
  }

  private static func write(_ page: ConnectedUsers, into data: inout [UInt8]) {
    data.member("users", texts: page.users)
    data.member("total", page.total)
    if let next = page.next { data.member("next", next) }
  }
}
