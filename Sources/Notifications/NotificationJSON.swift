// A notification as JSON: what REST answers and webhooks show.

internal import Wire

extension [UInt8] {
  /// Writes a notification as REST shows it.
  ///
  /// `groupCount` is the size of its group, if the notification represents one.
  package mutating func appendNotification(_ notification: Notification, groupCount: Int? = nil) {
    openObject()
    member("id", notification.id.text)
    // A notification for everyone belongs to no single user.
    member("user_id", notification.userID.isEmpty ? nil : notification.userID)
    member("type", notification.type)
    member("priority", notification.priority.name)
    member("title", notification.title)
    member("message", notification.message)
    member("data", json: notification.data)
    member("entity_type", notification.entityType)
    member("entity_id", notification.entityID)
    member("entity_url", notification.entityURL)
    member("actions", json: notification.actions ?? [0x5B, 0x5D])
    member("group_key", notification.groupKey)
    if let groupCount { member("group_count", groupCount) }
    member("is_read", notification.isRead)
    member("read_at", time: notification.readAt)
    member("seen_at", time: notification.seenAt)
    member("created_at", time: notification.createdAt)
    member("expires_at", time: notification.expiresAt)
    closeObject()
  }
}
