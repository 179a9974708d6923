// The decisions of the thread that sends webhooks: order, fairness, retries and bounds.

import Notifications
import TestSupport
import Testing

@testable import Channels

/// A queue with a store that is an array of deliveries for each endpoint.
private final class QueueFixture {
  /// A delivery as the store has it.
  struct Row {
    var delivery: DueDelivery
    var retryAt: Int64?
    var isDead = false
  }

  let queue: WebhookQueue
  var now: Int64 = 1_000_000
  var endpoints: [WebhookEndpoint] = []
  var rows: [Int64: [Row]] = [:]
  private var lastSequence: Int64 = 0

  init(
    endpointCount: Int = 1, retries: String = "5s,5m",
    limits: WebhookLimits = WebhookLimits()
  ) throws {
    queue = WebhookQueue(limits, try RetrySchedule(parsing: retries))
    for number in 1...endpointCount { endpoints.append(try Self.endpoint(number)) }
    update()
  }

  static func endpoint(_ number: Int) throws -> WebhookEndpoint {
    let secret = WebhookSecret(randomBytes: [UInt8](repeating: 1, count: 32))
    var endpoint = WebhookEndpoint(
      id: "wh_\(number)", url: "https://example.com/\(number)", types: .all, about: "",
      secret: secret, createdAt: 0)
    endpoint.key = Int64(number)
    return endpoint
  }

  @discardableResult
  func update() -> [Int64] { queue.update(endpoints) }

  /// Adds an event of a user for all endpoints; returns its number.
  @discardableResult
  func publish(_ user: UserID) -> Int64 {
    lastSequence += 1
    for endpoint in endpoints { add(lastSequence, of: .user(user), to: endpoint.key) }
    queue.noteNews()
    return lastSequence
  }

  private func add(_ sequence: Int64, of subject: OutboxEvent.Subject, to key: Int64) {
    let delivery = DueDelivery(
      sequence: sequence, messageID: "msg_a_\(sequence)", type: .notificationCreated,
      subject: subject, attempts: 0, createdAt: now, body: [1])
    rows[key, default: []].append(Row(delivery: delivery))
  }

  /// Answers all reads that are due.
  func read() {
    for read in queue.nextReads(at: now) { queue.take(answer(read.query), of: read) }
  }

  func answer(_ query: OutboxQuery) -> DueDeliveries {
    var due = DueDeliveries()
    switch query {
    case .first(let key, let after, let limit):
      let found = (rows[key] ?? []).filter { $0.delivery.sequence > after }.prefix(limit)
      due.rows = found.filter { $0.retryAt == nil && !$0.isDead }.map(\.delivery)
      due.through = found.last?.delivery.sequence ?? after
      due.hasMore = found.count == limit
    case .retries(let key, let time, let limit):
      let waiting = (rows[key] ?? []).filter { !$0.isDead }
      due.rows = waiting.filter { $0.retryAt.map { $0 <= time } ?? false }.prefix(limit)
        .map(\.delivery)
      due.hasMore = due.rows.count == limit
      due.nextRetryAt = waiting.compactMap(\.retryAt).filter { $0 > time }.min()
    case .webhooks, .deliveries:
      Issue.record("\(query)")
    }
    return due
  }

  /// Begins all attempts that may begin.
  func begin() -> [WebhookAttempt] {
    read()
    var attempts: [WebhookAttempt] = []
    while let attempt = queue.nextAttempt() { attempts.append(attempt) }
    return attempts
  }

  func end(
    _ attempt: WebhookAttempt, _ outcome: AttemptOutcome = .delivered(status: 200)
  ) {
    _ = queue.end(attempt, outcome, at: now, random: 0)
  }

  func fail(_ attempt: WebhookAttempt, retryAfter: Int64? = nil) {
    end(attempt, .failed(status: 500, reason: "answered 500", retryAfterSeconds: retryAfter))
  }

  /// Saves all results.
  func save() {
    while let results = queue.nextResults() {
      for result in results {
        guard
          let index = rows[result.webhook]?.firstIndex(where: {
            $0.delivery.sequence == result.sequence
          }), let old = rows[result.webhook]?[index].delivery
        else { continue }
        switch result.outcome {
        case .delivered: rows[result.webhook]?.remove(at: index)
        case .dead: rows[result.webhook]?[index].isDead = true
        case .retry(let time):
          let delivery = DueDelivery(
            sequence: old.sequence, messageID: old.messageID, type: old.type,
            subject: old.subject, attempts: result.attempts, createdAt: old.createdAt,
            body: old.body)
          rows[result.webhook]?[index] = Row(delivery: delivery, retryAt: time)
        }
      }
      queue.saved(true)
    }
  }
}

