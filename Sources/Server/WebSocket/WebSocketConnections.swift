// Input of WebSocket clients: assembles frames into messages, answers control frames, and closes on
// a violation with the code of RFC 6455.

internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

/// The WebSockets of a shard: their input, from frames to messages.
///
/// Invariant: an unfinished message is kept only at a WebSocket that is a session. The header of a
/// frame is checked before its payload has arrived, and each payload before the next frame is read.
final class WebSocketConnections: ShardComponent {
  let context: ShardContext
  private let connections: Connections
  private let receiver: Receiver
  private let life: SessionLife
  private let sessions: Sessions
  private let engine: EngineSessions
  private let socketIO: SocketIOSessions

  init(
    _ context: ShardContext, _ connections: Connections, _ receiver: Receiver,
    _ life: SessionLife, _ sessions: Sessions, _ engine: EngineSessions,
    _ socketIO: SocketIOSessions
  ) {
    self.context = context
    self.connections = connections
    self.receiver = receiver
    self.life = life
    self.sessions = sessions
    self.engine = engine
    self.socketIO = socketIO
  }

  /// Traps in a debug build when a connection that is no WebSocket keeps an unfinished message.
  func checkInvariants() {
    table.forEachSlot { slot in
      guard table[slot].activity.assembly != nil else { return }
      assert(
        table[slot].state == .session && receiver.isBidirectional(slot),
        "a message for \(slot), which is no WebSocket")
    }
  }

  // MARK: Frames

  /// Handles the whole frames in [from, end) of the scratch buffer.
  ///
  /// Returns the start of the unfinished frame, or `end` if there is none.
  func process(_ slot: UInt32, from: Int, to end: Int) -> Int {
    var offset = from
    do throws(ProtocolViolation) {
      while offset < end {
        let begin = offset
        let header = try receiver.scratch.withSpan(from: begin, to: end) {
          (bytes) throws(ProtocolViolation) in
          try FrameHeader.parse(bytes)
        }
        guard let header else { return begin }
        let payload = begin + header.byteCount
        // Check the frame's order and size from its header, before waiting for its payload.
        let isWhole = end - payload >= header.payloadLength
        guard isWhole else {
          // guard: claim-checked-before-payload
          try checkUnfinished(header, at: slot)
          return begin
        }
        offset = payload + header.payloadLength
        try handle(header, payload: payload, to: offset, at: slot)
        guard table[slot].state == .session else {
          passOnUnreadBytes(from: offset, to: end)
          return end
        }
      }
    } catch {
      metrics.add(.protocolViolations)
      life.close(slot, code: error.closeCode, reason: reason(of: error, at: slot))
      return end
    }
    return offset
  }

  /// The violation's reason, with the bound of the limit that was exceeded.
  private func reason(of violation: ProtocolViolation, at slot: UInt32) -> String {
    switch violation {
    case .messageTooBig:
      // The limit of Engine.IO's messages is that of a frame less the byte of its kind.
      let limit = engineMessageLimit(at: slot).map { $0 - 1 } ?? limits.messageBytesLimit
      return "message over \(limit) bytes"
    case .tooManyFragments: return "message of over \(limits.fragmentCountLimit) fragments"
    default: return violation.reason
    }
  }

  /// The checker of the next frame, for the current message or for one that begins with `header`.
  ///
  /// Only a text message can be an `auth` message, which may be longer than others. A message loses
  /// the larger limit once its received bytes can no longer begin an `auth` message.
  private func sequence(
    of assembly: MessageAssembly?, _ header: FrameHeader, at slot: UInt32
  ) -> FrameSequence {
    if let limit = engineMessageLimit(at: slot) {
      return assembly?.sequence
        ?? FrameSequence(messageBytesLimit: limit, fragmentCountLimit: limits.fragmentCountLimit)
    }
    let longest = max(limits.messageBytesLimit, limits.authMessageBytesLimit)
    guard let assembly else {
      return FrameSequence(
        messageBytesLimit: header.opcode.isBinary ? limits.messageBytesLimit : longest,
        fragmentCountLimit: limits.fragmentCountLimit)
    }
    var sequence = assembly.sequence
    if !assembly.canBeAuth {
      sequence.messageBytesLimit = limits.messageBytesLimit
    }
    return sequence
  }

  /// Passes the unread bytes [from, end) of the scratch buffer on to the upgrade successor.
  private func passOnUnreadBytes(from: Int, to end: Int) {
    guard let successor = engine.takeUpgradeSuccessor() else { return }
    guard from < end, table.holds(successor) else { return }
    connections.resume(successor.slot, with: receiver.scratch.array(from: from, to: end))
  }

  /// Limit of a message to an Engine.IO session, in bytes; nil for other connections.
  private func engineMessageLimit(at slot: UInt32) -> Int? {
    // Most WebSockets belong to neither.
    guard !table[slot].engineLink.isNone || table[slot].activity.isProbe else { return nil }
    return engine.messageLimit(at: slot)
  }

