// Requests of clients of the `socketio` dialect: to connect with a token, to subscribe, to mark
// notifications as read, and those of the `typed` dialect about rooms, typing and presence.
//
// An event that asks for an acknowledgement gets `{"success":true}` or the error. For an event that
// does not, the error is sent as an `error` event.

internal import Broadcast
internal import Notifications
internal import Wire

/// The clients of Socket.IO that get cursors and the state to recover with.
package enum SocketIORecoveryPolicy: String, Sendable {
  /// Those that asked with `since`, in the query or in CONNECT's payload.
  case asked
  /// All, as with the reference server when its option is set.
  case on
  case off
}

/// The application that makes each namespace a user's session.
struct SocketIONotifications: SocketIOApplication {
  let namespaces = SocketIODialect.namespaces
  /// An application-level keep-alive, which ghostpay's clients expect.
  let keepAliveEvent: String? = "ping"
  let recovery: SocketIORecoveryPolicy

  func connect(_ client: SocketIOClient, payload: [UInt8]?) {
    client.sockets.begin(client, SocketIOConnectFields(payload), recovery)
  }

  func left(_ client: SocketIOClient) {
    client.sockets.forgetRooms(of: client)
  }

  func received(_ event: SocketIOEvent, from client: SocketIOClient) {
    let index = client.session.index(ofNamespace: client.namespace)
    guard let slot = index.flatMap({ client.session.sockets[$0].slot }) else { return }
    switch SocketIORequest(event) {
    case .subscribe:
      client.succeed(event)
      if client.isThere(slot) { client.sockets.reads.fetch(PageRequest(limit: 1), at: slot) }
    case .read(let change, let namesOne):
      client.sockets.submit(change, namesOne: namesOne, for: event, of: client, at: slot)
    case .token(let token):
      client.sockets.take(token: token, for: event, of: client, at: slot)
    case .ping:
      client.succeed(event)
      guard let index = client.session.index(ofNamespace: client.namespace) else { return }
      client.emit("pong", client.sockets.positionArguments(of: client.session.sockets[index]))
    case .client(.invalid(let code, let message)):
      client.fail(event, code, message, at: slot)
    case .client(.type(let room, _)) where !client.isIn(room, at: slot),
      .client(.leave(let room)) where !client.isIn(room, at: slot):
      client.fail(event, "not_in_room", "you are not in this room", at: slot)
    case .client(let request):
      client.succeed(event)
      if client.isThere(slot) { client.sockets.sessions.take(request, at: slot) }
    }
  }
}

/// The members of CONNECT's payload; a member of the wrong type counts as absent.
struct SocketIOConnectFields {
  var token: String?
  /// From a returning client: the `pid` that it was given, and its last cursor.
  var recovery: String?
  var offset: String?
  /// From a client that asks for cursors: its position; empty: from now on.
  var since: String?

  init(_ payload: [UInt8]?) {
    guard let payload else { return }
    var fields = (
      token: String?.none, recovery: String?.none, offset: String?.none, since: String?.none
    )
    var reader = JSONReader(payload)
    // The packet was validated before, so this cannot fail.
    try? reader.readObject { (reader, name) throws(JSONViolation) in
      switch (name, try reader.nextKind()) {
      case ("token", .string): fields.token = try reader.readString()
      case ("pid", .string): fields.recovery = try reader.readString()
      case ("offset", .string): fields.offset = try reader.readString()
      case ("since", .string): fields.since = try reader.readString()
      default: _ = try reader.skipValue()
      }
    }
    (token, recovery, offset, since) = fields
  }
}

/// How to report the outcome of `mark_as_read`.
struct SocketIOMarking: Sendable {
  let acknowledgementID: UInt64?
  /// Whether a missing notification is an error, because the request has a single id.
  let namesOne: Bool
}

/// The request in an event.
private enum SocketIORequest {
  case subscribe, ping
  /// `namesOne` is whether a missing notification is an error, because there is a single id.
  case read(InboxChange, namesOne: Bool)
  case token(String)
  case client(ClientRequest)

  init(_ event: SocketIOEvent) {
    let data = event.arguments.first ?? []
    switch event.name {
    case "subscribe_notifications": self = .subscribe
    case "ping": self = .ping
    case "mark_as_read": self = SocketIORequest.reading(data)
    case "auth":
      let token = SocketIOConnectFields(data.first == UInt8(ascii: "{") ? data : nil).token
      self =
        token.map { .token($0) } ?? .client(.invalid(code: "invalid", message: "token: missing"))
    case "join_room", "leave_room", "typing_indicator", "presence_update":
      self = .client(ClientRequest(type: event.name, data: RoomFields(data)))
    default:
      self = .client(
        .invalid(
          code: "unknown_event",
          message: "use subscribe_notifications, mark_as_read, join_room, leave_room, "
            + "typing_indicator, presence_update, ping or auth"))
    }
  }

