// The life of a connection: accepted, watched by one timer, closed or dropped.
//
//     accept ─▶ http ─▶ session ─▶ closing ─▶ lingering ─▶ ended ─▶ free
//                 └────────┴── closeWhenSent ──┘   └── drop, from any state, at once
//
// A request, a session and a share of the quotas end with their connection. Other components keep
// them: `ConnectionOwner` releases them, first of all.

internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

/// Releases what other components keep of a connection.
protocol ConnectionOwner: AnyObject {
  /// Releases the request in progress at `slot`, if there is one.
  func releaseRequest(at slot: UInt32)
  /// Releases everything that the connection at `slot` holds, because it ends now.
  ///
  /// `reason` is the log's text for the end of an open session.
  func release(_ slot: UInt32, because reason: @autoclosure () -> String)
}

/// The listeners and timers of a shard, and the end of its connections.
///
/// Invariant: a connection's timer is set within the window of its deadlines or before it; an ended
/// connection has none, and owns no descriptor. A connection to resume is in `resumable`.
final class Connections: ShardComponent {
  /// The slot number in the first listener's events; further listeners count down from it.
  static let listenerSlot = UInt32.max
  /// Listeners that a shard may have.
  static let listenerLimit = 16
  /// Connections accepted in one turn, so that a connect storm does not starve the others.
  static let acceptLimit = 256
  /// Approximate heap bytes of a connection without buffers.
  private static let connectionBytes = 512

  let context: ShardContext
  /// Set once, by the shard that owns both.
  unowned var owner: (any ConnectionOwner)!
  private var acceptors: [Acceptor]
  private var wheel: TimerWheel
  private var due = [UInt32](repeating: 0, count: 256)
  private var userAgents: UserAgents
  private(set) var heapTrim = HeapTrim()
  /// Connections with received but unprocessed bytes, resumed after this turn's flush.
  private var resumable: [ConnectionID] = []

  init(_ context: ShardContext, _ acceptors: [Acceptor]) {
    precondition(acceptors.count <= Connections.listenerLimit, "\(acceptors.count) listeners")
    self.context = context
    self.acceptors = acceptors
    wheel = TimerWheel(now: context.clock.now)
    userAgents = UserAgents(countLimit: context.core.configuration.limits.userAgentsLimit)
  }

  /// Traps in a debug build when a timer would fire too late.
  func checkInvariants() {
    table.forEachSlot { slot in
      // The wall clock may have drifted since the timer was set for the end of a token.
      let drift = table[slot].tokenEnd == .max ? 0 : ShardClock.wallJumpMilliseconds
      let (latest, overflow) = timerWindow(of: slot).latest.addingReportingOverflow(drift)
      assert(overflow || wheel.time(of: slot) <= latest, "the timer of \(slot) is late")
    }
  }

  // MARK: Accepting

  /// Whether the shard still has a listener.
  var isListening: Bool { !acceptors.isEmpty }

  /// Closes the listeners.
  func stopListening() { acceptors = [] }

  /// Accepts pending connections from one listener, at most `acceptLimit` of them.
  ///
  /// `begin` is called with the slot of each, which speaks HTTP. `makeRoom` closes another
  /// connection when the files have run out.
  func accept(at listener: Int, makeRoom: () -> Void, _ begin: (UInt32) -> Void) {
    for _ in 0..<Connections.acceptLimit {
      var peer = PeerAddress()
      guard listener < acceptors.count else { return }
      var fd = acceptors[listener].tryAccept(now: now, peer: &peer)
      if Acceptor.isOutOfFiles(fd) {
        // guard: idle-closed-before-pause
        makeRoom()
        fd = acceptors[listener].accept(now: now, peer: &peer)
      }
      guard fd >= 0 else {
        let pauses = acceptors.reduce(0) { $0 + $1.pauses }
        metrics.add(.acceptPauses, Int(pauses) - metrics.value(.acceptPauses))
        return
      }
      guard let slot = insert(fd, from: peer) else { continue }
      begin(slot)
    }
  }

  /// Resumes the listeners whose pause has ended.
  func resumeAccepting() {
    // guard: accept-resumes
    for acceptor in acceptors where acceptor.timeout(now: now) == 0 { acceptor.resume(now: now) }
  }

