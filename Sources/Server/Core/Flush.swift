// Flush: at the end of a turn, one call sends the bytes queued for a connection.
//
// A socket that takes less than it was offered blocks its connection until it is writable again. A
// blocked connection keeps referencing the logs until its backlog exceeds `backlogBytesLimit`, and
// it is closed, or until a log is about to overwrite its oldest range; then the ranges are copied
// to its private bytes.
//
// Invariant: sending and queueing end no connection and call no other component. They report the
// connections whose queue is empty, whose socket failed, or which are too slow, and `settle` handles
// these reports once in each turn.

internal import Broadcast
internal import Glibc
internal import Notifications
internal import Reactor
internal import Wire

/// The connections about which sending has something to report, in the order of the reports.
struct DeliveryReport {
  /// All queued bytes were sent.
  var drained: [ConnectionID] = []
  /// The socket or the timer failed.
  var failed: [ConnectionID] = []
  /// The backlog is over the limit.
  var tooSlow: [ConnectionID] = []

  var isEmpty: Bool { drained.isEmpty && failed.isEmpty && tooSlow.isEmpty }
}

extension Shard {
  /// The step by which a connection's private bytes grow.
  static let privateStepBytes = 4 * 1_024

  /// Sends all queued bytes that the sockets take.
  ///
  /// `byteCount` is the size of the next append to a log, if that may exceed `flushBytes`.
  func flush(before byteCount: UInt64 = 0) {
    for group in unflushedGroups where group.log.end != group.flushedEnd { flushShared(group) }
    flushRoomBatch()
    if !unflushedGroups.isEmpty { unlistFlushed() }
    if !dirty.isEmpty {
      let slots = dirty
      dirty.removeAll()
      slots.forEach { flush($0) }
    }
    directFlushed = direct.end
    copyOutPinned(before: max(byteCount, Shard.flushBytes + UInt64(Shard.largestFrameBytes)))
    if !unflushed.isEmpty { measureFlushed() }
  }

  /// Records the latency of the events that this flush sent.
  private func measureFlushed() {
    let end = kernel.monotonicNanoseconds
    for (takenAt, count) in unflushed {
      metrics.addLatency(nanoseconds: end - min(end, takenAt), count: count)
    }
    unflushed.removeAll(keepingCapacity: unflushed.capacity <= Shard.drainLimit)
  }

  /// Sends the shared frames of this turn to all members of `group`.
  ///
  /// The hottest loop of the server: a member with nothing else queued costs one cache line and one
  /// system call. For such members the loop retains and allocates nothing.
  private func flushShared(_ group: FanOutGroup) {
    let from = group.flushedEnd
    let end = group.log.end
    group.flushedEnd = end
    let members = group.members
    let byteCount = Int(end - from)
    var sentToAll = 0
    var blocked: [UInt32] = []
    let kernel = kernel
    let table = table
    // SAFETY: the log is not appended to during `withBytes`. A member is an open connection, because
    // sending ends none. Its address is not kept past its iteration.
    unsafe group.log.withBytes(from: from, to: end) { first, second in
      members.forEach { slot in
        let connection = unsafe table.pointer(to: slot)
        let flags = unsafe connection.pointee.flags
        if flags.isDisjoint(with: [.blocked, .queued, .polling, .secondaryNamespace]),
          unsafe connection.pointee.groupCursor == from
        {
          let sent = unsafe kernel.send(connection.pointee.fd, first, second)
          if sent == byteCount {
            unsafe connection.pointee.groupCursor = end
            sentToAll += 1
          } else {
            sharedSent(sent, at: slot)
          }
        } else if flags.contains(.blocked) {
          // guard: no-cut-during-broadcast
          blocked.append(slot)
        } else {
          dirty.insert(slot)
        }
      }
    }
    metrics.add(.bytesSent, sentToAll * byteCount)
    // After the loop: one of them may be sent bytes, which materialises the pending batch of its
    // room.
    for slot in blocked { checkBacklog(at: slot) }
  }

  /// Handles a member's socket that took less than the shared frames.
  private func sharedSent(_ sent: Int, at slot: UInt32) {
    if sent >= 0 {
      table[slot].groupCursor += UInt64(sent)
      metrics.add(.bytesSent, sent)
      block(slot)
    } else if sent == -Int(EAGAIN) {
      block(slot)
    } else {
      fail(slot)
    }
  }

