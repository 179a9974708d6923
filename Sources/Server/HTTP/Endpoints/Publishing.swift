// Publishing of stored notifications: one, or a batch.
//
// A publisher is answered once the store has them on disk. With `ack=relayed` it is answered as
// soon as the store has taken the command; the outcome of that command is only counted.

internal import Broadcast
internal import Cryptography
internal import Notifications
internal import Reactor
internal import Wire

extension Endpoints {
  /// `POST /api/v1/notifications`: 201 once it is durable, for one user, many or everyone.
  static func publish(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try requireJSON(request)
    let draft = try draft(in: request.body, 0..<request.body.count, isLine: false)
    let limit = shard.core.configuration.limits.bodyBytesLimit
    // guard: long-body-names-users
    guard draft.isForMany || request.body.count <= limit else {
      throw Refusal(413, "too_large", "a body without user_ids has at most \(limit) bytes")
    }
    return try publish(draft, .single, request, on: shard)
  }

  /// `POST /api/v1/websocket/send/notification`: the same with rooms-hub's field names.
  static func sendNotification(
    _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let fields = try BroadcastFields(
      request, [.userID, .notificationType, .title, .message, .payload])
    let user = try fields.text(.userID)
    let content = Content(
      type: try fields.text(.notificationType), title: try fields.text(.title),
      message: fields.optional(.message) ?? "", data: fields.payload)
    let draft = Draft(content: content, userIDs: [user], isForMany: false)
    return try publish(draft, .roomsHub, request, on: shard)
  }

  private static func publish(
    _ draft: Draft, _ form: BodyForm, _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let isRelayed = try isRelayed(request)
    let key = try idempotencyKey(of: request, form)
    try checkType(of: draft, request, on: shard)
    let pending = expand(draft, on: shard)
    let answer = Answer.success(201) { json in write(pending, of: draft, into: &json) }
    do throws(Refusal) {
      try checkExpiry(of: draft, at: shard.wall)
    } catch {
      // A retry of a publish that was stored before its notification expired gets that answer.
      // guard: key-found-before-clock
      guard let key else { throw error }
      let refusal = error.answer
      return try submit(.findKey(key), request, on: shard) {
        Self.answer(to: $0, new: refusal, repeated: answer)
      }
    }
    if isRelayed { return try relay(pending, answer, request, on: shard) }
    return try submit(
      .publish(
        drafts: pending, idempotency: key, answer: key == nil ? [] : answer.response.body,
        takenAt: shard.clock.nanoseconds),
      request, on: shard
    ) { Self.answer(to: $0, new: answer, repeated: answer) }
  }

  /// `POST /api/v1/notifications/batch`: NDJSON in, one answer a line out, once all are durable.
  ///
  /// A refused line does not prevent the others from being stored.
  static func publishBatch(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let isRelayed = try isRelayed(request)
    let key = try idempotencyKey(of: request, .batch)
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
        let draft = try draft(in: bytes, range, isLine: true)
        try checkType(of: draft, request, on: shard)
        try checkExpiry(of: draft, at: shard.wall)
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
    if all.isEmpty {
      // A first attempt may have been stored before its lines expired.
      // guard: key-found-before-clock-of-batch
      guard let key else { return .now(answer) }
      return try submit(.findKey(key), request, on: shard) {
        Self.answer(to: $0, new: answer, repeated: answer)
      }
    }
    if isRelayed { return try relay(all, answer, request, on: shard) }
    return try submit(
      .publish(
        drafts: all, idempotency: key, answer: key == nil ? [] : body,
        takenAt: shard.clock.nanoseconds),
      request, on: shard
    ) { Self.answer(to: $0, new: answer, repeated: answer) }
  }

  // MARK: Answering early

  /// Whether the publisher asks to be answered before its notifications are durable.
  private static func isRelayed(_ request: Request) throws(Refusal) -> Bool {
    switch request.query["ack"] {
    case nil, "stored":
      return false
    case "relayed":
      // Only the store knows the answer to a repeated key.
      guard request.head.values(of: "idempotency-key").isEmpty else {
        throw .invalid("ack: relayed cannot be combined with Idempotency-Key")
      }
      return true
    default:
      throw .invalid("ack: stored or relayed")
    }
  }

