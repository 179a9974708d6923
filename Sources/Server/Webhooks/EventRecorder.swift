// The events of a shard that webhooks may want and no change of the store causes: users that come
// online and go offline, rooms that fill and empty, and slow sessions.
//
// They are gathered in a turn and recorded with one command to the store at its end. While no
// endpoint wants such an event, each costs one comparison.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Wire

/// Records events of users, rooms and sessions for webhooks.
///
/// Invariant: at most `eventsLimit` events wait.
final class EventRecorder: ShardComponent {
  /// Events that wait for the store; a further one is lost, and counted.
  static let eventsLimit = 8_192
  /// Events of one command.
  static let commandLimit = 1_024

  let context: ShardContext
  private var wanted = WebhookTypes.none
  private var events: [OutboxEvent] = []

  init(_ context: ShardContext) {
    self.context = context
  }

  func checkInvariants() { assert(events.count <= Self.eventsLimit) }

  /// Whether an event of that type is recorded.
  func wants(_ type: WebhookEventType) -> Bool { wanted.contains(type) }

  /// From now on events of these types are recorded.
  func record(_ types: WebhookTypes) { wanted = types }

  /// Records that a user came online, or went offline.
  func note(user: UserID, isOnline: Bool) {
    note(isOnline ? .userOnline : .userOffline, .user(user)) { $0.member("user_id", user) }
  }

  /// Records that a room has its first member, or none any more.
  func note(room: RoomName, isOccupied: Bool) {
    note(isOccupied ? .roomOccupied : .roomVacated, .room(room)) { $0.member("room", room) }
  }

  /// Records that a session was closed because its client was too slow.
  func note(slowSessionOf user: UserID, dialect: String) {
    note(.sessionSlow, .user(user)) { data in
      data.member("user_id", user)
      data.member("dialect", dialect)
    }
  }

  private func note(
    _ type: WebhookEventType, _ subject: OutboxEvent.Subject, _ members: (inout [UInt8]) -> Void
  ) {
    guard wants(type) else { return }
    // guard: recorder-bound
    guard events.count < Self.eventsLimit else { return metrics.add(.webhookEventsLost) }
    var data: [UInt8] = []
    data.openObject()
    members(&data)
    data.closeObject()
    events.append(OutboxEvent(type: type, subject: subject, time: wall, data: data))
  }

  /// Hands the events to the store; those that it does not take wait for the next turn.
  func flush() {
    while !events.isEmpty, !context.isStopping {
      let part = Array(events.prefix(Self.commandLimit))
      let mailbox = mailbox
      let isTaken = core.store.submit(.outbox(.record(part))) { outcome in
        if outcome != .outbox(.saved) { mailbox.append(.eventsLost(part.count)) }
      }
      guard isTaken else { return }
      events.removeFirst(part.count)
    }
  }
}