  /// Sends the bytes queued for the connection at `slot`, in order.
  func flush(_ slot: UInt32) {
    // guard: nothing-sent-after-failure
    guard table[slot].flags.isDisjoint(with: .givenUp) else { return }
    if !table[slot].flags.isDisjoint(with: .socketless) { return flushWithoutSocket(slot) }
    guard flushPrivateBytes(slot), flushOutbox(slot), flushSharedTail(slot) else { return }
    table[slot].flags.remove(.queued)
    if table[slot].flags.contains(.blocked) { unblock(slot) }
    report.drained.append(table.id(of: slot))
  }

  /// Sends the private bytes and the shared body; whether all were taken.
  @discardableResult
  func flushPrivateBytes(_ slot: UInt32) -> Bool {
    if !table[slot].flags.isDisjoint(with: .socketless) {
      flushWithoutSocket(slot)
      return !table[slot].flags.contains(.blocked)
    }
    if let sharedBody = table[slot].sharedBody { return flush(sharedBody, at: slot) }
    guard table[slot].privateSentCount < table[slot].privateBytes.count else { return true }
    let fd = table[slot].fd
    let skipped = table[slot].privateSentCount
    // SAFETY: the array is not changed while it is read.
    let sent = unsafe table[slot].privateBytes.withUnsafeBytes { bytes in
      unsafe kernel.send(fd, UnsafeRawBufferPointer(rebasing: bytes[skipped...]))
    }
    guard sent >= 0 else { return notSent(slot, sent) }
    noteSent(sent, at: slot)
    table[slot].privateSentCount += sent
    if table[slot].privateSentCount == table[slot].privateBytes.count {
      // An answer that is sent at once reuses the same memory; only blocked bytes count as freed.
      // guard: freed-bytes-on-catch-up
      if table[slot].flags.contains(.blocked) { noteFreed(table[slot].privateBytes.count) }
      table[slot].privateBytes = []
      table[slot].privateSentCount = 0
      return true
    }
    forgetSent(slot)
    block(slot)
    return false
  }

  /// Counts bytes that the socket took, and restarts the time in which a blocked client must take
  /// the next.
  private func noteSent(_ count: Int, at slot: UInt32) {
    metrics.add(.bytesSent, count)
    // guard: progress-of-every-queue
    if count > 0 { table[slot].progressAt = now }
  }

