// Broadcasts to current connections, not stored: to everyone, to a room, to one user.

internal import Broadcast
internal import Notifications
internal import Wire

extension Endpoints {
  /// `POST /api/v1/websocket/send/system`: to everyone connected.
  static func sendSystem(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try requireJSON(request)
    let message = try systemMessage(in: request.body, id: shard.context.makeNotificationID())
    return broadcast(.system(message), to: .everyone, on: shard)
  }

  /// The message that a body describes.
  static func systemMessage(
    in body: [UInt8], id: NotificationID
  ) throws(Refusal) -> SystemMessage {
    let fields = try BroadcastFields(body, [.messageType, .title, .message, .payload])
    return SystemMessage(
      id: id, messageType: fields.optional(.messageType) ?? "info",
      title: try fields.text(.title), message: fields.optional(.message) ?? "",
      payload: fields.payload)
  }

  /// `POST /api/v1/websocket/send/room`: to the members of the room.
  static func sendRoom(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try requireJSON(request)
    let message = try roomMessage(in: request.body)
    return broadcast(.room(message), to: .room(message.room, except: nil), on: shard)
  }

  /// The message that a body describes.
  static func roomMessage(in body: [UInt8]) throws(Refusal) -> RoomMessage {
    let fields = try BroadcastFields(
      body, [.room, .notificationType, .title, .message, .payload])
    return RoomMessage(
      room: try fields.text(.room), notificationType: try fields.text(.notificationType),
      title: try fields.text(.title), message: fields.optional(.message) ?? "",
      payload: fields.payload)
  }

  /// `POST /api/v1/websocket/live/update`: to one user's devices.
  static func liveUpdate(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let (user, update) = try userUpdate(in: request)
    return broadcast(.liveUpdate(update), to: .user(user), on: shard)
  }

  /// `POST /api/v1/websocket/live/data`: to one user's devices.
  static func liveData(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let (user, update) = try userUpdate(in: request)
    return broadcast(.dataUpdate(update), to: .user(user), on: shard)
  }

  /// `POST /api/v1/websocket/live/broadcast`: a data update to everyone connected.
  static func liveBroadcast(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try requireJSON(request)
    return broadcast(.dataUpdate(try update(in: request.body)), to: .everyone, on: shard)
  }

  /// The update that a body describes.
  static func update(in body: [UInt8]) throws(Refusal) -> LiveUpdate {
    let fields = try BroadcastFields(body, [.updateType, .payload], payload: .anyValue)
    return LiveUpdate(updateType: try fields.text(.updateType), payload: fields.payload)
  }

  private static func userUpdate(in request: Request) throws(Refusal) -> (UserID, LiveUpdate) {
    let fields = try BroadcastFields(
      request, [.userID, .updateType, .payload], payload: .anyValue)
    let user = try fields.text(.userID)
    return (user, LiveUpdate(updateType: try fields.text(.updateType), payload: fields.payload))
  }

  /// `POST /api/v1/websocket/live/payment`: to one user's devices.
  static func livePayment(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let fields = try BroadcastFields(request, paymentFields.union([.userID]))
    let user = try fields.text(.userID)
    return broadcast(.payment(try paymentUpdate(in: fields)), to: .user(user), on: shard)
  }

  /// The update of a payment that a body describes.
  static func paymentUpdate(in body: [UInt8]) throws(Refusal) -> PaymentUpdate {
    try paymentUpdate(in: try BroadcastFields(body, paymentFields))
  }

  private static func paymentUpdate(in fields: BroadcastFields) throws(Refusal) -> PaymentUpdate {
    PaymentUpdate(
      payment: try fields.paymentID(), amount: try fields.number(.amount),
      currency: try fields.text(.currency), status: try fields.text(.paymentStatus))
  }

  private static let paymentFields: Set<BroadcastFields.Field> = [
    .paymentID, .amount, .currency, .paymentStatus,
  ]

  private static func broadcast(
    _ body: Event.Body, to audience: Audience, on shard: Shard
  ) -> EndpointResult {
    .event(
      Event(
        audience: audience, body: body, timestamp: shard.wall, takenAt: shard.clock.nanoseconds))
  }

  /// The answer when the ring has taken the event of a broadcast.
  static let accepted = Answer.object { _ in }
  /// The answer when the ring is full.
  static let ringFull = Answer.unavailable("ring_full", "the server is at its limit, try again")
}
