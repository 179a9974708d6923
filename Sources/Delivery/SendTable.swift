// The slots of a shard's connections, and the part of each connection that sending uses.

/// The connections of one shard, each in its own slot.
///
/// The lowest free slot is taken first, so connections lie in the order in which they arrived,
/// which is the order in which a broadcast walks them. Chunks of slots are allocated on demand and
/// freed when their last connection ends. Other tables may keep more about the connection in the
/// same slot: they learn from `insert`, `end` and `reap` when it is taken and freed.
///
/// A connection ends at once, but its slot is freed by `reap` at the end of the turn. So a function
/// may go on with a slot after a call that has ended its connection: it finds a blank connection
/// without a descriptor, to which nothing can be sent. The slot and its address stay valid for the
/// whole turn, and no other connection gets the slot in it.
///
/// Invariant: bit `slot` of `taken` is set exactly if the slot is not free. An ended slot is listed
/// once in `ended` and has the descriptor -1 and the generation 0, which no connection has.
@safe package final class SendTable {
  /// Slots in one chunk.
  package static let slotsPerChunk = 512

  /// Unchecked: `insert` and `free` alone change it, and neither calls anything that does.
  @exclusivity(unchecked) private var chunks: [UnsafeMutablePointer<SendState>?] = unsafe []
  private var taken = SlotSet()
  /// Slots of the connections that have ended since the last `reap`.
  private var ended: [UInt32] = []
  private var lastGeneration: UInt32 = 0
  /// Open connections in the table.
  package private(set) var count = 0

  package init() {}

  deinit {
    for index in unsafe chunks.indices {
      guard let chunk = unsafe chunks[index] else { continue }
      unsafe chunk.deinitialize(count: SendTable.slotsPerChunk)
      unsafe chunk.deallocate()
    }
  }

  /// Takes the lowest free slot for `fd`; nil when the table already has `limit` connections.
  ///
  /// A slot without a socket has the descriptor -1, and `flags` say where its messages leave.
  package func insert(fd: Int32, _ flags: SendFlags = [], limit: Int) -> UInt32? {
    guard count < limit else { return nil }
    let slot = taken.insertLowestFree()
    let chunk = Int(slot) / SendTable.slotsPerChunk
    while unsafe chunks.count <= chunk { unsafe chunks.append(nil) }
    if unsafe chunks[chunk] == nil {
      let made = UnsafeMutablePointer<SendState>.allocate(capacity: SendTable.slotsPerChunk)
      unsafe made.initialize(repeating: SendState(), count: SendTable.slotsPerChunk)
      unsafe chunks[chunk] = made
    }
    // guard: generation-increments
    lastGeneration &+= 1
    if lastGeneration == 0 { lastGeneration = 1 }
    count += 1
    self[slot].fd = fd
    self[slot].generation = lastGeneration
    self[slot].flags = flags
    return slot
  }

  /// Ends the connection at `slot`, which must be open: releases all that its fields hold.
  ///
  /// Its generation is not reused for 2^32 connections.
  package func end(_ slot: UInt32) {
    assert(isOpen(slot), "\(slot) has no connection")
    // guard: sending-slot-cleared
    self[slot] = SendState()
    // guard: slot-kept-for-turn
    ended.append(slot)
    count -= 1
  }

  /// Frees the slots of the connections that have ended; call it where no function uses a slot.
  ///
  /// - Parameter freed: called with each slot, and with the index of a chunk of slots if the slot
  ///   was the last one taken in it.
  package func reap(_ freed: (_ slot: UInt32, _ emptyChunk: Int?) -> Void) {
    guard !ended.isEmpty else { return }
    for slot in ended {
      assert(self[slot].isBlank, "\(slot) was changed after its connection had ended")
      freed(slot, free(slot))
    }
    ended.removeAll(keepingCapacity: ended.count <= SendTable.slotsPerChunk)
  }

  /// Frees the slot; returns the index of its chunk if no slot in it is taken any more.
  private func free(_ slot: UInt32) -> Int? {
    self[slot] = SendState()
    taken.remove(slot)
    let chunk = Int(slot) / SendTable.slotsPerChunk
    let first = UInt32(chunk * SendTable.slotsPerChunk)
    guard taken.isEmpty(from: first, count: SendTable.slotsPerChunk),
      let empty = unsafe chunks[chunk]
    else { return nil }
    unsafe empty.deinitialize(count: SendTable.slotsPerChunk)
    unsafe empty.deallocate()
    unsafe chunks[chunk] = nil
    return chunk
  }

  /// Whether the connection is open.
  package func holds(_ id: ConnectionID) -> Bool {
    isOpen(id.slot) && self[id.slot].generation == id.generation
  }

  /// The id of the connection in `slot`, which must be taken; one that no connection has if the
  /// connection has ended.
  package func id(of slot: UInt32) -> ConnectionID {
    ConnectionID(slot: slot, generation: self[slot].generation)
  }

  /// Whether an open connection has `slot`.
  package func isOpen(_ slot: UInt32) -> Bool { taken.contains(slot) && self[slot].generation != 0 }

  /// Calls `body` with the slot of each open connection, lowest first.
  ///
  /// `body` may end connections; one that has ended before its turn is skipped.
  package func forEachSlot(_ body: (UInt32) -> Void) {
    // A copy, so that `body` may change the set that is walked.
    let slots = taken
    slots.forEach { slot in
      if isOpen(slot) { body(slot) }
    }
  }

  /// The connection at `slot`, which must be taken.
  package internal(set) subscript(slot: UInt32) -> SendState {
    // Addressors, not `_read` and `_modify`: those copy into a frame of their own, which in an
    // unoptimised build ended before a part of the copy was used, as the address sanitizer showed.
    unsafeAddress { unsafe UnsafePointer(pointer(to: slot)) }
    unsafeMutableAddress { unsafe pointer(to: slot) }
  }

  /// The address of the connection in a taken slot, valid until the end of the turn.
  func pointer(to slot: UInt32) -> UnsafeMutablePointer<SendState> {
    let index = Int(slot)
    // SAFETY: the chunk of a taken slot is allocated, and the offset lies inside it. A free slot
    // may have no chunk, and then this traps.
    return unsafe chunks[index / SendTable.slotsPerChunk]! + index % SendTable.slotsPerChunk
  }
}
