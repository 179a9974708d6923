// The events of the ring: the shard puts its own into it, and delivers those that come out of it.

internal import Broadcast
internal import Notifications

extension Shard {
  /// Puts an event of this shard into the ring.
  ///
  /// False when the ring is full even after this shard has consumed its own pending events.
  func offer(_ event: Event) -> Bool {
    if core.ring.offer(event) { return true }
    drainRing()
    if core.ring.offer(event) { return true }
    metrics.add(.ringFull)
    return false
  }

  /// Delivers every event that is in the ring now.
  func drainRing() {
    _ = core.ring.drain(consumer: index, limit: core.ring.capacity) { deliver($0) }
  }

  /// Delivers `event` to its audience on this shard, and shows it to observers.
  func deliver(_ event: Event) {
    if case .probe(let number) = event.body { return respond(readiness.returned(number)) }
    fanOut.deliver(event)
    observers.observe(event)
  }
}
