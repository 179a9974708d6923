// Real threads, a real sleep and a seed for the tests of this folder.

import Glibc
import Synchronization

@testable import Broadcast

/// Runs each body on a thread of its own, starts all at once, and returns when all have ended.
func runThreads(_ bodies: [@Sendable () -> Void]) {
  let waiting = CountedStart(bodies.count)
  let threads = bodies.map { body in
    startThread {
      waiting.arriveAndWait()
      body()
    }
  }
  for thread in threads { pthread_join(thread, nil) }
}

/// Starts all threads together, so that even short tests overlap.
private final class CountedStart: Sendable {
  private let missing: Atomic<Int>

  init(_ count: Int) { missing = Atomic(count) }

  func arriveAndWait() {
    // acquiring and releasing: pairs with itself in the other threads and with the load below.
    missing.subtract(1, ordering: .acquiringAndReleasing)
    // acquiring: pairs with the subtractions.
    while missing.load(ordering: .acquiring) > 0 { sched_yield() }
  }
}

private final class ThreadBody {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private func startThread(_ body: @escaping @Sendable () -> Void) -> pthread_t {
  var thread = pthread_t()
  let code = pthread_create(
    &thread, nil,
    { argument in
      if let argument {
        Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().body()
      }
      return nil
    }, Unmanaged.passRetained(ThreadBody(body)).toOpaque())
  precondition(code == 0, "pthread_create: \(code)")
  return thread
}

/// A sleep that lasts until it is ended, for consumers under test.
final class Sleep: @unchecked Sendable {
  // Proof of Sendable: a semaphore is safe for use from several threads.
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() { sem_init(semaphore, 0, 0) }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func end() { sem_post(semaphore) }

  /// Sleeps; false if the sleep is not ended within the longest time that a test should take.
  func untilEnded(seconds: Int = 20) -> Bool {
    var deadline = timespec()
    clock_gettime(CLOCK_REALTIME, &deadline)
    deadline.tv_sec += seconds
    while sem_timedwait(semaphore, &deadline) != 0 {
      if errno != EINTR { return false }
    }
    return true
  }
}

/// The seed of this run: `CARILLON_SEED`, or the time; each failure must print it.
let runSeed: UInt64 = {
  if let text = getenv("CARILLON_SEED"), let seed = UInt64(String(cString: text)) { return seed }
  var now = timespec()
  clock_gettime(CLOCK_REALTIME, &now)
  let seed = UInt64(now.tv_sec) &* 1_000_000_007 &+ UInt64(now.tv_nsec)
  print("CARILLON_SEED=\(seed)")
  return seed
}()

/// The element of these tests' rings: its producer and number; counts itself out when released.
final class Item: Sendable {
  let producer: Int
  let number: Int
  private let liveCount: LiveCount?

  init(producer: Int = 0, _ number: Int, liveCount: LiveCount? = nil) {
    self.producer = producer
    self.number = number
    self.liveCount = liveCount
    liveCount?.add(1)
  }

  deinit { liveCount?.add(-1) }
}

/// The number of items alive.
final class LiveCount: Sendable {
  private let alive = Atomic<Int>(0)

  func add(_ difference: Int) { alive.add(difference, ordering: .relaxed) }

  var count: Int { alive.load(ordering: .relaxed) }
}

/// Parkers for consumers that never sleep.
func wakefulParkers(_ count: Int) -> [Parker] {
  (0..<count).map { _ in Parker(wake: {}) }
}

/// The time that a test waits for another thread before it counts as hanging.
///
/// Far above the time of any run, because a sanitizer on a busy machine slows the threads down a
/// hundred times.
struct Patience {
  private var turns = 0
  private var deadline: time_t = 0

  /// Yields to other threads; false once ten minutes have passed.
  mutating func yield() -> Bool {
    sched_yield()
    turns += 1
    if turns % 1_024 != 1 { return true }
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    if deadline == 0 { deadline = now.tv_sec + 600 }
    return now.tv_sec < deadline
  }
}
