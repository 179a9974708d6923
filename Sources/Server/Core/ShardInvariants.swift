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
    delivery.checkInvariants()
    drain.checkInvariants()
    readiness.checkInvariants()
    storeWatch.checkInvariants()
    observers.checkInvariants()
    shardQueries.checkInvariants()
    checkConnections()
    checkEngineSessions()
    checkRooms()
    return true
  }

  private func checkConnections() {
    var counts = (listed: 0, unauthenticated: 0, rejected: 0)
    table.forEachSlot { slot in
      let connection = table[slot]
      let flags = connection.flags
      switch connection.activity {
      case .idle: break
      case .request: assert(connection.state == .http, "a request outside HTTP")
      case .fragments, .replay, .fetch, .authentication, .probe:
        assert(connection.state == .session, "an activity of a session outside one")
      }
      assert(
        delivery[slot].flags.contains(.takesFrames) == (connection.state == .session),
        "delivery does not know whether \(slot) is a session")
      assert(
        delivery[slot].flags.contains(.isReplaying) == connection.activity.isReplay,
        "delivery does not know whether \(slot) replays")
      if flags.contains(.listed) {
        assert(directory.contains(user: connection.user), "\(slot) is not listed")
      }
      counts.listed += flags.contains(.listed) ? 1 : 0
      counts.unauthenticated += flags.contains(.unauthenticated) ? 1 : 0
      counts.rejected += flags.contains(.rejected) ? 1 : 0
    }
    assert(counts.listed == directory.connectionCount, "\(counts.listed) connections are listed")
    assert(counts.unauthenticated == unauthenticatedCount)
    assert(counts.rejected == rejectedCount)
  }

  private func checkEngineSessions() {
    for (id, slot) in engineSessions {
      assert(
        table.isOpen(slot) && table[slot].engine?.id == id && table[slot].engine?.hasEnded == false,
        "\(slot) is not the slot of its session")
    }
  }

  private func checkRooms() {
    for room in rooms.values {
      assert(!room.members.slots.isEmpty, "a room without members is kept")
      for slot in room.members.slots {
        let entry = table[slot].membership.flatMap { membership in
          membership.index(of: room.name).map { membership.entries[$0] }
        }
        assert(table.isOpen(slot) && entry?.isInside == true, "\(slot) is not in its room")
      }
    }
  }
}
