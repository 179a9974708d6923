// Large inboxes: a change of all is done in steps between which other commands run, and no step, no
// group change and no page visits more rows than its limit.

import CSQLite
import Notifications
import Testing

@testable import Storage

@Suite("A large inbox", .timeLimit(.minutes(10)))
struct LargeInboxTests {
  private func fill(
    _ fixture: StoreFixture, count: Int, type: String = "t", group: String? = nil,
    user: UserID = "u"
  ) -> [NotificationID] {
    var ids: [NotificationID] = []
    while ids.count < count {
      let drafts = (0..<min(4_000, count - ids.count)).map { _ in
        fixture.draft(user, content: Content(type: type, title: "T", groupKey: group))
      }
      #expect(fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: [])) == .published)
      ids += drafts.map(\.id)
    }
    return ids
  }

  @Test("a user has eight changes of its whole inbox under way, and others have theirs")
  func changesOfOneUser() throws {
    let fixture = try StoreFixture { $0.stepLimit = 1 }
    _ = fill(fixture, count: 300)
    _ = fill(fixture, count: 3, user: "v")
    var commands = (0..<30).map { _ in StoreCommand.change(user: "u", .readAll, at: 5) }
    commands.append(.change(user: "v", .readAll, at: 5))
    let outcomes = submit(fixture, commands)
    let refused = outcomes.filter {
      $0.outcome == .refused(.changes(limit: StoreLimits.sweepsPerUserLimit))
    }
    #expect(!refused.isEmpty && refused.allSatisfy { $0.index >= StoreLimits.sweepsPerUserLimit })
    #expect(refused.allSatisfy { $0.index < 30 })
    // Those that were accepted ended as ever, and a further one is accepted.
    #expect(fixture.counts("u").unread == 0 && fixture.counts("v").unread == 0)
    #expect(fixture.change("u", .deleteAll) == .changed(count: 300, fixture.counts("u")))
  }

  @Test("many users' changes of whole inboxes are bounded together, and publishing goes on")
  func changesOfAllUsers() throws {
    let fixture = try StoreFixture {
      $0.stepLimit = 1
      $0.sweepLimit = 4
    }
    let users = (0..<12).map { "u\($0)" }
    for user in users { _ = fill(fixture, count: 100, user: user) }
    var commands = users.map { StoreCommand.change(user: $0, .readAll, at: 5) }
    commands.append(publish(fixture, "v"))
    let outcomes = submit(fixture, commands)
    let refused = outcomes.filter {
      if case .unavailable = $0.outcome { true } else { false }
    }
    #expect(refused.count == 8 && refused.allSatisfy { $0.index >= 4 })
    // The publish did not wait for the changes, which take hundreds of steps.
    let places = [outcomes.firstIndex { $0.index == 12 }, outcomes.firstIndex { $0.index == 0 }]
    #expect(outcomes.first { $0.index == 12 }?.outcome == .published)
    #expect(places[0]! < places[1]!)
    #expect(users.count { fixture.counts($0).unread == 0 } == 4)
  }

  /// Submits commands without waiting between them; returns their outcomes in the order of arrival.
  private func submit(
    _ fixture: StoreFixture, _ commands: [StoreCommand]
  ) -> [(index: Int, outcome: StoreOutcome)] {
    let outcomes = Latch<[(index: Int, outcome: StoreOutcome)]>([])
    for (index, command) in commands.enumerated() {
      let isTaken = fixture.store.submit(command) { outcome in
        outcomes.change { $0.append((index, outcome)) }
      }
      #expect(isTaken)
    }
    outcomes.wait { $0.count == commands.count }
    return outcomes.current
  }

  private func publish(
    _ fixture: StoreFixture, _ user: UserID, count: Int = 1
  ) -> StoreCommand {
    .publish(
      drafts: (0..<count).map { _ in fixture.draft(user) }, idempotency: nil, answer: [])
  }

  /// Counts the rows of an inbox in the database.
  private func recount(_ fixture: StoreFixture, _ user: UserID) -> Counts {
    func count(_ condition: String) -> Int {
      let text = fixture.sql(
        """
        SELECT count(*) FROM notification JOIN user ON user.key = notification.user
        WHERE user.id = '\(user)' AND \(condition)
        """)
      return Int(text) ?? -1
    }
    var counts = Counts(
      total: count("1"), unread: count("read_at IS NULL"), unseen: count("seen_at IS NULL"),
      version: fixture.counts(user).version)
    counts.byPriority.normal = counts.unread
    return counts
  }

