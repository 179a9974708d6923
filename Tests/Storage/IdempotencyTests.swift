// A retried publish is stored once.

import Notifications
import Storage
import TestSupport
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

  @Test("a key is kept for 24 hours in which the store is open, then is new again")
  func expiry() throws {
    let clock = WallClock(Self.start, monotonic: 5_000)
    let fixture = try StoreFixture(clock: clock)
    func publish(after milliseconds: Int64) -> StoreOutcome {
      clock.monotonic.change { $0 = 5_000 + milliseconds }
      return fixture.publish("u", key: key("k"))
    }
    #expect(publish(after: 0) == .published)
    #expect(publish(after: Self.day - 1) == .repeated(answer: []))
    #expect(publish(after: Self.day) == .published)
    #expect(publish(after: Self.day + 1) == .repeated(answer: []))
  }

  @Test("a key may have a longer life, and does not prolong that of others")
  func addedLifetime() throws {
    let clock = WallClock(Self.start, monotonic: 5_000)
    let fixture = try StoreFixture(clock: clock)
    let long = IdempotencyKey(
      scope: "p", key: "long", digest: [1, 2, 3], addedLifetime: 3 * Self.day)
    func publish(_ key: IdempotencyKey, after milliseconds: Int64) -> StoreOutcome {
      clock.monotonic.change { $0 = 5_000 + milliseconds }
      return fixture.publish("u", key: key)
    }
    #expect(publish(long, after: 0) == .published)
    #expect(publish(key("k"), after: 0) == .published)
    #expect(publish(key("k"), after: Self.day) == .published)
    #expect(publish(long, after: Self.day) == .repeated(answer: []))
    #expect(publish(long, after: 4 * Self.day - 1) == .repeated(answer: []))
    #expect(publish(long, after: 4 * Self.day) == .published)
  }

  @Test("a time of day that is two days ahead for a moment forgets no key")
  func wallClock() throws {
    let directory = TemporaryDirectory()
    do {
      let fixture = try StoreFixture(in: directory)
      #expect(fixture.publish("u", key: key("k"), at: Self.start) == .published)
      #expect(fixture.publish("u", key: key("ahead"), at: Self.start + 2 * Self.day) == .published)
      #expect(fixture.publish("u", key: key("k"), at: Self.start) == .repeated(answer: []))
    }
    let reopened = try StoreFixture(in: directory, clock: WallClock(Self.start + 2 * Self.day))
    #expect(
      reopened.publish("u", key: key("k"), at: Self.start + 2 * Self.day) == .repeated(answer: []))
  }

  @Test("the running time goes on after a restart, also on a clock that begins again")
  func runningTime() throws {
    let directory = TemporaryDirectory()
    let hour = Self.day / 24
    do {
      let clock = WallClock(Self.start, monotonic: 1_000_000)
      let fixture = try StoreFixture(in: directory, clock: clock)
      #expect(fixture.publish("u", key: key("k")) == .published)
      clock.monotonic.change { $0 = 1_000_000 + 10 * hour }
      #expect(fixture.change("u", .readAll).count == 1)
    }
    let clock = WallClock(Self.start, monotonic: 0)
    let fixture = try StoreFixture(in: directory, clock: clock)
    clock.monotonic.change { $0 = 14 * hour - 1 }
    #expect(fixture.publish("u", key: key("k")) == .repeated(answer: []))
    clock.monotonic.change { $0 = 14 * hour }
    #expect(fixture.publish("u", key: key("k")) == .published)
  }

  @Test(
    "a damaged running time is no trap", arguments: [Int64.max, .min, -1, Int64.max / 2])
  func damagedTime(saved: Int64) throws {
    let directory = TemporaryDirectory()
    do { _ = try StoreFixture(in: directory) }
    StoreFixture.sql(
      "UPDATE store SET running_milliseconds = \(saved)", at: directory.databasePath)
    let fixture = try StoreFixture(in: directory)
    #expect(fixture.publish("u", key: key("k")) == .published)
    #expect(fixture.publish("u", key: key("k")) == .repeated(answer: []))
  }

  @Test("finding a key stores nothing")
  func finding() throws {
    let fixture = try StoreFixture()
    #expect(fixture.submit(.findKey(key("k"))) == .unknownKey)
    #expect(fixture.submit(.findKey(key("k"))) == .unknownKey)
    #expect(fixture.publish("u", key: key("k"), answer: [7]) == .published)
    #expect(fixture.submit(.findKey(key("k"))) == .repeated(answer: [7]))
    #expect(fixture.submit(.findKey(key("k", digest: [9]))) == .conflict)
    #expect(fixture.submit(.findKey(key("k", scope: "other"))) == .unknownKey)
    #expect(fixture.store.metrics.lastOffset == 1)
  }

  @Test("expired keys are deleted in steps, faster than new ones arrive")
  func pruning() throws {
    let clock = WallClock(Self.start, monotonic: 0)
    let fixture = try StoreFixture(clock: clock)
    let drafts = (0..<500).map { key("old-\($0)") }
    for key in drafts { fixture.publish("u", key: key) }
    #expect(fixture.sql("SELECT count(*) FROM idempotency") == "500")
    clock.monotonic.change { $0 = Self.day }
    for number in 0..<8 { fixture.publish("u", key: key("new-\(number)")) }
    #expect(fixture.sql("SELECT count(*) FROM idempotency") == "8")
  }

  @Test("a key of a store without a running time is kept from then on")
  func migration() throws {
    let day = Self.day
    let directory = try StoreFixture.directory(
      ofFormat: "format4",
      adding: """
        DELETE FROM idempotency;
        INSERT INTO idempotency (scope, key, digest, answer, created_at) VALUES
          ('publisher', 'new', x'010203', x'01', \(Self.start)),
          ('publisher', 'old', x'010203', x'02', \(Self.start - day));
        """)
    let clock = WallClock(Self.start, monotonic: 0)
    let fixture = try StoreFixture(in: directory, clock: clock)
    #expect(fixture.publish("u", key: key("old")) == .published)
    #expect(fixture.publish("u", key: key("new")) == .repeated(answer: [1]))
    clock.monotonic.change { $0 = day }
    #expect(fixture.publish("u", key: key("new")) == .published)
  }

  /// The counts in the table, and those of the rows.
  private static func counts(_ fixture: StoreFixture) -> (kept: String, real: String) {
    (
      fixture.sql(
        "SELECT group_concat(scope || key_count) FROM "
          + "(SELECT * FROM idempotency_scope ORDER BY 1)"),
      fixture.sql(
        "SELECT group_concat(scope || n) FROM "
          + "(SELECT scope, count(*) AS n FROM idempotency GROUP BY scope ORDER BY 1)")
    )
  }

  @Test("a publisher at its limit of keys is refused a further one, until the first expire")
  func keysPerPublisher() throws {
    let clock = WallClock(Self.start, monotonic: 0)
    let fixture = try StoreFixture(clock: clock) { $0.keysPerPublisherLimit = 3 }
    for name in ["1", "2", "3"] {
      #expect(fixture.publish("u", key: key(name), answer: [1]) == .published)
    }
    #expect(fixture.publish("u", key: key("4")) == .refused(.keys(limit: 3)))
    #expect(fixture.store.metrics.lastOffset == 3)
    // Repeats, other publishers and publishes without a key go on.
    #expect(fixture.publish("u", key: key("3")) == .repeated(answer: [1]))
    #expect(fixture.publish("u", key: key("4", scope: "other")) == .published)
    #expect(fixture.publish("u", key: nil) == .published)
    clock.monotonic.change { $0 = Self.day }
    // An expired key is replaced, and counts as before.
    #expect(fixture.publish("u", key: key("1")) == .published)
    #expect(fixture.publish("u", key: key("4")) == .published)
    #expect(fixture.publish("u", key: key("5")) == .published)
    #expect(fixture.publish("u", key: key("6")) == .refused(.keys(limit: 3)))
    let (kept, real) = Self.counts(fixture)
    #expect(kept == real && !kept.isEmpty)
  }

  @Test("a publisher whose keys have all expired is not refused for ever")
  func expiredKeysMakeRoom() throws {
    let clock = WallClock(Self.start, monotonic: 0)
    let fixture = try StoreFixture(clock: clock) { $0.keysPerPublisherLimit = 2 }
    for name in ["1", "2"] { fixture.publish("u", key: key(name)) }
    clock.monotonic.change { $0 = Self.day }
    // The refusal forgets them.
    #expect(fixture.publish("u", key: key("3")) == .refused(.keys(limit: 2)))
    #expect(fixture.publish("u", key: key("3")) == .published)
    let (kept, real) = Self.counts(fixture)
    #expect(kept == real)
  }

  @Test("a key that replaces an expired one counts once")
  func replacedKey() throws {
    let clock = WallClock(Self.start, monotonic: 0)
    let fixture = try StoreFixture(clock: clock)
    for number in 0..<100 { fixture.publish("u", key: key("\(number)")) }
    clock.monotonic.change { $0 = Self.day }
    // Without a wait, so that new keys and those that are replaced share a group.
    let outcomes = Latch<[StoreOutcome]>([])
    for number in 0..<100 {
      for name in ["new \(number)", "\(number)"] {
        let command = StoreCommand.publish(
          drafts: [fixture.draft("u")], idempotency: key(name), answer: [])
        #expect(fixture.store.submit(command) { outcome in outcomes.change { $0.append(outcome) } })
      }
    }
    outcomes.wait { $0.count == 200 }
    #expect(outcomes.current.allSatisfy { $0 == .published })
    let (kept, real) = Self.counts(fixture)
    #expect(kept == real && !kept.isEmpty)
  }

  @Test("at random, the counts of keys are those of the rows, also after a new start")
  func countedKeys() throws {
    var random = SeededGenerator.announced("idempotency counts")
    let clock = WallClock(Self.start, monotonic: 0)
    let directory = TemporaryDirectory()
    for _ in 0..<4 {
      let fixture = try StoreFixture(in: directory, clock: clock) { $0.keysPerPublisherLimit = 20 }
      for _ in 0..<150 {
        let scope = ["a", "b", "c"].randomElement(using: &random)!
        let name = "k\(Int.random(in: 0..<40, using: &random))"
        switch Int.random(in: 0..<12, using: &random) {
        case 0: clock.monotonic.change { $0 += Self.day / 6 }
        case 1: _ = fixture.submit(.findKey(key(name, scope: scope)))
        case 2:
          // The command fails by itself, and its group runs again without it.
          let id = fixture.draft("u").id
          _ = fixture.submit(
            .publish(
              drafts: [fixture.draft("u", id: id), fixture.draft("u", id: id)],
              idempotency: key(name, scope: scope), answer: []))
        default: fixture.publish("u", key: key(name, scope: scope))
        }
        let (kept, real) = Self.counts(fixture)
        #expect(kept == real)
      }
    }
  }
}
