// Flush: at the end of a turn, one call sends the bytes queued for a connection.
//
// Invariant: no function here ends a connection or calls another component. See `DeliveryReport`.

internal import Glibc
internal import Reactor

extension Delivery {
  /// Entries for which `unflushed` keeps its memory between flushes.
  private static let keptLatencies = 1_024
  /// The step by which a connection's private bytes grow.
  static let privateStepBytes = 4 * 1_024

  /// Sends all queued bytes that the sockets take.
  ///
  /// `byteCount` is the size of the next append to a log, if that may exceed `flushBytes`.
  package func flush(before byteCount: UInt64 = 0) {
    for group in unflushedGroups where group.log.end != group.flushedEnd { flushShared(group) }
    flushBatch()
    if !unflushedGroups.isEmpty { unlistFlushed() }
    if !dirty.isEmpty {
      let slots = dirty
      dirty.removeAll()
      slots.forEach { flush($0) }
    }
    directFlushed = direct.end
    copyOutPinned(before: max(byteCount, Delivery.flushBytes + UInt64(Delivery.largestFrameBytes)))
    if !unflushed.isEmpty { measureFlushed() }
  }

  /// Records when the server took an event, to measure its latency once its frames are flushed.
  package func awaitFlush(takenAt: UInt64) {
    // Events of one turn often have the same time, so equal times share one entry.
    if let last = unflushed.indices.last, unflushed[last].takenAt == takenAt {
      unflushed[last].count += 1
    } else {
      unflushed.append((takenAt, 1))
    }
  }

  /// Reports the latency of the events that this flush sent.
  private func measureFlushed() {
    let end = kernel.monotonicNanoseconds
    for (takenAt, count) in unflushed {
      report.latencies.append((end - min(end, takenAt), count))
    }
    unflushed.removeAll(keepingCapacity: unflushed.capacity <= Delivery.keptLatencies)
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
    let kernel = kernel
    let table = table
    // SAFETY: the log is not appended to during `withBytes`. A member is an open connection, and
    // sending ends none. Its address is not kept past its iteration.
    unsafe group.log.withBytes(from: from, to: end) { first, second in
      members.forEach { slot in
        let connection = unsafe table.pointer(to: slot)
        let flags = unsafe connection.pointee.flags
        // guard: shared-frames-not-past-transport
        if flags.isDisjoint(with: SendFlags.flushedAlone),
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
          checkBacklog(at: slot)
        } else {
          dirty.insert(slot)
        }
      }
    }
    report.sentByteCount += sentToAll * byteCount
  }

  /// Handles a member's socket that took less than the shared frames.
  private func sharedSent(_ sent: Int, at slot: UInt32) {
    if sent >= 0 {
      table[slot].groupCursor += UInt64(sent)
      report.sentByteCount += sent
      block(slot)
    } else if sent == -Int(EAGAIN) {
      block(slot)
    } else {
      fail(slot)
    }
  }

  /// Sends the bytes queued for the connection at `slot`, in order.
  package func flush(_ slot: UInt32) {
    // guard: nothing-sent-after-giving-up
    guard table[slot].flags.isDisjoint(with: .givenUp) else { return }
    if !table[slot].flags.isDisjoint(with: .socketless) {
      takePrivately(slot)
      report.packets.append(table.id(of: slot))
      return
    }
    guard flushPrivateBytes(slot), flushOutbox(slot), flushSharedTail(slot),
      flushTransport(slot)
    else { return }
    table[slot].flags.remove(.queued)
    if table[slot].flags.contains(.blocked) { unblock(slot) }
    report.drained.append(table.id(of: slot))
  }

  /// Sends the private bytes and the shared body; whether all were taken.
  @discardableResult
  func flushPrivateBytes(_ slot: UInt32) -> Bool {
    if !table[slot].flags.isDisjoint(with: .socketless) {
      report.packets.append(table.id(of: slot))
      return false
    }
    if let sharedBody = table[slot].sharedBody { return flush(sharedBody, at: slot) }
    guard table[slot].privateSentCount < table[slot].privateBytes.count else { return true }
    let skipped = table[slot].privateSentCount
    // SAFETY: the array is not changed while it is read.
    let sent = unsafe table[slot].privateBytes.withUnsafeBytes { bytes in
      unsafe transmit(UnsafeRawBufferPointer(rebasing: bytes[skipped...]), to: slot)
    }
    guard sent >= 0 else { return notSent(slot, sent) }
    noteSent(sent, at: slot)
    table[slot].privateSentCount += sent
    if table[slot].privateSentCount == table[slot].privateBytes.count {
      // An answer that is sent at once reuses the same memory; only blocked bytes count as freed.
      let isFreed = table[slot].flags.contains(.blocked)
      // guard: freed-bytes-on-catch-up
      if isFreed { report.freedByteCount += table[slot].privateBytes.count }
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
    report.sentByteCount += count
    // guard: progress-of-every-queue
    if count > 0 { table[slot].progressAt = now }
  }

  /// Sends a head with its shared body; whether all bytes were taken.
  ///
  /// A slow reader holds no copy of the body: it only has an offset into the shared bytes.
  private func flush(_ sharedBody: SharedBody, at slot: UInt32) -> Bool {
    let skipped = table[slot].privateSentCount
    // SAFETY: neither array is changed while it is read.
    let sent = unsafe table[slot].privateBytes.withUnsafeBytes { own in
      unsafe sharedBody.bytes.withUnsafeBytes { bytes in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[sharedBody.sent...])
        guard skipped < own.count else { return unsafe transmit(rest, to: slot) }
        let head = unsafe UnsafeRawBufferPointer(rebasing: own[skipped...])
        return unsafe transmit(head, rest, to: slot)
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
    guard sent >= 4 * Delivery.privateStepBytes, sent >= (table[slot].privateBytes.count - sent) / 4
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
    let step = Delivery.privateStepBytes
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
  func flushOutbox(_ slot: UInt32) -> Bool {
    while !table[slot].outbox.isEmpty {
      let offered: Int
      let sent: Int
      if table[slot].outbox.rangeCount == 1 {
        let range = table[slot].outbox[0]
        offered = range.count
        // SAFETY: the log is not appended to while its bytes are sent.
        sent = unsafe log(range.log).withBytes(from: range.from, to: range.to) {
          unsafe transmit($0, $1, to: slot)
        }
      } else {
        // Copying many small pieces together is cheaper than passing each to the kernel.
        offered = gather(slot)
        let pieces = unsafe gathered.region(at: 0, count: offered)
        sent = unsafe transmit(UnsafeRawBufferPointer(pieces), to: slot)
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
  func flushSharedTail(_ slot: UInt32) -> Bool {
    guard table[slot].flags.contains(.takesFrames),
      !table[slot].flags.contains(.handshakePending)
    else {
      return true
    }
    let log = group(of: slot).log
    let from = table[slot].groupCursor
    let end = log.end
    guard from != end else { return true }
    // SAFETY: the log is not appended to while its bytes are sent.
    let sent = unsafe log.withBytes(from: from, to: end) { unsafe transmit($0, $1, to: slot) }
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
}