  @Test(
    "a change of all takes steps, and publishes are answered between them",
    arguments: [InboxChange.readAll, .seenAll, .deleteAll])
  func steps(change: InboxChange) throws {
    let fixture = try StoreFixture { $0.stepLimit = 100 }
    _ = fill(fixture, count: 3_000)
    let before = fixture.events.current.count
    let outcomes = submit(
      fixture,
      [.change(user: "u", change, at: 7), publish(fixture, "v"), publish(fixture, "u")])
    #expect(outcomes.map(\.index) == [1, 2, 0], "the change is answered last")
    guard case .changed(3_000, let counts) = outcomes[2].outcome else {
      Issue.record("\(outcomes[2].outcome)")
      return
    }
    #expect(counts == fixture.counts("u"))
    #expect(counts == recount(fixture, "u"))
    // The notification published meanwhile is newer than the change.
    #expect(fixture.counts("u").total == (change == .deleteAll ? 1 : 3_001))
    #expect(fixture.page("u").rows[0].seenAt == nil)
    let events = fixture.events.current.dropFirst(before)
    #expect(events.map(\.offset) == (3_001..<3_001 + UInt64(events.count)).map { $0 })
    let steps = events.filter { if case .counted = $0.body { true } else { false } }
    #expect((29...31).contains(steps.count))
    switch (change, try #require(events.last).body) {
    case (.readAll, .readAll(let last)), (.seenAll, .seenAll(let last)),
      (.deleteAll, .deletedAll(let last)):
      #expect(last == counts)
    default: Issue.record("the change has no event of its own")
    }
    #expect(fixture.change("u", change).count == 1)
    #expect(fixture.change("u", change).count == 0)
  }

  @Test("a change of all in a small inbox takes one transaction and one event")
  func small() throws {
    let fixture = try StoreFixture()
    _ = fill(fixture, count: 500)
    let commits = fixture.store.metrics.commits
    #expect(fixture.change("u", .readAll).count == 500)
    #expect(fixture.store.metrics.commits == commits + 1)
    #expect(fixture.events.current.count == 501)
  }

  @Test("a notification that is marked unread during a change of all stays unread")
  func unreadMeanwhile() throws {
    let fixture = try StoreFixture { $0.stepLimit = 50 }
    let ids = fill(fixture, count: 2_000)
    _ = fixture.change("u", .read([ids[1_999]]))
    let marked = [ids[0], ids[999], ids[1_999]]
    let outcomes = submit(
      fixture,
      [.change(user: "u", .readAll, at: 7), .change(user: "u", .unread(marked), at: 8)])
    #expect(outcomes.map(\.index) == [1, 0])
    // The change had passed some of them and not yet reached the others.
    #expect(fixture.page("u", unreadOnly: true).rows.map(\.id) == marked.reversed())
    #expect(fixture.counts("u") == recount(fixture, "u"))
    #expect(fixture.change("u", .readAll).count == 3)
  }

  @Test("the changes of all of several users take turns")
  func turns() throws {
    let fixture = try StoreFixture { $0.stepLimit = 50 }
    _ = fill(fixture, count: 4_000, user: "large")
    _ = fill(fixture, count: 1_500, user: "u")
    let outcomes = submit(
      fixture,
      [
        .change(user: "large", .readAll, at: 7), .change(user: "u", .deleteAll, at: 7),
        .change(user: "large", .seenAll, at: 8),
      ])
    #expect(outcomes.map(\.index).first == 1, "the smaller one is done first")
    #expect(fixture.counts("large").unread == 0)
    #expect(fixture.counts("large").unseen == 0)
    #expect(fixture.counts("u").total == 0)
    #expect(fixture.counts("large") == recount(fixture, "large"))
  }

  @Test("after a failure between two steps the counts are right, and a repeat changes the rest")
  func crash() throws {
    let directory = TemporaryDirectory()
    let files = FaultFileSystem()
    do {
      let fixture = try StoreFixture(in: directory, fileSystem: files) { $0.stepLimit = 100 }
      _ = fill(fixture, count: 3_000)
      files.failSyncs(after: 4)
      let outcome = fixture.change("u", .readAll)
      guard case .unknown = outcome else {
        Issue.record("\(outcome)")
        return
      }
    }
    let fixture = try StoreFixture(in: directory)
    let counts = fixture.counts("u")
    #expect(counts == recount(fixture, "u"))
    // A step whose sync failed may be in the log all the same.
    #expect([2_500, 2_600].contains(counts.unread))
    #expect(fixture.change("u", .readAll).count == counts.unread)
    #expect(fixture.counts("u") == recount(fixture, "u"))
    #expect(fixture.counts("u").unread == 0)
  }

