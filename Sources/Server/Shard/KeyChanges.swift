// API keys that have changed: every shard takes them before the change is answered.
//
//     journal ─ apiKeys ─▶ every shard ─ the last one: outcome ─▶ the shard of the request
//
// The journal's thread posts the keys, in the order of its commits, so no shard ever goes back to
// earlier ones. The request is answered after the last shard has taken them: then a revoked key is
// refused everywhere.

internal import Broadcast
internal import Delivery
internal import Notifications

extension ServerCore {
  /// Posts the keys after a change to all shards; `done` is called when all have them.
  ///
  /// Called on the store's thread. Any other outcome changes no key.
  func apply(_ outcome: StoreOutcome, done: @escaping @Sendable () -> Void) {
    guard case .apiKeys(.changed(_, let keys)) = outcome else { return done() }
    let ring = KeyRing(keys)
    // guard: key-change-awaits-all-shards
    let arrivals = Arrivals(of: mailboxes.count, done: done)
    for mailbox in mailboxes { mailbox.append(.apiKeys(ring, taken: { arrivals.arrive() })) }
  }
}

extension Shard {
  /// Replaces the shard's keys, and ends the streams of keys that are no longer valid.
  func take(_ ring: KeyRing) {
    for (id, end) in apiKeys.replace(ring) {
      let slot = id.slot
      guard table[slot].state == .session else { continue }
      // guard: revoked-key-ends-streams
      guard let end else {
        life.close(slot, code: 1008, reason: "the key has ended", logged: "its key has ended")
        continue
      }
      // An earlier secret has got an end.
      table[slot].tokenEnd = end.secondOfMilliseconds
      connections.scheduleTimer(slot)
    }
  }
}

extension Int64 {
  /// The second, rounded down, of this time in milliseconds; the largest number stays it: never.
  var secondOfMilliseconds: Int64 { self == .max ? .max : self / 1_000 }
}
