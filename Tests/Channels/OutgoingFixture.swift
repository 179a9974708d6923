// A client for tests, with a name service of the test.

import Broadcast
import Reactor
import Testing

@testable import Channels

/// A client that may connect to loopback, with the names of a table.
///
/// The test's thread owns it.
struct OutgoingFixture {
  let client: OutgoingHTTP
  private static let patience: UInt64 = 20_000

  init(
    allowing allowed: [String] = ["127.0.0.0/8"], limits: OutgoingLimits = OutgoingLimits(),
    lookup: @escaping @Sendable (String) -> [String] = { _ in [] }
  ) throws {
    client = try OutgoingHTTP(
      policy: AddressPolicy(allowed: allowed.compactMap { AddressRange($0) }), limits: limits,
      kernel: .real, lookup: { name in lookup(name).compactMap { PeerAddress($0) } })
  }

  /// Starts a request to a URL.
  func start(
    _ url: String, id: UInt64 = 1, _ method: OutgoingRequest.Method = .post,
    fields: [(String, String)] = [("Content-Type", "application/json")], body: String = "{}",
    timeoutMilliseconds: UInt64 = 20_000, keptBodyBytes: Int = 1_024
  ) throws {
    let request = try OutgoingRequest(
      method, Destination(url), fields: fields, body: Array(body.utf8),
      timeoutMilliseconds: timeoutMilliseconds, keptBodyBytes: keptBodyBytes)
    try #require(client.start(request, id: id))
  }

  /// Waits until as many requests have ended.
  func results(_ count: Int = 1) throws -> [UInt64: OutgoingOutcome] {
    var outcomes: [UInt64: OutgoingOutcome] = [:]
    let end = Kernel.real.monotonicMilliseconds + OutgoingFixture.patience
    while outcomes.count < count {
      try #require(Kernel.real.monotonicMilliseconds < end, "\(outcomes.count) of \(count) ended")
      for result in client.wait(milliseconds: 1_000) {
        #expect(outcomes[result.id] == nil, "request \(result.id) ended twice")
        outcomes[result.id] = result.outcome
      }
    }
    return outcomes
  }

  /// Turns the client until a condition holds; returns the requests that ended meanwhile.
  @discardableResult
  func turn(until condition: () -> Bool) throws -> [OutgoingResult] {
    var results: [OutgoingResult] = []
    let end = Kernel.real.monotonicMilliseconds + OutgoingFixture.patience
    while !condition() {
      try #require(Kernel.real.monotonicMilliseconds < end)
      results += client.wait(milliseconds: 5)
    }
    return results
  }

  /// The outcome of one request.
  func outcome(
    _ url: String, _ method: OutgoingRequest.Method = .post, timeoutMilliseconds: UInt64 = 20_000,
    keptBodyBytes: Int = 1_024
  ) throws -> OutgoingOutcome {
    try start(
      url, method, timeoutMilliseconds: timeoutMilliseconds, keptBodyBytes: keptBodyBytes)
    return try #require(try results().values.first)
  }
}

extension OutgoingOutcome {
  /// The answer with this status and body, which is complete.
  static func answer(
    _ status: Int, _ body: String = "", retryAfter: Int64? = nil, isComplete: Bool = true
  ) -> OutgoingOutcome {
    .answered(
      OutgoingAnswer(
        status: status, retryAfterSeconds: retryAfter, body: Array(body.utf8),
        isBodyComplete: isComplete))
  }
}