extension [WebhookAttempt] {
  fileprivate var sequences: [Int64] { map(\.delivery.sequence) }
}

@Suite("The queue of webhooks")
struct WebhookQueueTests {
  @Test("first attempts of one user are one at a time and in order, those of others side by side")
  func order() throws {
    let fixture = try QueueFixture()
    for user in ["a", "a", "b", "a", "b", "c"] { fixture.publish(user) }
    var attempts = fixture.begin()
    #expect(attempts.sequences == [1, 3, 6])
    fixture.end(attempts[0])
    attempts += fixture.begin()
    #expect(attempts.sequences == [1, 3, 6, 2])
    // A failure does not hold the next event up.
    fixture.fail(attempts[3])
    #expect(fixture.begin().sequences == [4])
    fixture.fail(attempts[1])
    #expect(fixture.begin().sequences == [5])
  }

  @Test("a retry is due after its delay, once its result is saved, beside later events")
  func retries() throws {
    let fixture = try QueueFixture()
    fixture.publish("a")
    fixture.fail(fixture.begin()[0])
    fixture.now += 5_000
    #expect(fixture.begin().isEmpty)
    fixture.save()
    #expect(fixture.queue.nextRetryAt == fixture.now)
    let second = fixture.begin()
    #expect(second.sequences == [1] && second[0].isRetry)
    #expect(second[0].delivery.attempts == 1)
    fixture.publish("a")
    // The retry of the first event does not hold the second event up.
    #expect(fixture.begin().sequences == [2])
    fixture.fail(second[0])
    fixture.save()
    #expect(fixture.begin().isEmpty)
    #expect(fixture.queue.nextRetryAt == fixture.now + 300_000)
    fixture.now += 300_000
    let third = fixture.begin()
    #expect(third.sequences == [1])
    fixture.fail(third[0])
    fixture.save()
    #expect(fixture.rows[1]?.filter(\.isDead).count == 1)
    #expect(fixture.queue.nextRetryAt == nil)
  }

  @Test("a retry that stalls delays no other retry, and no page of retries in flight is read again")
  func retriesInFlight() throws {
    var limits = WebhookLimits()
    limits.pageRows = 4
    let fixture = try QueueFixture(limits: limits)
    for user in ["a", "b", "c"] { fixture.publish(user) }
    let attempts = fixture.begin()
    fixture.fail(attempts[0])
    fixture.save()
    fixture.now += 5_000
    let stalled = fixture.begin()
    #expect(stalled.sequences == [1])
    // The page has one row, which is in flight: until a result is saved there is nothing to read.
    fixture.fail(attempts[1])
    fixture.save()
    fixture.now += 5_000
    #expect(fixture.begin().isEmpty)
    #expect(fixture.queue.nextRetryAt == nil)
    fixture.end(stalled[0])
    fixture.save()
    #expect(fixture.begin().sequences == [2])
  }

  @Test("a retry is read while another one is in flight")
  func retriesSideBySide() throws {
    let fixture = try QueueFixture()
    for user in ["a", "b"] { fixture.publish(user) }
    let attempts = fixture.begin()
    fixture.fail(attempts[0])
    fixture.save()
    fixture.now += 5_000
    #expect(fixture.begin().sequences == [1])
    fixture.fail(attempts[1])
    fixture.save()
    fixture.now += 5_000
    #expect(fixture.begin().sequences == [2])
    #expect(fixture.begin().isEmpty)
    #expect(fixture.queue.nextRetryAt == nil)
  }

  @Test("a page of retries that is older than a saved result does not repeat the attempt")
  func stalePage() throws {
    let fixture = try QueueFixture()
    for user in ["a", "b"] { fixture.publish(user) }
    for attempt in fixture.begin() { fixture.fail(attempt) }
    fixture.save()
    fixture.now += 5_000
    let retries = fixture.begin()
    #expect(retries.sequences == [1, 2])
    // A news of the store has the retries read once more, while the first result is saved.
    fixture.update()
    let reads = fixture.queue.nextReads(at: fixture.now)
    let pages = reads.map { fixture.answer($0.query) }
    fixture.end(retries[0])
    fixture.save()
    for (read, page) in zip(reads, pages) { fixture.queue.take(page, of: read) }
    #expect(fixture.begin().isEmpty)
  }

