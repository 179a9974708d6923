// The events of a transaction as events of the outbox.
//
// A new notification is recorded where it is stored, because a silent one has no event of its own.
// All other changes are recorded from the group's events, so that no kind of change is missed.

internal import Notifications
internal import Wire

extension JournalTransaction {
  /// Records that a notification was stored.
  func recordCreated(_ notification: Notification) throws(StoreError) {
    guard outbox.wants(.notificationCreated) else { return }
    var data: [UInt8] = []
    data.appendNotification(notification)
    let subject: OutboxEvent.Subject =
      notification.userID.isEmpty ? .everyone : .user(notification.userID)
    try outbox.record(
      OutboxEvent(
        type: .notificationCreated, subject: subject, time: notification.createdAt, data: data))
  }

  /// Records the changes of the group.
  func recordChanges() throws(StoreError) {
    guard outbox.wantsAny else { return }
    for event in group.events {
      switch event.body {
      case .read(let ids, _): try recordChange(.notificationRead, ids, event)
      case .seen(let ids, _): try recordChange(.notificationSeen, ids, event)
      case .deleted(let ids, _): try recordChange(.notificationDeleted, ids, event)
      case .expiredForEveryone(let ids): try recordChange(.notificationDeleted, ids, event)
      case .readAll: try recordChangeOfAll(.notificationRead, event)
      case .seenAll: try recordChangeOfAll(.notificationSeen, event)
      case .deletedAll: try recordChangeOfAll(.notificationDeleted, event)
      case .stored, .unread, .counted, .storedForEveryone, .system, .liveUpdate, .dataUpdate,
        .payment, .room, .typing, .presence, .probe:
        continue
      }
    }
  }

  private func recordChange(
    _ type: WebhookEventType, _ ids: [NotificationID], _ event: Event
  ) throws(StoreError) {
    guard outbox.wants(type) else { return }
    var rest = ids[...]
    while !rest.isEmpty {
      let part = rest.prefix(StoreLimits.eventIDCountLimit)
      rest = rest.dropFirst(part.count)
      try record(type, event) { $0.member("ids", texts: part.map(\.text)) }
    }
  }

  /// The change of a whole inbox lists no ids: it applies to all notifications up to its time.
  private func recordChangeOfAll(
    _ type: WebhookEventType, _ event: Event
  ) throws(StoreError) {
    guard outbox.wants(type) else { return }
    try record(type, event) { $0.member("all", true) }
  }

  private func record(
    _ type: WebhookEventType, _ event: Event, _ members: (inout [UInt8]) -> Void
  ) throws(StoreError) {
    var user: UserID?
    if case .user(let name) = event.audience { user = name }
    var data: [UInt8] = []
    data.openObject()
    data.member("user_id", user)
    members(&data)
    data.closeObject()
    try outbox.record(
      OutboxEvent(
        type: type, subject: user.map { .user($0) } ?? .everyone, time: event.timestamp,
        data: data))
  }
}