  /// Parses `{id}`, `{ids}` or `{all:true}`.
  private static func reading(_ data: [UInt8]) -> SocketIORequest {
    var ids: [String]?
    var namesOne = false
    var isAll = false
    var reader = JSONReader(data)
    do throws(JSONViolation) {
      guard try reader.nextKind() == .object else { return wrongIDs }
      try reader.readObject { (reader, name) throws(JSONViolation) in
        switch (name, try reader.nextKind()) {
        case ("id", .string): (ids, namesOne) = ([try reader.readString()], true)
        case ("ids", .array): (ids, namesOne) = (try Endpoints.readStrings(&reader), false)
        case ("all", .boolean): isAll = try reader.readBool()
        default: _ = try reader.skipValue()
        }
      }
    } catch {
      return wrongIDs
    }
    if isAll { return .read(.readAll, namesOne: false) }
    guard let ids, ids.count <= InboxChange.idCountLimit else { return wrongIDs }
    // An id that is not a UUID matches nothing, like the id of another user's notification.
    return .read(.read(ids.compactMap { NotificationID($0) }), namesOne: namesOne)
  }

  private static let wrongIDs = SocketIORequest.client(
    .invalid(code: "invalid", message: "give id, ids (at most \(InboxChange.idCountLimit)) or all"))
}

extension SocketIOClient {
  /// Whether the session at `slot` still belongs to this client.
  fileprivate func isThere(_ slot: UInt32) -> Bool {
    !session.hasEnded && session.index(atSlot: slot) != nil
  }

  /// Whether the client has asked to join that room and not left it since.
  fileprivate func isIn(_ room: RoomName, at slot: UInt32) -> Bool {
    let membership = sockets.table[slot].membership
    return membership?.index(of: room).map { membership?.entries[$0].isWanted == true } ?? false
  }

  /// Acknowledges an event as successful.
  func succeed(_ event: SocketIOEvent) {
    acknowledge(event, [Array(#"{"success":true}"#.utf8)])
  }

  /// Reports the error of an event, in its acknowledgement or as an `error` event.
  func fail(_ event: SocketIOEvent, _ code: String, _ message: String, at slot: UInt32) {
    if event.wantsAcknowledgement {
      acknowledge(event, [Answer.failureBody(code, message)])
    } else {
      sockets.sendError(code, message, at: slot)
    }
  }
}

extension SocketIOSessions {
  /// Submits an event's change to the store; the outcome acknowledges the event.
  fileprivate func submit(
    _ change: InboxChange, namesOne: Bool, for event: SocketIOEvent, of client: SocketIOClient,
    at slot: UInt32
  ) {
    let id = table.id(of: slot)
    let mailbox = mailbox
    let marking = SocketIOMarking(
      acknowledgementID: event.acknowledgementID, namesOne: namesOne)
    let command = StoreCommand.change(user: table[slot].user, change, at: wall)
    let isTaken = core.store.submit(command) { outcome in
      mailbox.append(.marked(id, marking, outcome))
    }
    if !isTaken {
      client.fail(event, "busy", "the server is at its limit, try again", at: slot)
    }
  }

  /// Acknowledges the event of a change with the store's outcome.
  func acknowledge(_ marking: SocketIOMarking, _ outcome: StoreOutcome, at slot: UInt32) {
    guard let session = table[slot].engineLink.socketIO,
      let index = session.index(atSlot: slot)
    else { return }
    let client = SocketIOClient(
      sockets: self, session: session, namespace: session.sockets[index].namespace)
    let event = SocketIOEvent(
      name: "mark_as_read", arguments: [], attachments: [],
      acknowledgementID: marking.acknowledgementID)
    switch outcome {
    case .changed(let count, _):
      guard marking.namesOne, count == 0 else { return client.succeed(event) }
      client.fail(event, "not_found", "no such notification in this inbox", at: slot)
    case .unavailable:
      client.fail(
        event, "store_unavailable", "the store cannot write just now, nothing changed: try again",
        at: slot)
    case .refused:
      client.fail(
        event, "too_many_changes", "too many changes of the whole inbox are under way, try again",
        at: slot)
    case .readOnly:
      client.fail(event, "read_only", "the store refuses writes until it is restarted", at: slot)
    // guard: unknown-outcome-in-acknowledgement
    case .unknown:
      client.fail(
        event, "outcome_unknown", "the change may or may not have been stored: repeat it", at: slot)
    case .published, .repeated, .unknownKey, .conflict, .saved, .expired, .outbox, .apiKeys:
      client.fail(event, "internal", "unexpected answer from the store", at: slot)
    }
  }

  /// Applies a fresh token; an invalid one, or one of another user, ends the namespace.
  fileprivate func take(
    token: String, for event: SocketIOEvent, of client: SocketIOClient, at slot: UInt32
  ) {
    // guard: fresh-namespace-token-same-user
    guard let caller = try? authenticator.caller(of: token, at: slot),
      caller.user?.hasSameBytes(as: table[slot].user) == true
    else {
      return remove(client, notifiesClient: true)
    }
    table[slot].tokenEnd = caller.end
    connections.scheduleTimer(slot)
    client.succeed(event)
    if client.isThere(slot) { rooms.setClaimedRooms(caller.rooms, at: slot) }
  }
}
