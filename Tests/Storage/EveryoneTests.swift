// Notifications for everyone: one row, in every inbox, with separate state for each user.

import Notifications
import Storage
import TestSupport
import Testing

@Suite("Notifications for everyone", .timeLimit(.minutes(10)))
struct EveryoneTests {
  @Test("one is in every inbox, also in that of a user unknown to the store")
  func everywhere() throws {
    let fixture = try StoreFixture()
    fixture.publish("u")
    let id = fixture.makeID()
    fixture.publishForEveryone(id: id, content: Content(type: "t", priority: .high, title: "A"))
    fixture.publish("u")
    #expect(fixture.inbox("u").map(\.offset) == [3, 2, 1])
    #expect(fixture.inbox("nobody").map(\.id) == [id])
    let row = try #require(fixture.inbox("nobody").first)
    #expect(row.userID == "nobody" && row.title == "A" && row.offset == 2)
    let one = Counts(total: 1, unread: 1, unseen: 1, byPriority: .init(high: 1), version: 2)
    #expect(fixture.counts("nobody") == one)
    #expect(fixture.missed("nobody", after: 0).rows.map(\.offset) == [2])
    #expect(fixture.missed("u", after: 0).rows.map(\.offset) == [1, 2, 3])
    #expect(fixture.missed("u", after: 0).total == 3)
    #expect(fixture.missed("u", after: 2).rows.map(\.offset) == [3])
    // It wrote no user's row.
    #expect(fixture.sql("SELECT count(*) FROM user") == "1")
    #expect(fixture.sql("SELECT count(*) FROM everyone_state") == "0")
    let told = try #require(fixture.events.current.dropFirst().first)
    guard case .everyone = told.audience, case .storedForEveryone = told.body else {
      Issue.record("\(told.body)")
      return
    }
    #expect(told.offset == 2)
    // The next notification of the user's own carries the counts of both kinds.
    #expect(fixture.events.current.last?.counts?.total == 3)
  }

