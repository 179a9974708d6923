// What holds between two turns of a shard. Debug builds check it after each turn of a small shard,
// so that every test which turns one checks it too.

internal import Delivery
internal import Notifications

extension Shard {
  /// The most connections with which a turn is checked: the check visits each of them.
  private static let checkedConnectionCount = 64

  /// Traps in a debug build when an invariant of the shard does not hold.
  ///
  /// Invariant: the shard's counts are those of its connections; an activity fits the state of its
  /// connection; and every set of slots has only open connections which belong in it.
  ///
  /// Returns true, so that it can stand in an `assert` and costs nothing in a release build.
  func checkInvariants() -> Bool {
    guard table.count <= Shard.checkedConnectionCount else { return true }
    pendingEvents.checkInvariants()
    delivery.checkInvariants()
    admission.checkInvariants()
    apiKeys.checkInvariants()
    drain.checkInvariants()
    readiness.checkInvariants()
    storeWatch.checkInvariants()
    observers.checkInvariants()
    recorder.checkInvariants()
    metricsStreams.checkInvariants()
    metricsSampler?.checkInvariants()
    shardQueries.checkInvariants()
    idle.checkInvariants()
    storeReads.checkInvariants()
    pages.checkInvariants(inFlight: storeReads.charges + shardQueries.charges)
    http.checkInvariants()
    connections.checkInvariants()
    receiver.checkInvariants()
    checkConnections()
    engine.checkInvariants()
    socketIO.checkInvariants()
    users.checkInvariants()
    life.checkInvariants()
    reads.checkInvariants()
    rooms.checkInvariants()
    webSockets.checkInvariants()
    polls.checkInvariants()
    fanOut.checkInvariants()
    return true
  }

  private func checkConnections() {
    table.forEachSlot { slot in
      let connection = table[slot]
      switch connection.activity {
      case .idle: break
      case .request: assert(connection.state == .http, "a request outside HTTP")
      case .fragments, .replay, .fetch, .authentication, .probe:
        assert(connection.state == .session, "an activity of a session outside one")
      }
    }
  }
}
