// Rooms and connections of users, as an embedding program changes and reads them.

internal import Notifications
internal import Server
internal import Wire

/// A message to the members of a room; it is not stored.
///
/// Clients receive it as `room:message` (`event`) or `room_notification` (`typed`, `sse`,
/// `socketio`).
public struct RoomMessage: Sendable, Equatable {
  /// The kind of message: 1 to 64 of `[A-Za-z0-9_.:-]`.
  public var type: String
  /// The title: at most 256 bytes.
  public var title: String
  /// The text: at most 4,096 bytes.
  public var message: String
  /// An object with data of the application: at most 16 KiB.
  public var payload: JSONValue

  /// Creates a message.
  public init(type: String, title: String, message: String = "", payload: JSONValue = [:]) {
    self.type = type
    self.title = title
    self.message = message
    self.payload = payload
  }

  /// The body of the equivalent HTTP request.
  func body(toRoom room: String) -> [UInt8] {
    var json: [UInt8] = []
    json.openObject()
    json.member("room", room)
    json.member("notification_type", type)
    json.member("title", title)
    json.member("message", message)
    json.member("payload", json: payload.text)
    json.closeObject()
    return json
  }
}

extension NotificationBus {
  /// The first members of a room.
  public struct RoomMembers: Sendable, Equatable {
    /// The ids of users in the room, in the order of their arrival.
    public let users: [String]
    /// The number of all members.
    public let total: Int
  }

  /// Sends a message to the members of a room.
  ///
  /// It is not an error when the room has no members.
  ///
  /// - Parameters:
  ///   - message: The message.
  ///   - room: The name of the room: 1 to 128 bytes without control characters.
  /// - Throws: `BusError.invalid` with the field, `busy` when the ring is full, and `stopped`.
  public func send(_ message: RoomMessage, toRoom room: String) throws(BusError) {
    let body: Event.Body
    do throws(UnusableBody) {
      body = try server.roomMessage(in: message.body(toRoom: room))
    } catch {
      throw .invalid(field: error.field, reason: error.reason)
    }
    try offer(.room(room, except: nil), body)
  }

  /// Sends a live message to the members of a room, for example an update of data that they share.
  ///
  /// It is not an error when the room has no members.
  ///
  /// - Parameters:
  ///   - message: The message.
  ///   - room: The name of the room: 1 to 128 bytes without control characters.
  /// - Throws: `BusError.invalid` with the field, `busy` when the ring is full, and `stopped`.
  public func send(_ message: LiveMessage, toRoom room: String) throws(BusError) {
    try check(room: room)
    try offer(.room(room, except: nil), try message.eventBody(for: server))
  }

  /// Puts the connected devices of a user into a room.
  ///
  /// The user's token need not name the room. Each client is sent the same confirmation as if it
  /// had joined by itself. A connection that opens later joins by itself, or by another call; to
  /// put users into rooms as they come, wait for `BusEvent.userConnected`. A connection that is
  /// still being greeted enters after its greeting.
  ///
  /// - Parameters:
  ///   - user: The id of the user.
  ///   - room: The name of the room: 1 to 128 bytes without control characters.
  /// - Returns: The number of the user's connections that are in the room now. They get each
  ///   message that is sent to the room after the call returns.
  /// - Throws: `BusError.invalid` with the field, `busy` when the server does not answer in time,
  ///   and `stopped`.
  @discardableResult
  public func addUser(_ user: String, toRoom room: String) async throws(BusError) -> Int {
    try check(user: user)
    try check(room: room)
    try checkRunning()
    do throws(ShardQueryFailure) {
      return try await server.join(room, user: user)
    } catch {
      throw BusError(error)
    }
  }

  /// Takes the connected devices of a user out of a room.
  ///
  /// - Parameters:
  ///   - user: The id of the user.
  ///   - room: The name of the room: 1 to 128 bytes without control characters.
  /// - Returns: The number of the user's connections that were in the room.
  /// - Throws: The same errors as `addUser(_:toRoom:)`.
  @discardableResult
  public func removeUser(_ user: String, fromRoom room: String) async throws(BusError) -> Int {
    try check(user: user)
    try check(room: room)
    try checkRunning()
    do throws(ShardQueryFailure) {
      return try await server.leave(room, user: user)
    } catch {
      throw BusError(error)
    }
  }

  /// The first members of a room; a user with several connections in it is one member.
  ///
  /// - Parameters:
  ///   - room: The name of the room: 1 to 128 bytes without control characters.
  ///   - limit: The largest number of users to return: 0 to 10,000.
  /// - Returns: The members, none for a room that does not exist.
  /// - Throws: The same errors as `addUser(_:toRoom:)`.
  public func members(
    ofRoom room: String, limit: Int = 1_000
  ) async throws(BusError) -> RoomMembers {
    try check(room: room)
    guard 0...Server.RoomMembers.largestLimit ~= limit else {
      throw .invalid(
        field: "limit", reason: "must be 0 to \(Server.RoomMembers.largestLimit)")
    }
    try checkRunning()
    do throws(ShardQueryFailure) {
      let members = try await server.members(of: room, limit: limit)
      return RoomMembers(users: members.users, total: members.total)
    } catch {
      throw BusError(error)
    }
  }

  /// Ends the connections of a user, after the messages that were sent to it.
  ///
  /// WebSocket clients are closed with 1008 and the reason. A client may connect again as long as
  /// its token is valid.
  ///
  /// - Parameters:
  ///   - user: The id of the user.
  ///   - reason: The reason that clients are sent: at most 123 bytes without control characters.
  /// - Returns: The number of connections that were ended.
  /// - Throws: The same errors as `addUser(_:toRoom:)`.
  @discardableResult
  public func disconnect(
    _ user: String, reason: String = "disconnected by the server"
  ) async throws(BusError) -> Int {
    try check(user: user)
    guard DisconnectReasons.isValid(reason) else {
      throw .invalid(
        field: "reason",
        reason: "at most \(DisconnectReasons.byteCountLimit) bytes without control characters")
    }
    try checkRunning()
    do throws(ShardQueryFailure) {
      return try await server.disconnect(user, reason: reason)
    } catch {
      throw BusError(error)
    }
  }

  private func check(room: String) throws(BusError) {
    guard RoomNames.isValid(room) else {
      throw .invalid(field: "room", reason: "not the name of a room")
    }
  }
}
