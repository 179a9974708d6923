// Input: bytes are received into the shard's scratch and parsed in place. Only the unfinished tail
// of a message is copied to its connection.

internal import Delivery
internal import Glibc
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// Bytes per receive call: the length of the longest head, so an oversized one is read no
  /// further.
  static let readBytes = HTTPLimits().headBytes
  /// Most bytes read from one connection in a turn, so that a fast sender does not starve the
  /// others.
  static let readBytesPerTurn = 512 * 1_024
  /// Frames after which a connection is not read further in a turn.
  ///
  /// `readBytesPerTurn` holds more of the smallest frames than a turn has time for.
  static let framesPerTurn = 8_192

  /// Handles readiness of the connection at `slot`.
  func handle(_ readiness: Interest, at slot: UInt32) {
    if readiness.contains(.writable), delivery[slot].flags.contains(.blocked) {
      delivery.flush(slot)
    }
    // A paused connection is not watched for readability, but its reset is reported all the same.
    if readiness.contains(.readable),
      delivery[slot].flags.isDisjoint(with: [.readPaused, .peerEnded])
    {
      read(slot)
    } else if readiness.contains(.hangup) {  // guard: hangup-without-reading
      drop(slot, counting: .resets)
    }
  }

  private func read(_ slot: UInt32) {
    let frames = metrics.value(.framesReceived)
    var total = 0
    // guard: frames-per-turn
    while total < Shard.readBytesPerTurn,
      metrics.value(.framesReceived) - frames < Shard.framesPerTurn
    {
      let kept = table[slot].partial.count
      let limit = min(readLimit(slot), scratch.count - kept)
      guard limit > 0 else { return }
      let count = kernel.receive(delivery[slot].fd, into: scratch, at: kept, limit: limit)
      if count == 0 { return ended(slot) }
      guard count > 0 else {
        if count != -Int(EAGAIN) { drop(slot, counting: .resets) }
        return
      }
      total += count
      bytesReadInTurn += count
      metrics.add(.bytesReceived, count)
      table[slot].lastReceivedAt = now
      if !extendPartial(slot, from: kept, to: kept + count) {
        if kept > 0 { scratch.copy(table[slot].partial, at: 0) }
        process(slot, byteCount: kept + count)
      }
      if table[slot].state == .ended || delivery[slot].flags.contains(.readPaused) { return }
      // A short read has emptied the socket; another call would only return EAGAIN.
      if count < limit { return }
      // guard: no-reads-after-refusal
      if table[slot].state == .closing || table[slot].state == .lingering {
        // A connection that is ending is not read further, even if its peer floods it. The peer has
        // until the deadline to read the remaining output, and its end of stream is reported as a
        // hang-up.
        return delivery.pauseReading(slot)
      }
    }
  }

  private static let smallPieceBytes = 4 * 1_024

  /// Appends the received bytes [from, end) of the scratch to the unfinished frame before them, if
  /// it stays unfinished.
  ///
  /// False when the bytes have to be parsed. So a frame that arrives in many pieces is copied once,
  /// and not once for each piece. Its header was checked when it arrived. Of large pieces a frame
  /// has few, so they are copied with the bytes before them, which then have no spare capacity.
  private func extendPartial(_ slot: UInt32, from: Int, to end: Int) -> Bool {
    guard from > 0, end - from < Shard.smallPieceBytes, table[slot].state == .session,
      isBidirectional(slot)
    else { return false }
    // guard: frame-pieces-copied-once
    guard let header = headerOfPartial(at: slot), end - header.byteCount < header.payloadLength
    else { return false }
    // Room for exactly this frame: doubling could take twice as much.
    table[slot].partial.reserveCapacity(header.byteCount + header.payloadLength)
    scratch.append(from: from, to: end, into: &table[slot].partial)
    return true
  }

  /// The header of the unfinished frame at `slot`; nil while it is incomplete.
  ///
  /// A function of its own, so that no second reference to the bytes is left when they grow.
  private func headerOfPartial(at slot: UInt32) -> FrameHeader? {
    let partial = table[slot].partial
    do throws(ProtocolViolation) {
      return try FrameHeader.parse(partial.span)
    } catch {
      return nil
    }
  }

  /// The most bytes to receive in one call: more for a body than for a head.
  private func readLimit(_ slot: UInt32) -> Int {
    if let exchange = table[slot].activity.exchange, exchange.head != nil {
      return 4 * Shard.readBytes
    }
    return Shard.readBytes
  }

  /// Parses the connection's bytes, the first `byteCount` of the scratch, and keeps the rest.
  func process(_ slot: UInt32, byteCount: Int) {
    var consumed = 0
    var state = ConnectionState.free
    // A connection may change its protocol in the middle of the received bytes.
    while consumed < byteCount {
      state = table[slot].state
      switch state {
      case .http: consumed = processHTTP(slot, from: consumed, to: byteCount)
      case .session where isBidirectional(slot):
        consumed = processFrames(slot, from: consumed, to: byteCount)
      // The client of an event stream has nothing more to send.
      case .session: consumed = byteCount
      case .closing, .lingering, .free, .ended: consumed = byteCount
      }
      // guard: frame-after-upgrade-request
      if table[slot].state == state { break }
    }
    if consumed < byteCount, table[slot].state == .http || table[slot].state == .session {
      // guard: partial-message-kept
      table[slot].partial = scratch.array(from: consumed, to: byteCount)
    } else if !table[slot].partial.isEmpty {
      table[slot].partial = []
    }
  }

  /// Whether the session at `slot` is a WebSocket and so receives messages, too.
  private func isBidirectional(_ slot: UInt32) -> Bool {
    encoder(of: slot).dialect.framing == .webSocket
  }

  /// Handles the peer's end of stream.
  ///
  /// An HTTP client may end its side and still expects its whole response. A WebSocket that does so
  /// without a close frame is over.
  private func ended(_ slot: UInt32) {
    let hasPendingResponse =
      table[slot].flags.contains(.awaitsAnswer)
      || !delivery[slot].flags.isDisjoint(with: [.queued, .blocked])
    switch table[slot].state {
    case .http where hasPendingResponse, .closing where hasPendingResponse:
      if table[slot].state == .http { endsAfterAnswer(slot) }
      delivery.inputEnded(slot)
    case .session where isBidirectional(slot):
      // guard: half-close-ends-session
      drop(slot, counting: .resets)
    // This is how the client of an event stream leaves.
    case .session:
      drop(slot)
    case .http, .closing, .lingering, .free, .ended:
      drop(slot)
    }
  }

  /// Schedules a paused HTTP connection for reading, if nothing else prevents it.
  ///
  /// Reading resumes later in the turn: this runs during a flush or a delivery, and a request may
  /// publish.
  func resumeWhenFlushed(_ slot: UInt32) {
    guard table[slot].state == .http, delivery[slot].flags.contains(.readPaused),
      !table[slot].flags.contains(.awaitsAnswer)
    else { return }
    resumable.append(table.id(of: slot))
  }

  /// Handles requests that were received while an earlier one was being answered.
  func resumeReading() {
    guard !resumable.isEmpty else { return }
    let waiting = resumable
    resumable.removeAll(keepingCapacity: true)
    for id in waiting where table.holds(id) {
      let slot = id.slot
      // Frames received after the `upgrade` packet with which a WebSocket took over its session.
      if table[slot].state == .session, !table[slot].partial.isEmpty {
        let kept = table[slot].partial
        scratch.copy(kept, at: 0)
        process(slot, byteCount: kept.count)
        continue
      }
      guard table[slot].state == .http, !table[slot].flags.contains(.awaitsAnswer) else {
        continue
      }
      delivery.resumeReading(slot)
      guard !table[slot].partial.isEmpty else { continue }
      let kept = table[slot].partial
      scratch.copy(kept, at: 0)
      process(slot, byteCount: kept.count)
    }
  }
}
