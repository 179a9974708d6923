// Input: bytes are received into the shard's scratch and parsed in place. Only the unfinished tail
// of a message is copied to its connection.

internal import Delivery
internal import Glibc
internal import Reactor
internal import Wire

/// Receives bytes, and has them parsed.
///
/// Its verbs take the parser: a function of a slot and the number of bytes of it that lie at the
/// start of the scratch buffer. A parser that consumes less than all of them returns where the
/// unfinished request or frame begins.
///
/// Invariant: between two calls the scratch buffer holds nothing that is still needed. A connection
/// keeps received bytes only while something parses them, and no more than the buffer holds.
final class Receiver: ShardComponent {
  typealias Parser = (_ slot: UInt32, _ byteCount: Int) -> Void

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
  /// Bytes of the receive buffer besides the longest message of Engine.IO.
  static let scratchBytes = 128 * 1_024
  private static let smallPieceBytes = 4 * 1_024

  let context: ShardContext
  private let connections: Connections
  /// The buffer into which bytes are received, and in which they are parsed.
  let scratch: ScratchBuffer
  /// Bytes and frames received in this turn.
  private var bytesInTurn = 0
  private var framesBefore = 0

  init(_ context: ShardContext, _ connections: Connections) {
    self.context = context
    self.connections = connections
    // An unfinished message stays at the start of the buffer, before the next bytes received.
    let paths = context.core.configuration.engines
    let longest = paths.reduce(0) { max($0, $1.settings.messageBytesLimit) }
    scratch = ScratchBuffer(byteCount: Receiver.scratchBytes + longest)
  }

  /// Traps in a debug build when bytes are kept that nothing will parse, or too many.
  func checkInvariants() {
    table.forEachSlot { slot in
      let keptCount = table[slot].partial.count
      assert(
        keptCount == 0 || table[slot].state == .http || table[slot].state == .session,
        "\(slot) keeps bytes and is \(table[slot].state)")
      assert(keptCount <= scratch.count, "\(slot) keeps \(keptCount) bytes")
    }
  }

  /// Begins to count what a turn receives.
  func beginTurn() {
    bytesInTurn = 0
    framesBefore = metrics.value(.framesReceived)
  }

  /// Whether this turn has received as much as one connection may send in it.
  var isFlooded: Bool {
    bytesInTurn >= Receiver.readBytesPerTurn
      || metrics.value(.framesReceived) - framesBefore >= Receiver.framesPerTurn
  }

  /// Reads what the peer of the connection at `slot` has sent.
  ///
  /// - Returns: whether the peer has ended its side.
  func receive(at slot: UInt32, _ parse: Parser) -> Bool {
    let frames = metrics.value(.framesReceived)
    var total = 0
    // guard: frames-per-turn
    while total < Receiver.readBytesPerTurn,
      metrics.value(.framesReceived) - frames < Receiver.framesPerTurn
    {
      let kept = table[slot].partial.count
      let limit = min(readLimit(slot), scratch.count - kept)
      guard limit > 0 else { return false }
      let count = kernel.receive(delivery[slot].fd, into: scratch, at: kept, limit: limit)
      if count == 0 { return true }
      guard count > 0 else {
        if count != -Int(EAGAIN) { connections.drop(slot, counting: .resets) }
        return false
      }
      total += count
      bytesInTurn += count
      metrics.add(.bytesReceived, count)
      table[slot].lastReceivedAt = now
      if !extendPartial(slot, from: kept, to: kept + count) {
        if kept > 0 { scratch.copy(table[slot].partial, at: 0) }
        parse(slot, kept + count)
      }
      if table[slot].state == .ended || delivery[slot].flags.contains(.readPaused) { return false }
      // A short read has emptied the socket; another call would only return EAGAIN.
      if count < limit { return false }
      // guard: no-reads-after-refusal
      if table[slot].state == .closing || table[slot].state == .lingering {
        // A connection that is ending is not read further, even if its peer floods it. The peer has
        // until the deadline to read the remaining output, and its end of stream is reported as a
        // hang-up.
        delivery.pauseReading(slot)
        return false
      }
    }
    return false
  }

  /// Has the bytes parsed that were received while an earlier request was being answered.
  func resume(_ parse: Parser) {
    guard connections.hasResumable else { return }
    for id in connections.takeResumable() where table.holds(id) {
      let slot = id.slot
      if table[slot].state == .http {
        guard !table[slot].flags.contains(.awaitsAnswer) else { continue }
        delivery.resumeReading(slot)
        // Its bytes came earlier, and are used now: it does not idle.
        if !table[slot].partial.isEmpty { table[slot].lastReceivedAt = now }
      } else if table[slot].state != .session {
        // A session's are the frames after the `upgrade` packet with which it took over a socket.
        continue
      }
      let kept = table[slot].partial
      guard !kept.isEmpty else { continue }
      scratch.copy(kept, at: 0)
      parse(slot, kept.count)
    }
  }

  /// Keeps the unconsumed bytes [from, end) of the scratch for the connection at `slot`.
  func keep(from: Int, to end: Int, at slot: UInt32) {
    if from < end, table[slot].state == .http || table[slot].state == .session {
      // guard: partial-message-kept
      table[slot].partial = scratch.array(from: from, to: end)
    } else if !table[slot].partial.isEmpty {
      table[slot].partial = []
    }
  }

  /// Whether the session at `slot` is a WebSocket and so receives messages, too.
  func isBidirectional(_ slot: UInt32) -> Bool {
    encoder(of: slot).framing == .webSocket
  }

  /// Appends the received bytes [from, end) of the scratch to the unfinished frame before them, if
  /// it stays unfinished.
  ///
  /// False when the bytes have to be parsed. So a frame that arrives in many pieces is copied once,
  /// and not once for each piece. Its header was checked when it arrived. Of large pieces a frame
  /// has few, so they are copied with the bytes before them, which then have no spare capacity.
  private func extendPartial(_ slot: UInt32, from: Int, to end: Int) -> Bool {
    guard from > 0, end - from < Receiver.smallPieceBytes, table[slot].state == .session,
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
      return 4 * Receiver.readBytes
    }
    return Receiver.readBytes
  }
}
