// Publishing: one notification, a batch of them, and broadcasts that are not stored.

internal import Broadcast
internal import Cryptography
internal import Notifications
internal import Wire

extension Endpoints {
  /// `POST /api/v1/notifications`: 201 once it is durable, for one user, many or everyone.
  static func publish(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try requireJSON(request)
    let draft = try draft(in: request.body, 0..<request.body.count, at: shard.wall)
    let pending = expand(draft, on: shard)
    let answer = Answer.success(201) { json in write(pending, of: draft, into: &json) }
    let key = try idempotencyKey(of: request)
    return try submit(
      .publish(
        drafts: pending, idempotency: key, answer: key == nil ? [] : answer.response.body),
      .published(answer), request, on: shard)
  }

  /// `POST /api/v1/notifications/batch`: NDJSON in, one answer a line out, once all are durable.
  ///
  /// A line that is refused does not keep the others from being stored.
  static func publishBatch(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    var all: [PendingNotification] = []
    var body: [UInt8] = []
    var lines = 0
    var start = 0
    let bytes = request.body
    let linesLimit = shard.core.configuration.limits.batchLinesLimit
    let everyoneLimit = shard.core.configuration.limits.batchEveryoneLimit
    var everyoneCount = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
      let range = start..<end
      start = end + 1
      if bytes[range].allSatisfy({ $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }) { continue }
      lines += 1
      guard lines <= linesLimit else {
        throw Refusal(413, "too_large", "a batch has at most \(linesLimit) lines")
      }
      do throws(Refusal) {
        let draft = try draft(in: bytes, range, at: shard.wall)
        let pending = expand(draft, on: shard)
        guard all.count + pending.count <= linesLimit else {
          throw Refusal(413, "too_large", "a batch makes at most \(linesLimit) notifications")
        }
        if draft.isForEveryone { everyoneCount += 1 }
        guard everyoneCount <= everyoneLimit else {
          throw Refusal(
            413, "too_large", "a batch has at most \(everyoneLimit) lines for everyone")
        }
        all.append(contentsOf: pending)
        body.append(contentsOf: Answer.body { json in writeIDs(pending, of: draft, into: &json) })
      } catch {
        if error.answer.status == 413 { throw error }
        body.append(contentsOf: error.answer.response.body)
      }
      body.append(0x0A)
    }
    let answer = Answer(
      response: HTTPResponse(status: 200, body: body, contentType: "application/x-ndjson"),
      status: 200)
    if all.isEmpty { return .now(answer) }
    let key = try idempotencyKey(of: request)
    return try submit(
      .publish(drafts: all, idempotency: key, answer: key == nil ? [] : body), .published(answer),
      request, on: shard)
  }

  /// `POST /api/v1/websocket/send/system`: to everyone connected, not stored.
  static func sendSystem(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try requireJSON(request)
    let fields = try BroadcastFields(request.body)
    guard let title = fields.title else { throw .invalid("title: missing") }
    let id = makeID(on: shard)
    let message = SystemMessage(
      id: id, messageType: fields.messageType ?? "info", title: title,
      message: fields.message ?? "", payload: fields.payload ?? Content.emptyObject)
    return try broadcast(.system(message), on: shard)
  }

  /// `POST /api/v1/websocket/live/broadcast`: a data update to everyone connected, not stored.
  static func liveBroadcast(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try requireJSON(request)
    let fields = try BroadcastFields(request.body)
    guard let type = fields.updateType else { throw .invalid("update_type: missing") }
    let update = LiveUpdate(updateType: type, payload: fields.payload ?? Content.emptyObject)
    return try broadcast(.dataUpdate(update), on: shard)
  }

  private static func broadcast(
    _ body: Event.Body, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let event = Event(audience: .everyone, body: body, timestamp: shard.wall)
    guard shard.offer(event) else {
      throw Refusal(.unavailable("ring_full", "the server is at its limit, try again"))
    }
    shard.metrics.add(.broadcasts)
    return .now(broadcastAnswer)
  }

  private static let broadcastAnswer = Answer.object { _ in }

  // MARK: Reading the request

  static func requireJSON(_ request: Request) throws(Refusal) {
    // Absent is taken for JSON; a form that a foreign page can send without asking is not.
    guard let type = request.head.value(of: "content-type") else { return }
    guard type.lowercased().hasPrefix("application/json") else {
      throw Refusal(415, "unsupported_media_type", "send application/json")
    }
  }

  private static func draft(
    in bytes: [UInt8], _ range: Range<Int>, at now: Int64
  ) throws(Refusal) -> Draft {
    do throws(DraftError) {
      let draft = try Draft.parse(bytes, in: range)
      try draft.checkExpiry(at: now)
      return draft
    } catch {
      switch error {
      case .malformed(let reason): throw .malformed(reason)
      case .invalid(let field, let reason): throw .invalid("\(field): \(reason)")
      }
    }
  }

  private static func idempotencyKey(of request: Request) throws(Refusal) -> IdempotencyKey? {
    let keys = request.head.values(of: "idempotency-key")
    guard let key = keys.first else { return nil }
    guard keys.count == 1, !key.isEmpty, key.utf8.count <= 255 else {
      throw Refusal(400, "bad_idempotency_key", "one Idempotency-Key of 1 to 255 bytes")
    }
    // One line as a batch is another request than the same text by itself, and answered otherwise.
    let isBatch = request.route.endpoint == .publishBatch
    return IdempotencyKey(
      scope: request.caller.scope, key: key,
      digest: Digest.sha256(isBatch ? Array("batch\n".utf8) + request.body : request.body))
  }

  private static func makeID(on shard: Shard) -> NotificationID {
    NotificationID(milliseconds: shard.wall, random: shard.kernel.randomWords())
  }

  private static func expand(_ draft: Draft, on shard: Shard) -> [PendingNotification] {
    draft.expand(createdAt: shard.wall) { makeID(on: shard) }
  }

  // MARK: Writing the answer

  private static func write(
    _ pending: [PendingNotification], of draft: Draft, into json: inout [UInt8]
  ) {
    if draft.isForMany { return writeIDs(pending, of: draft, into: &json) }
    guard let first = pending.first else { return }
    json.appendNotification(
      Notification(
        id: first.id, userID: first.userID, content: first.content, createdAt: first.createdAt,
        offset: 0))
  }

  private static func writeIDs(
    _ pending: [PendingNotification], of draft: Draft, into json: inout [UInt8]
  ) {
    json.openObject()
    if draft.isForMany {
      json.memberName("ids")
      json.append(0x5B)
      for (index, one) in pending.enumerated() {
        json.appendText(index == 0 ? "\"" : ",\"")
        one.id.appendText(to: &json)
        json.append(0x22)
      }
      json.append(0x5D)
    } else if let first = pending.first {
      json.memberName("id")
      json.append(0x22)
      first.id.appendText(to: &json)
      json.append(0x22)
    }
    json.closeObject()
  }
}