  /// Submits the notifications to the store and answers at once.
  private static func relay(
    _ pending: [PendingNotification], _ answer: Answer, _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    if let reason = shard.core.store.failure {
      throw Refusal(.unavailable("read_only", reason))
    }
    try shard.storeWatch.checkAnswers()
    let mailbox = shard.mailbox
    let count = pending.count
    let byteCount = request.body.count
    let command = StoreCommand.publish(
      drafts: pending, idempotency: nil, answer: [], takenAt: shard.clock.nanoseconds)
    let isTaken = shard.core.store.submit(command) { outcome in
      mailbox.append(.relayed(outcome, count: count, byteCount: byteCount))
    }
    guard isTaken else { throw .busy }
    // Until the outcome the store holds the body's text, while the connection may send the next.
    shard.http.beginRelay(byteCount: byteCount)
    var relayed = answer
    relayed.status = 202
    relayed.response.status = 202
    return .now(relayed)
  }

  // MARK: Reading the request

  static func requireJSON(_ request: Request) throws(Refusal) {
    // Absent counts as JSON. A type that a foreign page can send without a preflight is refused.
    guard let type = request.head.value(of: "content-type") else { return }
    guard type.lowercased().hasPrefix("application/json") else {
      throw Refusal(415, "unsupported_media_type", "send application/json")
    }
  }

  private static func draft(
    in bytes: [UInt8], _ range: Range<Int>, isLine: Bool
  ) throws(Refusal) -> Draft {
    do throws(DocumentError) {
      return try Draft.parse(bytes, in: range, isLine: isLine)
    } catch {
      throw Refusal(error)
    }
  }

  /// Refuses a type that the caller's key may not publish.
  private static func checkType(
    of draft: Draft, _ request: Request, on shard: Shard
  ) throws(Refusal) {
    let type = draft.content.type
    guard !request.caller.mayPublish(type: type) else { return }
    shard.metrics.add(.keysRefusedType)
    // The type has been checked: it is short, and has no control characters.
    throw Refusal(403, "forbidden", "the key may not publish the type \(type)")
  }

  private static func checkExpiry(of draft: Draft, at now: Int64) throws(Refusal) {
    do throws(DocumentError) {
      try draft.checkExpiry(at: now)
    } catch {
      throw Refusal(error)
    }
  }

  /// The form of a body that publishes.
  ///
  /// The same text is another request in another form: a batch of one line, or rooms-hub's fields.
  private enum BodyForm: String {
    case single = ""
    case batch = "batch\n"
    case roomsHub = "send\n"
  }

  private static func idempotencyKey(
    of request: Request, _ form: BodyForm
  ) throws(Refusal) -> IdempotencyKey? {
    guard let bytes = request.head.fields.valueBytes(of: "idempotency-key") else { return nil }
    // As text, bytes outside ASCII would be repaired, and so two keys would become one.
    // guard: idempotency-key-is-ascii
    guard (1...IdempotencyKey.byteCountLimit).contains(bytes.count),
      bytes.allSatisfy({ (0x20...0x7E).contains($0) })
    else {
      throw Refusal(
        400, "bad_idempotency_key",
        "Idempotency-Key: 1 to \(IdempotencyKey.byteCountLimit) printable ASCII characters")
    }
    let key = String(decoding: bytes, as: UTF8.self)
    return IdempotencyKey(
      scope: request.caller.scope, key: key,
      digest: Digest.sha256(Array(form.rawValue.utf8) + request.body))
  }

  private static func expand(_ draft: Draft, on shard: Shard) -> [PendingNotification] {
    draft.expand(createdAt: shard.wall) { shard.context.makeNotificationID() }
  }

  // MARK: Writing the answer

  /// The answer to a publish, or to one that is refused unless its key was seen before.
  private static func answer(to reply: KeyReply, new: Answer, repeated: Answer) -> Answer {
    switch reply {
    case .isNew:
      return new
    case .repeated(let body):
      // The same request had the same kind of answer; the ids in it are those of the first one.
      var answer = repeated
      answer.response.body = body
      return answer.with("Idempotent-Replay", "true")
    case .conflict:
      return .failure(
        409, "idempotency_conflict", "this Idempotency-Key was used with another body")
    }
  }

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
      json.member("ids", array: pending) { $0.append($1.id) }
    } else if let first = pending.first {
      json.memberName("id")
      json.append(first.id)
    }
    json.closeObject()
  }
}

extension [UInt8] {
  /// Writes an id as a string.
  fileprivate mutating func append(_ id: NotificationID) {
    append(0x22)
    id.appendText(to: &self)
    append(0x22)
  }
}
