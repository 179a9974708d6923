// A retried publish is stored once.

import Notifications
import Storage
import Testing

@Suite("An idempotency key makes a retried publish a no-op", .timeLimit(.minutes(10)))
struct IdempotencyTests {
  private static let day: Int64 = 24 * 60 * 60 * 1_000
  private static let start: Int64 = 1_700_000_000_000

  private func key(
    _ key: String, scope: String = "publisher", digest: [UInt8] = [1, 2, 3]
  ) -> IdempotencyKey {
    IdempotencyKey(scope: scope, key: key, digest: digest)
  }

  @Test("the same key and body get the first answer, without a second row or event")
  func repeated() throws {
    let fixture = try StoreFixture()
    #expect(fixture.publish("u", key: key("k"), answer: [7]) == .published)
    #expect(fixture.publish("u", key: key("k"), answer: [8]) == .repeated(answer: [7]))
    #expect(fixture.counts("u").total == 1)
    #expect(fixture.events.current.count == 1)
    #expect(fixture.store.metrics.lastOffset == 1)
  }

  @Test("the same key and another body conflict")
  func conflict() throws {
    let fixture = try StoreFixture()
    #expect(fixture.publish("u", key: key("k")) == .published)
    #expect(fixture.publish("u", key: key("k", digest: [9])) == .conflict)
    #expect(fixture.counts("u").total == 1)
  }

  @Test("keys of different scopes do not collide, nor do keys that look alike")
  func scopes() throws {
    let fixture = try StoreFixture()
    for (scope, name) in [
      ("a", "bc"), ("ab", "c"), ("a", ""), ("", "a"), ("a%", "_"), ("a'--", "\u{0}"),
      ("a", "\u{E9}"), ("a", "e\u{301}"),
    ] {
      #expect(fixture.publish("u", key: key(name, scope: scope)) == .published)
      #expect(fixture.publish("u", key: key(name, scope: scope)) == .repeated(answer: []))
    }
    #expect(fixture.counts("u").total == 8)
  }

  @Test("a repeat in the same group as the original is recognised")
  func sameGroup() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files)
    fixture.publish("warm-up")
    files.hold(.sync(.log))
    let outcomes = Latch<[StoreOutcome]>([])
    func submit(_ digest: [UInt8]) {
      let command = StoreCommand.publish(
        drafts: [fixture.draft("u")], idempotency: key("k", digest: digest), answer: digest)
      #expect(fixture.store.submit(command) { outcome in outcomes.change { $0.append(outcome) } })
    }
    let blocker = StoreCommand.publish(
      drafts: [fixture.draft("other")], idempotency: nil, answer: [])
    #expect(fixture.store.submit(blocker) { outcome in outcomes.change { $0.append(outcome) } })
    files.awaitHeldCall()
    submit([1])
    submit([1])
    submit([2])
    files.release()
    outcomes.wait { $0.count == 4 }
    #expect(outcomes.current == [.published, .published, .repeated(answer: [1]), .conflict])
    #expect(fixture.counts("u").total == 1)
  }

  @Test("keys survive a restart")
  func restart() throws {
    let directory = TemporaryDirectory()
    #expect(try StoreFixture(in: directory).publish("u", key: key("k"), answer: [5]) == .published)
    let reopened = try StoreFixture(in: directory)
    #expect(reopened.publish("u", key: key("k")) == .repeated(answer: [5]))
  }

  @Test("a key is kept for 24 hours, then is new again")
  func expiry() throws {
    let fixture = try StoreFixture()
    func publish(_ time: Int64) -> StoreOutcome {
      fixture.publish("u", key: key("k"), at: time)
    }
    #expect(publish(Self.start) == .published)
    #expect(publish(Self.start + Self.day - 1) == .repeated(answer: []))
    #expect(publish(Self.start + Self.day) == .published)
    #expect(publish(Self.start + Self.day + 1) == .repeated(answer: []))
  }

  @Test("expired keys are deleted in steps, faster than new ones arrive")
  func pruning() throws {
    let fixture = try StoreFixture()
    let drafts = (0..<500).map { key("old-\($0)") }
    for key in drafts { fixture.publish("u", key: key, at: Self.start) }
    #expect(fixture.sql("SELECT count(*) FROM idempotency") == "500")
    for number in 0..<8 {
      fixture.publish("u", key: key("new-\(number)"), at: Self.start + Self.day)
    }
    #expect(fixture.sql("SELECT count(*) FROM idempotency") == "8")
  }
}
