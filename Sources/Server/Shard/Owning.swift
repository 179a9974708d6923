// The shard as an owner of rooms and users: it publishes their updates, and wakes for their
// deadlines.

internal import Broadcast
internal import Notifications

extension Shard {
  /// Deadlines of the owner shard wake the thread at most once in this time.
  static let ownerStepMilliseconds: UInt64 = 100

  /// Processes the expired deadlines of the rooms and users that this shard owns.
  func expireAsOwner() {
    users.expire()
    publish(rooms.expire())
  }

  /// When the thread next has to wake up for `expireAsOwner`; nil when nothing is due.
  ///
  /// Rounded up to `ownerStepMilliseconds`: after a mass departure, one turn for each deadline cost
  /// three times as much as serving the connections did.
  var nextDueAsOwner: UInt64? {
    let step = Shard.ownerStepMilliseconds
    return [users.nextDeadline, rooms.nextDeadline].compactMap { $0 }.min()
      .map { ($0 + step - 1) / step * step }
  }

  /// Publishes events of rooms that this shard owns, which their members cause.
  func publish(_ events: [Event]) {
    for event in events where !offer(event, isOfUsers: true) { rooms.noteLost(event) }
  }
}