  @Test("a lock between two steps leaves the outcome unknown, and a repeat changes the rest")
  func lock() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files) {
      $0.stepLimit = 100
      $0.lockTimeoutMilliseconds = 0
    }
    _ = fill(fixture, count: 1_000)
    files.hold(.sync(.log))
    let outcomes = Latch<[StoreOutcome]>([])
    let command = StoreCommand.change(user: "u", .readAll, at: 7)
    #expect(fixture.store.submit(command) { outcome in outcomes.change { $0.append(outcome) } })
    files.awaitHeldCall()
    files.fail(.lock, with: SQLITE_BUSY)
    files.release()
    outcomes.wait { !$0.isEmpty }
    guard case .unknown = outcomes.current[0] else {
      Issue.record("\(outcomes.current)")
      return
    }
    #expect(fixture.store.failure == nil)
    files.fail()
    // A step that ends a class visits fewer rows.
    let unread = fixture.counts("u").unread
    #expect((900..<1_000).contains(unread))
    #expect(fixture.change("u", .readAll).count == unread)
    #expect(fixture.store.status == .ready)
    #expect(fixture.counts("u") == recount(fixture, "u"))
    #expect(outcomes.current.count == 1)
  }

  @Test("a checkpoint that fails between two steps leaves the outcome unknown")
  func failedCheckpoint() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files) {
      $0.stepLimit = 100
      $0.checkpointPages = 1_000
    }
    _ = fill(fixture, count: 1_000)
    files.hold(.write(.database))
    while files.state.current.waiting == 0 {
      try #require(fixture.submit(publish(fixture, "v", count: 200)) == .published)
    }
    files.hold(.write(.database), .sync(.log))
    let outcomes = Latch<[StoreOutcome]>([])
    let command = StoreCommand.change(user: "u", .readAll, at: 7)
    #expect(fixture.store.submit(command) { outcome in outcomes.change { $0.append(outcome) } })
    files.state.wait { $0.waiting == 2 }
    files.fail(.write(.database))
    files.hold(.sync(.log))
    fixture.notices.wait { !$0.isEmpty }
    files.release()
    outcomes.wait { !$0.isEmpty }
    guard case .unknown = outcomes.current[0] else {
      Issue.record("\(outcomes.current)")
      return
    }
    #expect(fixture.store.failure != nil)
    fixture.store.close()
    #expect(outcomes.current.count == 1)
  }

  @Test("closing the store completes a change of all that is under way")
  func closing() throws {
    let directory = TemporaryDirectory()
    do {
      let fixture = try StoreFixture(in: directory) { $0.stepLimit = 100 }
      _ = fill(fixture, count: 2_000)
      let outcome = Latch<StoreOutcome?>(nil)
      #expect(
        fixture.store.submit(.change(user: "u", .deleteAll, at: 7)) { result in
          outcome.change { $0 = result }
        })
      fixture.store.close()
      #expect(outcome.current?.count == 2_000)
    }
    #expect(try StoreFixture(in: directory).counts("u").total == 0)
  }

  // MARK: - Bounds

  /// The instructions of the longest transaction of a command.
  private func cost(_ fixture: StoreFixture, _ command: StoreCommand) -> Int {
    let statistics = fixture.statistics
    statistics.forget()
    _ = fixture.submit(command)
    return statistics.mostTransactionInstructions
  }

  private func counting(stepLimit: Int = 200) throws -> StoreFixture {
    let statistics = StatementStatistics()
    return try StoreFixture(statistics: statistics) {
      $0.stepLimit = stepLimit
      $0.statistics = statistics
    }
  }

  @Test(
    "a step costs as much in an inbox of 20,000 as in one of 2,000",
    arguments: [InboxChange.readAll, .seenAll, .deleteAll])
  func boundedStep(change: InboxChange) throws {
    let costs = try [2_000, 20_000].map { count in
      let fixture = try counting()
      _ = fill(fixture, count: count)
      let cost = cost(fixture, .change(user: "u", change, at: 7))
      #expect(fixture.statistics.transactionCount >= count / 200)
      return cost
    }
    #expect(costs[1] <= costs[0] * 3 / 2, "\(costs)")
    // Reading, or deleting, one row takes fewer than 300 instructions.
    #expect(costs[1] < 200 * 300, "\(costs)")
  }

  @Test("a change of all that concerns one old row visits that one and not the others")
  func oneOfMany() throws {
    let fixture = try counting()
    let ids = fill(fixture, count: 20_000)
    _ = fixture.change("u", .readAll)
    _ = fixture.change("u", .unread([ids[10_000]]))
    let cost = cost(fixture, .change(user: "u", .readAll, at: 9))
    #expect(fixture.statistics.transactionCount <= 7, "the rows of the small inbox, in steps")
    #expect(cost < 200 * 30, "\(cost)")
    #expect(fixture.counts("u").unread == 0)
  }

  @Test(
    "a change of a group that changes nothing visits none of its 20,000 rows",
    arguments: [GroupChange.read, .unread])
  func unchangedGroup(change: GroupChange) throws {
    let fixture = try counting()
    let ids = fill(fixture, count: 20_000, group: "g")
    if change == .read { _ = fixture.change("u", .readAll) }
    let named = change == .read ? ids[5_000] : ids[19_000]
    let cost = cost(fixture, .changeGroup(user: "u", of: named, change, at: 9))
    #expect(cost < 1_000, "\(cost)")
  }

  @Test("a change of a group costs at most its 1,000 rows, however many there are")
  func boundedGroup() throws {
    let fixture = try counting()
    let ids = fill(fixture, count: 20_000, group: "g")
    for change in [GroupChange.read, .unread, .delete] {
      let cost = cost(fixture, .changeGroup(user: "u", of: ids[19_500], change, at: 9))
      #expect(cost < 1_000 * 400, "\(change): \(cost)")
    }
  }

  /// Every filter of a page, with rare rows deep in the inbox.
  private static let filters: [(unread: Bool, type: String?, grouping: PageGrouping)] =
    [false, true].flatMap { unread in
      [nil, "rare"].flatMap { type in
        [PageGrouping.separate, .only("g"), .only("rare")].map { (unread, type, $0) }
      }
    }

  @Test("a page visits its own rows and those of a small inbox, whatever its filter")
  func boundedPages() throws {
    let fixture = try counting(stepLimit: 4_000)
    _ = fill(fixture, count: 1_100, group: "g")
    let rare = fill(fixture, count: 3, type: "rare", group: "rare")
    _ = fill(fixture, count: 20_000, group: "g")
    _ = fixture.change("u", .readAll)
    _ = fixture.change("u", .unread([rare[1]]))
    for filter in Self.filters {
      // A type within a group has no index; a page scans at most 10,000 rows for it.
      if filter.type != nil, filter.grouping == .only("g") { continue }
      for before in [nil, 21_000] as [UInt64?] {
        fixture.statistics.forget()
        let page = fixture.page(
          "u", limit: 20, before: before, unreadOnly: filter.unread, type: filter.type,
          grouping: filter.grouping)
        let matches =
          filter.type != nil || filter.grouping == .only("rare")
          ? filter.unread ? 1 : 3 : filter.unread ? filter.grouping == .separate ? 1 : 0 : 20
        #expect(page.rows.count == matches, "\(filter)")
        #expect((page.next == nil) == (matches < 20), "\(filter)")
        for (sql, record) in fixture.statistics.records {
          // The rows of a small inbox: 1,000 that may not pass.
          #expect(record.runCount <= 1_100, "\(filter): \(record.runCount) runs of \(sql)")
          #expect(record.mostInstructions < 1_100 * 12, "\(filter): \(record) \(sql)")
        }
      }
    }
  }

  @Test("a page of a replay visits the rows after the cursor and none before it")
  func boundedReplay() throws {
    let fixture = try counting()
    _ = fill(fixture, count: 20_000)
    fixture.statistics.forget()
    guard
      case .missed(let rows, _, let next, let total, _) = fixture.read(
        .missed(user: "u", after: 19_990, limit: 100))
    else {
      Issue.record("no replay")
      return
    }
    #expect(rows.count == 10 && next == nil && total == 10)
    for (sql, record) in fixture.statistics.records {
      #expect(record.mostInstructions < 400, "\(record) \(sql)")
    }
  }

  @Test("at most 1,000 rows of a user are in the class of small inboxes")
  func smallClass() throws {
    let fixture = try StoreFixture()
    let small = "SELECT count(*) FROM notification WHERE in_large_inbox = 0"
    let ids = fill(fixture, count: 1_200)
    #expect(fixture.sql(small) == "1000")
    _ = fixture.change("u", .delete(Array(ids[..<500])))
    _ = fill(fixture, count: 1_000)
    #expect(fixture.sql(small) == "800")
    #expect(fixture.inbox("u").count == 1_700)
    _ = fixture.change("u", .deleteAll)
    _ = fill(fixture, count: 1_001)
    #expect(fixture.sql(small) == "1000")
  }
}
