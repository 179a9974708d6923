// The private bytes of a connection: answers, last frames, and the packets that polls take.

extension Delivery {
  /// Writes to the end of the private bytes of `slot`, without a check: answers and last frames.
  ///
  /// `reserving` bytes are made room for exactly: thousands of sessions may be closed at once, each
  /// with a full backlog. The caller marks the connection as queued.
  package func write(
    at slot: UInt32, reserving byteCount: Int? = nil, _ body: (inout [UInt8]) -> Void
  ) {
    if let byteCount {
      table[slot].privateBytes.reserveCapacity(table[slot].privateBytes.count + byteCount)
    }
    body(&table[slot].privateBytes)
  }

  /// Sends `body` after the private bytes of `slot`, without a copy.
  package func share(_ body: [UInt8], at slot: UInt32) {
    table[slot].sharedBody = SharedBody(bytes: body)
  }

  /// Copies everything queued for the session at `slot` to its private bytes.
  package func takePrivately(_ slot: UInt32) {
    takeSharedTail(at: slot)
    copyOutOutbox(at: slot)
  }

  /// Lets a session that was given up as too slow send its last bytes.
  package func allowLastBytes(_ slot: UInt32) { table[slot].flags.remove(.tooSlow) }

  /// Moves the time of the last progress of a blocked connection on to `time`.
  package func extendProgress(of slot: UInt32, to time: UInt64) {
    table[slot].progressAt = max(table[slot].progressAt, time)
  }

  // MARK: Slots without a socket

  /// Removes the first `count` unsent private bytes of `slot`: a poll has taken them.
  ///
  /// With the last byte the connection is no longer blocked.
  package func dropPrivateBytes(_ count: Int, at slot: UInt32) {
    table[slot].privateSentCount += count
    let left = table[slot].privateBytes.count - table[slot].privateSentCount
    guard left == 0 else { return countBlocked(left, at: slot) }
    table[slot].privateBytes = []
    table[slot].privateSentCount = 0
    table[slot].flags.remove(.queued)
    if table[slot].flags.contains(.blocked) { unblock(slot) }
  }

  /// Replaces the private bytes of `slot` with others, of which none is sent.
  package func replacePrivateBytes(_ bytes: [UInt8], at slot: UInt32) {
    table[slot].privateBytes = bytes
    table[slot].privateSentCount = 0
  }

  /// Settles a slot without a socket after its poll took packets, or when no poll waits.
  ///
  /// The rest waits for the next poll, and until then the slot counts as blocked.
  package func settlePoll(_ slot: UInt32) {
    if table[slot].unsentPrivateBytes.isEmpty {
      table[slot].flags.remove(.queued)
    } else {
      block(slot)
    }
  }
}
