// The broadcast ring between real threads. Under the thread sanitizer these tests also check the
// memory orders: a release weakened to relaxed passes here on x86 and is reported there.

import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Broadcast

/// The topology of one run: producers, consumers and the ring between them.
struct RingTopology: CustomTestStringConvertible, Sendable {
  let producers: Int
  let consumers: Int
  let capacity: Int
  let firstSequence: UInt64
  /// Offers this many at once; 1 uses the offer of a single element.
  let runLength: Int

  var testDescription: String {
    "\(producers) to \(consumers), capacity \(capacity), from \(firstSequence), by \(runLength)"
  }

  static let all: [RingTopology] = [
    Self(producers: 1, consumers: 1, capacity: 1, firstSequence: 0, runLength: 1),
    Self(producers: 1, consumers: 2, capacity: 4, firstSequence: 0xffff_fff8, runLength: 1),
    Self(
      producers: 2, consumers: 2, capacity: 2, firstSequence: 0xffff_ffff_ffff_fff8, runLength: 1),
    Self(
      producers: 3, consumers: 2, capacity: 8, firstSequence: 0xffff_ffff_ffff_fff8, runLength: 3),
    Self(
      producers: 2, consumers: 3, capacity: 64, firstSequence: 0x7fff_ffff_ffff_ff00, runLength: 1),
    Self(producers: 2, consumers: 2, capacity: 1_024, firstSequence: 0, runLength: 50),
    Self(producers: 2, consumers: 2, capacity: 1_024, firstSequence: 0, runLength: 1),
  ]
}

/// The elements one consumer saw; written by its thread, read after the thread was joined.
private final class Record: @unchecked Sendable {
  var seen: [(producer: Int, number: Int)] = []
}

@Suite("Broadcast ring between threads")
struct BroadcastRingThreadTests {
  private static let countEach = 30_000

  // Case 80, Case 82
  @Test(
    "all consumers see one complete sequence that keeps every producer's order",
    arguments: RingTopology.all)
  func oneSequence(topology: RingTopology) {
    let liveCount = LiveCount()
    let ring = BroadcastRing<Item>(
      capacity: topology.capacity, parkers: wakefulParkers(topology.consumers),
      firstSequence: topology.firstSequence)
    let records = (0..<topology.consumers).map { _ in Record() }
    let total = topology.producers * Self.countEach
    let producers = (0..<topology.producers).map { producer -> @Sendable () -> Void in
      {
        produce(
          producer, into: ring, runLength: topology.runLength, liveCount: liveCount)
      }
    }
    let consumers = records.enumerated().map { consumer, record -> @Sendable () -> Void in
      { consume(consumer, from: ring, total: total, into: record) }
    }
    runThreads(producers + consumers)

    for record in records {
      #expect(record.seen.count == total)
      #expect(isSame(record.seen, records[0].seen), "all consumers saw the same order")
      var next = [Int](repeating: 0, count: topology.producers)
      var isInOrder = true
      for (producer, number) in record.seen {
        isInOrder = isInOrder && number == next[producer]
        next[producer] = number + 1
      }
      #expect(isInOrder, "each producer's order is kept")
      #expect(next == [Int](repeating: Self.countEach, count: topology.producers))
    }
    #expect(liveCount.count == 0, "all consumers have passed all elements")
    #expect(ring.depth == 0)
  }

  private func produce(
    _ producer: Int, into ring: BroadcastRing<Item>, runLength: Int, liveCount: LiveCount
  ) {
    var patience = Patience()
    var number = 0
    while number < Self.countEach {
      let end = min(number + runLength, Self.countEach)
      let items = (number..<end).map {
        Item(producer: producer, $0, liveCount: liveCount)
      }
      let taken =
        items.count == 1 ? (ring.offer(items[0]) ? 1 : 0) : ring.offer(contentsOf: items[...])
      number += taken
      if taken == 0, !patience.yield() {
        Issue.record("the ring stays full at \(number)")
        return
      }
    }
  }

