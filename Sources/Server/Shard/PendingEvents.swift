// The events that a shard has yet to deliver: those in the ring, and those that it has set aside.
//
// A shard delivers events at one place of its turn, after the messages that precede them: see
// `BroadcastRing.end`. When a ring is full that only this shard has not read, the shard may need
// room at another place. Then it takes its events out of the ring and keeps them:
//
//     delivered │ set aside │ in the ring
//               first       position of this consumer

internal import Broadcast
internal import Notifications

/// The undelivered events of one shard.
///
/// Invariant: `setAside` has the events just before this consumer's position in the ring, in their
/// order, and at most `setAsideEventsLimit` of them.
final class PendingEvents: ShardComponent {
  let context: ShardContext
  private var setAside: [Event] = []
  private var isTaking = false

  init(_ context: ShardContext) { self.context = context }

  /// Traps in a debug build when more events are set aside than may be.
  func checkInvariants() { assert(setAside.count <= limits.setAsideEventsLimit) }

  /// Whether events are set aside, so that the next turn must not wait.
  ///
  /// For those in the ring the shard does not park.
  var hasSetAside: Bool { !setAside.isEmpty }

  /// Hands the events before the position `end` to `body`: those set aside, then at most `limit` of
  /// the ring.
  ///
  /// `body` must not call `makeRoom`: the ring allows one drain at a time.
  func take(before end: UInt64, limit: Int, _ body: (Event) -> Void) {
    isTaking = true
    defer { isTaking = false }
    // Signed: the ring may have events before `end`, too.
    let laterCount = max(0, Int(Int64(bitPattern: core.ring.position(of: index) &- end)))
    let readyCount = max(0, setAside.count - laterCount)
    for number in 0..<readyCount { body(setAside[number]) }
    setAside.removeFirst(readyCount)
    guard setAside.isEmpty else { return }
    // Release the capacity after a flood.
    if readyCount > 0 { setAside = [] }
    _ = core.ring.drain(consumer: index, limit: limit, before: end, body)
  }

  /// Sets the events in the ring aside, as far as the limit allows.
  func makeRoom() {
    assert(!isTaking, "an event's delivery has offered another")
    // guard: set-aside-bounded
    let room = limits.setAsideEventsLimit - setAside.count
    _ = core.ring.drain(consumer: index, limit: room) { setAside.append($0) }
  }
}
