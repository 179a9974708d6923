// What holds between two turns. A debug build checks it after each turn of a small shard.

extension Delivery {
  /// Asserts that each open slot has a socket or sends without one, that the counts of blocked
  /// connections are right, that the logs hold what is queued, and that each set of slots has only
  /// open connections that belong in it.
  package func checkInvariants() {
    var blocked = 0
    var bytes = 0
    table.forEachSlot { slot in
      let connection = table[slot]
      assert(
        (connection.fd < 0) == !connection.flags.isDisjoint(with: .socketless),
        "the descriptor of \(slot) does not fit its kind")
      assert(connection.flags.contains(.hasTransport) == (transports[slot] != nil))
      assert(connection.flags.contains(.blocked) || connection.blockedBytes == 0)
      for index in 0..<connection.outbox.rangeCount {
        let range = connection.outbox[index]
        assert(log(range.log).start <= range.from, "a log has overwritten a range of \(slot)")
      }
      blocked += connection.flags.contains(.blocked) ? 1 : 0
      bytes += connection.blockedBytes
    }
    assert(blocked == blockedCount, "\(blocked) connections are blocked")
    assert(bytes == blockedBytes, "\(bytes) bytes are blocked")
    assert(transports.keys.allSatisfy { table.isOpen($0) }, "an ended connection has a transport")
    dirty.forEach { assert(table.isOpen($0), "\($0) has ended and is to be flushed") }
    pinned.forEach { assert(table.isOpen($0), "\($0) has ended and pins ranges") }
    for group in groups {
      group.members.forEach { slot in
        assert(
          table.isOpen(slot) && table[slot].group == group.id
            && table[slot].flags.contains(.takesFrames),
          "\(slot) is no session of its group")
      }
      assert(group.members.isEmpty != occupiedGroups.contains(group.id))
    }
  }
}
