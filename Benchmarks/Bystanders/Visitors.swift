// Honest callers besides the bystanders: a publisher and a user that come with a new connection
// each time.
//
// They have a thread of their own, because they wait for each answer.

internal import BenchmarkSupport
internal import Glibc
internal import LoadClient
internal import Reactor
internal import Synchronization

/// The requests of the visitors in one window.
struct Visits {
  var latency = LatencyHistogram()
  /// Requests that were refused or got no answer.
  var refused = 0
}

/// Publishes to a user, disconnects it, and reads its inbox, every 100 ms.
final class Visitors: Sendable {
  private static let user = 49_000
  private static let intervalMicroseconds: UInt32 = 100_000
  private static let timeoutMilliseconds = 5_000

  private let server: ServerURL
  private let requests: [HTTPRequest]
  private let visits = Mutex(Visits())
  private let isEnding = Atomic(false)

  private init(_ server: ServerURL, _ credentials: Credentials) {
    self.server = server
    let user = #""user_id":"\#(Credentials.userID(Self.user))""#
    let publisher = credentials.publisher + [HTTPField("Content-Type", "application/json")]
    requests = [
      HTTPRequest(
        "POST", "/api/v1/notifications", fields: publisher,
        body: Array(#"{\#(user),"type":"info","title":"t"}"#.utf8)),
      HTTPRequest("POST", "/api/v1/disconnect", fields: publisher, body: Array("{\(user)}".utf8)),
      HTTPRequest(
        "GET", "/api/v1/notifications", fields: [.bearer(credentials.token(user: Self.user))]),
    ]
  }

  /// The visits during the time that `body` takes.
  static func during<Result>(
    _ server: ServerURL, _ credentials: Credentials, _ body: () throws -> Result
  ) throws -> (Result, Visits) {
    let visitors = Visitors(server, credentials)
    let thread = try Thread(name: "visitors") { visitors.run() }
    defer {
      // relaxed: the thread reads nothing else that was written before.
      visitors.isEnding.store(true, ordering: .relaxed)
      thread.join()
    }
    let result = try body()
    return (result, visitors.visits.withLock { $0 })
  }

  private func run() {
    // relaxed: see the store.
    while !isEnding.load(ordering: .relaxed) {
      visit()
      usleep(Self.intervalMicroseconds)
    }
  }

  private func visit() {
    let connection = try? HTTPConnection(
      to: server, timeoutMilliseconds: Self.timeoutMilliseconds)
    for request in requests {
      let start = Kernel.real.monotonicNanoseconds
      let answer = try? connection?.perform(request)
      let elapsed = Kernel.real.monotonicNanoseconds &- start
      visits.withLock { visits in
        visits.latency.record(elapsed)
        if answer?.isSuccess != true { visits.refused += 1 }
      }
    }
  }
}