  private func insert(_ fd: Int32, from peer: PeerAddress) -> UInt32? {
    guard let slot = table.insert(fd: fd, limit: limits.connectionsPerShardLimit) else {
      metrics.add(.refusedConnections)
      kernel.abort(fd)
      return nil
    }
    core.fileBudget.noteOpened()
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
      drop(slot)
      return nil
    }
    return slot
  }

  /// Keeps the `User-Agent` of a request, as the one of the connection at `slot`.
  func keepUserAgent(of head: HTTPRequestHead, at slot: UInt32) {
    let text = head.value(of: "user-agent").map(UserAgents.bounded) ?? ""
    table[slot].userAgent = userAgents.shared(text)
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

  /// Calls `fire` with the slot of each connection whose timer is due.
  func expireTimers(_ fire: (UInt32) -> Void) {
    var count = 0
    repeat {
      count = wheel.expire(now: now, into: &due)
      for index in 0..<count where table.isOpen(due[index]) { fire(due[index]) }
    } while count == due.count
  }

  /// Milliseconds until a timer is due, or a listener's pause ends; nil if neither will be.
  var timeout: Int32? {
    var earliest = wheel.timeout(now: now)
    for acceptor in acceptors {
      let pause = acceptor.timeout(now: now)
      if pause >= 0, earliest < 0 || pause < earliest { earliest = pause }
    }
    return earliest < 0 ? nil : earliest
  }

  /// Reschedules the timers that depend on the wall clock, after it has jumped.
  ///
  /// Token ends are wall-clock times. The clock was set, or it advanced while the machine was
  /// suspended and the monotonic clock did not.
  func wallClockJumped() {
    table.forEachSlot { slot in
      if table[slot].state != .session {
        guard table[slot].activity.exchange?.poll != nil, let end = tokenEndTime(of: slot) else {
          return
        }
        table[slot].deadline = min(table[slot].deadline, end)
      }
      scheduleTimer(slot)
    }
  }

  /// When the session's token ends, in monotonic time; nil if it does not end.
  func tokenEndTime(of slot: UInt32) -> UInt64? {
    clock.monotonicTime(ofSecond: table[slot].tokenEnd)
  }

  /// Sets the deadlines of a connection that has blocked, or has taken all its bytes.
  func blockChanged(_ slot: UInt32) {
    if delivery[slot].flags.contains(.blocked) {
      // The time without a request begins when the answer has been sent.
      // guard: idle-after-answer
      if table[slot].isBetweenRequests { table[slot].deadline = .max }
    } else {
      // It took all its bytes, so the peer is alive; it was not pinged while it was blocked.
      table[slot].lastReceivedAt = now
      if table[slot].isBetweenRequests {
        table[slot].deadline = idleEnd(of: slot)
      }
    }
    scheduleTimer(slot)
  }

  /// Notes whether the latest request had a valid token or key.
  func noteRequest(isAuthenticated: Bool, at slot: UInt32) {
    if isAuthenticated {
      table[slot].flags.insert(.latestAuthenticated)
    } else {
      table[slot].flags.remove(.latestAuthenticated)
    }
  }

  /// Whether the connection is kept open for longer between two requests.
  func isKeptLonger(_ slot: UInt32) -> Bool {
    !table[slot].flags.isDisjoint(with: [.trustedProxy, .latestAuthenticated])
  }

  /// The time at which a connection that idles from now on is closed.
  func idleEnd(of slot: UInt32) -> UInt64 {
    // guard: load-balancers-keep-connections
    let isKeptLonger = isKeptLonger(slot)
    return now
      + (isKeptLonger ? limits.trustedIdleTimeoutMilliseconds : limits.idleTimeoutMilliseconds)
  }

  // MARK: Resuming

  /// Whether bytes that were received wait for the end of the turn.
  var hasResumable: Bool { !resumable.isEmpty }

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

  /// Has `bytes` parsed at the end of the turn, before anything that is received later.
  func resume(_ slot: UInt32, with bytes: [UInt8]) {
    table[slot].partial = bytes
    resumable.append(table.id(of: slot))
  }

  /// Returns the connections to resume, and forgets them.
  func takeResumable() -> [ConnectionID] {
    defer { resumable.removeAll(keepingCapacity: true) }
    return resumable
  }

  // MARK: Ending

  /// Ends the connection after everything queued has been sent.
  func closeWhenSent(_ slot: UInt32) {
    guard table[slot].state != .ended else { return }
    let isBlocked = delivery[slot].flags.contains(.blocked)
    var deadline = now + limits.closeTimeoutMilliseconds * (isBlocked ? 5 : 1)
    if table[slot].state == .http {
      // An answer may be long: it ends when its reader takes nothing for too long.
      // guard: last-answer-has-time
      deadline = .max
      table[slot].state = .closing
    }
    if table[slot].activity.exchange != nil { owner.releaseRequest(at: slot) }
    setActivity(.idle, at: slot)
    table[slot].partial = []
    table[slot].deadline = deadline
    table[slot].flags.remove(.awaitsAnswer)
    table[slot].flags.insert(.closesWhenSent)
    delivery.resumeReading(slot)
    scheduleTimer(slot)
    delivery.markQueued(slot)
  }

  /// Ends the output of a connection that has sent everything, and waits for the peer's end.
  ///
  /// Closing now, with unread bytes in our receive queue, would reset the connection, and the reset
  /// would overtake the close frame.
  func linger(_ slot: UInt32) {
    if delivery[slot].flags.contains(.peerEnded) { return drop(slot) }
    table[slot].flags.remove(.closesWhenSent)
    table[slot].state = .lingering
    table[slot].deadline = now + limits.closeTimeoutMilliseconds
    kernel.shutdownWrite(delivery[slot].fd)
    scheduleTimer(slot)
  }

  /// Drops a peer that has not ended its side in time.
  func abandon(_ slot: UInt32) {
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
    owner.release(slot, because: reason ?? Connections.reason(of: counter))
    wheel.cancel(slot)
    delivery.release(slot)
    let fd = delivery[slot].fd
    // guard: freed-bytes-on-close
    noteFreed(Connections.connectionBytes + delivery[slot].privateByteCount)
    table.end(slot)
    // Closing removes it from epoll, since there is no duplicate of the descriptor.
    // guard: descriptor-closed
    if fd >= 0 {
      kernel.close(fd)
      core.fileBudget.noteClosed()
    }
  }

  /// The logged reason of a drop that was counted under `counter`.
  private static func reason(of counter: Counter?) -> String {
    switch counter {
    case .slowConsumers: "too far behind"
    case .resets: "the connection was lost"
    default: "the client left"
    }
  }

  // MARK: Memory

  /// Counts freed bytes, which go back to the system some time after they are many.
  func noteFreed(_ byteCount: Int) { heapTrim.noteFreed(byteCount, at: now) }

  /// Gives free memory back to the system, if that is due.
  func trimHeap() { heapTrim.trim(at: now) }
}
