// The lifecycle of a connection: accepted, watched by one timer, closed or dropped.

internal import Broadcast
internal import Delivery
internal import Glibc
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// Accepts pending connections from one listener, at most `acceptLimit` of them.
  func acceptWaiting(at index: Int) {
    for _ in 0..<Shard.acceptLimit {
      var peer = PeerAddress()
      guard index < acceptors.count else { return }
      let fd = acceptors[index].accept(now: now, peer: &peer)
      guard fd >= 0 else {
        let pauses = acceptors.reduce(0) { $0 + $1.pauses }
        metrics.add(.acceptPauses, Int(pauses) - metrics.value(.acceptPauses))
        return
      }
      admit(fd, from: peer)
    }
  }

  private func admit(_ fd: Int32, from peer: PeerAddress) {
    let limits = core.configuration.limits
    guard let slot = table.insert(fd: fd, limit: limits.connectionsPerShardLimit) else {
      metrics.add(.refusedConnections)
      return kernel.abort(fd)
    }
    // The slot is set up before the quotas count it, so that ending it returns its share of them.
    table[slot].state = .http
    table[slot].peer = peer
    table[slot].lastReceivedAt = now
    // guard: head-timeout
    table[slot].deadline = now + limits.headTimeoutMilliseconds
    do throws(SystemError) {
      try delivery.watch(slot)
    } catch {
      metrics.add(.refusedConnections)
      return drop(slot)
    }
    do throws(AdmissionRefusal) {
      try admit(slot)
    } catch {
      return reject(slot, error)
    }
    metrics.add(.accepted)
    scheduleTimer(slot)
  }

  // MARK: Timers

  /// Sets the connection's one timer so that each of its deadlines is handled in time.
  func scheduleTimer(_ slot: UInt32) {
    let window = timerWindow(of: slot)
    if window.earliest == .max {
      wheel.cancel(slot)
    } else if !wheel.schedule(slot, in: window) {
      delivery.fail(slot)
    }
  }

  /// The window of the connection's deadlines.
  private func timerWindow(of slot: UInt32) -> TimerWindow {
    let limits = core.configuration.limits
    var window = TimerWindow()
    if let session = table[slot].engine {
      window.add(engineDeadline(session, slot))
    } else {
      window.add(table[slot].deadline, slack: slackOfDeadline(of: slot))
    }
    // A polling session counts as blocked between two polls; pings detect a lost client instead.
    if delivery[slot].flags.contains(.blocked), !delivery[slot].flags.contains(.polling) {
      window.add(
        delivery[slot].progressAt + limits.progressTimeoutMilliseconds,
        slack: TimerWindow.sharedSlack)
    }
    if table[slot].state == .session {
      let heartbeat = encoder(of: slot).dialect.heartbeat
      if !delivery[slot].flags.contains(.blocked), table[slot].engine == nil {
        window.add(
          table[slot].lastReceivedAt + heartbeat.silenceLimitMilliseconds,
          slack: TimerWindow.sharedSlack)
      }
      if let tokenEnd = tokenEndTime(slot) { window.add(tokenEnd) }
    }
    return window
  }

  /// The slack of `deadline` for a connection without an Engine.IO session.
  ///
  /// A client can measure when its poll, its upgrade or its time for a token ends. Heartbeats and
  /// the timeouts that only free what a lost client holds need not be exact.
  private func slackOfDeadline(of slot: UInt32) -> UInt64 {
    let isExact: Bool
    switch table[slot].state {
    case .http:
      isExact =
        table[slot].flags.contains(.awaitsAnswer) && table[slot].activity.exchange?.poll != nil
    case .session:
      isExact = table[slot].activity.awaitsToken || table[slot].activity.probe != nil
    case .free, .closing, .lingering, .ended: isExact = false
    }
    return isExact ? 0 : TimerWindow.sharedSlack
  }

  /// When the session's token ends, in monotonic time; nil if it does not end.
  func tokenEndTime(_ slot: UInt32) -> UInt64? {
    clock.monotonicTime(ofSecond: table[slot].tokenEnd)
  }

  /// Reschedules the timers that depend on the wall clock, after it has jumped.
  ///
  /// Token ends are wall-clock times. The clock was set, or it advanced while the machine was
  /// suspended and the monotonic clock did not.
  func wallClockJumped() {
    table.forEachSlot { slot in
      if table[slot].state != .session {
        guard table[slot].activity.exchange?.poll != nil, let end = tokenEndTime(slot) else {
          return
        }
        table[slot].deadline = min(table[slot].deadline, end)
      }
      scheduleTimer(slot)
    }
  }

  /// Handles the connection's timer; the deadline that it was set for may have moved since.
  func timerFired(at slot: UInt32) {
    // guard: stall-grace-period
    if clock.isInStallGrace { extendExpiredDeadlines(of: slot) }
    let connection = table[slot]
    if delivery[slot].flags.contains(.blocked), !delivery[slot].flags.contains(.polling),
      delivery.hasStalled(slot)
    {
      return drop(slot, counting: .slowConsumers)
    }
    switch connection.state {
    case .free, .ended:
      return
    case .http:
      if now >= connection.deadline { return requestTimedOut(slot) }
    case .session:
      sessionTimerFired(slot)
    case .closing, .lingering:
      // guard: closing-deadline
      if now >= connection.deadline { return abandon(slot) }
    }
    scheduleTimer(slot)
  }

  /// Extends deadlines that expired while this thread was stalled, to the stall grace period's end.
  ///
  /// The peer may have sent or accepted bytes that this thread has not seen yet.
  private func extendExpiredDeadlines(of slot: UInt32) {
    let end = clock.stallGraceUntil
    let progress = core.configuration.limits.progressTimeoutMilliseconds
    delivery.extendProgress(of: slot, to: end - min(end, progress))
    if table[slot].state == .http {
      table[slot].deadline = max(table[slot].deadline, end)
    } else if table[slot].state == .session {
      let silence = encoder(of: slot).dialect.heartbeat.silenceLimitMilliseconds
      table[slot].lastReceivedAt = max(table[slot].lastReceivedAt, end - min(end, silence))
    }
  }

  /// Handles the expired deadlines of a session.
  private func sessionTimerFired(_ slot: UInt32) {
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
    if let end = tokenEndTime(slot), end <= now {
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
    closeWhenSent(slot)
  }

  /// Ends the connection after everything queued has been sent.
  func closeWhenSent(_ slot: UInt32) {
    guard table[slot].state != .ended else { return }
    let limits = core.configuration.limits
    let isBlocked = delivery[slot].flags.contains(.blocked)
    var deadline = now + limits.closeTimeoutMilliseconds * (isBlocked ? 5 : 1)
    if table[slot].state == .http {
      // An answer may be long: it ends when its reader takes nothing for too long.
      // guard: last-answer-has-time
      deadline = .max
      table[slot].state = .closing
    }
    releaseExchange(slot)
    setActivity(.idle, at: slot)
    table[slot].partial = []
    table[slot].deadline = deadline
    table[slot].flags.remove(.awaitsAnswer)
    table[slot].flags.insert(.closesWhenSent)
    delivery.resumeReading(slot)
    scheduleTimer(slot)
    delivery.markQueued(slot)
  }

  /// Continues the work that waited until everything queued was sent.
  func sentAll(_ slot: UInt32) {
    if table[slot].flags.contains(.closesWhenSent) {
      if delivery[slot].flags.contains(.peerEnded) { return drop(slot) }
      // Closing now, with unread bytes in our receive queue, would reset the connection, and the
      // reset would overtake the close frame.
      table[slot].flags.remove(.closesWhenSent)
      table[slot].state = .lingering
      table[slot].deadline = now + core.configuration.limits.closeTimeoutMilliseconds
      kernel.shutdownWrite(delivery[slot].fd)
      scheduleTimer(slot)
    } else if table[slot].activity.isReplay {
      continueReplay(slot)
    } else {
      resumeWhenFlushed(slot)
    }
    if table[slot].engine?.slot == slot { continueSecondaryNamespaces(of: slot) }
  }

  /// Drops a peer that has not ended its side in time.
  private func abandon(_ slot: UInt32) {
    if table[slot].state == .closing { metrics.add(.timedOut) }
    drop(slot)
  }

  /// Ends the connection at once and releases everything it held, except its slot.
  ///
  /// The descriptor is closed now, so the kernel may give its number to the next connection that
  /// this turn accepts. The slot forgets the descriptor, and stays taken until the turn's end.
  ///
  /// `reason` is the log's text for the end of an open session.
  func drop(
    _ slot: UInt32, counting counter: Counter? = nil, because reason: String? = nil
  ) {
    guard table.isOpen(slot) else { return }
    if let counter { metrics.add(counter) }
    leaveSession(slot, because: reason ?? Shard.ending(counter))
    releaseExchange(slot)
    leaveQuotas(slot)
    wheel.cancel(slot)
    delivery.release(slot)
    let poll = table[slot].engine.flatMap { $0.slot == slot ? $0.poll : nil }
    let fd = delivery[slot].fd
    // guard: freed-bytes-on-close
    heapTrim.noteFreed(Shard.connectionBytes + delivery[slot].privateByteCount, at: now)
    table.end(slot)
    // Closing removes it from epoll, since there is no duplicate of the descriptor.
    // guard: descriptor-closed
    if fd >= 0 { kernel.close(fd) }
    if let poll, table.holds(poll) {
      finish(poll.slot, .refusal(.unknownSession))
    }
  }

  /// Approximate heap bytes of a connection without buffers.
  private static let connectionBytes = 512
  /// Removes the session at `slot`, if there is one, from fan-out.
  private func leaveSession(_ slot: UInt32, because reason: @autoclosure () -> String) {
    guard table[slot].state == .session else { return }
    if let session = table[slot].engine { leaveEngine(session, slot) }
    if let probe = table[slot].activity.probe { leaveProbe(probe, slot) }
    leaveFanOut(slot, because: reason())
    metrics.add(.sessionsClosed)
  }

  /// Removes the user's session at `slot` from its rooms, the directory and its fan-out group.
  func leaveFanOut(_ slot: UInt32, because reason: @autoclosure () -> String) {
    logEnd(at: slot, because: reason())
    leaveRooms(slot)
    unlist(slot)
    delivery.leave(slot)
    setActivity(.idle, at: slot)
  }
}
