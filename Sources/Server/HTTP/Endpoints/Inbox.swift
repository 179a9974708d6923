// The inbox of the token's user: pages, counts and changes. A publisher may read pages of any
// user's inbox, and change none.

internal import Delivery
internal import Notifications
internal import Wire

extension Endpoints {
  /// `GET /api/v1/notifications`: a page, newest first; and `GET /api/v1/users/:id/notifications`,
  /// for publishers, one of that user's inbox.
  static func list(
    _ request: Request, of user: UserID, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let limit = try number("limit", in: request.query, 1...UInt64(StoreQuery.pageLimit))
    let before = try number("before", in: request.query, 1...UInt64(Int64.max))
    let unreadOnly = try flag("unread", in: request.query) ?? false
    let isCollapsed = try flag("collapse", in: request.query) ?? true
    var grouping = isCollapsed ? PageGrouping.collapsed : .separate
    if let group = request.query["group_key"] {
      guard 1...Draft.groupKeyByteCountLimit ~= group.utf8.count else {
        throw .invalid("group_key: 1 to \(Draft.groupKeyByteCountLimit) bytes")
      }
      grouping = .only(group)
    }
    let type = request.query["type"]
    if let type, !Draft.isValidType(type) { throw .invalid("type: not a notification type") }
    return try ask(
      .page(
        user: user, limit: limit.map { Int($0) } ?? StoreQuery.standardPageLimit, before: before,
        unreadOnly: unreadOnly, type: type, grouping: grouping),
      request, on: shard, answer)
  }

  /// The answer with a page of the inbox.
  ///
  /// `next` is opaque to clients.
  private static func answer(_ page: StoredPage) -> Answer {
    .object { data in
      data.member("notifications", array: page.notifications) { data, notification in
        data.appendNotification(notification, groupCount: page.groups[notification.offset])
      }
      if let next = page.next { data.member("next", String(next)) }
      data.member("unread", page.counts.unread)
      data.member("total", page.counts.total)
    }
  }

  /// Changes the user's inbox.
  static func change(
    _ change: InboxChange, naming: Bool, _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    try submit(.change(user: user(of: request), change, at: shard.wall), request, on: shard) {
      answer($0, naming: naming)
    }
  }

  /// The answer to a change; 404 if it names a notification that does not exist.
  private static func answer(_ change: ChangeReply, naming: Bool) -> Answer {
    if naming, change.count == 0 {
      return .failure(404, "not_found", "no such notification in this inbox")
    }
    return .object { data in
      data.member("updated", change.count)
      data.members(of: change.counts)
    }
  }

  /// Changes the notification named in the path; with `?group=true` its whole group.
  static func change(
    _ change: GroupChange, _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let id = try id(of: request)
    if try flag("group", in: request.query) ?? false {
      return try submit(
        .changeGroup(user: user(of: request), of: id, change, at: shard.wall), request, on: shard
      ) { answer($0, naming: true) }
    }
    let change: InboxChange =
      switch change {
      case .read: .read([id])
      case .unread: .unread([id])
      case .delete: .delete([id])
      }
    return try Self.change(change, naming: true, request, on: shard)
  }

  /// `PUT /api/v1/notifications/seen`: those named in the body, or all without a body.
  static func seen(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    if request.body.isEmpty { return try change(.seenAll, naming: false, request, on: shard) }
    return try change(.seen(ids(of: request)), naming: false, request, on: shard)
  }

  /// The `ids` of a request's body.
  static func ids(of request: Request) throws(Refusal) -> [NotificationID] {
    var reader = JSONReader(request.body)
    var texts: [String]?
    var isSound = true
    do throws(JSONViolation) {
      if try reader.nextKind() == .object {
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONViolation) in
          guard name == "ids", texts == nil, try reader.nextKind() == .array else {
            if name == "ids" { isSound = false }
            _ = try reader.skipValue()
            return
          }
          texts = try readStrings(&reader)
        }
      } else {
        _ = try reader.skipValue()
      }
      try reader.finish()
    } catch {
      throw .malformed(error.located(in: request.body))
    }
    guard isSound, let texts, texts.count <= InboxChange.idCountLimit else {
      throw .invalid("ids: an array of at most \(InboxChange.idCountLimit) strings")
    }
    // An id that is not a UUID matches nothing, like the id of another user's notification.
    return texts.compactMap { NotificationID($0) }
  }

  /// The strings of an array; any other value counts as an id that matches nothing.
  static func readStrings(_ reader: inout JSONReader) throws(JSONViolation) -> [String] {
    var found: [String] = []
    try reader.readArray { (reader: inout JSONReader) throws(JSONViolation) in
      if try reader.nextKind() == .string {
        found.append(try reader.readString())
      } else {
        found.append("")
        _ = try reader.skipValue()
      }
    }
    return found
  }

  /// A flag in the query; nil when it is absent.
  static func flag(_ name: String, in query: QueryString) throws(Refusal) -> Bool? {
    switch query[name] {
    case nil: return nil
    case "false", "0": return false
    case "true", "1", "": return true
    default: throw .invalid("\(name): true or false")
    }
  }

  /// A number in the query, checked digit by digit.
  ///
  /// Nil when it is absent.
  static func number(
    _ name: String, in query: QueryString, _ range: ClosedRange<UInt64>
  ) throws(Refusal) -> UInt64? {
    guard let text = query[name] else { return nil }
    // guard: query-number-range
    guard !text.isEmpty, text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let number = UInt64(text),
      range.contains(number)
    else {
      throw .invalid("\(name): a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }
}
