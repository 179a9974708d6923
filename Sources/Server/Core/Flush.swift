// Flush: at the end of a turn, everything that a connection has waiting goes out with one call.
//
// What a socket does not take blocks the connection, and writability is awaited. It leans on the
// logs: positions in them are enough until it falls too far behind, by `backlogBytesLimit`, or
// until a log comes round to them, when its ranges become bytes of its own.

internal import Broadcast
internal import Glibc
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// In steps of so many bytes a blocked connection's own bytes grow.
  static let privateStepBytes = 4 * 1_024

  /// Sends whatever is queued to whoever can take it; `byteCount` is what a log is added to next,
  /// where that may be more than a flush's worth.
  func flush(before byteCount: UInt64 = 0) {
    for group in fanOutGroups.all where group.log.end != group.flushedEnd { flushShared(group) }
    flushRoomBatch()
    if !dirty.isEmpty {
      let slots = dirty
      dirty.removeAll()
      slots.forEach { slot in
        if table.contains(slot) { flush(slot) }
      }
    }
    directFlushed = direct.end
    copyOutPinned(before: max(byteCount, Shard.flushBytes + UInt64(Shard.largestFrameBytes)))
    if !unflushed.isEmpty { measureFlushed() }
  }

  /// Counts how long the events took whose frames have just been sent.
  private func measureFlushed() {
    let end = kernel.monotonicNanoseconds
    for (takenAt, count) in unflushed {
      metrics.addLatency(nanoseconds: end - min(end, takenAt), count: count)
    }
    unflushed.removeAll(keepingCapacity: unflushed.capacity <= Shard.drainLimit)
  }

  /// Sends the shared frames of this turn to all members of `group`.
  ///
  /// The loop that the server exists for: for a member with nothing else waiting it is a look at
  /// one cache line and one call. Nothing is retained, nothing is allocated.
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
    // SAFETY: the log is not appended to while its bytes are walked, a member's place is taken,
    // because no turn of the loop ends another member's connection, and its address is not kept
    // past its turn of the loop.
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
    // Behind the walk: to cut one of them off settles the burst of its room, and that writes to
    // others, who may be gone then.
    for slot in blocked where table.contains(slot) { checkBacklog(at: slot) }
  }

  /// A member took less than the shared frames.
  private func sharedSent(_ sent: Int, at slot: UInt32) {
    if sent >= 0 {
      table[slot].groupCursor += UInt64(sent)
      metrics.add(.bytesSent, sent)
      block(slot)
    } else if sent == -Int(EAGAIN) {
      block(slot)
    } else {
      drop(slot, counting: .resets)
    }
  }

  /// Sends what the connection at `slot` has waiting, in its order.
  func flush(_ slot: UInt32) {
    if !table[slot].flags.isDisjoint(with: .socketless) { return flushWithoutSocket(slot) }
    guard flushPrivateBytes(slot), flushOutbox(slot), flushSharedTail(slot) else { return }
    table[slot].flags.remove(.queued)
    if table[slot].flags.contains(.blocked) { unblock(slot) }
    if table.contains(slot) { sentAll(slot) }
  }

  /// Sends what is the connection's own, and what it is lent; false when it blocked or ended.
  func flushPrivateBytes(_ slot: UInt32) -> Bool {
    if !table[slot].flags.isDisjoint(with: .socketless) {
      flushWithoutSocket(slot)
      return table.contains(slot) && !table[slot].flags.contains(.blocked)
    }
    if let sharedBody = table[slot].sharedBody { return flush(sharedBody, at: slot) }
    guard table[slot].privateSentCount < table[slot].privateBytes.count else { return true }
    let fd = table[slot].fd
    let skipped = table[slot].privateSentCount
    // SAFETY: the array is not changed while it is read.
    let sent = unsafe table[slot].privateBytes.withUnsafeBytes { bytes in
      unsafe kernel.send(fd, UnsafeRawBufferPointer(rebasing: bytes[skipped...]))
    }
    guard sent >= 0 else { return failed(slot, sent) }
    metrics.add(.bytesSent, sent)
    table[slot].privateSentCount += sent
    if table[slot].privateSentCount == table[slot].privateBytes.count {
      // What is answered and taken at once comes and goes in the same memory.
      // guard: freed-bytes-on-catch-up
      if table[slot].flags.contains(.blocked) { noteFreed(table[slot].privateBytes.count) }
      table[slot].privateBytes = []
      table[slot].privateSentCount = 0
      return true
    }
    if sent > 0 { table[slot].progressAt = now }
    forgetSent(slot)
    block(slot)
    return false
  }

  /// Sends a head with the body that the connection is lent; false when it blocked or ended.
  ///
  /// A reader that is slow is owed as much as any other and holds nothing of it: what it has not
  /// taken is a place in bytes that are there anyway.
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
    guard sent >= 0 else { return failed(slot, sent) }
    metrics.add(.bytesSent, sent)
    if sent > 0 { table[slot].progressAt = now }
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

  /// Gives back the room of what was sent: a client that is always a little behind would never be
  /// rid of it.
  ///
  /// Not each time, so that a large answer which is taken in small pieces is not moved for each.
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

  /// Makes room for `count` more bytes behind what the connection owns.
  ///
  /// In steps: by doubling, an array would come to hold twice what a client may be behind. And
  /// where what was sent lies, as far as that reaches, because else a client would be held that on
  /// top of what it is behind; but not for less than half a step, or all that a client owns would
  /// be moved for each frame that it is sent.
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
    table[slot].privateBytes.reserveCapacity((needed + step - 1) / step * step)
  }

  /// False when the connection blocked or ended.
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
        // Many small pieces are cheaper to copy together than to hand to the kernel one by one.
        offered = gather(slot)
        let pieces = unsafe gathered.region(at: 0, count: offered)
        sent = unsafe kernel.send(fd, UnsafeRawBufferPointer(pieces))
      }
      guard sent >= 0 else { return failed(slot, sent) }
      metrics.add(.bytesSent, sent)
      table[slot].outbox.advance(by: sent)
      if sent < offered {
        block(slot)
        return false
      }
    }
    return true
  }

  /// Copies as much of the outbox as fits into the gathering buffer, and says how much.
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

  /// False when the connection blocked or ended.
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
    guard sent >= 0 else { return failed(slot, sent) }
    metrics.add(.bytesSent, sent)
    table[slot].groupCursor += UInt64(sent)
    if table[slot].groupCursor == end { return true }
    if sent > 0 { table[slot].progressAt = now }
    block(slot)
    return false
  }

  private func failed(_ slot: UInt32, _ result: Int) -> Bool {
    if result == -Int(EAGAIN) {
      block(slot)
    } else {
      drop(slot, counting: .resets)
    }
    return false
  }

  // MARK: Blocked connections

  /// Awaits writability.
  func block(_ slot: UInt32) {
    if mayPin(slot) { pin(slot) } else { copyOutOutbox(at: slot) }
    countBlocked(table[slot].privateBytes.count - table[slot].privateSentCount, at: slot)
    guard !table[slot].flags.contains(.blocked) else { return }
    table[slot].flags.insert(.blocked)
    table[slot].progressAt = now
    blockedCount += 1
    updateInterest(slot)
    if table.contains(slot) { scheduleTimer(slot) }
  }

  /// Whether the connection at `slot`, blocked, may have ranges of logs to be sent.
  ///
  /// So many that they cost more than a small frame each would are copied together; and what has no
  /// socket is always behind between two polls.
  func mayPin(_ slot: UInt32) -> Bool {
    table[slot].flags.isDisjoint(with: .socketless)
      // guard: small-ranges-copied
      && table[slot].outbox.rangeCount < Shard.pinnedRangesLimit
  }

  private static let pinnedRangesLimit = 32

  /// Notes that the ranges of the connection at `slot` are needed on.
  func pin(_ slot: UInt32) {
    guard !table[slot].outbox.isEmpty else { return }
    pinned.insert(slot)
    for index in 0..<table[slot].outbox.rangeCount {
      let range = table[slot].outbox[index]
      let known = pinnedFrom[range.log.index]
      pinnedFrom[range.log.index] = min(known ?? .max, range.from)
    }
  }

  /// Copies what blocked connections have in the logs once one of these is about to come round to
  /// it: before the next flush it is added to by no more than `byteCount`, a flush's worth and a
  /// large frame at the least.
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

  /// Forgets that the connection at `slot` needs anything of the logs.
  func unpin(_ slot: UInt32) {
    guard pinned.remove(slot), pinned.isEmpty else { return }
    for index in pinnedFrom.indices { pinnedFrom[index] = nil }
  }

  func unblock(_ slot: UInt32) {
    unpin(slot)
    table[slot].flags.remove(.blocked)
    blockedCount -= 1
    countBlocked(0, at: slot)
    // It has taken everything, so it is there; it was not pinged while it was behind.
    table[slot].lastReceivedAt = now
    updateInterest(slot)
    if table.contains(slot) { scheduleTimer(slot) }
  }

  /// Brings the sum of blocked bytes up to date with this connection's.
  func countBlocked(_ byteCount: Int, at slot: UInt32) {
    blockedBytes += byteCount - table[slot].blockedBytes
    table[slot].blockedBytes = byteCount
  }

  /// Whether there is memory for one more page that its client may be slow to take.
  var hasRoomForPage: Bool { blockedBytes < core.configuration.limits.blockedBytesLimit }

  /// Bytes that the session at `slot` still has to be sent, of its own and of what all are sent.
  func queuedByteCount(of slot: UInt32) -> Int {
    let log = fanOutGroups[table[slot].group].log
    return table[slot].queuedByteCount + Int(log.end - table[slot].groupCursor)
  }

  /// How far behind the session at `slot` may be.
  ///
  /// One that is polled is always behind between two polls, and has no kernel to keep for it what
  /// comes meanwhile.
  private func backlogBytesLimit(of slot: UInt32) -> Int {
    let limit = core.configuration.limits.backlogBytesLimit
    guard table[slot].flags.contains(.polling) else { return limit }
    // No further than a log goes back.
    let held =
      core.configuration.limits.frameLogCapacity - Int(Shard.flushBytes) - Shard.largestFrameBytes
    return min(4 * limit, held)
  }

  /// Cuts the connection at `slot` off when it is further behind than allowed, or would be with
  /// `count` bytes more.
  ///
  /// One that only had no time to read yet is given more of the kernel's room first.
  func checkBacklog(at slot: UInt32, adding count: Int = 0) {
    guard isTooFarBehind(slot, adding: count) else { return }
    // guard: raised-send-buffer
    if hasRaisedSendBuffer(slot) {
      // It stays blocked until the kernel says that there is room, but that may have been a while.
      _ = flushPrivateBytes(slot) && flushOutbox(slot) && flushSharedTail(slot)
      guard table.contains(slot), isTooFarBehind(slot, adding: count) else { return }
    }
    cutSlowConsumer(slot)
  }

  /// Whether the kernel takes a burst for the connection at `slot`: has it do so, but for a client
  /// that is asleep, and would only have so much more held for it.
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
    var behind = table[slot].queuedByteCount
    // A page of missed notifications is sent ahead of the client's pace, one at a time.
    if table[slot].flags.contains(.replaying) { behind = max(0, behind - Shard.missedBytesLimit) }
    // The page counts for what is its own, not for what it leaves in the log: that is overwritten
    // whoever replays.
    behind += Int(log.end - table[slot].groupCursor) + count
    // guard: backlog-bytes
    return behind > backlogBytesLimit(of: slot)
  }

  /// Tells a slow consumer 1013, behind the frame that it was sent a part of.
  func cutSlowConsumer(_ slot: UInt32) {
    // Here and not by `close`: what is put in may be what cuts it off.
    // guard: batch-cut-once
    guard materializeRoomBatch(for: slot) else { return }
    metrics.add(.slowConsumers)
    let group = fanOutGroups[table[slot].group]
    if table[slot].privateSentCount == table[slot].privateBytes.count {
      var next = OutboxRange(
        log: .everyone(of: group.id), from: table[slot].groupCursor, to: group.log.end)
      if !table[slot].outbox.isEmpty { next = table[slot].outbox[0] }
      // guard: slow-consumer-outbox-cleared
      table[slot].outbox.removeAll()
      // The log holds it: a backlog is far smaller than its capacity.
      let end = min(frameEnds(of: next.log).end(at: next.from) ?? next.to, next.to)
      if end > next.from { copyToPrivateBytes(log(next.log), from: next.from, to: end, at: slot) }
    }
    table[slot].groupCursor = group.log.end
    close(slot, code: 1013, reason: "too far behind, resume with your cursor")
  }
}
