// The broadcast ring on one thread: room, order, limits, lifetimes.

import Testing

@testable import Broadcast

@Suite("Broadcast ring")
struct BroadcastRingTests {
  private func numbers(
    of ring: BroadcastRing<Item>, consumer: Int = 0, limit: Int = .max
  ) -> [Int] {
    var numbers: [Int] = []
    let count = ring.drain(consumer: consumer, limit: limit) { numbers.append($0.number) }
    #expect(count == numbers.count)
    return numbers
  }

  @Test("every consumer gets every element, in order, and no element twice")
  func everyConsumer() {
    let ring = BroadcastRing<Item>(capacity: 8, parkers: wakefulParkers(3))
    for number in 0..<5 { #expect(ring.offer(Item(number))) }
    for consumer in 0..<3 {
      #expect(ring.hasWork(consumer: consumer))
      #expect(numbers(of: ring, consumer: consumer) == [0, 1, 2, 3, 4])
      #expect(!ring.hasWork(consumer: consumer))
      #expect(numbers(of: ring, consumer: consumer) == [])
    }
  }

  // Case 81
  @Test("a full ring refuses at once until the slowest consumer advances, and loses nothing")
  func full() {
    let ring = BroadcastRing<Item>(capacity: 4, parkers: wakefulParkers(2))
    for number in 0..<4 { #expect(ring.offer(Item(number))) }
    #expect(!ring.offer(Item(99)))
    #expect(numbers(of: ring, consumer: 0) == [0, 1, 2, 3])
    #expect(!ring.offer(Item(99)), "consumer 1 has seen nothing yet")
    #expect(numbers(of: ring, consumer: 1, limit: 1) == [0])
    #expect(ring.offer(Item(4)))
    #expect(!ring.offer(Item(99)))
    #expect(numbers(of: ring, consumer: 1) == [1, 2, 3, 4])
    #expect(numbers(of: ring, consumer: 0) == [4])
  }

  @Test("a run publishes as many elements as fit and returns their number")
  func run() {
    let ring = BroadcastRing<Item>(capacity: 4, parkers: wakefulParkers(1))
    let items = (0..<10).map { Item($0) }
    #expect(ring.offer(contentsOf: items[...]) == 4)
    #expect(ring.offer(contentsOf: items[4...]) == 0)
    #expect(numbers(of: ring, limit: 3) == [0, 1, 2])
    #expect(ring.offer(contentsOf: items[4..<6]) == 2)
    #expect(ring.offer(contentsOf: items[6...]) == 1)
    #expect(ring.offer(contentsOf: items[7..<7]) == 0)
    #expect(numbers(of: ring) == [3, 4, 5, 6])
  }

  // Case 82
  @Test(
    "numbering may start anywhere and wrap",
    arguments: wrappingFirstSequences, [1, 2, 4, 16])
  func wrap(firstSequence: UInt64, capacity: Int) {
    let ring = BroadcastRing<Item>(
      capacity: capacity, parkers: wakefulParkers(2), firstSequence: firstSequence)
    #expect(!ring.hasWork(consumer: 0))
    #expect(numbers(of: ring) == [])
    var next = 0
    for round in 0..<40 {
      let count = round % capacity + 1
      for number in next..<next + count { #expect(ring.offer(Item(number))) }
      #expect(ring.depth == count)
      #expect(ring.offer(Item(-1)) == (count < capacity))
      let expected = Array(next..<next + count) + (count < capacity ? [-1] : [])
      #expect(numbers(of: ring, consumer: 0) == expected)
      #expect(numbers(of: ring, consumer: 1) == expected)
      #expect(ring.depth == 0)
      next += count
    }
  }

  @Test("the slowest consumer holds the gate from beyond the wrap", arguments: [0, 1])
  func slowestBeyondTheWrap(slowest: Int) {
    for firstSequence in wrappingFirstSequences {
      let ring = BroadcastRing<Item>(
        capacity: 16, parkers: wakefulParkers(2), firstSequence: firstSequence)
      for number in 0..<16 { #expect(ring.offer(Item(number))) }
      #expect(numbers(of: ring, consumer: 1 - slowest).count == 16)
      #expect(!ring.offer(Item(16)), "from \(firstSequence)")
      #expect(ring.depth == 16)
      #expect(numbers(of: ring, consumer: slowest, limit: 1) == [0])
      #expect(ring.offer(Item(16)))
      #expect(!ring.offer(Item(17)))
    }
  }

  @Test("a drain's body may offer to the same ring, and the drain continues with the new element")
  func offerWithinDrain() {
    let ring = BroadcastRing<Item>(capacity: 16, parkers: wakefulParkers(1))
    #expect(ring.offer(Item(0)))
    var seen: [Int] = []
    let count = ring.drain(consumer: 0, limit: 10) { item in
      seen.append(item.number)
      #expect(ring.offer(Item(item.number + 1)))
    }
    #expect(count == 10)
    #expect(seen == Array(0..<10))
    #expect(ring.hasWork(consumer: 0))
  }

  @Test(
    "a drain up to the end leaves the elements that were offered later",
    arguments: [0, 0xffff_ffff_ffff_fffd] as [UInt64])
  func boundedDrain(firstSequence: UInt64) {
    let ring = BroadcastRing<Item>(
      capacity: 8, parkers: wakefulParkers(1), firstSequence: firstSequence)
    let empty = ring.end
    #expect(empty == firstSequence && ring.position(of: 0) == empty)
    for number in 0..<4 { #expect(ring.offer(Item(number))) }
    let end = ring.end
    #expect(end == firstSequence &+ 4)
    for number in 4..<6 { #expect(ring.offer(Item(number))) }
    func drained(limit: Int = .max, before end: UInt64) -> [Int] {
      var numbers: [Int] = []
      _ = ring.drain(consumer: 0, limit: limit, before: end) { numbers.append($0.number) }
      return numbers
    }
    #expect(drained(before: empty) == [])
    #expect(drained(limit: 3, before: end) == [0, 1, 2])
    #expect(drained(before: end) == [3])
    #expect(ring.position(of: 0) == end && ring.hasWork(consumer: 0))
    #expect(drained(before: empty) == [], "it has passed that end")
    #expect(drained(before: ring.end) == [4, 5])
  }

  @Test("a long batch frees slots while it runs")
  func roomWithinDrain() {
    let ring = BroadcastRing<Item>(capacity: 256, parkers: wakefulParkers(1))
    for number in 0..<256 { #expect(ring.offer(Item(number))) }
    var accepted = 0
    ring.drainAll(limit: 256) { _ in if ring.offer(Item(0)) { accepted += 1 } }
    // The cursor is published after 64, 128, 192 and 256 elements.
    #expect(accepted == 192)
  }

  @Test("an element lives until the last consumer has passed it, and no longer")
  func lifetime() {
    let liveCount = LiveCount()
    let ring = BroadcastRing<Item>(capacity: 8, parkers: wakefulParkers(3))
    for number in 0..<6 { #expect(ring.offer(Item(number, liveCount: liveCount))) }
    #expect(numbers(of: ring, consumer: 1).count == 6)
    #expect(numbers(of: ring, consumer: 0).count == 6)
    #expect(liveCount.count == 6)
    #expect(numbers(of: ring, consumer: 2, limit: 4).count == 4)
    #expect(liveCount.count == 2)
    #expect(numbers(of: ring, consumer: 2).count == 2)
    #expect(liveCount.count == 0)
  }

  @Test("a ring that ends releases the elements that were not passed")
  func lifetimeOfTheRing() {
    let liveCount = LiveCount()
    do {
      let ring = BroadcastRing<Item>(capacity: 8, parkers: wakefulParkers(2))
      for number in 0..<8 { #expect(ring.offer(Item(number, liveCount: liveCount))) }
      #expect(numbers(of: ring, consumer: 0).count == 8)
      #expect(numbers(of: ring, consumer: 1, limit: 3).count == 3)
      #expect(liveCount.count == 5)
    }
    #expect(liveCount.count == 0)
  }

  @Test("a refused element is not retained")
  func lifetimeOfTheRefused() {
    let liveCount = LiveCount()
    let ring = BroadcastRing<Item>(capacity: 1, parkers: wakefulParkers(1))
    #expect(ring.offer(Item(0, liveCount: liveCount)))
    #expect(!ring.offer(Item(1, liveCount: liveCount)))
    #expect(liveCount.count == 1)
  }

  @Test("a slot is half a cache line")
  func layout() {
    #expect(MemoryLayout<RingSlot>.stride == 32)
  }

  @Test func `a capacity that is not a power of two is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      _ = BroadcastRing<Item>(capacity: 3, parkers: wakefulParkers(1))
    }
    await #expect(processExitsWith: .failure) {
      _ = BroadcastRing<Item>(capacity: 0, parkers: wakefulParkers(1))
    }
  }

  @Test func `a ring without consumers is a programming error`() async {
    await #expect(processExitsWith: .failure) { _ = BroadcastRing<Item>(capacity: 4, parkers: []) }
  }

  @Test func `a consumer that does not exist is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      let ring = BroadcastRing<Item>(capacity: 4, parkers: wakefulParkers(2))
      _ = ring.drain(consumer: 2, limit: 1) { _ in }
    }
    await #expect(processExitsWith: .failure) {
      let ring = BroadcastRing<Item>(capacity: 4, parkers: wakefulParkers(2))
      _ = ring.hasWork(consumer: -1)
    }
  }
}

/// First sequences: zero, shortly before 2^32, 2^63 and 2^64, and the last number.
let wrappingFirstSequences: [UInt64] = [
  0, 1, 0xffff_fff8, 0x7fff_ffff_ffff_fffd, 0xffff_ffff_ffff_fff8, .max,
]

extension BroadcastRing {
  /// Drains a ring of one consumer and ignores the count.
  func drainAll(limit: Int, _ body: (Element) -> Void) {
    _ = drain(consumer: 0, limit: limit, body)
  }
}
