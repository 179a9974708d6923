// The domain's values as the JSON members that REST answers and dialects share.

internal import Notifications
internal import Wire

extension [UInt8] {
  /// Writes the members of `{total, unread, unseen, by_priority}`; the last counts unread ones.
  mutating func members(of counts: Counts) {
    member("total", counts.total)
    member("unread", counts.unread)
    member("unseen", counts.unseen)
    member(
      "by_priority",
      object: { json in
        json.member("low", counts.byPriority.low)
        json.member("normal", counts.byPriority.normal)
        json.member("high", counts.byPriority.high)
        json.member("urgent", counts.byPriority.urgent)
      })
  }

  /// Writes a notification as REST shows it.
  mutating func appendNotification(_ notification: Notification) {
    openObject()
    member("id", notification.id.text)
    member("user_id", notification.userID)
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
    member("is_read", notification.isRead)
    member("read_at", time: notification.readAt)
    member("seen_at", time: notification.seenAt)
    member("created_at", time: notification.createdAt)
    member("expires_at", time: notification.expiresAt)
    closeObject()
  }
}
