// Back-pressure: connections that take less than they are sent, and those that sending gives up.
//
// A socket that takes less than it was offered blocks its connection until it is writable again. A
// blocked connection keeps referencing the logs until its backlog exceeds `backlogBytesLimit`, and
// it is closed, or until a log is about to overwrite its oldest range; then the ranges are copied
// to its private bytes.
//
// Invariant: sending and queueing end no connection and call no other component. They report the
// connections whose queue is empty, whose socket failed, or which are too slow, and the shard
// handles these reports once in each turn. Until then a connection that was given up has no range
// of a log, and nothing is queued for it or sent to it.

internal import Reactor

extension Delivery {
  /// Marks the connection as blocked and waits for writability.
  func block(_ slot: UInt32) {
    if mayPin(slot) { pin(slot) } else { copyOutOutbox(at: slot) }
    countBlocked(table[slot].privateBytes.count - table[slot].privateSentCount, at: slot)
    guard !table[slot].flags.contains(.blocked) else { return }
    table[slot].flags.insert(.blocked)
    table[slot].progressAt = now
    blockedCount += 1
    updateInterest(slot)
    report.blockChanged.append(table.id(of: slot))
  }

  /// Whether the blocked connection at `slot` may keep ranges of the logs in its outbox.
  ///
  /// From `pinnedRangesLimit` ranges on, they cost more than copies of small frames, so they are
  /// copied out. A session without a socket always has a backlog between two polls, so its ranges
  /// are copied out, too.
  func mayPin(_ slot: UInt32) -> Bool {
    table[slot].flags.isDisjoint(with: .socketless)
      // guard: small-ranges-copied
      && table[slot].outbox.rangeCount < Delivery.pinnedRangesLimit
  }

  /// Ranges of the logs that a blocked connection may keep in its outbox.
  package static let pinnedRangesLimit = 32

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
  func copyOutPinned(before byteCount: UInt64) {
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
    updateInterest(slot)
    report.blockChanged.append(table.id(of: slot))
  }

  /// Whether a blocked client has taken nothing for too long.
  ///
  /// The kernel accepts more bytes only after it has sent most of those that it holds, which takes
  /// a slow reader longer than the timeout. So the kernel is asked when the reader last took bytes,
  /// but only when this server's own sends show no progress.
  package func hasStalled(_ slot: UInt32) -> Bool {
    let timeout = limits.progressTimeoutMilliseconds
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

  /// Unsent bytes of the session at `slot`: its own queue and the tail of the group's log.
  func queuedByteCount(of slot: UInt32) -> Int {
    let log = group(of: slot).log
    return table[slot].queuedByteCount + Int(log.end - table[slot].groupCursor)
  }

  /// The backlog that the session at `slot` may have.
  ///
  /// A polling session gets four times the limit: it always has a backlog between two polls, and no
  /// kernel buffer holds the bytes that are queued in between.
  private func backlogBytesLimit(of slot: UInt32) -> Int {
    let limit = limits.backlogBytesLimit
    guard table[slot].flags.contains(.polling) else { return limit }
    // At most the bytes that a log still holds after a full flush and a largest frame.
    let heldByLog =
      limits.frameLogCapacity - Int(Delivery.flushBytes) - Delivery.largestFrameBytes
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
    giveUpTooSlow(slot)
  }

  /// Raises the kernel's send buffer for the connection at `slot`; whether it is raised.
  ///
  /// Not for a zero-window peer, for which the kernel would only hold that many more bytes.
  private func hasRaisedSendBuffer(_ slot: UInt32) -> Bool {
    if table[slot].flags.contains(.raisedSendBuffer) { return true }
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
    guard table[slot].flags.contains(.takesFrames) else { return false }
    let log = group(of: slot).log
    var backlog = table[slot].queuedByteCount
    // A replay queues one page of missed notifications at a time, which does not count.
    if table[slot].flags.contains(.isReplaying) {
      backlog = max(0, backlog - limits.pageBytesLimit)
    }
    // The tail of the group's log always counts: the log overwrites it during a replay, too.
    backlog += Int(log.end - table[slot].groupCursor) + count
    // guard: backlog-bytes
    return backlog > backlogBytesLimit(of: slot)
  }

  // MARK: Reports

  /// The news since it was last taken.
  package func takeReport() -> DeliveryReport {
    defer { report = DeliveryReport() }
    return report
  }

  /// Reports that all queued bytes of `slot` were taken, through a poll or another slot.
  package func reportDrained(_ slot: UInt32) { report.drained.append(table.id(of: slot)) }

  /// Gives up the connection at `slot`: its socket or its timer failed.
  package func fail(_ slot: UInt32) {
    guard table[slot].generation != 0, !table[slot].flags.contains(.failed) else { return }
    // With `queued`, the loops of a flush do not take it for a connection without waiting bytes.
    table[slot].flags.insert([.failed, .queued])
    forgetRanges(of: slot)
    report.failed.append(table.id(of: slot))
  }

  /// Gives up the session at `slot`, which is too slow: it keeps the rest of the frame in progress.
  ///
  /// That is copied now: until the shard closes the session, its logs may be overwritten.
  private func giveUpTooSlow(_ slot: UInt32) {
    let group = group(of: slot)
    if table[slot].privateSentCount < table[slot].privateBytes.count {
      copyOutOutbox(at: slot)
    } else {
      var next = OutboxRange(
        log: .everyone(of: group.id), from: table[slot].groupCursor, to: group.log.end)
      if !table[slot].outbox.isEmpty { next = table[slot].outbox[0] }
      // The log still holds the frame: a backlog is far smaller than the log's capacity.
      let end = min(frameEnds(of: next.log).end(at: next.from) ?? next.to, next.to)
      if end > next.from { copyToPrivateBytes(log(next.log), from: next.from, to: end, at: slot) }
    }
    table[slot].flags.insert(.tooSlow)
    forgetRanges(of: slot)
    report.tooSlow.append(table.id(of: slot))
  }

  /// Forgets the ranges of logs that the connection at `slot` has not been sent.
  private func forgetRanges(of slot: UInt32) {
    // guard: slow-consumer-outbox-cleared
    table[slot].outbox.removeAll()
    unpin(slot)
  }
}
