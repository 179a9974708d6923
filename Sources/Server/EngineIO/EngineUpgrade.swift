// A WebSocket takes a polled session over, and nothing is lost or doubled. Protocol version 4,
// "Upgrade".
//
//     client                          server
//     WebSocket with the sid    →     a probe: 101
//     2probe                    →     ← 3probe; the waiting poll, and any that comes, is answered
//     5                         →     the session's place gets the socket; what is queued follows
//
// The client says `5` when no request of it is under way any more, so what was handed to polls
// arrived before it, and all else is sent through the socket.

internal import Broadcast
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  private static let probePayload = Array("2probe".utf8)

  /// Takes a WebSocket that names a session.
  func beginProbe(
    _ head: HTTPRequestHead, of session: EngineSession, isPolling: Bool, at slot: UInt32
  ) throws(EngineIORefusal) {
    guard try becomeWebSocket(head, at: slot) else { return }
    beginSession(at: slot, in: fanOutGroups.id(ofPath: session.path, isPolling: false))
    guard isPolling, session.probe == nil else {
      // As the reference does: a WebSocket too many is closed, and the session goes on.
      return close(slot, code: 1000, reason: "the session has a WebSocket already")
    }
    let timeout = core.configuration.engines[session.path].settings.upgradeTimeoutMilliseconds
    table[slot].task = EngineProbe(id: session.id)
    table[slot].deadline = now + timeout
    session.probe = table.id(of: slot)
    scheduleTimer(slot)
  }

  /// Takes a message of a WebSocket that is to take a session over.
  func continueProbe(_ probe: EngineProbe, _ message: MessageAssembly, at slot: UInt32) {
    guard message.isText, let session = engineSession(probe.id),
      session.probe?.slot == slot
    else { return close(slot, code: 1002, reason: "not a probe") }
    if !session.isProbed, message.bytes == Shard.probePayload {
      session.isProbed = true
      table[session.slot].flags.insert(.queued)
      dirty.insert(session.slot)
      write(to: slot) { frames in
        frames.text { packet in
          EngineIOPacket.append(.pong, into: &packet) { $0.appendText("probe") }
        }
      }
    } else if session.isProbed, message.bytes == [EngineIOPacketType.upgrade.byte] {
      takeOver(session, from: slot)
    } else {
      close(slot, code: 1002, reason: "not a probe")
    }
  }

  /// The WebSocket that was to take a session over has ended: the session goes on as it was.
  func leaveProbe(_ probe: EngineProbe, _ slot: UInt32) {
    guard let session = engineSession(probe.id), session.probe?.slot == slot else { return }
    session.probe = nil
    session.isProbed = false
  }

  /// Gives the session's place the socket of the connection at `other`.
  private func takeOver(_ session: EngineSession, from other: UInt32) {
    let slot = session.slot
    session.probe = nil
    session.isProbed = false
    table[other].task = nil
    // Whoever says that it has gone over has no poll under way, or reads it no more.
    if let poll = session.poll, table.holds(poll) {
      session.poll = nil
      finish(poll.slot, .payload([EngineIOPacketType.noop.byte]))
    }
    // The pong that proved it may not have been written yet.
    flush(other)
    guard table.contains(slot), table.contains(other), settleForTakeOver(session) else { return }
    guard !table[other].flags.contains(.blocked) else {
      return endEngine(session, because: "the WebSocket did not take its first bytes")
    }
    let pending = table[slot].privateBytes[table[slot].privateSentCount...]
    // guard: pending-packets-upgrade
    table[slot].privateBytes = EngineIOPayload.webSocketFrames(of: Array(pending))
    table[slot].privateSentCount = 0
    if table[slot].flags.contains(.blocked) { unblock(slot) }
    table[slot].flags.remove(.polling)
    for each in slots(of: session) { setFraming(of: each, session, isPolling: false) }
    let fd = table[other].fd
    table[other].fd = -1
    let id = table.id(of: slot)
    table[slot].fd = fd
    table[slot].interest = UInt8(Interest.readable.rawValue)
    table[slot].lastReceivedAt = now
    drop(other, because: "its session has its socket")
    do throws(SystemError) {
      try poller.modify(fd, .readable, slot: id.slot, generation: id.generation)
    } catch {
      return drop(slot, counting: .resets)
    }
    upgradeSuccessor = id
    metrics.add(.engineUpgrades)
    markQueued(slot)
    scheduleTimer(slot)
    for each in slots(of: session) where each != slot { markQueued(each) }
  }

  /// Makes everything that the session's places have waiting bytes of its own place.
  ///
  /// False when it has ended on the way.
  private func settleForTakeOver(_ session: EngineSession) -> Bool {
    for each in slots(of: session) where each != session.slot {
      if table.contains(each) { flushWithoutSocket(each) }
    }
    guard table.contains(session.slot), takeSharedTail(at: session.slot) else { return false }
    copyOutOutbox(at: session.slot)
    return table[session.slot].engine === session
  }

  /// The session's own place and those of its further namespaces.
  private func slots(of session: EngineSession) -> [UInt32] {
    let further = (session as? SocketIOSession)?.sockets.compactMap(\.slot) ?? []
    return [session.slot] + further.filter { $0 != session.slot }
  }

  /// Moves `slot` to the same words in another framing.
  private func setFraming(of slot: UInt32, _ session: EngineSession, isPolling: Bool) {
    let before = table[slot].group
    let after = fanOutGroups.id(matching: before, ofPath: session.path, isPolling: isPolling)
    for room in rooms(at: slot) {
      rooms[TextKey(room)]?.remove(slot, group: before)
      rooms[TextKey(room)]?.insert(slot, group: after)
    }
    if fanOutGroups[before].members.remove(slot) { fanOutGroups[after].members.insert(slot) }
    table[slot].group = after
    table[slot].groupCursor = fanOutGroups[after].log.end
  }
}

extension EngineIOPayload {
  /// The packets of a body that the server wrote, as messages of a WebSocket.
  static func webSocketFrames(of body: [UInt8]) -> [UInt8] {
    var frames: [UInt8] = []
    for packet in body.split(separator: separator) {
      if packet.first == UInt8(ascii: "b"), let data = Base64.decode(Array(packet.dropFirst()).span)
      {
        WebSocketFrame.append(.binary, payload: data, into: &frames)
      } else {
        WebSocketFrame.append(.text, payload: Array(packet), into: &frames)
      }
    }
    return frames
  }
}
