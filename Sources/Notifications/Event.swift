// What the ring carries: one thing that happened, and whom it concerns.

/// Whom an event concerns.
package enum Audience: Sendable {
  case user(UserID)
  case users([UserID])
  case everyone
  /// Those in the room, but for the connections of that user.
  case room(RoomName, except: UserID?)
}

/// One thing that happened: immutable, shared by every shard.
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
    /// Only the counts changed: what was stored is silent, for its user does not want to hear it.
    case counted(Counts)
    /// A notification for everyone is in every inbox from this offset on, in each with the user's
    /// own counts: a shard reads it for each of its sessions, in its place among the user's own.
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
    /// Asks every shard to say that it has come this far; no client sees it.
    case probe(UInt64)
  }

  package let audience: Audience
  package let body: Body
  /// Milliseconds since 1970.
  package let timestamp: Int64
  /// The commit offset of what the store did; nil for what was never stored.
  package let offset: UInt64?
  /// When the request that published it was taken, in nanoseconds of the monotonic clock; nil for
  /// what nobody published, and for what is not sent as it comes.
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

  /// The user's totals after this event, where it changed them.
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

/// A message from the operators to those connected now.
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

/// A change of something on the client's screen.
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
