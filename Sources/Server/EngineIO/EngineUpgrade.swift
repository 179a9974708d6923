// The upgrade of a polled session to a WebSocket, without loss or duplicates. Protocol version 4,
// "Upgrade".
//
//     client                          server
//     WebSocket with the sid    →     101; the WebSocket becomes a probe
//     2probe                    →     ← 3probe; the waiting poll, and any later one, is answered
//     5                         →     the session's slot takes the socket; pending packets follow
//
// The client sends `5` once none of its requests is in flight. So the packets that polls carried
// have arrived before it, and all others are sent through the socket.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

extension EngineSessions {
  private static let probePayload = Array("2probe".utf8)

  /// Handles a WebSocket handshake that names a session.
  func beginProbe(
    _ head: HTTPRequestHead, of session: EngineSession, isPolling: Bool, at slot: UInt32
  ) throws(EngineIORefusal) {
    try becomeWebSocket(head, at: slot)
    life.begin(at: slot, in: fanOutGroups.first(of: .engine(path: session.path), .webSocket))
    guard isPolling, probe(of: session) == nil else {
      // As in the reference: a surplus WebSocket is closed, and the session goes on.
      return life.close(slot, code: 1000, reason: "the session has a WebSocket already")
    }
    let timeout = core.configuration.engines[session.path].settings.upgradeTimeoutMilliseconds
    setActivity(.probe(EngineProbe(id: session.id)), at: slot)
    table[slot].deadline = now + timeout
    session.probe = table.id(of: slot)
    connections.scheduleTimer(slot)
  }

  /// Handles a message of a WebSocket that is still a probe.
  func continueProbe(_ probe: EngineProbe, _ message: ClientMessage, at slot: UInt32) {
    guard message.isText, let session = session(probe.id),
      self.probe(of: session) === probe
    else { return life.close(slot, code: 1002, reason: "not a probe") }
    if !probe.isAnswered, message.bytes == EngineSessions.probePayload {
      probe.isAnswered = true
      delivery.markPollable(session.slot)
      write(to: slot) { frames in
        frames.text { packet in
          EngineIOPacket.append(.pong, into: &packet) { $0.appendText("probe") }
        }
      }
    } else if probe.isAnswered, message.bytes == [EngineIOPacketType.upgrade.byte] {
      takeOver(session, from: slot)
    } else {
      life.close(slot, code: 1002, reason: "not a probe")
    }
  }

  /// Moves the socket of the connection at `other` to the session's slot.
  private func takeOver(_ session: EngineSession, from other: UInt32) {
    let slot = session.slot
    session.probe = nil
    setActivity(.idle, at: other)
    // A client that sends `5` has no poll in flight, or no longer reads it.
    if let poll = session.poll, table.holds(poll) {
      session.poll = nil
      http.finish(.payload([EngineIOPacketType.noop.byte]), at: poll.slot)
    }
    // The pong that answers the probe may still be queued.
    delivery.flush(other)
    guard delivery[other].flags.isDisjoint(with: .givenUp) else { return }
    gatherPending(of: session)
    guard !delivery[other].flags.contains(.blocked) else {
      return end(session, because: "the WebSocket did not take its first bytes")
    }
    // guard: pending-packets-upgrade
    delivery.replacePrivateBytes(
      EngineIOPayload.webSocketFrames(of: Array(delivery[slot].unsentPrivateBytes)), at: slot)
    for each in slots(of: session) { setFraming(of: each, session, isPolling: false) }
    table[slot].lastReceivedAt = now
    do throws(SystemError) {
      try delivery.moveSocket(from: other, to: slot)
      connections.drop(other, because: "its socket moved to the polled session")
    } catch {
      connections.drop(other)
      return connections.drop(slot, counting: .resets)
    }
    setUpgradeSuccessor(table.id(of: slot))
    metrics.add(.engineUpgrades)
    delivery.markQueued(slot)
    connections.scheduleTimer(slot)
    for each in slots(of: session) where each != slot { delivery.markQueued(each) }
  }

  /// Copies everything pending in the session's slots to the private send buffer of its own slot.
  private func gatherPending(of session: EngineSession) {
    for each in slots(of: session) where each != session.slot { flushWithoutSocket(each) }
    delivery.takePrivately(session.slot)
  }

  /// The session's own slot and those of its further namespaces.
  private func slots(of session: EngineSession) -> [UInt32] {
    [session.slot] + session.furtherSlots
  }

  /// Moves `slot` to the group with the same dialect in the other framing.
  private func setFraming(of slot: UInt32, _ session: EngineSession, isPolling: Bool) {
    let group = fanOutGroups.id(like: delivery[slot].group, .engineIO(isPolling: isPolling))
    rooms.move(slot, to: group)
    delivery.move(slot, to: group)
  }
}

extension EngineIOPayload {
  /// Converts the packets of a poll's body to WebSocket messages.
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