  /// Checks the header of a frame with an incomplete payload, without consuming the frame.
  private func checkUnfinished(_ header: FrameHeader, at slot: UInt32) throws(ProtocolViolation) {
    var sequence = sequence(of: table[slot].activity.assembly, header, at: slot)
    _ = try sequence.accept(header)
  }

  private func handle(
    _ header: FrameHeader, payload: Int, to end: Int, at slot: UInt32
  ) throws(ProtocolViolation) {
    metrics.add(.framesReceived)
    let assembly = table[slot].activity.assembly
    var sequence = sequence(of: assembly, header, at: slot)
    let role = try sequence.accept(header)
    receiver.scratch.unmask(from: payload, to: end, key: header.maskingKey)
    switch role {
    case .control(let opcode):
      // guard: control-frame-rate
      guard opcode.isClose || life.takeMessage(at: slot) else { return }
      try handleControl(opcode, receiver.scratch.array(from: payload, to: end), at: slot)
    case .data(let isText, true, true):
      // Most messages are one frame, and need no assembly.
      var utf8 = UTF8Validation()
      try check(&utf8, isText: isText, payload: payload, to: end, endsMessage: true)
      let bytes = receiver.scratch.array(from: payload, to: end)
      try received(ClientMessage(isText: isText, bytes: bytes), at: slot)
    case .data(let isText, let startsMessage, let endsMessage):
      let current = assembly ?? MessageAssembly(sequence: sequence)
      current.sequence = sequence
      if startsMessage { current.isText = isText }
      try append(payload: payload, to: end, endsMessage: endsMessage, to: current, at: slot)
      if endsMessage {
        table[slot].activity.assembly = nil
        try received(ClientMessage(isText: current.isText, bytes: current.bytes), at: slot)
      } else if assembly == nil {
        table[slot].activity.assembly = current
      }
    }
  }

  private func append(
    payload: Int, to end: Int, endsMessage: Bool, to message: MessageAssembly, at slot: UInt32
  ) throws(ProtocolViolation) {
    try check(
      &message.utf8, isText: message.isText, payload: payload, to: end, endsMessage: endsMessage)
    receiver.scratch.append(from: payload, to: end, into: &message.bytes)
    // Reject a message over the limit at once, unless it can still become an `auth` message.
    if !endsMessage, engineMessageLimit(at: slot) == nil,
      message.bytes.count > limits.messageBytesLimit,
      !message.canBeAuth
    {
      throw .messageTooBig
    }
  }

  /// Checks that the payload of a text message goes on and ends as UTF-8; others have no encoding.
  private func check(
    _ utf8: inout UTF8Validation, isText: Bool, payload: Int, to end: Int, endsMessage: Bool
  ) throws(ProtocolViolation) {
    guard isText else { return }
    let isValid = receiver.scratch.feed(&utf8, from: payload, to: end)
    // guard: text-checked-per-frame
    // guard: text-ends-with-whole-character
    guard isValid, !endsMessage || utf8.isComplete else {
      throw ProtocolViolation(closeCode: 1007, reason: "text is not valid UTF-8")
    }
  }

  // MARK: Messages

  private func received(
    _ message: ClientMessage, at slot: UInt32
  ) throws(ProtocolViolation) {
    // guard: message-rate
    guard life.takeMessage(isText: message.isText, at: slot) else { return }
    if table[slot].activity.isProbe, let probe = table[slot].activity.probe {
      return engine.continueProbe(probe, message, at: slot)
    }
    if !table[slot].engineLink.isNone, let session = table[slot].engineLink.session {
      return try socketIO.receive(message, for: session)
    }
    let text = message.isText ? InboundMessage(message.bytes) : nil
    if let token = text?.token { return sessions.take(token: token, at: slot) }
    // guard: message-limit-is-configured
    guard message.bytes.count <= limits.messageBytesLimit else {
      throw .messageTooBig
    }
    let encoder = encoder(of: slot)
    if table[slot].activity.awaitsToken {
      return life.close(
        slot, code: encoder.dialect.expiryCloseCode, reason: "the first message must be auth")
    }
    // Binary messages have no meaning in any dialect; they are read and ignored.
    if let text, let request = encoder.dialect.request(in: text) {
      sessions.take(request, at: slot)
    }
  }

  private func handleControl(
    _ opcode: WebSocketOpcode, _ payload: [UInt8], at slot: UInt32
  ) throws(ProtocolViolation) {
    switch opcode {
    case .ping:
      // A client that sends pings and does not read must not build up a queue of pongs.
      // guard: no-pongs-to-blocked-client
      guard !delivery[slot].flags.contains(.blocked) else { return metrics.add(.droppedPongs) }
      var pong: [UInt8] = []
      WebSocketFrame.append(.pong, payload: payload, into: &pong)
      delivery.send(pong, to: slot)
    case .close:
      let close = try WebSocketFrame.parseClose(payload)
      let code = close.code ?? 1000
      let logged = "closed by the client with \(code)"
      if engine.endClosed(code, because: logged, at: slot) { return }
      life.close(slot, code: code, reason: "", logged: logged)
    case .pong, .continuation, .text, .binary:
      break
    }
  }
}
