// Pages of the inbox and of a replay.

import Notifications
import Storage
import Testing

@Suite("Reading an inbox", .timeLimit(.minutes(10)))
struct ReadingTests {
  private func missed(
    _ fixture: StoreFixture, _ user: UserID, after: UInt64, limit: Int = 1_000
  ) -> (rows: [Notification], through: UInt64, isLast: Bool, total: Int?, counts: Counts) {
    guard
      case .missed(let rows, let through, let next, let total, let counts) = fixture.read(
        .missed(user: user, after: after, limit: limit))
    else {
      Issue.record("no replay")
      return ([], 0, false, nil, Counts())
    }
    return (rows, through, next == nil, total, counts)
  }

  /// Publishes `count` notifications of `user`, interleaved with another user's.
  private func fill(_ fixture: StoreFixture, _ user: UserID, count: Int, type: String = "t") {
    let content = Content(type: type, title: "T")
    let drafts = (0..<count).flatMap {
      [
        fixture.draft("\(user)-neighbour-\($0 % 3)"),
        fixture.draft(user, content: content, at: Int64($0)),
      ]
    }
    #expect(
      fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: [])) == .published)
  }

  @Test("pages go from the newest to the oldest, each row once, and mark the last page")
  func paging() throws {
    let fixture = try StoreFixture()
    fill(fixture, "u", count: 101)
    var seen: [Int64] = []
    var before: UInt64?
    var pageCount = 0
    repeat {
      let page = fixture.page("u", limit: 25, before: before)
      seen += page.rows.map(\.createdAt)
      before = page.next
      pageCount += 1
    } while before != nil
    #expect(pageCount == 5)
    #expect(seen == (0...100).reversed())
    // Exactly full: nothing follows, so there is no `next`.
    #expect(fixture.page("u", limit: 101).next == nil)
    #expect(fixture.page("u", limit: 100).next != nil)
  }

  // Case 33
  @Test(
    "limits and offsets of any size are answered",
    arguments: [Int.min, -1, 0, 1, 200, 201, 65_536, 1 << 32, Int.max])
  func limits(limit: Int) throws {
    let fixture = try StoreFixture()
    fill(fixture, "u", count: 1_001)
    #expect(fixture.page("u", limit: limit).rows.count == min(max(limit, 1), 200))
    let first = missed(fixture, "u", after: 0, limit: limit)
    // Above a few hundred rows, the byte limit ends a page of a replay.
    if limit <= 200 {
      #expect(first.rows.count == max(limit, 1))
    } else {
      #expect((200...1_000).contains(first.rows.count))
    }
    #expect(!first.isLast)
    for offset: UInt64 in [
      0, 1, 1 << 15, 1 << 31, 1 << 53, 1 << 63 - 1, 1 << 63, 1 << 63 + 1, .max - 1, .max,
    ] {
      let page = fixture.page("u", before: offset)
      #expect(page.rows.allSatisfy { $0.offset < offset })
      #expect(page.rows.isEmpty == (offset <= 1))
      let replay = missed(fixture, "u", after: offset)
      #expect(replay.rows.allSatisfy { $0.offset > offset })
      #expect(replay.rows.isEmpty == (offset > 2_002))
      #expect(replay.through == 2_002)
    }
  }

  @Test("filters for unread and type skip the rest, and pages still continue")
  func filters() throws {
    let fixture = try StoreFixture()
    fill(fixture, "u", count: 30, type: "a")
    fill(fixture, "u", count: 10, type: "b")
    fill(fixture, "u", count: 30, type: "a")
    #expect(fixture.page("u", type: "b").rows.count == 10)
    #expect(fixture.page("u", type: "b").next == nil)
    #expect(fixture.page("u", type: "B").rows.isEmpty)
    #expect(fixture.page("u", type: "%").rows.isEmpty)
    let first = fixture.page("u", limit: 4, type: "b")
    #expect(first.rows.count == 4)
    let second = fixture.page("u", limit: 6, before: first.next, type: "b")
    #expect(second.rows.count == 6)
    #expect(second.next == nil)
    #expect((first.rows + second.rows).map(\.createdAt) == (0..<10).reversed())
    _ = fixture.change("u", .read(first.rows.map(\.id)))
    #expect(fixture.page("u", unreadOnly: true, type: "b").rows == second.rows)
    #expect(fixture.page("u", unreadOnly: true).rows.count == 66)
    #expect(fixture.page("u").counts == fixture.counts("u"))
  }

  @Test("a rare type is found at once, and within a group in pages of a bounded number of rows")
  func boundedScan() throws {
    let fixture = try StoreFixture()
    fill(fixture, "u", count: 1, type: "rare")
    for _ in 0..<3 { fill(fixture, "u", count: 5_000) }
    let all = fixture.page("u", type: "rare")
    #expect(all.rows.count == 1 && all.next == nil)
    for (type, count) in [("rare", 1), ("t", 12_000)] {
      let content = Content(type: type, title: "T", groupKey: "g")
      let drafts = (0..<count).map { _ in fixture.draft("u", content: content) }
      #expect(
        fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: [])) == .published)
    }
    let first = fixture.page("u", type: "rare", grouping: .only("g"))
    #expect(first.rows.isEmpty)
    #expect(first.next != nil)
    let second = fixture.page("u", before: first.next, type: "rare", grouping: .only("g"))
    #expect(second.rows.count == 1)
    #expect(second.next == nil)
  }

  @Test("a replay ends at the first damaged row")
  func boundedReplayOverDamage() throws {
    let fixture = try StoreFixture()
    for _ in 0..<3 { fill(fixture, "u", count: 5_000) }
    fixture.sql("UPDATE notification SET title = 'other'")
    fixture.publish("u")
    guard case .position(30_001, _) = fixture.read(.missed(user: "u", after: 0, limit: 200)) else {
      Issue.record("a replay over damaged rows")
      return
    }
    #expect(fixture.store.metrics.corruptRows == 1)
    let last = missed(fixture, "u", after: 30_000)
    #expect(last.rows.map(\.offset) == [30_001] && last.isLast)
    #expect(fixture.store.metrics.corruptRows == 1)
  }

  @Test("the byte limit ends a page of large rows")
  func byteLimit() throws {
    let fixture = try StoreFixture()
    let text = "{\"a\":\"" + String(repeating: "x", count: 16_000) + "\"}"
    let content = Content(type: "t", title: "T", data: Array(text.utf8))
    let drafts = (0..<200).map { _ in fixture.draft("u", content: content) }
    #expect(
      fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: [])) == .published)
    let page = fixture.page("u")
    // A further row would pass the limit, and none that fits is left out.
    let byteCount = try #require(page.rows.first).jsonByteCount
    #expect(page.rows.count == StoreQuery.pageBytesLimit / byteCount)
    let small = StoreQuery.page(
      user: "u", limit: 200, before: page.next, unreadOnly: false, type: nil, bytesLimit: 1)
    guard case .page(let rows, let next, _, _) = fixture.read(small) else {
      Issue.record("no page")
      return
    }
    #expect(rows.count == 1 && next == rows[0].offset, "a page has at least one row")
    #expect(fixture.inbox("u").count == 200)
    let replay = missed(fixture, "u", after: 0)
    #expect((8...9).contains(replay.rows.count))
    #expect(!replay.isLast)
    #expect(replay.total == 200)
  }

  @Test("a replay in pages returns exactly the rows after the cursor, oldest first")
  func replay() throws {
    let fixture = try StoreFixture()
    fill(fixture, "u", count: 95)
    let cursor = fixture.inbox("u")[84].offset
    var rows: [Notification] = []
    var after = cursor
    while true {
      let page = missed(fixture, "u", after: after, limit: 20)
      #expect(page.total == 84 - rows.count)
      #expect(page.through == 190)
      rows += page.rows
      if page.isLast { break }
      after = try #require(page.rows.last).offset
    }
    #expect(rows.map(\.createdAt) == (11..<95).map { Int64($0) })
    #expect(missed(fixture, "u", after: 190).rows.isEmpty)
    #expect(missed(fixture, "nobody", after: 0).total == 0)
    #expect(missed(fixture, "nobody", after: 0).through == 190)
  }

  @Test("the total of a replay stops at one above the resume limit")
  func cappedTotal() throws {
    let fixture = try StoreFixture()
    let content = Content(type: "t", title: "T")
    let drafts = (0..<10_050).map { _ in fixture.draft("u", content: content) }
    #expect(
      fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: [])) == .published)
    #expect(missed(fixture, "u", after: 0).total == 10_001)
    #expect(missed(fixture, "u", after: 49).total == 10_001)
    #expect(missed(fixture, "u", after: 50).total == 10_000)
  }

  @Test("position and rows are from one snapshot, also during publishes")
  func snapshots() throws {
    let fixture = try StoreFixture()
    let pending = Latch(0)
    for _ in 0..<400 {
      pending.change { $0 += 1 }
      let drafts = [fixture.draft("u"), fixture.draft("u")]
      let command = StoreCommand.publish(drafts: drafts, idempotency: nil, answer: [])
      #expect(fixture.store.submit(command) { _ in pending.change { $0 -= 1 } })
      let replay = missed(fixture, "u", after: 0)
      // Every commit is this user's, so the snapshot's newest row is its newest offset.
      let newest = replay.rows.last?.offset ?? 0
      #expect(replay.isLast ? newest == replay.through : newest < replay.through)
      #expect(replay.counts.version == replay.through)
      #expect(replay.counts.total == replay.total)
      guard case .position(let offset, let counts) = fixture.read(.position(user: "u")) else {
        Issue.record("no position")
        return
      }
      #expect(counts.version == offset)
      #expect(offset.isMultiple(of: 2))
    }
    pending.wait { $0 == 0 }
  }

  @Test(
    "any text is returned byte for byte, and is never used as a pattern",
    arguments: [
      "plain", "", "'; DROP TABLE user; --", "%", "_", "*", "\u{0}", "a\u{0}b", "🔔", "\u{E9}",
      "e\u{301}", "\u{FEFF}", "\u{10FFFF}", "\\", "\"", "NULL", "12", "1e400",
    ])
  func strings(text: String) throws {
    let fixture = try StoreFixture()
    let content = Content(
      type: text, priority: .urgent, title: text, message: text, data: Array(text.utf8),
      entityType: text, entityID: text, entityURL: text, actions: Array(text.utf8),
      groupKey: text, expiresAt: -62_167_219_200_000)
    let draft = fixture.draft(text, content: content, at: 253_402_300_799_999)
    fixture.publish("neighbour")
    #expect(
      fixture.submit(.publish(drafts: [draft], idempotency: nil, answer: [])) == .published)
    let rows = fixture.page(text, type: text).rows
    let row = try #require(rows.first)
    #expect(rows.count == 1)
    let strings = [
      row.userID, row.type, row.title, row.message, row.entityType, row.entityID, row.entityURL,
      row.groupKey,
    ]
    for string in strings { #expect(string.map { Array($0.utf8) } == Array(text.utf8)) }
    #expect(row.data == Array(text.utf8))
    #expect(row.actions == Array(text.utf8))
    #expect(row.createdAt == 253_402_300_799_999)
    #expect(row.expiresAt == -62_167_219_200_000)
    #expect(row.priority == .urgent)
    #expect(fixture.counts(text + "x").total == 0)
  }

  @Test("two spellings of one letter are two users")
  func spellings() throws {
    let fixture = try StoreFixture()
    fixture.publish("\u{E9}")
    #expect(fixture.counts("\u{E9}").total == 1)
    #expect(fixture.counts("e\u{301}").total == 0)
  }
}
