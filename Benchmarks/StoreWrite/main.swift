// Measures durable publishes per second of the store, in groups of 1, 64 and 1024.
//
// Measured: the whole path through the store, from `submit` on one thread through the journal's
// transaction and its fdatasync to the last reply, including the creation and publication of
// events. The group is the number of concurrent publishes; the next group starts when all are
// answered. Left out: HTTP, tokens, JSON, shards and delivery. 15,000 users, a message of 100
// bytes, data of 40. The checksum is the sum of all published offsets.
//
//     swift run -c release StoreWrite [smoke] [DIRECTORY]

internal import Glibc
internal import Notifications
internal import Storage

/// Counts the replies of one round, and lets the submitting thread wait for all of them.
@safe final class Round: @unchecked Sendable {
  // Unchecked: the semaphore orders the journal's writes before the main thread's reads.
  private let done: UnsafeMutablePointer<sem_t>
  private var remaining = 0
  var checksum: UInt64 = 0
  var failures = 0

  init() {
    unsafe done = .allocate(capacity: 1)
    unsafe sem_init(done, 0, 0)
  }

  func begin(_ count: Int) {
    remaining = count
  }

  func reply(_ outcome: StoreOutcome) {
    if outcome != .published { failures += 1 }
    remaining -= 1
    if remaining == 0 { unsafe sem_post(done) }
  }

  func wait() {
    while unsafe sem_wait(done) != 0 {}
  }
}

func seconds(_ clock: clockid_t) -> Double {
  var time = timespec()
  unsafe clock_gettime(clock, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func run(group: Int, count: Int, directory: String) throws {
  let round = Round()
  let store = try SQLiteStore(StoreConfiguration(path: directory)) { events in
    for event in events { round.checksum &+= event.offset ?? 0 }
  }
  let content = Content(
    type: "incident.created", title: "Disk almost full on node 12",
    message: String(repeating: "m", count: 100),
    data: Array("{\"incident\":123456,\"region\":\"eu-west-1\"}".utf8))
  let users = (0..<15_000).map { "user-\($0)" }
  let rounds = max(1, count / group)
  var latencies: [Double] = []
  var number: UInt64 = 0
  let start = (seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID))
  for _ in 0..<rounds {
    let began = seconds(CLOCK_MONOTONIC)
    round.begin(group)
    for _ in 0..<group {
      number += 1
      // A multiplicative step visits the users in an order that is unfavourable for an index.
      let user = users[Int((number &* 7_919) % 15_000)]
      let id = NotificationID(
        milliseconds: 1_700_000_000_000 + Int64(number), random: (number, number))
      let draft = PendingNotification(
        id: id, userID: user, createdAt: 1_700_000_000_000, content: content)
      let isTaken = store.submit(
        .publish(drafts: [draft], idempotency: nil, answer: []), reply: { round.reply($0) })
      precondition(isTaken, "the queue holds more than a group")
    }
    round.wait()
    latencies.append(seconds(CLOCK_MONOTONIC) - began)
  }
  let wall = seconds(CLOCK_MONOTONIC) - start.0
  let processor = seconds(CLOCK_PROCESS_CPUTIME_ID) - start.1
  let metrics = store.metrics
  store.close()
  latencies.sort()
  let total = Double(rounds * group)
  func milliseconds(_ share: Double) -> Double {
    latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))] * 1e3
  }
  func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
  print(
    "store-write group=\(group) publishes=\(Int(total)) failures=\(round.failures)",
    "publishes/s=\(Int(total / wall)) cpu_us/publish=\(rounded(processor / total * 1e6))",
    "p50_ms=\(rounded(milliseconds(0.5))) p99_ms=\(rounded(milliseconds(0.99)))",
    "p99.9_ms=\(rounded(milliseconds(0.999))) max_ms=\(rounded(milliseconds(1)))",
    "commits=\(metrics.commits) checksum=\(round.checksum)")
}

let isSmoke = CommandLine.arguments.contains("smoke")
let parent = CommandLine.arguments.dropFirst().first { $0 != "smoke" } ?? "."
for (group, count) in isSmoke
  ? [(1, 20), (64, 640)] : [(1, 2_000), (64, 64_000), (1_024, 512_000)]
{
  let directory = parent + "/store-write-\(getpid())-\(group)"
  try run(group: group, count: count, directory: directory)
  for name in ["carillon.db", "carillon.db-wal", "carillon.db-shm", "carillon.lock"] {
    unsafe unlink(directory + "/" + name)
  }
  unsafe rmdir(directory)
}
