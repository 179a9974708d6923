// Observers: an embedding program's view of the events, outside of the delivery to clients.
//
// Every shard has the list of observers. The first shard offers them the events of the ring, which
// every shard sees in the same order; the first and the last connection of a user come from the
// user's owner shard. An observer takes an event or refuses it and never blocks; a shard counts the
// events that an observer refused, and offers the count before the next event.
//
// Without an observer an event costs one comparison on each shard, and a delivery nothing.

package import Notifications

/// An event as observers get it.
package enum ObservedEvent: Sendable {
  /// A user's first connection began.
  case connected(UserID)
  /// A user's last connection ended.
  case disconnected(UserID)
  /// A notification was stored, or an inbox changed.
  case stored(Event)
  /// The observer refused that many events of one shard.
  case missed(Int)

  /// Whether observers get an event of the ring: only changes that the store published.
  static func includes(_ body: Event.Body) -> Bool {
    switch body {
    case .stored, .read, .unread, .seen, .deleted, .readAll, .seenAll, .deletedAll,
      .storedForEveryone, .expiredForEveryone:
      true
    case .counted, .system, .liveUpdate, .dataUpdate, .payment, .room, .typing, .presence, .probe:
      false
    }
  }
}

/// The observers on one shard.
///
/// Invariant: no two observers have the same id.
final class Observers: ShardComponent {
  private struct Observer {
    /// Unique in the server.
    let id: UInt64
    /// Takes an event; false if there is no space for it.
    let offer: @Sendable (ObservedEvent) -> Bool
    /// Events refused since the last one that was taken.
    var missedCount = 0

    mutating func take(_ event: ObservedEvent) {
      if missedCount > 0 {
        guard offer(.missed(missedCount)) else { return missedCount += 1 }
        missedCount = 0
      }
      if !offer(event) { missedCount += 1 }
    }
  }

  let context: ShardContext
  private var all: [Observer] = []

  init(_ context: ShardContext) { self.context = context }

  /// Offers an event of the ring to the observers; only the first shard does.
  func observe(_ event: Event) {
    guard !all.isEmpty, index == 0, ObservedEvent.includes(event.body) else { return }
    offer(.stored(event))
  }

  /// Offers the first or last connection of a user to the observers.
  func observe(_ user: UserID, arrived: Bool) {
    guard !all.isEmpty else { return }
    offer(arrived ? .connected(user) : .disconnected(user))
  }

  /// Adds an observer and returns the number of observers.
  func add(_ id: UInt64, offer: @escaping @Sendable (ObservedEvent) -> Bool) -> Int {
    all.append(Observer(id: id, offer: offer))
    return all.count
  }

  /// Removes an observer and returns the number of observers.
  func remove(_ id: UInt64) -> Int {
    all.removeAll { $0.id == id }
    return all.count
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    assert(Set(all.map(\.id)).count == all.count, "two observers of one id")
  }

  private func offer(_ event: ObservedEvent) {
    for index in all.indices { all[index].take(event) }
  }
}

extension CarillonServer {
  /// Adds an observer, which gets the events after this call returns.
  ///
  /// `offer` is called on the shards' threads, one at a time each; it must not block. `id` must be
  /// unique in the server.
  package func addObserver(
    _ id: UInt64, offer: @escaping @Sendable (ObservedEvent) -> Bool
  ) async throws(ShardQueryFailure) {
    _ = try await ask(.observe(id, offer: offer))
  }

  /// Removes an observer; a few events may still come.
  package func removeObserver(_ id: UInt64) {
    ask(.unobserve(id)) { _ in
      // Nothing waits for it. A query that is refused leaves an observer that refuses all events.
    }
  }
}
