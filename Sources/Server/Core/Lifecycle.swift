// The life of a connection: accepted, watched by one timer, closed or dropped.

internal import Broadcast
internal import Glibc
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// Accepts what is waiting at one listener, up to the turn's share.
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
    guard let place = table.insert(fd: fd, limit: limits.connectionsPerShardLimit) else {
      metrics.add(.refusedConnections)
      return kernel.abort(fd)
    }
    // Before the quotas are asked, so that whatever happens to it gives back what it took of them.
    table[place].state = .http
    table[place].peer = peer
    table[place].heardAt = now
    // guard: head-timeout
    table[place].deadline = now + limits.headTimeoutMilliseconds
    table[place].interest = UInt8(Interest.readable.rawValue)
    do throws(SystemError) {
      try poller.add(fd, .readable, slot: place, generation: table[place].generation)
    } catch {
      metrics.add(.refusedConnections)
      return drop(place)
    }
    do throws(DoorRefusal) {
      try passDoor(place)
    } catch {
      return turnAway(place, error)
    }
    metrics.add(.accepted)
    scheduleTimer(place)
  }

  /// Watches for what this connection can use just now, if that is not what it is watched for.
  func updateInterest(_ place: UInt32) {
    var interest = Interest.none
    if table[place].flags.isDisjoint(with: [.readPaused, .peerEnded]) {
      interest.insert(.readable)
    }
    if table[place].flags.contains(.blocked) { interest.insert(.writable) }
    guard table[place].fd >= 0 else { return }
    guard UInt8(interest.rawValue) != table[place].interest else { return }
    table[place].interest = UInt8(interest.rawValue)
    let id = table.id(of: place)
    do throws(SystemError) {
      try poller.modify(table[place].fd, interest, slot: id.slot, generation: id.generation)
    } catch {
      // Out of kernel memory: a connection that cannot be watched cannot be kept.
      drop(place, counting: .resets)
    }
  }

  // MARK: Timers

  /// Sets the connection's one timer to the earliest of its deadlines.
  func scheduleTimer(_ place: UInt32) {
    let limits = core.configuration.limits
    var at = table[place].engine.map { engineDeadline($0, place) } ?? table[place].deadline
    // Whoever polls is behind between two polls; its pings watch it.
    if table[place].flags.contains(.blocked), !table[place].flags.contains(.polling) {
      at = min(at, table[place].progressAt + limits.progressTimeoutMilliseconds)
    }
    if table[place].state == .session {
      let heartbeat = fanOutGroups[table[place].group].dialect.heartbeat
      if !table[place].flags.contains(.blocked), table[place].engine == nil {
        at = min(at, table[place].heardAt + heartbeat.silenceLimitMilliseconds)
      }
      if let tokenEnd = tokenEndTime(place) { at = min(at, tokenEnd) }
    }
    if at == .max {
      wheel.cancel(place)
    } else if !wheel.schedule(place, at: at) {
      drop(place, counting: .resets)
    }
  }

  /// When the session's token ends, in monotonic time.
  func tokenEndTime(_ place: UInt32) -> UInt64? {
    let end = table[place].tokenEnd
    guard end != .max else { return nil }
    let (milliseconds, overflow) = end.multipliedReportingOverflow(by: 1_000)
    guard !overflow else { return nil }
    return milliseconds <= wall ? now : now + UInt64(milliseconds - wall)
  }

  /// Sets anew the timers of those whose token ends by the wall clock, which was set, or went on
  /// while the machine slept and the monotonic clock did not.
  func wallClockJumped() {
    table.forEachPlace { place in
      if table[place].state != .session {
        guard (table[place].task as? Exchange)?.poll != nil, let end = tokenEndTime(place) else {
          return
        }
        table[place].deadline = min(table[place].deadline, end)
      }
      scheduleTimer(place)
    }
  }

  /// The connection's timer is due: something of it is, or was before it was put off.
  func timerFired(at place: UInt32) {
    let limits = core.configuration.limits
    // guard: stall-grace-period
    if now < amnestyUntil { forgiveSilence(of: place) }
    let connection = table[place]
    if connection.flags.contains(.blocked), !connection.flags.contains(.polling),
      now >= connection.progressAt + limits.progressTimeoutMilliseconds
    {
      return drop(place, counting: .slowConsumers)
    }
    switch connection.state {
    case .free:
      return
    case .http:
      if now >= connection.deadline { return requestTimedOut(place) }
    case .session:
      if !sessionTimerFired(place) { return }
    case .closing, .lingering:
      // guard: closing-deadline
      if now >= connection.deadline { return abandon(place) }
    }
    scheduleTimer(place)
  }

  /// Puts off to the amnesty's end what was due while this thread was away: the peer may have said
  /// or taken something that waits behind this very turn.
  private func forgiveSilence(of place: UInt32) {
    let end = amnestyUntil
    let progress = core.configuration.limits.progressTimeoutMilliseconds
    table[place].progressAt = max(table[place].progressAt, end - min(end, progress))
    if table[place].state == .http {
      table[place].deadline = max(table[place].deadline, end)
    } else if table[place].state == .session {
      let silence = fanOutGroups[table[place].group].dialect.heartbeat.silenceLimitMilliseconds
      table[place].heardAt = max(table[place].heardAt, end - min(end, silence))
    }
  }

  /// False when the session has ended.
  private func sessionTimerFired(_ place: UInt32) -> Bool {
    if let session = table[place].engine { return engineTimerFired(session, place) }
    let dialect = fanOutGroups[table[place].group].dialect
    // guard: probe-timeout
    if table[place].task is EngineProbe, now >= table[place].deadline {
      metrics.add(.timedOut)
      close(place, code: 1000, reason: "no upgrade in time")
      return false
    }
    if table[place].flags.contains(.awaitsToken), now >= table[place].deadline {
      metrics.add(.timedOut)
      close(place, code: dialect.expiryCloseCode, reason: "no token in time")
      return false
    }
    if let end = tokenEndTime(place), end <= now {
      metrics.add(.tokensExpired)
      close(place, code: dialect.expiryCloseCode, reason: "token expired")
      return false
    }
    let silence = now - min(now, table[place].heardAt)
    // One that is behind is not pinged; that it takes bytes is watched instead, and more closely.
    if silence >= dialect.heartbeat.silenceLimitMilliseconds,
      !table[place].flags.contains(.blocked)
    {
      metrics.add(.timedOut)
      close(place, code: 1001, reason: "no answer to ping")
      return false
    }
    if now >= table[place].deadline {
      table[place].deadline = now + dialect.heartbeat.pingIntervalMilliseconds
      // A ping to a connection that is behind would only wait in the queue.
      if !table[place].flags.contains(.blocked) { ping(place, dialect) }
    }
    return table.contains(place) && table[place].state == .session
  }

  private func ping(_ place: UInt32, _ dialect: any Dialect) {
    guard dialect.heartbeat.isByMessage else {
      var ping: [UInt8] = []
      dialect.framing.writeHeartbeat(into: &ping)
      return send(ping, to: place)
    }
    if table[place].flags.contains(.pinged), now >= amnestyUntil {
      metrics.add(.timedOut)
      return close(place, code: 1001, reason: "no answer to ping")
    }
    table[place].flags.insert(.pinged)
    write(to: place) { dialect.writePing(to: &$0) }
  }

  // MARK: Ending

  /// Says goodbye, with a close frame if it is a WebSocket, behind what is queued, then ends the
  /// connection.
  ///
  /// `logged` is what the log says where the reason is not this server's own.
  func close(_ place: UInt32, code: UInt16, reason: String, logged: String? = nil) {
    guard let session = table[place].engine else {
      return closeFramed(place, code: code, reason: reason, logged: logged)
    }
    // A client of Socket.IO does not come back by itself when its namespace is ended, and does when
    // its connection is.
    if code == 1008, disconnectNamespace(at: place) { return }
    endEngine(session, because: logged ?? reason, code: code)
  }

  /// The same for a place that has its own way to end behind it.
  func closeFramed(_ place: UInt32, code: UInt16, reason: String, logged: String? = nil) {
    // guard: batch-end-closes-once
    guard table[place].state == .session, takeSharedTail(at: place) else { return }
    spillOutbox(at: place)
    leaveSession(place, because: logged ?? "closed with \(code), \(reason)")
    var frame: [UInt8] = []
    fanOutGroups[table[place].group].dialect.framing.writeClose(
      code: code, reason: reason, into: &frame)
    // Thousands may be cut off at once, each as far behind as it may be.
    table[place].owned.reserveCapacity(table[place].owned.count + frame.count)
    table[place].owned.append(contentsOf: frame)
    table[place].state = .closing
    closeWhenSent(place)
  }

  /// Ends the connection once everything queued has been sent.
  func closeWhenSent(_ place: UInt32) {
    let limits = core.configuration.limits
    let isBehind = table[place].flags.contains(.blocked)
    var patience = limits.closeTimeoutMilliseconds * (isBehind ? 5 : 1)
    if table[place].state == .http {
      // An answer may be long: it has the time that one on a kept connection has.
      patience = limits.idleTimeoutMilliseconds
      table[place].state = .closing
    }
    releaseExchange(place)
    table[place].task = nil
    table[place].partial = []
    table[place].deadline = now + patience
    table[place].flags.remove([.awaitsAnswer, .readPaused])
    table[place].flags.insert([.closesWhenSent, .queued])
    updateInterest(place)
    guard table.contains(place) else { return }
    scheduleTimer(place)
    if table.contains(place) { markQueued(place) }
  }

  /// Everything queued has been sent: what waited for that goes on.
  func sentAll(_ place: UInt32) {
    if table[place].flags.contains(.closesWhenSent) {
      if table[place].flags.contains(.peerEnded) { return drop(place) }
      // Not closed at once: with unread bytes in our receive queue that would reset the
      // connection, and the reset would overtake the close frame.
      table[place].flags.remove(.closesWhenSent)
      table[place].state = .lingering
      table[place].deadline = now + core.configuration.limits.closeTimeoutMilliseconds
      kernel.shutdownWrite(table[place].fd)
      scheduleTimer(place)
    } else if table[place].flags.contains(.replaying) {
      continueReplay(place)
    } else {
      resumeWhenFlushed(place)
    }
    if table.contains(place), table[place].engine?.place == place { continueGuests(of: place) }
  }

  /// A peer that does not end its side is not waited for.
  private func abandon(_ place: UInt32) {
    if table[place].state == .closing { metrics.add(.timedOut) }
    drop(place)
  }

  /// Ends the connection at once and gives back everything it had.
  ///
  /// `reason` is what the log says of a session that was open.
  func drop(
    _ place: UInt32, counting counter: Counter? = nil, because reason: String? = nil
  ) {
    guard table.contains(place) else { return }
    if let counter { metrics.add(counter) }
    leaveSession(place, because: reason ?? Shard.ending(counter))
    releaseExchange(place)
    if table[place].flags.contains(.blocked) { blockedCount -= 1 }
    countBlocked(0, at: place)
    leaveQuotas(place)
    wheel.cancel(place)
    dirty.remove(place)
    stopLeaning(place)
    let poll = table[place].engine.flatMap { $0.place == place ? $0.poll : nil }
    let fd = table[place].fd
    // guard: freed-bytes-on-close
    noteFreed(Shard.connectionBytes + table[place].owned.count)
    table.remove(place)
    // Closing takes it out of epoll: nobody else has the descriptor.
    // guard: descriptor-closed
    if fd >= 0 { kernel.close(fd) }
    if let poll, table.holds(poll) {
      finish(poll.slot, .refusal(.unknownSession))
    }
  }

  /// What a connection takes that owns nothing, about.
  private static let connectionBytes = 512
  /// What may stay in the heap of those that have left.
  private static let trimBytes = 512 * 1_024

  /// Has the heap given back soon when much of it is free: a herd that has left, or has caught up,
  /// should not be remembered in it.
  ///
  /// By bytes: a few of those that were far behind leave as much as a thousand that were not.
  func noteFreed(_ byteCount: Int) {
    freedSinceTrim += byteCount
    if freedSinceTrim >= Shard.trimBytes, trimAt == .max { trimAt = now + 5_000 }
  }

  /// Takes the session at `place`, if there is one, out of fan-out.
  private func leaveSession(_ place: UInt32, because reason: @autoclosure () -> String) {
    guard table[place].state == .session else { return }
    if let session = table[place].engine { leaveEngine(session, place) }
    if let probe = table[place].task as? EngineProbe { leaveProbe(probe, place) }
    leaveFanOut(place, because: reason())
    metrics.add(.sessionsClosed)
  }

  /// Takes the user's session at `place` off everything by which it is found.
  func leaveFanOut(_ place: UInt32, because reason: @autoclosure () -> String) {
    logEnd(at: place, because: reason())
    leaveRooms(place)
    unlist(place)
    fanOutGroups[table[place].group].members.remove(place)
    table[place].task = nil
    table[place].flags.remove([.replaying, .ungreeted])
  }
}