  @Test("a user's change affects that user only, and causes an event for all devices")
  func alone() throws {
    let fixture = try StoreFixture()
    let id = fixture.makeID()
    fixture.publishForEveryone(id: id)
    let read = Counts(total: 1, version: 2)
    #expect(fixture.change("a", .read([id]), at: 7) == .changed(count: 1, read))
    #expect(fixture.inbox("a").map(\.readAt) == [7])
    #expect(fixture.inbox("a").map(\.seenAt) == [7])
    #expect(fixture.inbox("b").map(\.readAt) == [nil])
    #expect(fixture.counts("b").unread == 1)
    let told = try #require(fixture.events.current.last)
    guard case .user("a") = told.audience, case .read([id], read) = told.body else {
      Issue.record("\(told.body)")
      return
    }
    // Again: found, unchanged, no event.
    #expect(fixture.change("a", .read([id]), at: 9) == .changed(count: 1, read))
    #expect(fixture.events.current.count == 2)
    #expect(
      fixture.change("a", .unread([id]))
        == .changed(
          count: 1, Counts(total: 1, unread: 1, byPriority: .init(normal: 1), version: 3)))
    #expect(fixture.change("a", .delete([id])) == .changed(count: 1, Counts(version: 4)))
    #expect(fixture.change("a", .read([id])) == .changed(count: 0, Counts(version: 4)))
    #expect(fixture.inbox("a").isEmpty)
    #expect(fixture.inbox("b").map(\.id) == [id])
  }

  @Test("reading, seeing and deleting all moves a mark and writes no rows")
  func all() throws {
    let fixture = try StoreFixture()
    let ids = (0..<50).map { _ in fixture.makeID() }
    for id in ids { fixture.publishForEveryone(id: id) }
    fixture.publish("u")
    _ = fixture.change("u", .unread([ids[0]]))
    #expect(fixture.change("u", .seenAll, at: 3).count == 51)
    #expect(fixture.counts("u").unseen == 0)
    #expect(fixture.change("u", .readAll, at: 4).count == 51)
    #expect(fixture.change("u", .readAll, at: 5).count == 0)
    #expect(fixture.sql("SELECT count(*) FROM everyone_state") == "0")
    #expect(fixture.inbox("u").allSatisfy { $0.readAt == 4 && $0.seenAt == 3 })
    // One that is marked unread again no longer follows the mark.
    _ = fixture.change("u", .unread([ids[3]]))
    #expect(fixture.counts("u").unread == 1)
    #expect(fixture.change("u", .readAll, at: 6).count == 1)
    #expect(fixture.inbox("u").filter { $0.readAt == 6 }.map(\.id) == [ids[3]])
    #expect(fixture.change("u", .deleteAll).count == 51)
    #expect(fixture.counts("u").total == 0)
    #expect(fixture.sql("SELECT count(*) FROM everyone_state") == "0")
    #expect(fixture.inbox("v").count == 50)
    fixture.publishForEveryone()
    #expect(fixture.counts("u").unread == 1)
  }

  @Test("pages hold both kinds in order, and so do filters")
  func pages() throws {
    let fixture = try StoreFixture()
    for number in 0..<30 {
      let content = Content(type: number % 5 == 0 ? "a" : "b", title: "T")
      if number % 3 == 0 {
        fixture.publishForEveryone(content: content)
      } else {
        fixture.publish("u", content: content)
      }
    }
    var offsets: [UInt64] = []
    var before: UInt64?
    repeat {
      let page = fixture.page("u", limit: 7, before: before)
      #expect(page.rows.count == 7 || page.next == nil)
      offsets += page.rows.map(\.offset)
      before = page.next
    } while before != nil
    #expect(offsets == (1...30).reversed())
    #expect(fixture.page("u", type: "a").rows.map(\.offset) == [26, 21, 16, 11, 6, 1])
    _ = fixture.change("u", .readAll)
    fixture.publishForEveryone()
    #expect(fixture.page("u", unreadOnly: true).rows.map(\.offset) == [32])
    var missed: [UInt64] = []
    var isLast = false
    while !isLast {
      let page = fixture.missed("u", after: missed.last ?? 0, limit: 4)
      missed += page.rows.map(\.offset)
      isLast = page.isLast
    }
    #expect(missed == Array(1...30) + [32])
  }

  @Test("over the limit the oldest is evicted from every inbox, and counted")
  func limit() throws {
    let fixture = try StoreFixture { $0.everyoneLimit = 3 }
    let ids = (0..<4).map { _ in fixture.makeID() }
    for id in ids[..<3] { fixture.publishForEveryone(id: id) }
    _ = fixture.change("u", .read([ids[0], ids[1]]))
    fixture.publishForEveryone(id: ids[3])
    #expect(fixture.inbox("u").map(\.id) == [ids[3], ids[2], ids[1]])
    #expect(
      fixture.counts("u")
        == Counts(
          total: 3, unread: 2, unseen: 2, byPriority: .init(normal: 2), version: 6))
    #expect(fixture.store.metrics.evicted == 1)
    let told = try #require(fixture.events.current.dropFirst(4).first)
    guard case .expiredForEveryone([ids[0]]) = told.body else {
      Issue.record("\(told.body)")
      return
    }
    #expect(fixture.change("u", .read([ids[0]])).count == 0)
    // The next sweep deletes the user's state of it.
    #expect(fixture.store.nextExpiry == 0)
    #expect(fixture.submit(.expire(at: 1)) == .expired(hasMore: false))
    #expect(fixture.sql("SELECT count(*) FROM everyone_state") == "1")
    #expect(fixture.store.nextExpiry == nil)
  }

  @Test("a publish over the limit evicts the oldest with one event, then its own first")
  func manyAtOnce() throws {
    let fixture = try StoreFixture { $0.everyoneLimit = 3 }
    let drafts = (0..<8).map { _ in fixture.draftForEveryone() }
    func publish(_ some: ArraySlice<PendingNotification>) {
      _ = fixture.submit(.publish(drafts: Array(some), idempotency: nil, answer: []))
    }
    publish(drafts[..<2])
    publish(drafts[2..<4])
    publish(drafts[4...])
    #expect(fixture.inbox("u").map(\.id) == [drafts[7].id, drafts[6].id, drafts[5].id])
    #expect(fixture.counts("u").total == 3)
    #expect(fixture.store.metrics.evicted == 5)
    let gone = fixture.events.current.compactMap { event -> [NotificationID]? in
      if case .expiredForEveryone(let ids) = event.body { ids } else { nil }
    }
    let ids = drafts.map(\.id)
    #expect(gone == [[ids[0]], Array(ids[1...3]), [ids[4]]])
  }

  @Test("a damaged row is left out")
  func corrupt() throws {
    let fixture = try StoreFixture()
    fixture.publishForEveryone()
    fixture.publishForEveryone()
    fixture.sql("UPDATE everyone SET title = 'other' WHERE offset = 1")
    #expect(fixture.inbox("u").map(\.offset) == [2])
    guard case .position(2, _) = fixture.read(.missed(user: "u", after: 0, limit: 10)) else {
      Issue.record("a partial replay")
      return
    }
    #expect(fixture.missed("u", after: 1).rows.map(\.offset) == [2])
    #expect(fixture.store.metrics.corruptRows == 2)
  }

  @Test("a group that is retried because of a used id stores each row once")
  func repeated() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files)
    let used = fixture.makeID()
    fixture.publish("u", id: used)
    files.hold(.sync(.log))
    let outcomes = Latch<[StoreOutcome]>([])
    func submit(_ draft: PendingNotification) {
      let command = StoreCommand.publish(drafts: [draft], idempotency: nil, answer: [])
      #expect(fixture.store.submit(command) { outcome in outcomes.change { $0.append(outcome) } })
    }
    submit(fixture.draft("u"))
    files.awaitHeldCall()
    submit(fixture.draftForEveryone())
    submit(fixture.draft("u", id: used))
    files.release()
    outcomes.wait { $0.count == 3 }
    #expect(outcomes.current[1] == .published)
    #expect(
      fixture.counts("v")
        == Counts(
          total: 1, unread: 1, unseen: 1, byPriority: .init(normal: 1), version: 3))
    guard case .changed(_, let counts) = fixture.change("v", .seenAll) else { return }
    #expect(counts.total == 1)
  }

  @Test("an idempotency key stores it once")
  func idempotent() throws {
    let fixture = try StoreFixture()
    let key = IdempotencyKey(scope: "p", key: "k", digest: [1])
    #expect(fixture.publishForEveryone(key: key) == .published)
    #expect(fixture.publishForEveryone(key: key) == .repeated(answer: []))
    #expect(fixture.inbox("u").count == 1)
  }
}

extension StoreOutcome {
  /// How many rows a change found.
  var count: Int {
    if case .changed(let count, _) = self { count } else { -1 }
  }
}

extension StoreFixture {
  func draftForEveryone(
    id: NotificationID? = nil, content: Content = Content(type: "t", title: "T"),
    at time: Int64 = 1_700_000_000_000
  ) -> PendingNotification {
    PendingNotification(forEveryone: id ?? makeID(), createdAt: time, content: content)
  }

  @discardableResult
  func publishForEveryone(
    id: NotificationID? = nil, content: Content = Content(type: "t", title: "T"),
    key: IdempotencyKey? = nil
  ) -> StoreOutcome {
    submit(
      .publish(drafts: [draftForEveryone(id: id, content: content)], idempotency: key, answer: []))
  }

  func missed(
    _ user: UserID, after: UInt64, limit: Int = 1_000
  ) -> (rows: [Notification], isLast: Bool, total: Int?, counts: Counts) {
    let query = StoreQuery.missed(user: user, after: after, limit: limit)
    guard case .missed(let rows, _, let next, let total, let counts) = read(query) else {
      Issue.record("no page")
      return ([], true, nil, Counts())
    }
    return (rows, next == nil, total, counts)
  }
}
