// The broadcast ring: any thread offers, and every consumer sees every element in the same order.
//
// Bounded, lock-free, with ordinary strong references in its slots. Reclaiming memory is no problem
// here because the consumers are few and fixed at birth (the shards): each has a cursor, and no
// producer writes a slot before every cursor has passed it, so nothing is read while written.
//
//     position   p-4   p-3   p-2   p-1    p           positions count up for ever and wrap at 2^64;
//              +-----+-----+-----+-----+-----+        slot = position & (capacity - 1)
//     slots    |free |held |held | ... |free |
//              +-----+-----+-----+-----+-----+
//                     ^           ^     ^
//                slowest cursor   |    tail: next to be claimed
//                        other cursors
//
// A slot's sequence is position + 1 once that position is published, and a number of an earlier lap
// before that. It is only ever compared for equality, so it does not matter where numbering starts
// and wraps. Tests/Models/ring.pml checks the protocol below.

internal import Synchronization

/// Many producers, a fixed set of consumers, every consumer sees every element in the same order.
///
/// A full ring refuses at once; nothing here waits or spins for another thread. An element is
/// released when the last consumer has passed it, not when its slot is reused, so an idle ring
/// holds no elements.
///
/// Invariant: `cursor(c) <= tail <= cursor(c) + capacity` for every consumer `c`, in wrapping
/// order.
@safe package final class BroadcastRing<Element: AnyObject & Sendable>: @unchecked Sendable {
  // Proof of Sendable: all stored properties are constant. The memory behind `slots` is reached
  // through atomics, except each slot's reference: the slot's sequence passes it from the one
  // producer that claimed its position to the consumers, and their cursors pass it from them to the
  // next producer. Each access states its own argument. `Element` itself is Sendable.

  package let capacity: Int
  private let mask: UInt64
  private let parkers: [Parker]
  /// The same parkers, reachable without a retain and a release: all producers' cores would contend
  /// for the reference count.
  private let parkerReferences: UnsafeMutablePointer<Unmanaged<Parker>>
  private let slots: UnsafeMutablePointer<RingSlot>
  /// `tail`, `gate`, then one cursor a consumer.
  private let counters: CounterLines
  /// A consumer publishes its cursor at least every so many elements of a long batch.
  ///
  /// So producers do not wait for elements that were already consumed. At 64 the cost of the store
  /// is negligible beside that of the elements; a ring smaller than four such strides publishes it
  /// every quarter of its capacity.
  private let cursorStride: Int

  /// Makes an empty ring whose first element gets the position `firstSequence`.
  ///
  /// `capacity` is a power of two; there is one consumer per parker, with the parker's index.
  package init(capacity: Int, parkers: [Parker], firstSequence: UInt64 = 0) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0, "capacity \(capacity)")
    precondition(!parkers.isEmpty, "a ring without consumers would never free a slot")
    self.capacity = capacity
    self.mask = UInt64(capacity) - 1
    self.parkers = parkers
    self.cursorStride = max(1, min(64, capacity / 4))
    self.counters = CounterLines(count: 2 + parkers.count, initialValue: firstSequence)
    // SAFETY: fresh memory for one reference per parker, each initialized here.
    unsafe parkerReferences = .allocate(capacity: parkers.count)
    for (consumer, parker) in parkers.enumerated() {
      unsafe (parkerReferences + consumer).initialize(to: .passUnretained(parker))
    }
    // SAFETY: fresh memory for `capacity` slots, each initialized once, before any other thread can
    // reach it. Aligned so that a slot (32 bytes) never straddles a cache line.
    let memory = unsafe UnsafeMutableRawPointer.allocate(
      byteCount: capacity * MemoryLayout<RingSlot>.stride, alignment: 128)
    unsafe slots = memory.bindMemory(to: RingSlot.self, capacity: capacity)
    for offset in 0..<UInt64(capacity) {
      let position = firstSequence &+ offset
      // As if the previous lap had been published: never equal to `position + 1`.
      let sequence = position &+ 1 &- UInt64(capacity)
      unsafe (slots + Int(position & mask)).initialize(to: RingSlot(sequence: sequence))
    }
  }

  deinit {
    // SAFETY: no other thread has a reference to the ring any more, so every claim was published
    // and no drain is in progress. A slot still owns an element that some consumer has not passed.
    for index in 0..<capacity {
      if let reference = unsafe slots[index].reference {
        unsafe Unmanaged<Element>.fromOpaque(reference).release()
      }
    }
    unsafe slots.deinitialize(count: capacity)
    unsafe slots.deallocate()
    unsafe parkerReferences.deallocate()
  }

  /// Publishes one element to every consumer and wakes the parked ones; false if the ring is full.
  ///
  /// Any thread, also from within a drain's `body`.
  package func offer(_ element: Element) -> Bool {
    guard let claim = claim(upTo: 1) else { return false }
    publish(element, at: claim.position)
    unparkAll()
    return true
  }

  /// Publishes as many of the first elements as fit, in order; returns how many.
  ///
  /// Any thread, also from within a drain's `body`. Claims the whole run at once, so no other
  /// producer's element lands inside it, and wakes once.
  package func offer(contentsOf elements: ArraySlice<Element>) -> Int {
    guard !elements.isEmpty, let claim = claim(upTo: elements.count) else { return 0 }
    // Last to first. A consumer that waits for the run waits for its first position; once it sees
    // that position it sees the whole run, so only that one store has to be ordered against the
    // consumer's `isParked`.
    for offset in (0..<claim.count).reversed() {
      publish(
        elements[elements.startIndex + offset], at: claim.position &+ UInt64(offset))
    }
    unparkAll()
    return claim.count
  }

  /// The position after the last one that is claimed.
  ///
  /// For a consumer that also reads a mailbox, where a message may say how it has to take the
  /// elements after it (a connection is in a room: it gets the room's events from now on):
  ///
  ///     producer                                consumer
  ///     1. mailbox <- message   (release)       3. end     <- tail           (acquire)
  ///     2. tail    <- position  (release)       4. mailbox -> every message
  ///                                             5. ring    -> every element before `end`
  ///
  /// An element before `end` was claimed by an exchange (2) that 3 read, or by one before it: the
  /// tail changes by exchanges only, so all of them are in one release sequence. So 2 happens
  /// before 3, and with it 1 before 4: the push (1) precedes the exchange (4) that takes the
  /// mailbox in the order of its head's changes, and 4 takes the message. Counts do not spoil this:
  /// the message was counted before 1. So 5 hands over no element before its message.
  ///
  /// Without `end` the message and the element may both come between 4 and 5.
  /// Tests/Models/order.pml checks the argument.
  package var end: UInt64 {
    // acquiring: pairs with the exchange in `claim`.
    unsafe counters[0].pointee.load(ordering: .acquiring)
  }

  /// The position of this consumer's next element.
  ///
  /// The consumer's own thread only, outside of a drain.
  package func position(of consumer: Int) -> UInt64 {
    precondition(0 <= consumer && consumer < parkers.count, "consumer \(consumer)")
    // relaxed: this thread is the cursor's only writer.
    return unsafe cursor(of: consumer).pointee.load(ordering: .relaxed)
  }

  /// Hands this consumer's next elements to `body`, up to `limit` or the first unpublished one, and
  /// with `end` only those before that position.
  ///
  /// The consumer's own thread only, one drain at a time; returns how many it handed over. If a
  /// producer claimed a position and was descheduled, the batch just ends there: that producer
  /// unparks the consumer when it publishes. `body` may offer to this ring; up to the last
  /// `cursorStride` elements of this drain do not yet count as free room.
  package func drain(
    consumer: Int, limit: Int, before end: UInt64? = nil, _ body: (Element) -> Void
  ) -> Int {
    precondition(0 <= consumer && consumer < parkers.count, "consumer \(consumer)")
    precondition(limit >= 0, "limit \(limit)")
    let cursor = unsafe cursor(of: consumer)
    // relaxed: this thread is the cursor's only writer.
    let first = unsafe cursor.pointee.load(ordering: .relaxed)
    // Signed: this consumer may have passed `end` already.
    let limit = end.map { min(limit, max(0, Int(Int64(bitPattern: $0 &- first)))) } ?? limit
    var position = first
    var shown = first
    var count = 0
    while count < limit {
      let slot = unsafe slot(at: position)
      // acquiring: pairs with the store in `publish`; the slot's reference and count, and the
      // object itself, are visible after it.
      guard unsafe slot.pointee.sequence.load(ordering: .acquiring) == position &+ 1 else { break }
      // SAFETY: published, and not overwritten before this consumer's cursor passes it. The slot
      // owns the reference until the last consumer leaves, and this one has not left, so no retain
      // is needed.
      guard let reference = unsafe slot.pointee.reference else {
        preconditionFailure("position \(position) is published without an element")
      }
      unsafe Unmanaged<Element>.fromOpaque(reference)._withUnsafeGuaranteedRef { body($0) }
      unsafe leave(slot)
      position &+= 1
      count += 1
      if position &- shown == UInt64(cursorStride) {
        unsafe show(position, cursor)
        shown = position
      }
    }
    if position != shown { unsafe show(position, cursor) }
    return count
  }

  /// Whether this consumer's next element is published.
  ///
  /// The consumer's own thread only, outside of a drain: this is the re-check in `Parker.park`.
  package func hasWork(consumer: Int) -> Bool {
    precondition(0 <= consumer && consumer < parkers.count, "consumer \(consumer)")
    // relaxed: this thread is the cursor's only writer.
    let position = unsafe cursor(of: consumer).pointee.load(ordering: .relaxed)
    // sequentially consistent: step 4 of parking; pairs with the store in `publish`.
    return unsafe slot(at: position).pointee.sequence.load(ordering: .sequentiallyConsistent)
      == position &+ 1
  }

  /// The number of positions claimed and not passed by every consumer; for metrics, may be stale.
  package var depth: Int {
    // acquiring: pairs with the exchange in `claim`, so that the cursors read below lag the tail
    // only by the work of other threads in between.
    let tail = unsafe counters[0].pointee.load(ordering: .acquiring)
    let distance = Int64(bitPattern: tail &- slowestCursor())
    return max(0, min(capacity, Int(distance)))
  }

  private func unparkAll() {
    for consumer in 0..<parkers.count {
      // SAFETY: in bounds, initialized, and kept alive by `parkers` as long as the ring.
      unsafe parkerReferences[consumer]._withUnsafeGuaranteedRef { $0.unpark() }
    }
  }

  /// Claims up to `limit` positions that every consumer has passed; nil if there is none.
  private func claim(upTo limit: Int) -> (position: UInt64, count: Int)? {
    let tailCounter = unsafe counters[0]
    let gateCounter = unsafe counters[1]
    // acquiring: pairs with the exchange below. It keeps the cursors from being read before the
    // tail, so a ring reported as full really was full.
    var tail = unsafe tailCounter.pointee.load(ordering: .acquiring)
    while true {
      // acquiring: pairs with the store a few lines below, by the producer that read the cursors,
      // and through that with the cursors' own stores: all reads of slots before `gate` are over.
      //
      // Several producers write the gate and a slow one may set it back. That is sound: every
      // stored value was at most every cursor when it was computed, and cursors only advance. So a
      // late or stale gate allows too little, never too much, and costs one more read of the
      // cursors.
      var gate = unsafe gateCounter.pointee.load(ordering: .acquiring)
      if room(from: gate, to: tail) < limit {
        gate = slowestCursor()
        // releasing: pairs with the load above.
        unsafe gateCounter.pointee.store(gate, ordering: .releasing)
      }
      let room = room(from: gate, to: tail)
      guard room > 0 else { return nil }
      let count = min(limit, room)
      // acquiring and releasing: pairs with itself and the loads of the tail. If the tail read
      // above was stale, the exchange fails and every conclusion drawn from it is discarded: the
      // tail only advances, so it does not return to the same number (within 2^64 claims).
      let (exchanged, current) = unsafe tailCounter.pointee.weakCompareExchange(
        expected: tail, desired: tail &+ UInt64(count),
        successOrdering: .acquiringAndReleasing, failureOrdering: .acquiring)
      if exchanged { return (tail, count) }
      tail = current
    }
  }

  /// The number of free positions from `tail` on if every position before `gate` has been passed.
  private func room(from gate: UInt64, to tail: UInt64) -> Int {
    // Signed: a stale tail may be less than the gate. Then the result only has to be positive, so
    // that the exchange is tried, fails, and returns the true tail.
    let claimed = Int64(bitPattern: tail &- gate)
    return claimed < 0 ? capacity : capacity - Int(claimed)
  }

  private func slowestCursor() -> UInt64 {
    // acquiring: pairs with the store in `show`; the consumer has finished reading the slots that
    // it passed.
    var slowest = unsafe cursor(of: 0).pointee.load(ordering: .acquiring)
    for consumer in 1..<max(1, parkers.count) {
      // acquiring: as above.
      let position = unsafe cursor(of: consumer).pointee.load(ordering: .acquiring)
      if Int64(bitPattern: position &- slowest) < 0 { slowest = position }
    }
    return slowest
  }

  /// Fills a claimed slot and makes it visible to the consumers.
  private func publish(_ element: Element, at position: UInt64) {
    let slot = unsafe slot(at: position)
    // SAFETY: the claim made this thread the only producer here, and `gate` put every consumer past
    // the slot's last lap; the last of them took the old reference out before it moved its cursor.
    assert(unsafe slot.pointee.reference == nil)
    unsafe slot.pointee.reference = UnsafeRawPointer(
      Unmanaged<Element>.passRetained(element).toOpaque())
    // relaxed: no thread reads the count before the sequence below is published.
    unsafe slot.pointee.remaining.store(parkers.count, ordering: .relaxed)
    // sequentially consistent: as a release it pairs with the load in `drain`; as step 1 of parking
    // it pairs with the load in `hasWork`.
    unsafe slot.pointee.sequence.store(position &+ 1, ordering: .sequentiallyConsistent)
  }

  /// Gives up this consumer's share in a slot; the last consumer takes the reference out.
  private func leave(_ slot: UnsafeMutablePointer<RingSlot>) {
    // acquiring: pairs with the subtraction below by the other consumers. A count of one means that
    // this thread is the last, because it has not left yet. So the last consumer needs no
    // read-modify-write, and a ring with a single consumer needs none at all.
    if unsafe slot.pointee.remaining.load(ordering: .acquiring) != 1 {
      // acquiring and releasing: pairs with itself and the load above, so that the element is
      // released after every consumer's use of it.
      let (_, left) = unsafe slot.pointee.remaining.subtract(
        1, ordering: .acquiringAndReleasing)
      guard left == 0 else { return }
    }
    // SAFETY: all other consumers have left and do not read the reference again in this lap; no
    // producer writes the slot before this thread's cursor has passed it, which happens after this.
    guard let reference = unsafe slot.pointee.reference else { return }
    unsafe slot.pointee.reference = nil
    unsafe Unmanaged<Element>.fromOpaque(reference).release()
  }

  private func show(_ position: UInt64, _ cursor: UnsafeMutablePointer<Atomic<UInt64>>) {
    // releasing: pairs with the load in `slowestCursor`. This consumer is done with every slot
    // before `position`, including taking the references out.
    unsafe cursor.pointee.store(position, ordering: .releasing)
  }

  private func cursor(of consumer: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    unsafe counters[2 + consumer]
  }

  private func slot(at position: UInt64) -> UnsafeMutablePointer<RingSlot> {
    // SAFETY: in bounds by `mask`; initialized for the whole life of the ring.
    unsafe slots + Int(position & mask)
  }
}

/// One slot of the ring: 32 bytes, two to a cache line.
///
/// Not padded to a line of its own: under load, batches are read and written in runs, so half as
/// many lines means half the traffic between cores.
@unsafe struct RingSlot: ~Copyable {
  /// The position last published here, plus one.
  ///
  /// Written by the producer that claimed it.
  let sequence: Atomic<UInt64>
  /// The number of consumers that have yet to pass the published element.
  let remaining = Atomic<Int>(0)
  /// The published element, owned (+1); nil before it is published and after the last consumer has
  /// passed.
  var reference: UnsafeRawPointer?
  private let padding: UInt64 = 0

  init(sequence: UInt64) {
    unsafe self.sequence = Atomic(sequence)
    unsafe self.reference = nil
  }
}