  private func consume(
    _ consumer: Int, from ring: BroadcastRing<Item>, total: Int, into record: Record
  ) {
    var generator = SeededGenerator(seed: runSeed &+ UInt64(consumer))
    var patience = Patience()
    record.seen.reserveCapacity(total)
    while record.seen.count < total {
      let limit = Int.random(in: 1...200, using: &generator)
      let count = ring.drain(consumer: consumer, limit: limit) {
        record.seen.append(($0.producer, $0.number))
      }
      if count == 0, !patience.yield() {
        Issue.record("no element after \(record.seen.count) of \(total)")
        return
      }
    }
  }

  private func isSame(
    _ left: [(producer: Int, number: Int)], _ right: [(producer: Int, number: Int)]
  ) -> Bool {
    left.elementsEqual(right) { $0.producer == $1.producer && $0.number == $1.number }
  }

  @Test("a run stays together however many producers there are")
  func runsStayTogether() {
    let ring = BroadcastRing<Item>(capacity: 64, parkers: wakefulParkers(1))
    let record = Record()
    let runs = 5_000
    let runLength = 5
    // An element's number is that of its run; the rest of a cut run is offered as another run.
    let producers = (0..<2).map { producer -> @Sendable () -> Void in
      {
        var patience = Patience()
        var run = 0
        var whole = 0
        while whole < runs {
          let items = (0..<runLength).map { _ in Item(producer: producer, run) }
          let taken = ring.offer(contentsOf: items[...])
          if taken == 0, !patience.yield() {
            Issue.record("the ring stays full at run \(run)")
            return
          }
          run += taken > 0 ? 1 : 0
          whole += taken == runLength ? 1 : 0
        }
        while !ring.offer(Item(producer: producer, -1)), patience.yield() {}
      }
    }
    let consumer: @Sendable () -> Void = {
      var patience = Patience()
      var ended = 0
      while ended < 2 {
        let count = ring.drain(consumer: 0, limit: 100) { item in
          ended += item.number < 0 ? 1 : 0
          record.seen.append((item.producer, item.number))
        }
        if count == 0, !patience.yield() { break }
      }
      #expect(ended == 2)
    }
    runThreads(producers + [consumer])
    var finished: Set<Int> = []
    var last: (producer: Int, number: Int) = (-1, -1)
    for element in record.seen where element != last {
      let key = element.producer << 32 | (element.number & 0xffff_ffff)
      #expect(finished.insert(key).inserted, "run \(element) was split")
      last = element
    }
  }

  // Case 81
  @Test("a ring that is always full never accepts an element and drops it")
  func fullUnderContention() {
    let ring = BroadcastRing<Item>(capacity: 2, parkers: wakefulParkers(1))
    let accepted = Atomic<Int>(0)
    let liveCount = LiveCount()
    let producers = (0..<3).map { producer -> @Sendable () -> Void in
      {
        for number in 0..<20_000
        where ring.offer(Item(producer: producer, number, liveCount: liveCount)) {
          accepted.add(1, ordering: .relaxed)
        }
      }
    }
    let drained = Atomic<Int>(0)
    let consumer: @Sendable () -> Void = {
      for _ in 0..<60_000 {
        drained.add(ring.drain(consumer: 0, limit: 2) { _ in }, ordering: .relaxed)
      }
    }
    runThreads(producers + [consumer])
    drained.add(ring.drain(consumer: 0, limit: .max) { _ in }, ordering: .relaxed)
    #expect(accepted.load(ordering: .relaxed) == drained.load(ordering: .relaxed))
    #expect(accepted.load(ordering: .relaxed) >= 2)
    #expect(liveCount.count == 0)
  }

