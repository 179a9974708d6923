// Damaged counts of an inbox of any size: recounted in steps of bounded size, while other users'
// commands go on.

import Notifications
import Testing

@testable import Storage

@Suite("A recount", .timeLimit(.minutes(10)))
struct RecountTests {
  private func fill(_ fixture: StoreFixture, _ user: UserID, count: Int) -> [NotificationID] {
    var ids: [NotificationID] = []
    while ids.count < count {
      let drafts = (0..<min(4_000, count - ids.count)).map { _ in fixture.draft(user) }
      #expect(fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: [])) == .published)
      ids += drafts.map(\.id)
    }
    return ids
  }

  private func publish(_ fixture: StoreFixture, _ users: UserID...) -> StoreCommand {
    .publish(drafts: users.map { fixture.draft($0) }, idempotency: nil, answer: [])
  }

  /// Submits commands that the journal takes as one group; returns their outcomes.
  private func submitTogether(
    _ fixture: StoreFixture, _ files: FaultFileSystem, _ commands: [StoreCommand]
  ) -> [StoreOutcome] {
    let outcomes = Latch<[Int: StoreOutcome]>([:])
    files.hold(.sync(.log))
    // The journal waits for the disk while the others are queued.
    for (index, command) in ([publish(fixture, "first")] + commands).enumerated() {
      #expect(fixture.store.submit(command) { outcome in outcomes.change { $0[index] = outcome } })
      if index == 0 { files.awaitHeldCall() }
    }
    files.release()
    outcomes.wait { $0.count == commands.count + 1 }
    return commands.indices.map { outcomes.current[$0 + 1]! }
  }

  private func isRefused(_ outcome: StoreOutcome) -> Bool {
    if case .unavailable = outcome { true } else { false }
  }

  /// Waits until the user's counts are repaired, and returns them.
  private func repaired(_ fixture: StoreFixture, _ user: UserID) -> Counts? {
    func counts(_ events: [Event]) -> Counts? {
      for event in events.reversed() {
        if case .user(user) = event.audience, case .counted(let counts) = event.body {
          return counts
        }
      }
      return nil
    }
    fixture.events.wait { counts($0) != nil }
    return counts(fixture.events.current)
  }

  private func counting(stepLimit: Int = 200) throws -> StoreFixture {
    let statistics = StatementStatistics()
    return try StoreFixture(statistics: statistics) {
      $0.stepLimit = stepLimit
      $0.statistics = statistics
      $0.readerCount = 1
    }
  }

  // Case 88
  @Test("a step of a recount costs as much in an inbox of 20,000 as in one of 2,000")
  func boundedStep() throws {
    let costs = try [2_000, 20_000].map { count in
      let fixture = try counting()
      let ids = fill(fixture, "u", count: count)
      _ = fixture.change("u", .read([ids[7]]))
      _ = fixture.change("u", .seen([ids[8], ids[count - 1]]))
      fixture.sql("UPDATE user SET total = -1 WHERE id = 'u'")
      fixture.statistics.forget()
      try #require(isRefused(fixture.publish("u")))
      let counts = try #require(repaired(fixture, "u"))
      #expect(fixture.statistics.transactionCount >= count / 200)
      let cost = fixture.statistics.mostTransactionInstructions
      #expect(counts.total == count && counts.unread == count - 1 && counts.unseen == count - 3)
      #expect(counts.byPriority.normal == count - 1)
      #expect(fixture.counts("u") == counts)
      #expect(fixture.store.metrics.repairs == 1)
      #expect(fixture.publish("u") == .published)
      #expect(fixture.counts("u").total == count + 1)
      return cost
    }
    #expect(costs[1] <= costs[0] * 3 / 2, "\(costs)")
    // Visiting a row takes fewer than 40 instructions.
    #expect(costs[1] < 200 * 40 + 1_000, "\(costs)")
  }