  /// Sends a head with its shared body; whether all bytes were taken.
  ///
  /// A slow reader holds no copy of the body: it only has an offset into the shared bytes.
  private func flush(_ sharedBody: SharedBody, at slot: UInt32) -> Bool {
    let fd = table[slot].fd
    let skipped = table[slot].privateSentCount
    // SAFETY: neither array is changed while it is read.
    let sent = unsafe table[slot].privateBytes.withUnsafeBytes { own in
      unsafe sharedBody.bytes.withUnsafeBytes { bytes in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[sharedBody.sent...])
        guard skipped < own.count else { return unsafe kernel.send(fd, rest) }
        return unsafe kernel.send(fd, UnsafeRawBufferPointer(rebasing: own[skipped...]), rest)
      }
    }
    guard sent >= 0 else { return notSent(slot, sent) }
    noteSent(sent, at: slot)
    let ownCount = min(sent, table[slot].privateBytes.count - skipped)
    table[slot].privateSentCount += ownCount
    sharedBody.sent += sent - ownCount
    guard sharedBody.sent == sharedBody.bytes.count else {
      block(slot)
      return false
    }
    table[slot].privateBytes = []
    table[slot].privateSentCount = 0
    table[slot].sharedBody = nil
    return true
  }

  /// Releases the memory of sent private bytes, which a client that always lags a little would
  /// otherwise hold for ever.
  ///
  /// Not after each send: a large answer sent in small pieces would be moved for each piece.
  private func forgetSent(_ slot: UInt32) {
    let sent = table[slot].privateSentCount
    // guard: sent-bytes-released
    guard sent >= 4 * Shard.privateStepBytes, sent >= (table[slot].privateBytes.count - sent) / 4
    else {
      return
    }
    table[slot].privateBytes.removeFirst(sent)
    table[slot].privateSentCount = 0
  }

  /// Makes room for `count` more private bytes.
  ///
  /// Capacity grows in steps, because doubling would give an array twice the backlog limit. The
  /// memory of sent bytes is reused first, because a client would otherwise hold it in addition to
  /// its backlog; but not below half a step, or all private bytes would be moved for each frame.
  /// The steps of a long queue are longer, so that its growth moves each byte a bounded number of
  /// times.
  func makeRoom(for count: Int, at slot: UInt32) {
    guard table[slot].privateBytes.count + count > table[slot].privateBytes.capacity else { return }
    let step = Shard.privateStepBytes
    // guard: sent-bytes-make-room
    if table[slot].privateSentCount >= step / 2 {
      table[slot].privateBytes.removeFirst(table[slot].privateSentCount)
      table[slot].privateSentCount = 0
    }
    let needed = table[slot].privateBytes.count + count
    guard needed > table[slot].privateBytes.capacity else { return }
    let growth = max(step, needed / 16 / step * step)
    table[slot].privateBytes.reserveCapacity((needed + growth - 1) / growth * growth)
  }

  /// Sends the outbox's ranges; whether all were taken.
  private func flushOutbox(_ slot: UInt32) -> Bool {
    while !table[slot].outbox.isEmpty {
      let offered: Int
      let sent: Int
      let fd = table[slot].fd
      if table[slot].outbox.rangeCount == 1 {
        let range = table[slot].outbox[0]
        offered = range.count
        // SAFETY: the log is not appended to while its bytes are sent.
        sent = unsafe log(range.log).withBytes(from: range.from, to: range.to) {
          unsafe kernel.send(fd, $0, $1)
        }
      } else {
        // Copying many small pieces together is cheaper than passing each to the kernel.
        offered = gather(slot)
        let pieces = unsafe gathered.region(at: 0, count: offered)
        sent = unsafe kernel.send(fd, UnsafeRawBufferPointer(pieces))
      }
      guard sent >= 0 else { return notSent(slot, sent) }
      noteSent(sent, at: slot)
      table[slot].outbox.advance(by: sent)
      if sent < offered {
        block(slot)
        return false
      }
    }
    return true
  }

  /// Copies as much of the outbox as fits into the gathering buffer, and returns the byte count.
  private func gather(_ slot: UInt32) -> Int {
    var count = 0
    for index in 0..<table[slot].outbox.rangeCount {
      let range = table[slot].outbox[index]
      let taken = min(range.count, gathered.count - count)
      guard taken > 0 else { break }
      // SAFETY: `region` checks that the piece lies inside the buffer.
      unsafe log(range.log).copy(
        from: range.from, to: range.from + UInt64(taken),
        into: gathered.region(at: count, count: taken).baseAddress!)
      count += taken
    }
    return count
  }

  /// Sends the unsent tail of the group's log; whether all of it was taken.
  private func flushSharedTail(_ slot: UInt32) -> Bool {
    guard table[slot].state == .session, !table[slot].flags.contains(.handshakePending) else {
      return true
    }
    let log = fanOutGroups[table[slot].group].log
    let from = table[slot].groupCursor
    let end = log.end
    guard from != end else { return true }
    let fd = table[slot].fd
    // SAFETY: the log is not appended to while its bytes are sent.
    let sent = unsafe log.withBytes(from: from, to: end) { unsafe kernel.send(fd, $0, $1) }
    guard sent >= 0 else { return notSent(slot, sent) }
    noteSent(sent, at: slot)
    table[slot].groupCursor += UInt64(sent)
    if table[slot].groupCursor == end { return true }
    block(slot)
    return false
  }

  /// Handles a send that took nothing: blocks the connection when the socket is full, else gives it
  /// up.
  ///
  /// Always false.
  private func notSent(_ slot: UInt32, _ result: Int) -> Bool {
    if result == -Int(EAGAIN) {
      block(slot)
    } else {
      fail(slot)
    }
    return false
  }

  /// Gives up the connection at `slot`: its socket or its timer failed.
  func fail(_ slot: UInt32) {
    guard table[slot].state != .ended, !table[slot].flags.contains(.failed) else { return }
    table[slot].flags.insert(.failed)
    report.failed.append(table.id(of: slot))
  }

  /// Handles the reports of sending: ends the connections that were given up, and continues the
  /// work that waited until everything was sent.
  func settle() {
    while !report.isEmpty {
      let current = report
      report = DeliveryReport()
      for id in current.failed where table.holds(id) { drop(id.slot, counting: .resets) }
      for id in current.tooSlow where table.holds(id) { cutSlowConsumer(id.slot) }
      for id in current.drained where table.holds(id) { sentAll(id.slot) }
    }
  }

  // MARK: Blocked connections

  /// Marks the connection as blocked and waits for writability.
  func block(_ slot: UInt32) {
    if mayPin(slot) { pin(slot) } else { copyOutOutbox(at: slot) }
    countBlocked(table[slot].privateBytes.count - table[slot].privateSentCount, at: slot)
    guard !table[slot].flags.contains(.blocked) else { return }
    table[slot].flags.insert(.blocked)
    table[slot].progressAt = now
    // The time without a request begins when the answer has been sent.
    // guard: idle-after-answer
    if isBetweenRequests(slot) { table[slot].deadline = .max }
    blockedCount += 1
    updateInterest(slot)
    scheduleTimer(slot)
  }

  /// Whether the blocked connection at `slot` may keep ranges of the logs in its outbox.
  ///
  /// From `pinnedRangesLimit` ranges on, they cost more than copies of small frames, so they are
  /// copied out. A session without a socket always has a backlog between two polls, so its ranges
  /// are copied out, too.
  func mayPin(_ slot: UInt32) -> Bool {
    table[slot].flags.isDisjoint(with: .socketless)
      // guard: small-ranges-copied
      && table[slot].outbox.rangeCount < Shard.pinnedRangesLimit
  }

  private static let pinnedRangesLimit = 32

  /// Pins the ranges in the outbox of `slot`: they must be copied before a log overwrites them.
  func pin(_ slot: UInt32) {
    guard !table[slot].outbox.isEmpty else { return }
    pinned.insert(slot)
    for index in 0..<table[slot].outbox.rangeCount {
      let range = table[slot].outbox[index]
      let known = pinnedFrom[range.log.index]
      pinnedFrom[range.log.index] = min(known ?? .max, range.from)
    }
  }

  /// Copies the pinned ranges of all blocked connections once a log is about to overwrite one.
  ///
  /// `byteCount` bounds the bytes that are appended to a log before the next flush: at least
  /// `flushBytes` and a largest frame.
  private func copyOutPinned(before byteCount: UInt64) {
    guard !pinned.isEmpty else { return }
    let isDue = pinnedFrom.indices.contains { index in
      guard let from = pinnedFrom[index] else { return false }
      let log = log(LogID(index: index))
      return log.end - from + byteCount > UInt64(log.capacity)
    }
    // guard: ranges-copied-before-overwrite
    guard isDue else { return }
    let slots = pinned
    slots.forEach { slot in
      unpin(slot)
      copyOutOutbox(at: slot)
      countBlocked(table[slot].privateBytes.count - table[slot].privateSentCount, at: slot)
    }
  }

  /// Unpins the ranges of the connection at `slot`.
  ///
  /// The oldest pinned positions are reset only with the last pinned connection. Until then they
  /// may be too old, which only copies ranges early.
  func unpin(_ slot: UInt32) {
    guard pinned.remove(slot), pinned.isEmpty else { return }
    for index in pinnedFrom.indices { pinnedFrom[index] = nil }
  }

  /// Marks the connection as no longer blocked: all its bytes were taken.
  func unblock(_ slot: UInt32) {
    unpin(slot)
    table[slot].flags.remove(.blocked)
    blockedCount -= 1
    countBlocked(0, at: slot)
    // It took all its bytes, so the peer is alive; it was not pinged while it was blocked.
    table[slot].lastReceivedAt = now
    if isBetweenRequests(slot) {
      table[slot].deadline = now + core.configuration.limits.idleTimeoutMilliseconds
    }
    updateInterest(slot)
    scheduleTimer(slot)
  }

  /// Whether a blocked client has taken nothing for too long.
  ///
  /// The kernel accepts more bytes only after it has sent most of those that it holds, which takes
  /// a slow reader longer than the timeout. So the kernel is asked when the reader last took bytes,
  /// but only when this server's own sends show no progress.
  func hasStalled(_ slot: UInt32) -> Bool {
    let timeout = core.configuration.limits.progressTimeoutMilliseconds
    guard now >= table[slot].progressAt + timeout else { return false }
    // guard: progress-of-kernel
    if table[slot].fd >= 0 {
      let passed = UInt64(kernel.millisecondsSinceProgress(table[slot].fd))
      table[slot].progressAt = max(table[slot].progressAt, now - min(now, passed))
    }
    return now >= table[slot].progressAt + timeout
  }

  /// Updates the shard's sum of blocked bytes with those of this connection.
  func countBlocked(_ byteCount: Int, at slot: UInt32) {
    blockedBytes += byteCount - table[slot].blockedBytes
    table[slot].blockedBytes = byteCount
  }

  /// Whether the shard has memory for one more page, which a slow client may not take soon.
  var hasRoomForPage: Bool { blockedBytes < core.configuration.limits.blockedBytesLimit }

  /// Unsent bytes of the session at `slot`: its own queue and the tail of the group's log.
  func queuedByteCount(of slot: UInt32) -> Int {
    let log = fanOutGroups[table[slot].group].log
    return table[slot].queuedByteCount + Int(log.end - table[slot].groupCursor)
  }

  /// The backlog that the session at `slot` may have.
  ///
  /// A polling session gets four times the limit: it always has a backlog between two polls, and no
  /// kernel buffer holds the bytes that are queued in between.
  private func backlogBytesLimit(of slot: UInt32) -> Int {
    let limit = core.configuration.limits.backlogBytesLimit
    guard table[slot].flags.contains(.polling) else { return limit }
    // At most the bytes that a log still holds after a full flush and a largest frame.
    let heldByLog =
      core.configuration.limits.frameLogCapacity - Int(Shard.flushBytes) - Shard.largestFrameBytes
    return min(4 * limit, heldByLog)
  }

  /// Gives the session at `slot` up when its backlog exceeds the limit, or would with `count` more
  /// bytes.
  ///
  /// A client that only had no time to read gets a larger send buffer in the kernel first.
  func checkBacklog(at slot: UInt32, adding count: Int = 0) {
    guard table[slot].flags.isDisjoint(with: .givenUp), isTooFarBehind(slot, adding: count) else {
      return
    }
    // guard: raised-send-buffer
    if hasRaisedSendBuffer(slot) {
      // The connection stays blocked until epoll reports writability, but its socket may have had
      // room for a while: try again now.
      _ = flushPrivateBytes(slot) && flushOutbox(slot) && flushSharedTail(slot)
      guard isTooFarBehind(slot, adding: count) else { return }
    }
    table[slot].flags.insert(.tooSlow)
    report.tooSlow.append(table.id(of: slot))
  }

  /// Raises the kernel's send buffer for the connection at `slot`; whether it is raised.
  ///
  /// Not for a zero-window peer, for which the kernel would only hold that many more bytes.
  private func hasRaisedSendBuffer(_ slot: UInt32) -> Bool {
    if table[slot].flags.contains(.raisedSendBuffer) { return true }
    let limits = core.configuration.limits
    let fd = table[slot].fd
    // guard: zero-window-send-buffer
    guard fd >= 0, limits.raisedUnsentBytesLimit > limits.unsentBytesLimit,
      !kernel.hasZeroWindow(fd, milliseconds: limits.zeroWindowMilliseconds)
    else { return false }
    table[slot].flags.insert(.raisedSendBuffer)
    kernel.limitUnsent(fd, to: limits.raisedUnsentBytesLimit)
    return true
  }

  private func isTooFarBehind(_ slot: UInt32, adding count: Int) -> Bool {
    guard table[slot].state == .session else { return false }
    let log = fanOutGroups[table[slot].group].log
    var backlog = table[slot].queuedByteCount
    // A replay queues one page of missed notifications at a time, which does not count.
    if table[slot].flags.contains(.replaying) { backlog = max(0, backlog - Shard.missedBytesLimit) }
    // The tail of the group's log always counts: the log overwrites it during a replay, too.
    backlog += Int(log.end - table[slot].groupCursor) + count
    // guard: backlog-bytes
    return backlog > backlogBytesLimit(of: slot)
  }

  /// Closes a slow consumer with 1013, after the frame already in progress.
  private func cutSlowConsumer(_ slot: UInt32) {
    guard table[slot].state == .session else { return }
    table[slot].flags.remove(.tooSlow)
    metrics.add(.slowConsumers)
    let group = fanOutGroups[table[slot].group]
    if table[slot].privateSentCount == table[slot].privateBytes.count {
      var next = OutboxRange(
        log: .everyone(of: group.id), from: table[slot].groupCursor, to: group.log.end)
      if !table[slot].outbox.isEmpty { next = table[slot].outbox[0] }
      // guard: slow-consumer-outbox-cleared
      table[slot].outbox.removeAll()
      // The log still holds the frame: a backlog is far smaller than the log's capacity.
      let end = min(frameEnds(of: next.log).end(at: next.from) ?? next.to, next.to)
      if end > next.from { copyToPrivateBytes(log(next.log), from: next.from, to: end, at: slot) }
    }
    table[slot].groupCursor = group.log.end
    close(slot, code: 1013, reason: "too far behind, resume with your cursor")
  }
}
