// A user's inbox, as an embedding program reads and marks it.
//
// The functions have the effects and limits of the user's own requests over HTTP, and every
// device of the user is notified of a change at once.

internal import Notifications
internal import Server
internal import Wire

/// A notification in a user's inbox.
public struct InboxNotification: Sendable, Equatable, Identifiable {
  /// The id that `publish` returned.
  public let id: String
  /// The user of the inbox; empty in an event about a notification for everyone.
  public let user: String
  /// The content as it was published.
  public let content: NotificationContent
  /// When it was stored, in milliseconds since 1970.
  public let createdAtMilliseconds: Int64
  /// When the user read it, in milliseconds since 1970; nil while it is unread.
  public let readAtMilliseconds: Int64?
  /// When the user saw it, in milliseconds since 1970; nil while it is unseen.
  public let seenAtMilliseconds: Int64?

  /// Whether the user has read it.
  public var isRead: Bool { readAtMilliseconds != nil }

  init(_ notification: Notifications.Notification) {
    id = notification.id.text
    user = notification.userID
    content = NotificationContent(notification)
    createdAtMilliseconds = notification.createdAt
    readAtMilliseconds = notification.readAt
    seenAtMilliseconds = notification.seenAt
  }
}

/// A page of a user's inbox, newest first.
public struct InboxPage: Sendable, Equatable {
  /// A position in an inbox, for the next page.
  public struct Position: Sendable, Hashable {
    let offset: UInt64
  }

  /// The notifications.
  public let notifications: [InboxNotification]
  /// The value of `before` for the next page; nil on the last page.
  public let next: Position?
  /// The number of the user's unread notifications, on this page or not.
  public let unreadCount: Int
  /// The number of all notifications of the user.
  public let totalCount: Int
}

extension NotificationBus {
  /// A page of a user's inbox, newest first.
  ///
  /// Reading a page marks nothing as seen or read. An inbox of a user that the bus does not know is
  /// empty.
  ///
  /// - Parameters:
  ///   - user: The id of the user.
  ///   - limit: The largest number of notifications: 1 to 200.
  ///   - position: The `next` of the page before; nil for the first page.
  ///   - unreadOnly: Whether to leave out notifications that the user has read.
  ///   - type: The only type to include; nil for all.
  /// - Returns: The page, with the user's counts at the same moment.
  /// - Throws: `BusError.invalid` with the field, `busy` when the store's queue is full,
  ///   `unreadable` and `stopped`.
  public func inbox(
    of user: String, limit: Int = 50, before position: InboxPage.Position? = nil,
    unreadOnly: Bool = false, type: String? = nil
  ) async throws(BusError) -> InboxPage {
    try check(user: user)
    guard 1...StoreQuery.pageLimit ~= limit else {
      throw .invalid(field: "limit", reason: "must be 1 to \(StoreQuery.pageLimit)")
    }
    if let type, !Draft.isValidType(type) {
      throw .invalid(field: "type", reason: Draft.typeRule)
    }
    let page = try await read(
      .page(
        user: user, limit: limit, before: position?.offset, unreadOnly: unreadOnly, type: type,
        grouping: .separate))
    return InboxPage(
      notifications: page.notifications.map(InboxNotification.init),
      next: page.next.map(InboxPage.Position.init), unreadCount: page.counts.unread,
      totalCount: page.counts.total)
  }

  /// The number of a user's unread notifications.
  ///
  /// - Parameter user: The id of the user.
  /// - Returns: The number, 0 for a user that the bus does not know.
  /// - Throws: The same errors as `inbox(of:limit:before:unreadOnly:type:)`.
  public func unreadCount(of user: String) async throws(BusError) -> Int {
    try check(user: user)
    return try await read(.counts(user: user)).unread
  }

  /// Marks notifications of a user as read.
  ///
  /// - Parameters:
  ///   - ids: At most 1,000 ids. An id that is not in the user's inbox is ignored.
  ///   - user: The id of the user.
  /// - Returns: How many of the ids are in the user's inbox.
  /// - Throws: `BusError.invalid` with the field, `busy` when the store's queue is full,
  ///   `readOnly` and `stopped`.
  @discardableResult
  public func markAsRead(_ ids: [String], of user: String) async throws(BusError) -> Int {
    guard ids.count <= InboxChange.idCountLimit else {
      throw .invalid(field: "ids", reason: "must hold at most \(InboxChange.idCountLimit)")
    }
    return try await change(.read(ids.compactMap { NotificationID($0) }), of: user)
  }

  /// Marks all notifications of a user as read.
  ///
  /// - Parameter user: The id of the user.
  /// - Returns: How many of them were unread.
  /// - Throws: The same errors as `markAsRead(_:of:)`.
  @discardableResult
  public func markAllAsRead(of user: String) async throws(BusError) -> Int {
    try await change(.readAll, of: user)
  }

  private func read<Reply>(_ query: TypedQuery<Reply>) async throws(BusError) -> Reply {
    try checkRunning()
    let answer: StoreAnswer? = await withCheckedContinuation { continuation in
      let isTaken = server.read(query.query) { continuation.resume(returning: $0) }
      if !isTaken { continuation.resume(returning: nil) }
    }
    guard let answer else { throw .busy }
    do throws(UnreadableStore) {
      return try query.reply(in: answer).get()
    } catch {
      throw .unreadable(reason: error.reason)
    }
  }

  private func change(_ change: InboxChange, of user: String) async throws(BusError) -> Int {
    try check(user: user)
    try checkRunning()
    let outcome: StoreOutcome? = await withCheckedContinuation { continuation in
      let isTaken = server.change(change, of: user) { continuation.resume(returning: $0) }
      if !isTaken { continuation.resume(returning: nil) }
    }
    guard let outcome else { throw .busy }
    if let error = BusError(outcome) { throw error }
    guard case .changed(let count, _) = outcome else {
      preconditionFailure("the store answered a change with \(outcome)")
    }
    return count
  }
}

extension NotificationContent {
  /// The content of a stored notification.
  init(_ notification: Notifications.Notification) {
    self.init(
      type: notification.type, title: notification.title, message: notification.message,
      priority: Priority(rawValue: notification.priority.name) ?? .normal,
      data: JSONValue(stored: notification.data), entityType: notification.entityType,
      entityID: notification.entityID, entityURL: notification.entityURL,
      actions: notification.actions.map(Action.list) ?? [], groupKey: notification.groupKey,
      expiresAtMilliseconds: notification.expiresAt)
  }
}

extension NotificationContent.Action {
  /// The actions in a stored array, which the store wrote from checked ones.
  fileprivate static func list(in text: [UInt8]) -> [NotificationContent.Action] {
    var actions: [NotificationContent.Action] = []
    var reader = JSONReader(text)
    do throws(JSONViolation) {
      try reader.readArray { (reader: inout JSONReader) throws(JSONViolation) in
        var action = NotificationContent.Action(label: "", url: "")
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONViolation) in
          let text = try reader.readString()
          if name == "label" { action.label = text } else { action.url = text }
        }
        actions.append(action)
      }
    } catch {
      // A row that passed its checksum and still does not parse: show it without its actions.
      return []
    }
    return actions
  }
}
