// The stored notification, and one on its way into the store.
//
// Times are milliseconds since 1970, UTC. `data` and `actions` are JSON text, validated on input
// and never parsed again inside.

internal import Wire

/// One stored notification of one user.
package struct Notification: Sendable, Equatable {
  package var id: NotificationID
  /// The inbox it was read from; empty for a notification to everyone that is in no inbox yet.
  package var userID: UserID
  package var type: String
  package var priority: Priority
  package var title: String
  package var message: String
  /// A JSON object exactly as published, white space and line ends included; `{}` when absent.
  package var data: [UInt8]
  package var entityType: String?
  package var entityID: String?
  package var entityURL: String?
  /// A JSON array of 1 to 4 objects `{"label","url"}`, without white space.
  package var actions: [UInt8]?
  package var groupKey: String?
  package var readAt: Int64?
  package var seenAt: Int64?
  package var createdAt: Int64
  package var expiresAt: Int64?
  /// The store's commit sequence: strictly increasing for each user, gaps allowed.
  package var offset: UInt64
  /// Whether the user's preferences silenced it when it was stored: see `Preferences`.
  package var isMuted: Bool

  package init(
    id: NotificationID, userID: UserID, content: Content, createdAt: Int64, offset: UInt64,
    readAt: Int64? = nil, seenAt: Int64? = nil, isMuted: Bool = false
  ) {
    self.init(
      id: id, userID: userID, type: content.type, priority: content.priority,
      title: content.title, message: content.message, data: content.data,
      entityType: content.entityType, entityID: content.entityID, entityURL: content.entityURL,
      actions: content.actions, groupKey: content.groupKey, readAt: readAt, seenAt: seenAt,
      createdAt: createdAt, expiresAt: content.expiresAt, offset: offset, isMuted: isMuted)
  }

  package init(
    id: NotificationID, userID: UserID, type: String, priority: Priority = .normal, title: String,
    message: String = "", data: [UInt8] = Content.emptyObject, entityType: String? = nil,
    entityID: String? = nil, entityURL: String? = nil, actions: [UInt8]? = nil,
    groupKey: String? = nil, readAt: Int64? = nil, seenAt: Int64? = nil, createdAt: Int64,
    expiresAt: Int64? = nil, offset: UInt64, isMuted: Bool = false
  ) {
    self.id = id
    self.userID = userID
    self.type = type
    self.priority = priority
    self.title = title
    self.message = message
    self.data = data
    self.entityType = entityType
    self.entityID = entityID
    self.entityURL = entityURL
    self.actions = actions
    self.groupKey = groupKey
    self.readAt = readAt
    self.seenAt = seenAt
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.offset = offset
    self.isMuted = isMuted
  }

  /// Whether the user has read it; `readAt` has the time.
  package var isRead: Bool { readAt != nil }

  /// At least the bytes of the notification as a JSON object of an answer.
  package var jsonByteCount: Int {
    var count = Self.jsonFrameBytes + userID.jsonByteCount + type.jsonByteCount
    count += title.jsonByteCount + message.jsonByteCount + data.count + (actions?.count ?? 0)
    count += (entityType?.jsonByteCount ?? 0) + (entityID?.jsonByteCount ?? 0)
    return count + (entityURL?.jsonByteCount ?? 0) + (groupKey?.jsonByteCount ?? 0)
  }

  /// Bytes of the members' names, the times and the numbers.
  private static let jsonFrameBytes = 512
}

/// The content of a notification, shared by all of its recipients.
///
/// A class, so that a publish to 10,000 users keeps the text once. `Draft` makes it and checks the
/// limits; any other caller must check them itself.
package final class Content: Sendable {
  package let type: String
  package let priority: Priority
  package let title: String
  package let message: String
  package let data: [UInt8]
  package let entityType: String?
  package let entityID: String?
  package let entityURL: String?
  package let actions: [UInt8]?
  package let groupKey: String?
  package let expiresAt: Int64?

  /// The JSON text `{}`.
  package static let emptyObject: [UInt8] = [UInt8(ascii: "{"), UInt8(ascii: "}")]

  package init(
    type: String, priority: Priority = .normal, title: String, message: String = "",
    data: [UInt8] = Content.emptyObject, entityType: String? = nil, entityID: String? = nil,
    entityURL: String? = nil, actions: [UInt8]? = nil, groupKey: String? = nil,
    expiresAt: Int64? = nil
  ) {
    self.type = type
    self.priority = priority
    self.title = title
    self.message = message
    self.data = data
    self.entityType = entityType
    self.entityID = entityID
    self.entityURL = entityURL
    self.actions = actions
    self.groupKey = groupKey
    self.expiresAt = expiresAt
  }

  /// Approximate bytes of text in one stored copy.
  package var byteCount: Int {
    var count = type.utf8.count + title.utf8.count + message.utf8.count + data.count
    count += (entityType?.utf8.count ?? 0) + (entityID?.utf8.count ?? 0)
    count += (entityURL?.utf8.count ?? 0) + (groupKey?.utf8.count ?? 0) + (actions?.count ?? 0)
    return count
  }
}

/// A notification with its id and its user, not stored yet.
package struct PendingNotification: Sendable {
  package let id: NotificationID
  /// Empty for a notification to everyone.
  package let userID: UserID
  /// Whether it is stored once and appears in every inbox.
  package let isForEveryone: Bool
  package let createdAt: Int64
  package let content: Content

  package init(id: NotificationID, userID: UserID, createdAt: Int64, content: Content) {
    self.id = id
    self.userID = userID
    isForEveryone = false
    self.createdAt = createdAt
    self.content = content
  }

  /// A notification for everyone.
  package init(forEveryone id: NotificationID, createdAt: Int64, content: Content) {
    self.id = id
    userID = ""
    isForEveryone = true
    self.createdAt = createdAt
    self.content = content
  }
}
