// The element type of the ring: one event and its audience.

/// The recipients of an event.
package enum Audience: Sendable {
  case user(UserID)
  case users([UserID])
  case everyone
  /// The connections in the room, except those of the excluded user.
  case room(RoomName, except: UserID?)
}

/// One event: immutable, shared by every shard.
package final class Event: Sendable {
  package enum Body: Sendable {
    case stored(Notification, Counts)
    case read([NotificationID], Counts)
    case unread([NotificationID], Counts)
    case seen([NotificationID], Counts)
    case deleted([NotificationID], Counts)
    case readAll(Counts)
    case seenAll(Counts)
    case deletedAll(Counts)
    /// Only the counts changed: the stored notification is silent by its user's preferences.
    case counted(Counts)
    /// From this offset on, every inbox has a notification for everyone.
    ///
    /// Each user has different counts, so a shard reads the notification for each of its sessions,
    /// in order with the user's own notifications.
    case storedForEveryone
    /// Notifications for everyone have left every inbox.
    case expiredForEveryone([NotificationID])
    case system(SystemMessage)
    case liveUpdate(LiveUpdate)
    case dataUpdate(LiveUpdate)
    case payment(PaymentUpdate)
    case room(RoomMessage)
    case typing(TypingUpdate)
    case presence(PresenceUpdate)
    /// Asks every shard to acknowledge that it has read up to this event; no client sees it.
    case probe(UInt64)
  }

  package let audience: Audience
  package let body: Body
  /// Milliseconds since 1970.
  package let timestamp: Int64
  /// Commit offset of the store's change; nil for an event that was never stored.
  package let offset: UInt64?
  /// When the server accepted the publish request, in nanoseconds of the monotonic clock.
  ///
  /// Nil for an event that no publisher caused, and for one that is not delivered as it arrives.
  package let takenAt: UInt64?

  package init(
    audience: Audience, body: Body, timestamp: Int64, offset: UInt64? = nil, takenAt: UInt64? = nil
  ) {
    self.audience = audience
    self.body = body
    self.timestamp = timestamp
    self.offset = offset
    self.takenAt = takenAt
  }

  /// The user's totals after this event; nil if the event did not change them.
  package var counts: Counts? {
    switch body {
    case .stored(_, let counts), .read(_, let counts), .unread(_, let counts),
      .seen(_, let counts), .deleted(_, let counts), .readAll(let counts), .seenAll(let counts),
      .deletedAll(let counts), .counted(let counts):
      counts
    case .storedForEveryone, .expiredForEveryone, .system, .liveUpdate, .dataUpdate, .payment,
      .room, .typing, .presence, .probe:
      nil
    }
  }
}

/// A message from the operators to the current connections.
///
/// It is not stored.
package struct SystemMessage: Sendable {
  package let id: NotificationID
  package let messageType: String
  package let title: String
  package let message: String
  /// A JSON object.
  package let payload: [UInt8]

  package init(
    id: NotificationID, messageType: String, title: String, message: String, payload: [UInt8]
  ) {
    self.id = id
    self.messageType = messageType
    self.title = title
    self.message = message
    self.payload = payload
  }
}

/// A change of an object on the client's screen.
///
/// It is not stored.
package struct LiveUpdate: Sendable {
  package let updateType: String
  /// Any JSON value.
  package let payload: [UInt8]

  package init(updateType: String, payload: [UInt8]) {
    self.updateType = updateType
    self.payload = payload
  }
}
