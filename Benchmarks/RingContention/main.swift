// Compares one ring for all producers, claimed by compare-and-swap, with one ring per producer,
// drained in turn.
//
// Measured: threads that only offer and threads that only drain, through rings of 1,024 slots in
// total; nanoseconds per event from the first offer to the last drain, the median and the best of
// the rounds, and the number of rejected offers. Each event comes from a pool of its producer, is
// retained when offered, read once by each consumer, and released by the last.
//
// Left out: creating and freeing the events (it would cost more than the ring), wake-ups (no
// consumer parks), work on the events, and offers of batches. The ring per producer is compiled
// into this module, where the compiler sees its element type, which gives it an advantage. With
// more threads than cores, the scheduler is measured too: rejected producers and idle consumers
// yield. The figures do not show one difference: rings drained in turn have no common order, so two
// consumers may see two producers' events in different orders.
//
// Usage: RingContention [smoke | full]

internal import Broadcast
internal import Glibc

final class Sample: Sendable {
  let value: UInt64
  init(_ value: UInt64) { self.value = value }
}

/// A consumer's sum, written by its thread and read after the join.
final class Sum: @unchecked Sendable {
  var value: UInt64 = 0
  var count = 0
}

struct Topology {
  let producers: Int
  let consumers: Int
}

/// A design under comparison, reduced to its operations.
struct RingDesign {
  let name: String
  /// For a topology: the offer of producer p and the drain of consumer c.
  let make:
    (Topology) -> (
      offer: @Sendable (Int, Sample) -> Bool,
      drain: @Sendable (Int, (Sample) -> Void) -> Int
    )
}

let ringCapacity = 1_024
let drainLimit = 256

let designs = [
  RingDesign(name: "one ring") { topology in
    let parkers = (0..<topology.consumers).map { _ in Parker(wake: {}) }
    let ring = BroadcastRing<Sample>(capacity: ringCapacity, parkers: parkers)
    return (
      { _, sample in ring.offer(sample) },
      { consumer, body in ring.drain(consumer: consumer, limit: drainLimit, body) }
    )
  },
  RingDesign(name: "ring each") { topology in
    let rings = (0..<topology.producers).map { _ in
      LaneRing(
        capacity: ringCapacity / topology.producers, consumerCount: topology.consumers)
    }
    return (
      { producer, sample in rings[producer].offer(sample) },
      { consumer, body in
        var count = 0
        for ring in rings { count += ring.drain(consumer: consumer, limit: drainLimit, body) }
        return count
      }
    )
  },
]

/// Runs one round: nanoseconds per event, rejected offers, and the sum over all consumers.
func run(
  _ design: RingDesign, _ topology: Topology, countEach: Int
) -> (nanoseconds: Double, refusals: Int, checksum: UInt64) {
  let ends = design.make(topology)
  let total = countEach * topology.producers
  let sums = (0..<topology.consumers).map { _ in Sum() }
  let refusals = (0..<topology.producers).map { _ in Sum() }
  let producers = refusals.enumerated().map { producer, refused -> @Sendable () -> Void in
    let pool = (0..<2_048).map { Sample(UInt64($0 + producer)) }
    return {
      var refusedCount = 0
      for number in 0..<countEach {
        while !ends.offer(producer, pool[number & 2_047]) {
          refusedCount += 1
          sched_yield()
        }
      }
      refused.count = refusedCount
    }
  }
  let consumers = sums.enumerated().map { consumer, sum -> @Sendable () -> Void in
    {
      var value: UInt64 = 0
      var count = 0
      while count < total {
        let found = ends.drain(consumer) { value &+= $0.value }
        count += found
        if found == 0 { sched_yield() }
      }
      sum.value = value
    }
  }
  let elapsed = timeThreads(producers + consumers)
  return (
    Double(elapsed) / Double(total), refusals.reduce(0) { $0 + $1.count },
    sums.reduce(0) { $0 &+ $1.value }
  )
}

func tenths(_ number: Double) -> String {
  let scaled = Int((number * 10).rounded())
  return "\(scaled / 10).\(scaled % 10)"
}

let size = CommandLine.arguments.dropFirst().first ?? "smoke"
guard size == "smoke" || size == "full" else {
  print("usage: RingContention [smoke | full]")
  exit(2)
}
let countEach = size == "full" ? 4_000_000 : 20_000
let rounds = size == "full" ? 7 : 1

for topology in [(1, 1), (1, 2), (2, 1), (2, 2)].map(Topology.init) {
  // The designs alternate, so that a busy period of the machine affects both.
  var results = designs.map { _ in [(nanoseconds: Double, refusals: Int, checksum: UInt64)]() }
  for _ in 0..<rounds {
    for (index, design) in designs.enumerated() {
      results[index].append(run(design, topology, countEach: countEach))
    }
  }
  for (index, design) in designs.enumerated() {
    let sorted = results[index].map(\.nanoseconds).sorted()
    let checksums = Set(results[index].map(\.checksum))
    precondition(checksums.count == 1, "rounds differ: \(checksums)")
    let refusals = results[index].reduce(0) { $0 + $1.refusals } / rounds
    print(
      "\(design.name), \(topology.producers) to \(topology.consumers):",
      "\(tenths(sorted[rounds / 2])) ns/event (best \(tenths(sorted[0]))),",
      "\(refusals) refusals per round, checksum \(results[index][0].checksum)")
  }
}