  @Test("an element before the end comes after each message that was posted before it")
  func messagesFirst() {
    let producerCount = 2
    let ring = BroadcastRing<Item>(
      capacity: 64, parkers: wakefulParkers(1), firstSequence: 0xffff_ffff_ffff_fff8)
    let mailbox = Mailbox<(producer: Int, number: Int)>(
      capacity: .max, parker: Parker(wake: {}))
    let producers = (0..<producerCount).map { producer -> @Sendable () -> Void in
      {
        var patience = Patience()
        for number in 0..<Self.countEach {
          mailbox.append((producer, number))
          while !ring.offer(Item(producer: producer, number)) {
            if !patience.yield() { return }
          }
        }
      }
    }
    let consumer: @Sendable () -> Void = {
      var patience = Patience()
      var posted = [Int](repeating: 0, count: producerCount)
      var total = 0
      var earlyCount = 0
      while total < producerCount * Self.countEach {
        let end = ring.end
        _ = mailbox.drain(limit: mailbox.count) { posted[$0.producer] = $0.number + 1 }
        let count = ring.drain(consumer: 0, limit: .max, before: end) { item in
          if posted[item.producer] <= item.number { earlyCount += 1 }
        }
        total += count
        if count == 0, !patience.yield() { break }
      }
      #expect(total == producerCount * Self.countEach)
      #expect(earlyCount == 0)
    }
    runThreads(producers + [consumer])
  }

  // The thread sanitizer reports a load of the end that does not acquire.
  @Test("all that a producer wrote before an offer is visible after the end is read")
  func visibleBeforeEnd() {
    let ring = BroadcastRing<Item>(capacity: 64, parkers: wakefulParkers(1))
    let written = Written(count: Self.countEach)
    let producer: @Sendable () -> Void = {
      var patience = Patience()
      for number in 0..<Self.countEach {
        written.numbers[number] = number
        while !ring.offer(Item(number)) {
          if !patience.yield() { return }
        }
      }
    }
    let consumer: @Sendable () -> Void = {
      var patience = Patience()
      var checked = 0
      var wrongCount = 0
      while checked < Self.countEach {
        let end = Int(ring.end)
        // The only producer's elements are at the positions of their numbers.
        for number in checked..<end where written.numbers[number] != number { wrongCount += 1 }
        checked = end
        _ = ring.drain(consumer: 0, limit: .max, before: UInt64(end)) { _ in }
        if !patience.yield() { break }
      }
      #expect(checked == Self.countEach)
      #expect(wrongCount == 0)
    }
    runThreads([producer, consumer])
  }

  @Test("a ring with room never refuses, however stale a producer's view of it is")
  func roomIsSeen() {
    let producerCount = 3
    let countEach = 20_000
    let ring = BroadcastRing<Item>(
      capacity: 4, parkers: wakefulParkers(1), firstSequence: 0xffff_ffff_ffff_fff8)
    let passed = (0..<producerCount).map { _ in Passed() }
    let refusals = Atomic<Int>(0)
    // Each has at most one element in the ring: three of four slots.
    let producers = (0..<producerCount).map { producer -> @Sendable () -> Void in
      {
        var patience = Patience()
        for number in 0..<countEach {
          if !ring.offer(Item(producer: producer, number)) {
            refusals.add(1, ordering: .relaxed)
            return
          }
          // acquiring: pairs with the consumer's store.
          while passed[producer].count.load(ordering: .acquiring) <= number {
            if !patience.yield() { return }
          }
        }
      }
    }
    let consumer: @Sendable () -> Void = {
      var patience = Patience()
      var total = 0
      while total < producerCount * countEach && refusals.load(ordering: .relaxed) == 0 {
        var seen: [Item] = []
        total += ring.drain(consumer: 0, limit: 4) { seen.append($0) }
        // Only now has the cursor passed them.
        for item in seen {
          // releasing: pairs with the producer's load.
          passed[item.producer].count.store(item.number + 1, ordering: .releasing)
        }
        if seen.isEmpty, !patience.yield() { break }
      }
      #expect(total == producerCount * countEach)
    }
    runThreads(producers + [consumer])
    #expect(refusals.load(ordering: .relaxed) == 0)
  }
}

/// Numbers that one thread writes and another reads; the ring orders them.
private final class Written: @unchecked Sendable {
  let numbers: UnsafeMutablePointer<Int>

  init(count: Int) {
    numbers = .allocate(capacity: count)
    numbers.initialize(repeating: -1, count: count)
  }

  deinit { numbers.deallocate() }
}

/// The number of a producer's elements that the consumer's cursor has passed.
private final class Passed: Sendable {
  let count = Atomic<Int>(0)
}
