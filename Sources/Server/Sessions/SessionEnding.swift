// The heartbeat of a session, and its end.

internal import Delivery
internal import Notifications
internal import Wire

extension Shard {
  /// Handles the expired deadlines of a session.
  func sessionTimerFired(_ slot: UInt32) {
    if let session = table[slot].engine { return engineTimerFired(session, slot) }
    let dialect = encoder(of: slot).dialect
    // guard: probe-timeout
    if table[slot].activity.probe != nil, now >= table[slot].deadline {
      metrics.add(.timedOut)
      return close(slot, code: 1000, reason: "no upgrade in time")
    }
    if table[slot].activity.awaitsToken, now >= table[slot].deadline {
      metrics.add(.timedOut)
      return close(slot, code: dialect.expiryCloseCode, reason: "no token in time")
    }
    if let end = connections.tokenEndTime(of: slot), end <= now {
      metrics.add(.tokensExpired)
      return close(slot, code: dialect.expiryCloseCode, reason: "token expired")
    }
    let silence = now - min(now, table[slot].lastReceivedAt)
    // A blocked connection is not pinged; its send progress is watched instead, more closely.
    if silence >= dialect.heartbeat.silenceLimitMilliseconds,
      !delivery[slot].flags.contains(.blocked)
    {
      metrics.add(.timedOut)
      return close(slot, code: 1001, reason: "no answer to ping")
    }
    if now >= table[slot].deadline {
      table[slot].deadline = clock.next(
        after: table[slot].deadline, every: pingIntervalMilliseconds(slot, dialect))
      // A ping to a blocked connection would only wait in its queue.
      if !delivery[slot].flags.contains(.blocked) { ping(slot, dialect) }
    }
  }

  /// The time to the next ping of the session at `slot`.
  ///
  /// A client with visible heartbeats gets each with a protocol ping. In an event stream every
  /// other ping is a comment, so that proxies see bytes at least every 15 s.
  func pingIntervalMilliseconds(_ slot: UInt32, _ dialect: any Dialect) -> UInt64 {
    guard table[slot].flags.contains(.visibleHeartbeats) else {
      return dialect.heartbeat.pingIntervalMilliseconds
    }
    let interval = Heartbeat.visibleIntervalMilliseconds
    return dialect.framing == .webSocket ? interval : interval / 2
  }

  private func ping(_ slot: UInt32, _ dialect: any Dialect) {
    let isVisible = table[slot].flags.contains(.visibleHeartbeats)
    if isVisible, dialect.framing != .webSocket {
      table[slot].flags.formSymmetricDifference(.pinged)
      if !table[slot].flags.contains(.pinged) {
        return write(to: slot) { dialect.writeHeartbeat(time: wall, to: &$0) }
      }
    }
    guard dialect.heartbeat.isByMessage else {
      var ping: [UInt8] = []
      dialect.framing.writeHeartbeat(into: &ping)
      delivery.send(ping, to: slot)
      guard isVisible, dialect.framing == .webSocket else { return }
      return write(to: slot) { dialect.writeHeartbeat(time: wall, to: &$0) }
    }
    if table[slot].flags.contains(.pinged), !clock.isInStallGrace {
      metrics.add(.timedOut)
      return close(slot, code: 1001, reason: "no answer to ping")
    }
    table[slot].flags.insert(.pinged)
    write(to: slot) { dialect.writePing(to: &$0) }
  }

  // MARK: Ending

  /// Ends the session after its queued frames, with a close frame if it is a WebSocket.
  ///
  /// `logged` replaces `reason` in the log where the reason is not this server's own text.
  func close(_ slot: UInt32, code: UInt16, reason: String, logged: String? = nil) {
    guard let session = table[slot].engine else {
      return closeFramed(slot, code: code, reason: reason, logged: logged)
    }
    // A Socket.IO client reconnects by itself after its connection has ended, but not after its
    // namespace was disconnected.
    if code == 1008, disconnectNamespace(at: slot) { return }
    endEngine(session, because: logged ?? reason, code: code)
  }

  /// Does the same for a session that has no Engine.IO session to end first.
  func closeFramed(_ slot: UInt32, code: UInt16, reason: String, logged: String? = nil) {
    guard table[slot].state == .session else { return }
    delivery.takePrivately(slot)
    leaveSession(slot, because: logged ?? "closed with \(code), \(reason)")
    var frame: [UInt8] = []
    encoder(of: slot).dialect.framing.writeClose(
      code: code, reason: reason, into: &frame)
    delivery.write(at: slot, reserving: frame.count) { $0.append(contentsOf: frame) }
    delivery.endSession(slot)
    table[slot].state = .closing
    connections.closeWhenSent(slot)
  }

  /// Removes the user's session at `slot` from its rooms, the directory and its fan-out group.
  func leaveFanOut(_ slot: UInt32, because reason: @autoclosure () -> String) {
    connectionLog.ended(at: slot, because: reason())
    rooms.leaveAll(slot)
    users.unlist(slot)
    delivery.leave(slot)
    setActivity(.idle, at: slot)
  }
}