/// The fields of the ephemeral broadcasts.
private struct BroadcastFields {
  var messageType: String?
  var title: String?
  var message: String?
  var updateType: String?
  var payload: [UInt8]?

  /// Reads a body; a field with the wrong type, or given twice, is refused.
  init(_ body: [UInt8]) throws(Refusal) {
    var reader = JSONReader(body)
    var fields = (
      messageType: String?.none, title: String?.none, message: String?.none,
      updateType: String?.none, payload: [UInt8]?.none
    )
    var problem: String?
    do throws(JSONViolation) {
      if try reader.nextKind() == .object {
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONViolation) in
          switch name {
          case "message_type": try read(&fields.messageType, name, 64, &reader, &problem)
          case "title": try read(&fields.title, name, 256, &reader, &problem)
          case "message": try read(&fields.message, name, 4_096, &reader, &problem)
          case "update_type": try read(&fields.updateType, name, 64, &reader, &problem)
          case "payload":
            if fields.payload != nil { problem = problem ?? "payload: given twice" }
            let range = try reader.skipValue()
            if range.count > 16_384 { problem = problem ?? "payload: over 16 KiB" }
            fields.payload = Array(body[range])
          default: _ = try reader.skipValue()
          }
        }
      } else {
        problem = "body: not an object"
        _ = try reader.skipValue()
      }
      try reader.finish()
    } catch {
      throw .malformed(error.reason)
    }
    if let problem { throw .invalid(problem) }
    (messageType, title, message, updateType, payload) = fields
  }
}

private func read(
  _ field: inout String?, _ name: String, _ bytesLimit: Int, _ reader: inout JSONReader,
  _ problem: inout String?
) throws(JSONViolation) {
  guard try reader.nextKind() == .string else {
    problem = problem ?? "\(name): must be a string"
    _ = try reader.skipValue()
    return
  }
  if field != nil { problem = problem ?? "\(name): given twice" }
  let text = try reader.readString()
  if text.utf8.count > bytesLimit { problem = problem ?? "\(name): over \(bytesLimit) bytes" }
  field = text
}

extension Shard {
  /// Puts an event of this shard's own into the ring.
  ///
  /// False when it is full even after this shard has taken what waits at its own end.
  func offer(_ event: Event) -> Bool {
    if core.ring.offer(event) { return true }
    _ = core.ring.drain(consumer: index, limit: core.ring.capacity) { deliver($0) }
    if core.ring.offer(event) { return true }
    metrics.add(.ringFull)
    return false
  }
}
