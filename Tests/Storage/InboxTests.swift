// Users' changes to their inboxes; the counts always equal a recount.

import Notifications
import Storage
import TestSupport
import Testing

@Suite("Changing an inbox", .timeLimit(.minutes(10)))
struct InboxTests {
  private func bodies(_ fixture: StoreFixture, since count: Int) -> [Event.Body] {
    fixture.events.current.dropFirst(count).map(\.body)
  }

  @Test("reading marks as read and seen, causes one event with the ids, and is idempotent")
  func reading() throws {
    let fixture = try StoreFixture()
    let ids = (0..<3).map { _ in fixture.makeID() }
    for id in ids {
      fixture.publish("u", id: id, content: Content(type: "t", priority: .high, title: "T"))
    }
    let expected = Counts(
      total: 3, unread: 1, unseen: 1, byPriority: .init(high: 1), version: 4)
    #expect(
      fixture.change("u", .read([ids[0], ids[2], ids[0]]), at: 77)
        == .changed(count: 2, expected))
    let events = bodies(fixture, since: 3)
    guard events.count == 1, case .read(let told, let counts) = events[0] else {
      Issue.record("\(events)")
      return
    }
    #expect(told == [ids[0], ids[2]])
    #expect(counts == expected)
    let rows = fixture.inbox("u")
    #expect(rows.map(\.readAt) == [77, nil, 77])
    #expect(rows.map(\.seenAt) == [77, nil, 77])
    // Again: found, unchanged, no event, no offset used.
    #expect(fixture.change("u", .read([ids[0]]), at: 99) == .changed(count: 1, expected))
    #expect(fixture.events.current.count == 4)
    #expect(fixture.inbox("u")[2].readAt == 77)
  }

  @Test("unread, seen and delete change their rows, and only once")
  func others() throws {
    let fixture = try StoreFixture()
    let ids = (0..<2).map { _ in fixture.makeID() }
    for id in ids { fixture.publish("u", id: id) }
    func outcome(_ change: InboxChange) -> (Int, Counts) {
      guard case .changed(let count, let counts) = fixture.change("u", change) else {
        Issue.record("\(change)")
        return (-1, Counts())
      }
      return (count, counts)
    }
    #expect(outcome(.seen([ids[0]])).1.unseen == 1)
    #expect(outcome(.seen([ids[0]])).0 == 1)
    #expect(outcome(.read([ids[0]])).1.unread == 1)
    #expect(outcome(.unread([ids[0]])).1.unread == 2)
    // A seen notification stays seen.
    #expect(outcome(.unread([ids[0]])).1.unseen == 1)
    #expect(outcome(.delete([ids[1]])).1.total == 1)
    #expect(outcome(.delete([ids[1]])) == (0, fixture.counts("u")))
    #expect(fixture.inbox("u").map(\.id) == [ids[0]])
    #expect(fixture.store.metrics.lastOffset == 6)
  }

  @Test("a change of all causes one event, and does nothing the second time")
  func all() throws {
    let fixture = try StoreFixture()
    for _ in 0..<5 { fixture.publish("u") }
    func count(_ change: InboxChange) -> Int {
      guard case .changed(let count, _) = fixture.change("u", change) else { return -1 }
      return count
    }
    #expect(count(.seenAll) == 5)
    #expect(count(.seenAll) == 0)
    #expect(fixture.counts("u").unseen == 0)
    #expect(fixture.counts("u").unread == 5)
    #expect(count(.readAll) == 5)
    #expect(count(.readAll) == 0)
    #expect(fixture.counts("u").byPriority == .init())
    #expect(count(.deleteAll) == 5)
    #expect(count(.deleteAll) == 0)
    #expect(fixture.inbox("u").isEmpty)
    let events = bodies(fixture, since: 5)
    guard events.count == 3, case .seenAll = events[0], case .readAll = events[1],
      case .deletedAll(let counts) = events[2]
    else {
      Issue.record("\(events)")
      return
    }
    #expect(counts == Counts(version: 8))
    #expect(fixture.counts("u") == counts)
  }

  @Test(
    "a user cannot change another user's notifications",
    arguments: [
      InboxChange.read([]), .unread([]), .seen([]), .delete([]), .readAll, .seenAll, .deleteAll,
    ])
  func foreign(kind: InboxChange) throws {
    let fixture = try StoreFixture()
    let id = fixture.makeID()
    fixture.publish("owner", id: id)
    fixture.publish("other")
    _ = fixture.change("owner", .seen([id]))
    let change: InboxChange =
      switch kind {
      case .read: .read([id])
      case .unread: .unread([id])
      case .seen: .seen([id])
      case .delete: .delete([id])
      case .readAll, .seenAll, .deleteAll: kind
      }
    let before = fixture.inbox("owner")
    let counts = fixture.counts("owner")
    _ = fixture.change("other", change)
    // A user unknown to the store.
    #expect(fixture.change("nobody", change) == .changed(count: 0, Counts()))
    #expect(fixture.inbox("owner") == before)
    #expect(fixture.counts("owner") == counts)
  }

  @Test("a publish to many users gives each its own offset, in the order given")
  func many() throws {
    let fixture = try StoreFixture()
    let users = (0..<5_000).map { "user-\($0)" }
    let content = Content(type: "t", title: "T")
    let drafts = users.map { fixture.draft($0, content: content) }
    #expect(
      fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: [])) == .published)
    let events = fixture.events.current
    #expect(events.map(\.offset) == (1...5_000).map { UInt64($0) })
    #expect(fixture.counts("user-4999").version == 5_000)
    #expect(fixture.store.metrics.commits == 1)
  }

  @Test("a used id is rejected, and the rest of the group is stored")
  func duplicateID() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files)
    let id = fixture.makeID()
    fixture.publish("u", id: id)
    files.hold(.sync(.log))
    let outcomes = Latch<[StoreOutcome]>([])
    func submit(_ id: NotificationID?) {
      let command = StoreCommand.publish(
        drafts: [fixture.draft("u"), fixture.draft("u", id: id)], idempotency: nil, answer: [])
      #expect(fixture.store.submit(command) { outcome in outcomes.change { $0.append(outcome) } })
    }
    submit(nil)
    files.awaitHeldCall()
    submit(nil)
    submit(id)
    submit(nil)
    files.release()
    outcomes.wait { $0.count == 4 }
    #expect(outcomes.current[1] == .published)
    #expect(outcomes.current[3] == .published)
    guard case .readOnly = outcomes.current[2] else {
      Issue.record("a used id was accepted")
      return
    }
    #expect(fixture.store.failure == nil)
    #expect(fixture.store.metrics.duplicateIDs == 1)
    #expect(fixture.counts("u").total == 7)
    #expect(fixture.inbox("u").count == 7)
    #expect(fixture.events.current.map(\.offset) == (1...7).map { UInt64($0) })
  }

  @Test("after thousands of random operations counts equal a recount, and offsets only rose")
  func recount() throws {
    var random = SeededGenerator.announced()
    let fixture = try StoreFixture { $0.checkpointPages = 64 }
    let users = ["a", "b", "c", "d\u{301}"]
    var ids: [NotificationID] = []
    let pending = Latch(0)
    for step in 0..<5_000 {
      let user = users.randomElement(using: &random)!
      let some = (0..<Int.random(in: 0...4, using: &random)).compactMap { _ in
        ids.randomElement(using: &random)
      }
      let changes: [InboxChange] = [.read(some), .unread(some), .seen(some), .delete(some)]
      let command: StoreCommand
      switch Int.random(in: 0..<100, using: &random) {
      case 0: command = .change(user: user, .readAll, at: Int64(step))
      case 1: command = .change(user: user, .seenAll, at: Int64(step))
      case 2 where step % 4 == 0: command = .change(user: user, .deleteAll, at: Int64(step))
      case 0..<50:
        let priority = Priority.allCases.randomElement(using: &random)!
        let id = fixture.makeID()
        ids.append(id)
        let content = Content(type: "t", priority: priority, title: "T")
        command = .publish(
          drafts: [fixture.draft(user, id: id, content: content)], idempotency: nil, answer: [])
      default:
        command = .change(
          user: user, changes.randomElement(using: &random)!, at: Int64(step))
      }
      pending.change { $0 += 1 }
      #expect(fixture.store.submit(command) { _ in pending.change { $0 -= 1 } })
    }
    pending.wait { $0 == 0 }
    var newest: [TextKey: Counts] = [:]
    var last: UInt64 = 0
    for event in fixture.events.current {
      let offset = try #require(event.offset)
      #expect(offset > last)
      last = offset
      guard case .user(let user) = event.audience, let counts = event.counts else { continue }
      #expect(counts.version == offset)
      newest[TextKey(user)] = counts
    }
    #expect(last == fixture.store.metrics.lastOffset)
    for user in users {
      let rows = fixture.inbox(user)
      var recount = Counts(total: rows.count, version: newest[TextKey(user)]?.version ?? 0)
      for row in rows {
        #expect(row.seenAt != nil || !row.isRead)
        if row.seenAt == nil { recount.unseen += 1 }
        guard !row.isRead else { continue }
        recount.unread += 1
        recount.byPriority[row.priority] += 1
      }
      #expect(fixture.counts(user) == recount)
      #expect(newest[TextKey(user)] == recount)
      #expect(rows.map(\.offset) == rows.map(\.offset).sorted(by: >))
    }
  }
}
