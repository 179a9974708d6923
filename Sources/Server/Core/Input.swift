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

  /// Handles readiness of the connection at `place`.
  func handle(_ readiness: Interest, at place: UInt32) {
    if readiness.contains(.writable), table[place].flags.contains(.blocked) {
      flush(place)
      guard table.contains(place) else { return }
    }
    // One that is not being read is not watched for that; its reset is seen all the same.
    if readiness.contains(.readable),
      table[place].flags.isDisjoint(with: [.readPaused, .peerEnded])
    {
      read(place)
    } else if readiness.contains(.hangup) {  // guard: hangup-without-reading
      drop(place, counting: .resets)
    }
  }

  private func read(_ place: UInt32) {
    let id = table.id(of: place)
    let frames = metrics.value(.framesReceived)
    var total = 0
    // guard: frames-per-turn
    while total < Shard.readBytesPerTurn,
      metrics.value(.framesReceived) - frames < Shard.framesPerTurn
    {
      let kept = table[place].partial.count
      if kept > 0 { scratch.copy(table[place].partial, at: 0) }
      let limit = min(readLimit(place), scratch.count - kept)
      guard limit > 0 else { return }
      let count = kernel.receive(table[place].fd, into: scratch, at: kept, limit: limit)
      if count == 0 { return ended(place) }
      guard count > 0 else {
        if count != -Int(EAGAIN) { drop(place, counting: .resets) }
        return
      }
      total += count
      bytesReadInTurn += count
      metrics.add(.bytesReceived, count)
      table[place].heardAt = now
      process(place, byteCount: kept + count)
      guard table.holds(id),
        !table[place].flags.contains(.readPaused)
      else { return }
      // Less than was asked for: there is no more now, and asking again would only say so.
      if count < limit { return }
      // guard: no-reads-after-refusal
      if table[place].state == .closing || table[place].state == .lingering {
        // Whoever floods a connection that is ending is not read any further. It has until the
        // deadline to read what was sent to it, and its own end is seen as a hang-up.
        table[place].flags.insert(.readPaused)
        return updateInterest(place)
      }
    }
  }

  /// A body is read in larger pieces than a head may be long.
  private func readLimit(_ place: UInt32) -> Int {
    if let exchange = table[place].task as? Exchange, exchange.head != nil {
      return 4 * Shard.readBytes
    }
    return Shard.readBytes
  }

  /// Parses the first `byteCount` bytes of the scratch, which are the connection's, and keeps what
  /// is left over.
  func process(_ place: UInt32, byteCount: Int) {
    let id = table.id(of: place)
    var consumed = 0
    var state = ConnectionState.free
    // A connection may change its protocol in the middle of what was received.
    while consumed < byteCount, table.holds(id) {
      state = table[place].state
      switch state {
      case .http: consumed = processHTTP(place, from: consumed, to: byteCount)
      case .session where speaksToUs(place):
        consumed = processFrames(place, from: consumed, to: byteCount)
      // Whoever reads an event stream has nothing more to say.
      case .session: consumed = byteCount
      case .closing, .lingering, .free: consumed = byteCount
      }
      // guard: frame-after-upgrade-request
      if table.holds(id), table[place].state == state { break }
    }
    guard table.holds(id) else { return }
    if consumed < byteCount, table[place].state == .http || table[place].state == .session {
      // guard: partial-message-kept
      table[place].partial = scratch.array(from: consumed, to: byteCount)
    } else if !table[place].partial.isEmpty {
      table[place].partial = []
    }
  }

  /// Whether the session at `place` is a WebSocket, which is spoken in both directions.
  private func speaksToUs(_ place: UInt32) -> Bool {
    fanOutGroups[table[place].group].dialect.framing == .webSocket
  }

  /// The peer has said end of stream.
  ///
  /// HTTP clients may do so and still want their answer, to its last byte; for a WebSocket without
  /// a close frame it is the end.
  private func ended(_ place: UInt32) {
    let isOwed = !table[place].flags.isDisjoint(with: [.awaitsAnswer, .queued, .blocked])
    switch table[place].state {
    case .http where isOwed, .closing where isOwed:
      table[place].flags.insert(.peerEnded)
      if table[place].state == .http { endsAfterAnswer(place) }
      if table.contains(place) { updateInterest(place) }
    case .session where speaksToUs(place):
      // guard: half-close-ends-session
      drop(place, counting: .resets)
    // That is how the reader of an event stream leaves.
    case .session:
      drop(place)
    case .http, .closing, .lingering, .free:
      drop(place)
    }
  }

  /// Lets an HTTP connection read on, if it was paused and nothing is in its way any more.
  ///
  /// Not at once: this is called in the midst of a flush or a delivery, and a request may publish.
  func resumeWhenFlushed(_ place: UInt32) {
    guard table[place].state == .http, table[place].flags.contains(.readPaused),
      !table[place].flags.contains(.awaitsAnswer)
    else { return }
    resumable.append(table.id(of: place))
  }

  /// Goes on with requests that were received while an earlier one was being answered.
  func resumeReading() {
    guard !resumable.isEmpty else { return }
    let waiting = resumable
    resumable.removeAll(keepingCapacity: true)
    for id in waiting where table.holds(id) {
      let place = id.slot
      // What came behind the word by which a WebSocket took its session over.
      if table[place].state == .session, !table[place].partial.isEmpty {
        let kept = table[place].partial
        scratch.copy(kept, at: 0)
        process(place, byteCount: kept.count)
        continue
      }
      guard table[place].state == .http, !table[place].flags.contains(.awaitsAnswer) else {
        continue
      }
      table[place].flags.remove(.readPaused)
      updateInterest(place)
      guard table.contains(place), !table[place].partial.isEmpty else { continue }
      let kept = table[place].partial
      scratch.copy(kept, at: 0)
      process(place, byteCount: kept.count)
    }
  }
}
