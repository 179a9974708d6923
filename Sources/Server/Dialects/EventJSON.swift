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

  /// Writes the members of `{message_type, title, message, payload}`.
  mutating func members(of message: SystemMessage) {
    member("message_type", message.messageType)
    member("title", message.title)
    member("message", message.message)
    member("payload", json: message.payload)
  }

  /// Writes the members of `{update_type, payload}`.
  mutating func members(of update: LiveUpdate) {
    member("update_type", update.updateType)
    member("payload", json: update.payload)
  }

  /// Writes the members of `{payment_id, amount, currency, status}`.
  mutating func members(of update: PaymentUpdate) {
    switch update.payment {
    case .number(let number): member("payment_id", Int(number))
    case .text(let text): member("payment_id", text)
    }
    member("amount", Int(update.amount))
    member("currency", update.currency)
    member("status", update.status)
  }

  /// Writes the members of `{room, notification_type, title, message, payload}`.
  mutating func members(of message: RoomMessage) {
    member("room", message.room)
    member("notification_type", message.notificationType)
    member("title", message.title)
    member("message", message.message)
    member("payload", json: message.payload)
  }

  /// Writes the members of `{room, user_id, is_typing}`.
  mutating func members(of typing: TypingUpdate) {
    member("room", typing.room)
    member("user_id", typing.user)
    member("is_typing", typing.isTyping)
  }

  /// Writes the members of `{room, members}`.
  mutating func members(of news: RoomNews) {
    member("room", news.room)
    member("members", texts: news.members)
  }

  /// Writes the members of `{code, message}`.
  mutating func members(ofError code: String, _ text: String) {
    member("code", code)
    member("message", text)
  }

  /// Writes the members of `{user_id, status}`.
  mutating func members(of presence: PresenceUpdate) {
    member("user_id", presence.user)
    member("status", presence.status.name)
  }
}