  @Test("Retry-After puts the next attempt off, and an earlier one does not move it")
  func retryAfter() throws {
    let fixture = try QueueFixture()
    fixture.publish("a")
    fixture.publish("b")
    let attempts = fixture.begin()
    fixture.fail(attempts[0], retryAfter: 60)
    fixture.fail(attempts[1], retryAfter: 1)
    fixture.save()
    #expect(fixture.rows[1]?.map(\.retryAt) == [fixture.now + 60_000, fixture.now + 5_000])
  }

  @Test("410 disables the endpoint, and so does a last attempt without any success")
  func disabling() throws {
    let fixture = try QueueFixture(endpointCount: 2, retries: "1s")
    fixture.publish("a")
    for attempt in fixture.begin() {
      if attempt.lane == 1 {
        fixture.end(attempt, .gone(status: 410))
      } else {
        fixture.fail(attempt)
      }
    }
    #expect(fixture.queue.takeDisabled().map(\.id) == ["wh_1"])
    #expect(fixture.queue.takeDisabled().isEmpty)
    fixture.save()
    fixture.now += 1_000
    for attempt in fixture.begin() { fixture.fail(attempt) }
    let disabled = fixture.queue.takeDisabled()
    #expect(disabled.map(\.id) == ["wh_2"] && disabled[0].reason == .failing)
  }

  @Test("a last attempt that fails does not disable an endpoint that takes other messages")
  func poison() throws {
    let fixture = try QueueFixture(retries: "1s")
    fixture.publish("a")
    fixture.fail(fixture.begin()[0])
    fixture.save()
    fixture.now += 1_000
    fixture.publish("b")
    let attempts = fixture.begin()
    for attempt in attempts where !attempt.isRetry { fixture.end(attempt) }
    for attempt in attempts where attempt.isRetry { fixture.fail(attempt) }
    #expect(fixture.queue.takeDisabled().isEmpty)
  }

  @Test("an endpoint that answers nothing leaves places for the others")
  func fairness() throws {
    let fixture = try QueueFixture(endpointCount: 10)
    for number in 0..<400 { fixture.publish("u\(number)") }
    var counts: [Int64: Int] = [:]
    for attempt in fixture.begin() { counts[attempt.lane, default: 0] += 1 }
    #expect(counts.count == 10)
    #expect(counts.values.allSatisfy { (2...32).contains($0) })
    #expect(counts.values.reduce(0, +) <= 256 + 20)
    // None of them answers, and a further endpoint still finds places.
    fixture.endpoints.append(try QueueFixture.endpoint(11))
    fixture.update()
    for number in 0..<40 { fixture.publish("x\(number)") }
    #expect(fixture.begin().count { $0.lane == 11 } >= 10)
  }

  @Test("an endpoint that keeps failing has few attempts in flight, and recovers")
  func slowingDown() throws {
    let fixture = try QueueFixture()
    for number in 0..<200 { fixture.publish("u\(number)") }
    for _ in 0..<5 { for attempt in fixture.begin() { fixture.fail(attempt) } }
    let slow = fixture.begin()
    #expect(slow.count == 2)
    for attempt in slow { fixture.end(attempt) }
    #expect(fixture.begin().count == 4)
  }

  @Test("an endpoint that is disabled gets nothing, and goes on when it is enabled")
  func pausing() throws {
    let fixture = try QueueFixture()
    for user in ["a", "a", "b"] { fixture.publish(user) }
    let attempts = fixture.begin()
    fixture.endpoints[0].disabledReason = .byRequest
    fixture.update()
    #expect(fixture.begin().isEmpty)
    fixture.end(attempts[0])
    fixture.save()
    #expect(fixture.begin().isEmpty)
    fixture.endpoints[0].disabledReason = nil
    fixture.update()
    // The event of `b` is in flight still.
    #expect(fixture.begin().sequences == [2])
    fixture.end(attempts[1])
    #expect(fixture.begin().isEmpty)
  }

  @Test("a page that was asked for before the endpoint was disabled is not used after it")
  func latePage() throws {
    let fixture = try QueueFixture()
    fixture.publish("a")
    let reads = fixture.queue.nextReads(at: fixture.now)
    let pages = reads.map { fixture.answer($0.query) }
    fixture.endpoints[0].disabledReason = .byRequest
    fixture.update()
    fixture.endpoints[0].disabledReason = nil
    fixture.update()
    for (read, page) in zip(reads, pages) { fixture.queue.take(page, of: read) }
    #expect(fixture.begin().sequences == [1])
    #expect(fixture.begin().isEmpty)
  }

