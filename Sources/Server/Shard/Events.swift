// The events of the ring: the shard puts its own into it, and delivers those that come out of it.

internal import Broadcast
internal import Notifications

extension Shard {
  /// Puts an event of this shard into the ring.
  ///
  /// False when the ring is full even without this shard's own pending events, or, for an event
  /// that users cause, has their part of it.
  func offer(_ event: Event, isOfUsers: Bool = false) -> Bool {
    if put(event, isOfUsers: isOfUsers) { return true }
    // Not delivered here: the mailbox may have a message that precedes one of them.
    // guard: full-ring-delivers-nothing-early
    pendingEvents.makeRoom()
    if put(event, isOfUsers: isOfUsers) { return true }
    metrics.add(.ringFull)
    return false
  }

  private func put(_ event: Event, isOfUsers: Bool) -> Bool {
    // guard: ring-part-of-publishers
    if isOfUsers, core.ring.depth >= limits.userEventsLimit { return false }
    return core.ring.offer(event)
  }

  /// Delivers the events that were offered before `end`, at most `limit` of them from the ring.
  ///
  /// The messages that were posted before them must have been received.
  func deliverEvents(before end: UInt64, limit: Int) {
    pendingEvents.take(before: end, limit: limit) { deliver($0) }
  }

  /// Delivers `event` to its audience on this shard, and shows it to observers.
  func deliver(_ event: Event) {
    if case .probe(let number) = event.body { return respond(readiness.returned(number)) }
    fanOut.deliver(event)
    observers.observe(event)
  }
}
