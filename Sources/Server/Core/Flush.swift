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
  static let ownedStepBytes = 4 * 1_024

  /// Sends whatever is queued to whoever can take it; `byteCount` is what a log is added to next,
  /// where that may be more than a flush's worth.
  func flush(before byteCount: UInt64 = 0) {
    for group in fanOutGroups.all where group.log.end != group.flushedEnd { flushShared(group) }
    flushBurst()
    if !dirty.isEmpty {
      let places = dirty
      dirty.removeAll()
      places.forEach { place in
        if table.contains(place) { flush(place) }
      }
    }
    directFlushed = direct.end
    liftLeaning(before: max(byteCount, Shard.flushBytes + UInt64(Shard.largestFrameBytes)))
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
      members.forEach { place in
        let connection = unsafe table.pointer(to: place)
        let flags = unsafe connection.pointee.flags
        if flags.isDisjoint(with: [.blocked, .queued, .polling, .guest]),
          unsafe connection.pointee.sharedThrough == from
        {
          let sent = unsafe kernel.send(connection.pointee.fd, first, second)
          if sent == byteCount {
            unsafe connection.pointee.sharedThrough = end
            sentToAll += 1
          } else {
            sharedSent(sent, at: place)
          }
        } else if flags.contains(.blocked) {
          // guard: no-cut-during-broadcast
          blocked.append(place)
        } else {
          dirty.insert(place)
        }
      }
    }
    metrics.add(.bytesSent, sentToAll * byteCount)
    // Behind the walk: to cut one of them off settles the burst of its room, and that writes to
    // others, who may be gone then.
    for place in blocked where table.contains(place) { checkBacklog(at: place) }
  }

  /// A member took less than the shared frames.
  private func sharedSent(_ sent: Int, at place: UInt32) {
    if sent >= 0 {
      table[place].sharedThrough += UInt64(sent)
      metrics.add(.bytesSent, sent)
      block(place)
    } else if sent == -Int(EAGAIN) {
      block(place)
    } else {
      drop(place, counting: .resets)
    }
  }

  /// Sends what the connection at `place` has waiting, in its order.
  func flush(_ place: UInt32) {
    if !table[place].flags.isDisjoint(with: .socketless) { return flushWithoutSocket(place) }
    guard flushOwned(place), flushOutbox(place), flushSharedTail(place) else { return }
    table[place].flags.remove(.queued)
    if table[place].flags.contains(.blocked) { unblock(place) }
    if table.contains(place) { sentAll(place) }
  }

  /// Sends what is the connection's own, and what it is lent; false when it blocked or ended.
  func flushOwned(_ place: UInt32) -> Bool {
    if !table[place].flags.isDisjoint(with: .socketless) {
      flushWithoutSocket(place)
      return table.contains(place) && !table[place].flags.contains(.blocked)
    }
    if let lent = table[place].lent { return flush(lent, at: place) }
    guard table[place].ownedSent < table[place].owned.count else { return true }
    let fd = table[place].fd
    let skipped = table[place].ownedSent
    // SAFETY: the array is not changed while it is read.
    let sent = unsafe table[place].owned.withUnsafeBytes { bytes in
      unsafe kernel.send(fd, UnsafeRawBufferPointer(rebasing: bytes[skipped...]))
    }
    guard sent >= 0 else { return failed(place, sent) }
    metrics.add(.bytesSent, sent)
    table[place].ownedSent += sent
    if table[place].ownedSent == table[place].owned.count {
      // What is answered and taken at once comes and goes in the same memory.
      // guard: freed-bytes-on-catch-up
      if table[place].flags.contains(.blocked) { noteFreed(table[place].owned.count) }
      table[place].owned = []
      table[place].ownedSent = 0
      return true
    }
    if sent > 0 { table[place].progressAt = now }
    forgetSent(place)
    block(place)
    return false
  }

  /// Sends a head with the body that the connection is lent; false when it blocked or ended.
  ///
  /// A reader that is slow is owed as much as any other and holds nothing of it: what it has not
  /// taken is a place in bytes that are there anyway.
  private func flush(_ lent: Lent, at place: UInt32) -> Bool {
    let fd = table[place].fd
    let skipped = table[place].ownedSent
    // SAFETY: neither array is changed while it is read.
    let sent = unsafe table[place].owned.withUnsafeBytes { own in
      unsafe lent.bytes.withUnsafeBytes { bytes in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[lent.sent...])
        guard skipped < own.count else { return unsafe kernel.send(fd, rest) }
        return unsafe kernel.send(fd, UnsafeRawBufferPointer(rebasing: own[skipped...]), rest)
      }
    }
    guard sent >= 0 else { return failed(place, sent) }
    metrics.add(.bytesSent, sent)
    if sent > 0 { table[place].progressAt = now }
    let ownCount = min(sent, table[place].owned.count - skipped)
    table[place].ownedSent += ownCount
    lent.sent += sent - ownCount
    guard lent.sent == lent.bytes.count else {
      block(place)
      return false
    }
    table[place].owned = []
    table[place].ownedSent = 0
    table[place].lent = nil
    return true
  }

  /// Gives back the room of what was sent: a client that is always a little behind would never be
  /// rid of it.
  ///
  /// Not each time, so that a large answer which is taken in small pieces is not moved for each.
  private func forgetSent(_ place: UInt32) {
    let sent = table[place].ownedSent
    // guard: sent-bytes-released
    guard sent >= 4 * Shard.ownedStepBytes, sent >= (table[place].owned.count - sent) / 4 else {
      return
    }
    table[place].owned.removeFirst(sent)
    table[place].ownedSent = 0
  }

  /// Makes room for `count` more bytes behind what the connection owns.
  ///
  /// In steps: by doubling, an array would come to hold twice what a client may be behind. And
  /// where what was sent lies, as far as that reaches, because else a client would be held that on
  /// top of what it is behind; but not for less than half a step, or all that a client owns would
  /// be moved for each frame that it is sent.
  func makeRoom(for count: Int, at place: UInt32) {
    guard table[place].owned.count + count > table[place].owned.capacity else { return }
    let step = Shard.ownedStepBytes
    // guard: sent-bytes-make-room
    if table[place].ownedSent >= step / 2 {
      table[place].owned.removeFirst(table[place].ownedSent)
      table[place].ownedSent = 0
    }
    let needed = table[place].owned.count + count
    guard needed > table[place].owned.capacity else { return }
    table[place].owned.reserveCapacity((needed + step - 1) / step * step)
  }

  /// False when the connection blocked or ended.
  private func flushOutbox(_ place: UInt32) -> Bool {
    while !table[place].outbox.isEmpty {
      let offered: Int
      let sent: Int
      let fd = table[place].fd
      if table[place].outbox.rangeCount == 1 {
        let range = table[place].outbox[0]
        offered = range.count
        // SAFETY: the log is not appended to while its bytes are sent.
        sent = unsafe log(range.log).withBytes(from: range.from, to: range.to) {
          unsafe kernel.send(fd, $0, $1)
        }
      } else {
        // Many small pieces are cheaper to copy together than to hand to the kernel one by one.
        offered = gather(place)
        let pieces = unsafe gathered.region(at: 0, count: offered)
        sent = unsafe kernel.send(fd, UnsafeRawBufferPointer(pieces))
      }
      guard sent >= 0 else { return failed(place, sent) }
      metrics.add(.bytesSent, sent)
      table[place].outbox.advance(by: sent)
      if sent < offered {
        block(place)
        return false
      }
    }
    return true
  }

  /// Copies as much of the outbox as fits into the gathering buffer, and says how much.
  private func gather(_ place: UInt32) -> Int {
    var count = 0
    for index in 0..<table[place].outbox.rangeCount {
      let range = table[place].outbox[index]
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
  private func flushSharedTail(_ place: UInt32) -> Bool {
    guard table[place].state == .session, !table[place].flags.contains(.ungreeted) else {
      return true
    }
    let log = fanOutGroups[table[place].group].log
    let from = table[place].sharedThrough
    let end = log.end
    guard from != end else { return true }
    let fd = table[place].fd
    // SAFETY: the log is not appended to while its bytes are sent.
    let sent = unsafe log.withBytes(from: from, to: end) { unsafe kernel.send(fd, $0, $1) }
    guard sent >= 0 else { return failed(place, sent) }
    metrics.add(.bytesSent, sent)
    table[place].sharedThrough += UInt64(sent)
    if table[place].sharedThrough == end { return true }
    if sent > 0 { table[place].progressAt = now }
    block(place)
    return false
  }

  private func failed(_ place: UInt32, _ result: Int) -> Bool {
    if result == -Int(EAGAIN) {
      block(place)
    } else {
      drop(place, counting: .resets)
    }
    return false
  }

  // MARK: Blocked connections

  /// Awaits writability.
  func block(_ place: UInt32) {
    if mayLean(place) { lean(place) } else { spillOutbox(at: place) }
    countBlocked(table[place].owned.count - table[place].ownedSent, at: place)
    guard !table[place].flags.contains(.blocked) else { return }
    table[place].flags.insert(.blocked)
    table[place].progressAt = now
    blockedCount += 1
    updateInterest(place)
    if table.contains(place) { scheduleTimer(place) }
  }

  /// Whether the connection at `place`, blocked, may have ranges of logs to be sent.
  ///
  /// So many that they cost more than a small frame each would are copied together; and what has no
  /// socket is always behind between two polls.
  func mayLean(_ place: UInt32) -> Bool {
    table[place].flags.isDisjoint(with: .socketless)
      // guard: small-ranges-copied
      && table[place].outbox.rangeCount < Shard.leaningRangesLimit
  }

  private static let leaningRangesLimit = 32

  /// Notes that the ranges of the connection at `place` are needed on.
  func lean(_ place: UInt32) {
    guard !table[place].outbox.isEmpty else { return }
    leaning.insert(place)
    for index in 0..<table[place].outbox.rangeCount {
      let range = table[place].outbox[index]
      let known = leaningFrom[range.log.index]
      leaningFrom[range.log.index] = min(known ?? .max, range.from)
    }
  }

  /// Copies what blocked connections have in the logs once one of these is about to come round to
  /// it: before the next flush it is added to by no more than `byteCount`, a flush's worth and a
  /// large frame at the least.
  private func liftLeaning(before byteCount: UInt64) {
    guard !leaning.isEmpty else { return }
    let isDue = leaningFrom.indices.contains { index in
      guard let from = leaningFrom[index] else { return false }
      let log = log(LogID(index: index))
      return log.end - from + byteCount > UInt64(log.capacity)
    }
    // guard: ranges-copied-before-overwrite
    guard isDue else { return }
    let places = leaning
    places.forEach { place in
      stopLeaning(place)
      spillOutbox(at: place)
      countBlocked(table[place].owned.count - table[place].ownedSent, at: place)
    }
  }

  /// Forgets that the connection at `place` needs anything of the logs.
  func stopLeaning(_ place: UInt32) {
    guard leaning.remove(place), leaning.isEmpty else { return }
    for index in leaningFrom.indices { leaningFrom[index] = nil }
  }

  func unblock(_ place: UInt32) {
    stopLeaning(place)
    table[place].flags.remove(.blocked)
    blockedCount -= 1
    countBlocked(0, at: place)
    // It has taken everything, so it is there; it was not pinged while it was behind.
    table[place].heardAt = now
    updateInterest(place)
    if table.contains(place) { scheduleTimer(place) }
  }

  /// Brings the sum of blocked bytes up to date with this connection's.
  func countBlocked(_ byteCount: Int, at place: UInt32) {
    blockedBytes += byteCount - table[place].blockedBytes
    table[place].blockedBytes = byteCount
  }

  /// Whether there is memory for one more page that its client may be slow to take.
  var hasRoomForPage: Bool { blockedBytes < core.configuration.limits.blockedBytesLimit }

  /// Bytes that the session at `place` still has to be sent, of its own and of what all are sent.
  func queuedByteCount(of place: UInt32) -> Int {
    let log = fanOutGroups[table[place].group].log
    return table[place].queuedByteCount + Int(log.end - table[place].sharedThrough)
  }

  /// How far behind the session at `place` may be.
  ///
  /// One that is polled is always behind between two polls, and has no kernel to keep for it what
  /// comes meanwhile.
  private func backlogBytesLimit(of place: UInt32) -> Int {
    let limit = core.configuration.limits.backlogBytesLimit
    guard table[place].flags.contains(.polling) else { return limit }
    // No further than a log goes back.
    let held =
      core.configuration.limits.frameLogCapacity - Int(Shard.flushBytes) - Shard.largestFrameBytes
    return min(4 * limit, held)
  }

  /// Cuts the connection at `place` off when it is further behind than allowed, or would be with
  /// `count` bytes more.
  ///
  /// One that only had no time to read yet is given more of the kernel's room first.
  func checkBacklog(at place: UInt32, adding count: Int = 0) {
    guard isTooFarBehind(place, adding: count) else { return }
    // guard: raised-send-buffer
    if isDeepened(place) {
      // It stays blocked until the kernel says that there is room, but that may have been a while.
      _ = flushOwned(place) && flushOutbox(place) && flushSharedTail(place)
      guard table.contains(place), isTooFarBehind(place, adding: count) else { return }
    }
    cutSlowConsumer(place)
  }

  /// Whether the kernel takes a burst for the connection at `place`: has it do so, but for a client
  /// that is asleep, and would only have so much more held for it.
  private func isDeepened(_ place: UInt32) -> Bool {
    if table[place].flags.contains(.deepened) { return true }
    let limits = core.configuration.limits
    let fd = table[place].fd
    // guard: zero-window-send-buffer
    guard fd >= 0, limits.unsentBurstBytesLimit > limits.unsentBytesLimit,
      !kernel.isAsleep(fd, milliseconds: limits.sleepMilliseconds)
    else { return false }
    table[place].flags.insert(.deepened)
    kernel.limitUnsent(fd, to: limits.unsentBurstBytesLimit)
    return true
  }

  private func isTooFarBehind(_ place: UInt32, adding count: Int) -> Bool {
    guard table[place].state == .session else { return false }
    let log = fanOutGroups[table[place].group].log
    var behind = table[place].queuedByteCount
    // A page of missed notifications is sent ahead of the client's pace, one at a time.
    if table[place].flags.contains(.replaying) { behind = max(0, behind - Shard.missedBytesLimit) }
    // The page counts for what is its own, not for what it leaves in the log: that is overwritten
    // whoever replays.
    behind += Int(log.end - table[place].sharedThrough) + count
    // guard: backlog-bytes
    return behind > backlogBytesLimit(of: place)
  }

  /// Tells a slow consumer 1013, behind the frame that it was sent a part of.
  func cutSlowConsumer(_ place: UInt32) {
    // Here and not by `close`: what is put in may be what cuts it off.
    // guard: batch-cut-once
    guard settleBurst(for: place) else { return }
    metrics.add(.slowConsumers)
    let group = fanOutGroups[table[place].group]
    if table[place].ownedSent == table[place].owned.count {
      var next = OutboxRange(
        log: .everyone(of: group.id), from: table[place].sharedThrough, to: group.log.end)
      if !table[place].outbox.isEmpty { next = table[place].outbox[0] }
      // guard: slow-consumer-outbox-cleared
      table[place].outbox.removeAll()
      // The log holds it: a backlog is far smaller than its capacity.
      let end = min(frameEnds(of: next.log).end(at: next.from) ?? next.to, next.to)
      if end > next.from { copyToOwned(log(next.log), from: next.from, to: end, at: place) }
    }
    table[place].sharedThrough = group.log.end
    close(place, code: 1013, reason: "too far behind, resume with your cursor")
  }
}