  @Test("several damaged inboxes in one group are visited in one step, or recounted after it")
  func boundedGroup() throws {
    let files = FaultFileSystem()
    let statistics = StatementStatistics()
    let fixture = try StoreFixture(fileSystem: files, statistics: statistics) {
      $0.stepLimit = 200
      $0.statistics = statistics
    }
    let users = (0..<20).map { "user \($0)" }
    for user in users { _ = fill(fixture, user, count: 150) }
    fixture.sql("UPDATE user SET unread = unread + 1")
    statistics.forget()
    let outcomes = submitTogether(fixture, files, users.map { publish(fixture, $0) })
    for (user, outcome) in zip(users, outcomes) {
      if outcome == .published { continue }
      #expect(isRefused(outcome))
      #expect(repaired(fixture, user)?.total == 150)
      #expect(fixture.publish(user) == .published)
    }
    #expect(outcomes.filter(isRefused).count == 19)
    for user in users { #expect(fixture.counts(user).total == 151) }
    #expect(statistics.mostTransactionInstructions < 200 * 40 + 20 * 400)
    #expect(fixture.store.metrics.repairs == 20)
  }

  @Test("during a recount the user's commands are refused, and those of others are not")
  func meanwhile() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files) { $0.stepLimit = 100 }
    let ids = fill(fixture, "u", count: 3_000)
    _ = fill(fixture, "v", count: 10)
    fixture.sql("UPDATE user SET unseen = -3 WHERE id = 'u'")
    let outcomes = submitTogether(
      fixture, files,
      [
        publish(fixture, "v"), publish(fixture, "u"), publish(fixture, "v", "u"),
        .change(user: "u", .read([ids[3]]), at: 5), .change(user: "u", .deleteAll, at: 5),
        .changeGroup(user: "u", of: ids[4], .delete, at: 5),
        .setPreferences(user: "u", Preferences(rules: ["t": .init(isMuted: true)])),
        .change(user: "v", .readAll, at: 5), publish(fixture, "v"), .recount(user: "u", at: 5),
      ])
    let isUser: [Bool] = [
      false, true, true, true, true, true, true, false, false, false,
    ]
    #expect(outcomes.map(isRefused) == isUser)
    #expect(outcomes[7].count == 11)
    #expect(repaired(fixture, "u")?.total == 3_000)
    #expect(fixture.counts("u").total == 3_000)
    #expect(fixture.counts("v").total == 12)
    #expect(fixture.counts("v").unread == 1)
    #expect(fixture.store.failure == nil)
    #expect(fixture.change("u", .deleteAll).count == 3_000)
    #expect(fixture.publish("u") == .published)
  }

  @Test("a change of a whole inbox that finds damage waits for the recount, and ends")
  func sweep() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files) { $0.stepLimit = 100 }
    _ = fill(fixture, "u", count: 3_000)
    // Possible until the change has counted down to it.
    fixture.sql("UPDATE user SET unread = 1050, unread_normal = 1050, unseen = 1050")
    guard case .changed(_, let counts) = fixture.change("u", .readAll) else {
      Issue.record("not changed")
      return
    }
    #expect(counts.total == 3_000 && counts.unread == 0 && counts.unseen == 0)
    #expect(fixture.counts("u") == counts)
    #expect(fixture.page("u", unreadOnly: true).rows.isEmpty)
    #expect(fixture.store.metrics.repairs == 1)
  }

  @Test("the notifications of a user that is recounted expire after the recount")
  func expiry() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files) { $0.stepLimit = 100 }
    _ = fill(fixture, "u", count: 1_000)
    let short = Content(type: "t", title: "T", expiresAt: 1_800_000_000_000)
    for user in ["u", "v"] { fixture.publish(user, content: short) }
    fixture.sql("UPDATE user SET version = -1 WHERE id = 'u'")
    let outcomes = submitTogether(
      fixture, files, [.change(user: "u", .readAll, at: 5), .expire(at: 1_900_000_000_000)])
    try #require(isRefused(outcomes[0]))
    try #require(outcomes[1] == .expired(hasMore: false))
    #expect(fixture.counts("v").total == 0)
    #expect(repaired(fixture, "u")?.total == 1_001)
    #expect(fixture.store.nextExpiry == 1_800_000_000_000, "still due")
    #expect(fixture.submit(.expire(at: 1_900_000_000_000)) == .expired(hasMore: false))
    #expect(fixture.counts("u").total == 1_000)
  }

  @Test("a reader visits at most 10,000 rows for damaged counts, and has them after the recount")
  func reading() throws {
    let fixture = try counting(stepLimit: 4_000)
    _ = fill(fixture, "u", count: 10_000)
    for _ in 0..<2 {
      fixture.sql("UPDATE user SET total = -1 WHERE id = 'u'")
      #expect(fixture.counts("u").total == 10_000)
      // Repaired by the next command at the latest.
      fixture.publish("v")
      _ = repaired(fixture, "u")
      fixture.events.change { $0 = [] }
    }
    fixture.publish("u")
    fixture.sql("UPDATE user SET total = -1 WHERE id = 'u'")
    fixture.statistics.forget()
    guard case .failed = fixture.read(.counts(user: "u")) else {
      Issue.record("more rows were counted")
      return
    }
    #expect(repaired(fixture, "u")?.total == 10_001)
    let reads = fixture.statistics.records.filter { $0.sql.contains("FILTER") }
    #expect(reads.count == 1)
    #expect(reads.allSatisfy { $0.record.mostInstructions < 10_001 * 40 })
    #expect(fixture.counts("u").total == 10_001)
  }

  @Test("a recount ends when the store becomes read-only")
  func failure() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files) { $0.stepLimit = 10 }
    _ = fill(fixture, "u", count: 1_500)
    fixture.sql("UPDATE user SET total = -1")
    // That of the commands together, which begin the recount.
    files.failSyncs(after: 1)
    let outcomes = submitTogether(fixture, files, [publish(fixture, "u"), publish(fixture, "v")])
    for outcome in outcomes {
      guard case .unknown = outcome else {
        Issue.record("\(outcome)")
        continue
      }
    }
    #expect(fixture.store.failure != nil)
    guard case .failed = fixture.read(.counts(user: "u")) else { return }
    Issue.record("a reader counts this inbox itself")
  }
}
