// The rejected design: a ring for one producer, whose consumers drain several such rings in turn.
//
// Slots, memory orders and the release by the last consumer are those of `BroadcastRing`, so the
// comparison isolates one difference: the producer owns the tail and needs no compare-and-swap.

internal import Synchronization

/// A ring with one producer and a fixed set of consumers; each producer has its own ring.
@safe final class LaneRing: @unchecked Sendable {
  // Proof of Sendable: as BroadcastRing, except for `tail` and `gate`: only the producer uses them.
  private let capacity: Int
  private let consumerCount: Int
  private let slots: UnsafeMutablePointer<Slot>
  private let cursors: UnsafeMutablePointer<Line>
  /// The producer's own line: the next position to fill, and the last known slowest cursor.
  private let own: UnsafeMutablePointer<OwnLine>

  @unsafe private struct Slot: ~Copyable {
    let sequence: Atomic<UInt64>
    let remaining = Atomic<Int>(0)
    var element: Unmanaged<Sample>?
    private let padding: UInt64 = 0

    init(sequence: UInt64) {
      unsafe self.sequence = Atomic(sequence)
      unsafe self.element = nil
    }
  }

  /// 128 bytes with one counter at the start.
  private struct Line: ~Copyable {
    let cursor = Atomic<UInt64>(0)
    private let padding = InlineArray<15, UInt64>(repeating: 0)
  }

  private struct OwnLine {
    var tail: UInt64 = 0
    var gate: UInt64 = 0
    private let padding = InlineArray<14, UInt64>(repeating: 0)
  }

  init(capacity: Int, consumerCount: Int) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0, "capacity \(capacity)")
    self.capacity = capacity
    self.consumerCount = consumerCount
    // SAFETY: fresh memory, every slot initialized here and never deinitialized before `deinit`.
    unsafe slots = .allocate(capacity: capacity)
    unsafe cursors = .allocate(capacity: consumerCount)
    unsafe own = .allocate(capacity: 1)
    for index in 0..<capacity {
      unsafe (slots + index).initialize(
        to: Slot(sequence: UInt64(index) &+ 1 &- UInt64(capacity)))
    }
    for consumer in 0..<consumerCount { unsafe (cursors + consumer).initialize(to: Line()) }
    unsafe own.initialize(to: OwnLine())
  }

  deinit {
    // SAFETY: the benchmark has drained the ring and joined its threads.
    unsafe slots.deallocate()
    unsafe cursors.deallocate()
    unsafe own.deallocate()
  }

  func offer(_ element: Sample) -> Bool {
    // SAFETY: only this producer uses `own`; the slot is free because every cursor has passed it.
    let tail = unsafe own.pointee.tail
    if unsafe tail &- own.pointee.gate >= UInt64(capacity) {
      var slowest = UInt64.max
      for consumer in 0..<consumerCount {
        // acquiring: pairs with the store in `drain`.
        slowest = min(slowest, unsafe cursors[consumer].cursor.load(ordering: .acquiring))
      }
      unsafe own.pointee.gate = slowest
      guard tail &- slowest < UInt64(capacity) else { return false }
    }
    unsafe own.pointee.tail = tail &+ 1
    let slot = unsafe slots + Int(tail & UInt64(capacity - 1))
    unsafe slot.pointee.element = Unmanaged.passRetained(element)
    // relaxed: published by the store below.
    unsafe slot.pointee.remaining.store(consumerCount, ordering: .relaxed)
    // sequentially consistent: as in BroadcastRing, where it pairs with the parked flag.
    unsafe slot.pointee.sequence.store(tail &+ 1, ordering: .sequentiallyConsistent)
    return true
  }

  func drain(consumer: Int, limit: Int, _ body: (Sample) -> Void) -> Int {
    // SAFETY: a published slot does not change until this consumer's cursor has passed it.
    let cursor = unsafe cursors + consumer
    // relaxed: this thread is the cursor's only writer.
    var position = unsafe cursor.pointee.cursor.load(ordering: .relaxed)
    var count = 0
    while count < limit {
      let slot = unsafe slots + Int(position & UInt64(capacity - 1))
      // acquiring: pairs with the store in `offer`.
      guard unsafe slot.pointee.sequence.load(ordering: .acquiring) == position &+ 1 else { break }
      if let element = unsafe slot.pointee.element {
        unsafe element._withUnsafeGuaranteedRef { body($0) }
        unsafe leave(slot)
      }
      position &+= 1
      count += 1
      // releasing: pairs with the load in `offer`.
      if count % 64 == 0 { unsafe cursor.pointee.cursor.store(position, ordering: .releasing) }
    }
    // releasing: as above.
    if count > 0 { unsafe cursor.pointee.cursor.store(position, ordering: .releasing) }
    return count
  }

  private func leave(_ slot: UnsafeMutablePointer<Slot>) {
    // acquiring: pairs with the subtraction.
    if unsafe slot.pointee.remaining.load(ordering: .acquiring) != 1 {
      // acquiring and releasing: pairs with itself and the load.
      let (_, left) = unsafe slot.pointee.remaining.subtract(1, ordering: .acquiringAndReleasing)
      guard left == 0 else { return }
    }
    // SAFETY: the last consumer has exclusive access to the slot until its cursor passes.
    unsafe slot.pointee.element?.release()
    unsafe slot.pointee.element = nil
  }
}