  @Test("a deleted endpoint has no attempts and no results")
  func deletion() throws {
    let fixture = try QueueFixture(endpointCount: 2)
    for user in ["a", "b"] { fixture.publish(user) }
    let attempts = fixture.begin()
    fixture.end(attempts.first { $0.lane == 1 }!)
    fixture.endpoints.removeFirst()
    #expect(fixture.update() == [1])
    #expect(fixture.queue.nextResults() == nil)
    for attempt in attempts where attempt.lane == 1 { fixture.end(attempt) }
    #expect(fixture.queue.nextResults() == nil)
    #expect(fixture.queue.inFlightCount == 2)
    for attempt in attempts where attempt.lane == 2 { fixture.end(attempt) }
    #expect(fixture.queue.inFlightCount == 0)
  }

  @Test("results that were not saved are saved again, and no attempt begins above the limit")
  func saving() throws {
    var limits = WebhookLimits()
    limits.unsettledRows = 4
    limits.endpointInFlight = 4
    limits.settledRows = 3
    let fixture = try QueueFixture(limits: limits)
    for number in 0..<10 { fixture.publish("u\(number)") }
    for attempt in fixture.begin() { fixture.end(attempt) }
    #expect(fixture.begin().isEmpty)
    let first = try #require(fixture.queue.nextResults())
    #expect(first.map(\.sequence) == [1, 2, 3])
    #expect(fixture.queue.nextResults() == nil)
    fixture.queue.saved(false)
    #expect(fixture.queue.nextResults() == first)
    fixture.queue.saved(true)
    fixture.save()
    #expect(fixture.queue.unsettledCount == 0)
  }

  @Test("a read that failed is repeated")
  func failedRead() throws {
    let fixture = try QueueFixture()
    fixture.publish("a")
    for read in fixture.queue.nextReads(at: fixture.now) { fixture.queue.take(nil, of: read) }
    #expect(fixture.begin().sequences == [1])
  }

  @Test("a damaged message is dead at once")
  func damage() throws {
    let fixture = try QueueFixture()
    fixture.publish("a")
    fixture.end(fixture.begin()[0], .damaged)
    #expect(fixture.queue.nextResults()?.map(\.outcome) == [.dead])
    #expect(fixture.queue.takeDisabled().isEmpty)
  }

  @Test("any order of events, outcomes and saves delivers each once, first attempts in order")
  func model() throws {
    var random = SeededGenerator.announced()
    var limits = WebhookLimits()
    limits.pageRows = 16
    limits.settledRows = 5
    let fixture = try QueueFixture(endpointCount: 3, retries: "1s,1s,1s,1s,1s,1s", limits: limits)
    var flights: [WebhookAttempt] = []
    var firsts: [Int64: [UserID: [Int64]]] = [:]
    var delivered: [Int64: [Int64]] = [:]
    for step in 0..<4_000 {
      switch Int.random(in: 0..<6, using: &random) {
      case 0 where step < 3_000: fixture.publish("u\(Int.random(in: 0..<5, using: &random))")
      case 1: fixture.now += 700
      case 2: fixture.save()
      case 3, 4:
        for attempt in fixture.begin() {
          guard case .user(let user) = attempt.delivery.subject else { continue }
          if !attempt.isRetry {
            #expect(
              !flights.contains {
                !$0.isRetry && $0.lane == attempt.lane
                  && $0.delivery.subject == attempt.delivery.subject
              })
            firsts[attempt.lane, default: [:]][user, default: []].append(
              attempt.delivery.sequence)
          }
          flights.append(attempt)
        }
      default:
        guard !flights.isEmpty else { continue }
        let attempt = flights.remove(at: Int.random(in: 0..<flights.count, using: &random))
        if Int.random(in: 0..<4, using: &random) == 0, attempt.delivery.attempts < 6 {
          fixture.fail(attempt)
        } else {
          fixture.end(attempt)
          delivered[attempt.lane, default: []].append(attempt.delivery.sequence)
        }
      }
    }
    for _ in 0..<2_000 {
      flights += fixture.begin()
      for attempt in flights {
        fixture.end(attempt)
        delivered[attempt.lane, default: []].append(attempt.delivery.sequence)
      }
      flights = []
      fixture.save()
      fixture.now += 1_000
      if fixture.rows.values.allSatisfy(\.isEmpty) { break }
    }
    #expect(fixture.rows.values.allSatisfy { $0.isEmpty })
    let all = Set(delivered[1] ?? [])
    for key in Int64(1)...3 {
      #expect(Set(delivered[key] ?? []) == all && delivered[key]?.count == all.count)
      for order in (firsts[key] ?? [:]).values { #expect(order == order.sorted()) }
    }
    #expect(all.count > 100)
  }
}
