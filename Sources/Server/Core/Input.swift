// Reading: bytes come into the shard's scratch, are parsed where they lie, and only the unfinished
// tail of a message is kept with its connection.

internal import Glibc
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// Bytes received at a time: a head can be no longer, so no more is read of one that is.
  static let readBytes = 16 * 1_024
  /// Bytes read from one connection in a turn, so that a fire hose does not starve the others.
  static let readBytesPerTurn = 512 * 1_024
  /// Frames after which a connection is read no further in a turn: of the smallest ones more fit
  /// into its bytes than a turn has time for.
  static let framesPerTurn = 8_192

  /// Handles readiness of the connection at `slot`.
  func handle(_ readiness: Interest, at slot: UInt32) {
    if readiness.contains(.writable), table[slot].flags.contains(.blocked) {
      flush(slot)
      guard table.contains(slot) else { return }
    }
    // One that is not being read is not watched for that; its reset is seen all the same.
    if readiness.contains(.readable),
      table[slot].flags.isDisjoint(with: [.readPaused, .peerEnded])
    {
      read(slot)
    } else if readiness.contains(.hangup) {  // guard: hangup-without-reading
      drop(slot, counting: .resets)
    }
  }

  private func read(_ slot: UInt32) {
    let id = table.id(of: slot)
    let frames = metrics.value(.framesReceived)
    var total = 0
    // guard: frames-per-turn
    while total < Shard.readBytesPerTurn,
      metrics.value(.framesReceived) - frames < Shard.framesPerTurn
    {
      let kept = table[slot].partial.count
      if kept > 0 { scratch.copy(table[slot].partial, at: 0) }
      let limit = min(readLimit(slot), scratch.count - kept)
      guard limit > 0 else { return }
      let count = kernel.receive(table[slot].fd, into: scratch, at: kept, limit: limit)
      if count == 0 { return ended(slot) }
      guard count > 0 else {
        if count != -Int(EAGAIN) { drop(slot, counting: .resets) }
        return
      }
      total += count
      bytesReadInTurn += count
      metrics.add(.bytesReceived, count)
      table[slot].lastReceivedAt = now
      process(slot, byteCount: kept + count)
      guard table.holds(id),
        !table[slot].flags.contains(.readPaused)
      else { return }
      // Less than was asked for: there is no more now, and asking again would only say so.
      if count < limit { return }
      // guard: no-reads-after-refusal
      if table[slot].state == .closing || table[slot].state == .lingering {
        // Whoever floods a connection that is ending is not read any further. It has until the
        // deadline to read what was sent to it, and its own end is seen as a hang-up.
        table[slot].flags.insert(.readPaused)
        return updateInterest(slot)
      }
    }
  }

  /// A body is read in larger pieces than a head may be long.
  private func readLimit(_ slot: UInt32) -> Int {
    if let exchange = table[slot].task as? Exchange, exchange.head != nil {
      return 4 * Shard.readBytes
    }
    return Shard.readBytes
  }

  /// Parses the first `byteCount` bytes of the scratch, which are the connection's, and keeps what
  /// is left over.
  func process(_ slot: UInt32, byteCount: Int) {
    let id = table.id(of: slot)
    var consumed = 0
    var state = ConnectionState.free
    // A connection may change its protocol in the middle of what was received.
    while consumed < byteCount, table.holds(id) {
      state = table[slot].state
      switch state {
      case .http: consumed = processHTTP(slot, from: consumed, to: byteCount)
      case .session where isBidirectional(slot):
        consumed = processFrames(slot, from: consumed, to: byteCount)
      // Whoever reads an event stream has nothing more to say.
      case .session: consumed = byteCount
      case .closing, .lingering, .free: consumed = byteCount
      }
      // guard: frame-after-upgrade-request
      if table.holds(id), table[slot].state == state { break }
    }
    guard table.holds(id) else { return }
    if consumed < byteCount, table[slot].state == .http || table[slot].state == .session {
      // guard: partial-message-kept
      table[slot].partial = scratch.array(from: consumed, to: byteCount)
    } else if !table[slot].partial.isEmpty {
      table[slot].partial = []
    }
  }

  /// Whether the session at `slot` is a WebSocket, which is spoken in both directions.
  private func isBidirectional(_ slot: UInt32) -> Bool {
    fanOutGroups[table[slot].group].dialect.framing == .webSocket
  }

  /// The peer has said end of stream.
  ///
  /// HTTP clients may do so and still want their answer, to its last byte; for a WebSocket without
  /// a close frame it is the end.
  private func ended(_ slot: UInt32) {
    let isOwed = !table[slot].flags.isDisjoint(with: [.awaitsAnswer, .queued, .blocked])
    switch table[slot].state {
    case .http where isOwed, .closing where isOwed:
      table[slot].flags.insert(.peerEnded)
      if table[slot].state == .http { endsAfterAnswer(slot) }
      if table.contains(slot) { updateInterest(slot) }
    case .session where isBidirectional(slot):
      // guard: half-close-ends-session
      drop(slot, counting: .resets)
    // That is how the reader of an event stream leaves.
    case .session:
      drop(slot)
    case .http, .closing, .lingering, .free:
      drop(slot)
    }
  }

  /// Lets an HTTP connection read on, if it was paused and nothing is in its way any more.
  ///
  /// Not at once: this is called in the midst of a flush or a delivery, and a request may publish.
  func resumeWhenFlushed(_ slot: UInt32) {
    guard table[slot].state == .http, table[slot].flags.contains(.readPaused),
      !table[slot].flags.contains(.awaitsAnswer)
    else { return }
    resumable.append(table.id(of: slot))
  }

  /// Goes on with requests that were received while an earlier one was being answered.
  func resumeReading() {
    guard !resumable.isEmpty else { return }
    let waiting = resumable
    resumable.removeAll(keepingCapacity: true)
    for id in waiting where table.holds(id) {
      let slot = id.slot
      // What came behind the word by which a WebSocket took its session over.
      if table[slot].state == .session, !table[slot].partial.isEmpty {
        let kept = table[slot].partial
        scratch.copy(kept, at: 0)
        process(slot, byteCount: kept.count)
        continue
      }
      guard table[slot].state == .http, !table[slot].flags.contains(.awaitsAnswer) else {
        continue
      }
      table[slot].flags.remove(.readPaused)
      updateInterest(slot)
      guard table.contains(slot), !table[slot].partial.isEmpty else { continue }
      let kept = table[slot].partial
      scratch.copy(kept, at: 0)
      process(slot, byteCount: kept.count)
    }
  }
}
