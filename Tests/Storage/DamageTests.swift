// Numbers in the file that cannot be right: never a trap, never given to a client, and repaired.

import Glibc
import Notifications
import Storage
import Testing
import Wire

@Suite("Damaged numbers in the store", .timeLimit(.minutes(10)))
struct DamageTests {
  private static let lowest = "-9223372036854775808"
  private static let highest = "9223372036854775807"

  private static let largeData = Array("{\"a\":\"\(String(repeating: "x", count: 3_000))\"}".utf8)

  /// A store with five notifications of `u`, of which two are read and a third one is seen.
  private static func fixture(in directory: TemporaryDirectory) throws -> StoreFixture {
    let fixture = try StoreFixture(in: directory)
    for _ in 0..<5 { fixture.publish("u") }
    let ids = fixture.inbox("u").map(\.id)
    _ = fixture.change("u", .read(Array(ids[..<2])))
    _ = fixture.change("u", .seen([ids[2]]))
    return fixture
  }

  private static func expect(
    _ counts: Counts, total: Int, unread: Int, unseen: Int,
    _ location: SourceLocation = #_sourceLocation
  ) {
    #expect(counts.total == total, sourceLocation: location)
    #expect(counts.unread == unread, sourceLocation: location)
    #expect(counts.unseen == unseen, sourceLocation: location)
    #expect(counts.byPriority.normal == unread, sourceLocation: location)
  }

  private static let countChanges =
    ["total", "unread", "unseen", "unread_low", "unread_normal", "version"].flatMap { column in
      [lowest, "-1", highest, "1000000"].map { "\(column) = \($0)" }
    }
    + ["everyone_read_through", "everyone_seen_through", "everyone_deleted_through"].flatMap {
      ["\($0) = \(lowest)", "\($0) = \(highest)", "\($0) = 1000"]
    }
    + ["everyone_read_at = \(highest)", "unread = 2", "unseen = 4, unread = 3", "total = 2"]

  // Case 88
  @Test("damaged counts are recounted when they are read, then repaired", arguments: countChanges)
  func readCounts(change: String) throws {
    let directory = TemporaryDirectory()
    let fixture = try Self.fixture(in: directory)
    fixture.sql("UPDATE user SET \(change)")
    let counts = fixture.counts("u")
    Self.expect(counts, total: 5, unread: 3, unseen: 2)
    #expect(counts.version <= fixture.store.metrics.lastOffset)
    #expect(fixture.store.metrics.corruptRows == 1)
    #expect(fixture.notices.current.first == .damage("the counts of a user cannot be right"))
    // The reader has asked for the repair before it answered, so a command comes after it.
    fixture.publish("v")
    #expect(fixture.store.metrics.repairs == 1)
    let repaired = fixture.counts("u")
    Self.expect(repaired, total: 5, unread: 3, unseen: 2)
    #expect(repaired.version > counts.version - 1)
    #expect(fixture.store.metrics.corruptRows == 1)
    #expect(fixture.sql("SELECT total || unread || unseen FROM user WHERE id = 'u'") == "532")
    // The user's devices get the right counts.
    let told = fixture.events.current.compactMap { event -> Counts? in
      if case .counted(let counts) = event.body { counts } else { nil }
    }
    #expect(told == [repaired])
  }

  @Test("a publish to damaged counts repairs them", arguments: countChanges)
  func publishedCounts(change: String) throws {
    let fixture = try Self.fixture(in: TemporaryDirectory())
    fixture.sql("UPDATE user SET \(change)")
    #expect(fixture.publish("u") == .published)
    #expect(fixture.store.failure == nil)
    guard case .stored(_, let counts)? = fixture.events.current.last?.body else {
      Issue.record("\(fixture.events.current.last as Any)")
      return
    }
    Self.expect(counts, total: 6, unread: 4, unseen: 3)
    #expect(fixture.counts("u") == counts)
    #expect(fixture.store.metrics.corruptRows == 0)
    // A version is replaced by each publish, damaged or not.
    guard !change.hasPrefix("version") else { return }
    #expect(fixture.store.metrics.repairs == 1)
    // The journal reports it after the reply, and before it takes the next command.
    fixture.publish("v")
    let repair = StoreNotice.repair("the counts of a user were damaged, and are recounted")
    #expect(fixture.notices.current == [repair])
  }

  @Test("a change of damaged counts repairs them", arguments: countChanges)
  func changedCounts(change: String) throws {
    let fixture = try Self.fixture(in: TemporaryDirectory())
    fixture.sql("UPDATE user SET \(change)")
    guard case .changed(count: 3, let counts) = fixture.change("u", .readAll) else {
      Issue.record("not changed")
      return
    }
    Self.expect(counts, total: 5, unread: 0, unseen: 0)
    #expect(fixture.counts("u") == counts)
    #expect(fixture.store.metrics.repairs == 1)
  }

  @Test(
    "a damaged row of the store is repaired when it is opened",
    arguments: [
      "last_offset = -1", "last_offset = \(lowest)", "last_offset = \(highest)",
      "last_offset = 2", "horizon = -1", "horizon = \(highest)", "everyone_version = -1",
      "everyone_version = \(highest)", "epoch = 'A.b'", "epoch = ''", "epoch = CAST(x'FF' AS TEXT)",
    ])
  func storeRow(change: String) throws {
    let directory = TemporaryDirectory()
    let cursor: Cursor
    do {
      let fixture = try Self.fixture(in: directory)
      cursor = fixture.store.history.cursors.cursor(at: 5)
      fixture.store.close()
      fixture.sql("UPDATE store SET \(change)")
    }
    let fixture = try StoreFixture(in: directory)
    #expect(fixture.store.metrics.repairs == 1)
    #expect((5...7).contains(fixture.store.metrics.lastOffset))
    #expect(fixture.store.horizon <= fixture.store.metrics.lastOffset)
    Self.expect(fixture.counts("u"), total: 5, unread: 3, unseen: 2)
    #expect(fixture.publish("u") == .published)
    #expect(fixture.inbox("u").count == 6)
    #expect(Set(fixture.inbox("u").map(\.offset)).count == 6)
    if !change.hasPrefix("epoch"), !change.hasPrefix("horizon") {
      #expect(fixture.store.history.continuity(of: cursor) == .proven)
    }
    fixture.store.close()
    #expect(try StoreFixture(in: directory).store.metrics.repairs == 0)
  }

  @Test(
    "a value that is no integer is damage",
    arguments: [
      "UPDATE user SET total = 'x'", "UPDATE user SET unread = x'00'",
      "UPDATE user SET unseen = 2.5", "UPDATE user SET version = NULL",
      "UPDATE user SET everyone_deleted_through = 'z'", "UPDATE store SET last_offset = 'x'",
      "UPDATE store SET horizon = 1.5", "UPDATE store SET everyone_version = NULL",
      "UPDATE notification SET created_at = 'x'", "UPDATE notification SET priority = NULL",
      "UPDATE notification SET checksum = 'x'", "UPDATE notification SET expires_at = 'x'",
    ])
  func types(change: String) throws {
    let directory = TemporaryDirectory()
    do { _ = try Self.fixture(in: directory) }
    let path = directory.databasePath
    StoreFixture.sql(
      """
      PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET sql = replace(replace(replace(sql,
        'STRICT, WITHOUT', 'WITHOUT'), ') STRICT', ')'), ' NOT NULL', '') WHERE type = 'table'
      """, at: path)
    StoreFixture.sql(change, at: path)
    let fixture = try StoreFixture(in: directory)
    let isRow = change.contains("notification")
    let inbox = fixture.inbox("u")
    #expect(inbox.count == (isRow ? 0 : 5))
    Self.expect(fixture.counts("u"), total: 5, unread: 3, unseen: 2)
    #expect(fixture.publish("u") == .published)
    Self.expect(fixture.counts("u"), total: 6, unread: 4, unseen: 3)
    #expect(fixture.inbox("u").count == inbox.count + 1)
    #expect(fixture.store.metrics.corruptRows + fixture.store.metrics.repairs > 0)
  }

  /// Changes a table to values that its schema does not permit, and leaves the schema as it was.
  private static func force(
    _ change: String, inColumn column: String, of table: String, at path: String
  ) {
    let edits = [
      ") STRICT": ")", " \(column) INTEGER NOT NULL": " \(column) INTEGER",
      " \(column) TEXT NOT NULL": " \(column) TEXT",
    ]
    let before = StoreFixture.sql("SELECT sql FROM sqlite_schema WHERE name = '\(table)'", at: path)
    func set(_ schema: String) {
      let text = schema.replacing("'", with: "''")
      StoreFixture.sql(
        """
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = '\(text)' WHERE name = '\(table)';
        """, at: path)
    }
    set(edits.reduce(before) { $0.replacing($1.key, with: $1.value) })
    StoreFixture.sql(change, at: path)
    set(before)
  }

  private static let userColumns = [
    "total", "unread", "unseen", "unread_low", "unread_normal", "unread_high", "unread_urgent",
    "version", "everyone_read_through", "everyone_read_at", "everyone_seen_through",
    "everyone_seen_at", "everyone_deleted_through", "preferences_version",
  ]

  @Test(
    "a user's column that is NULL or has another type is repaired by every command",
    arguments: userColumns, ["NULL", "'x'", "2.5", "x'00'"])
  func columns(name: String, value: String) throws {
    let preferences = Preferences(rules: ["news": .init(isMuted: true)])
    let commands: [(StoreFixture) -> StoreOutcome] = [
      { $0.publish("u") }, { $0.change("u", .readAll) },
      { $0.submit(.setPreferences(user: "u", preferences)) },
    ]
    for (index, command) in commands.enumerated() {
      let directory = TemporaryDirectory()
      do { _ = try Self.fixture(in: directory) }
      Self.force(
        "UPDATE user SET \(name) = \(value)", inColumn: name, of: "user",
        at: directory.databasePath)
      let fixture = try StoreFixture(in: directory)
      let outcome = command(fixture)
      switch (index, outcome) {
      case (0, .published): Self.expect(fixture.counts("u"), total: 6, unread: 4, unseen: 3)
      case (1, .changed(count: 3, _)):
        Self.expect(fixture.counts("u"), total: 5, unread: 0, unseen: 0)
      case (2, .saved):
        Self.expect(fixture.counts("u"), total: 5, unread: 3, unseen: 2)
        #expect(fixture.read(.preferences(user: "u")).isSame(as: preferences))
      default: Issue.record("\(index): \(outcome)")
      }
      #expect(fixture.store.failure == nil)
      #expect(fixture.publish("u") == .published)
    }
  }

  @Test(
    "a column of the store's row with another type is repaired when it is opened",
    arguments: [
      ("epoch", "CAST(epoch AS BLOB)"), ("running_milliseconds", "'x'"),
      ("running_milliseconds", "2.5"), ("running_milliseconds", "NULL"), ("last_offset", "'x'"),
      ("horizon", "x'00'"), ("everyone_version", "NULL"),
    ])
  func storeColumns(name: String, value: String) throws {
    let directory = TemporaryDirectory()
    let cursor: Cursor
    do {
      let fixture = try Self.fixture(in: directory)
      cursor = fixture.store.history.cursors.cursor(at: 5)
    }
    Self.force(
      "UPDATE store SET \(name) = \(value)", inColumn: name, of: "store",
      at: directory.databasePath)
    let fixture = try StoreFixture(in: directory)
    #expect(fixture.store.history.epoch == cursor.epoch)
    #expect(fixture.publish("u") == .published)
    Self.expect(fixture.counts("u"), total: 6, unread: 4, unseen: 3)
    #expect(fixture.store.metrics.repairs == 1)
    fixture.store.close()
    let again = try StoreFixture(in: directory)
    #expect(again.store.metrics.repairs == 0 && again.store.metrics.corruptRows == 0)
  }

  @Test(
    "a row at a damaged offset ends no page, and no replay is complete without it",
    arguments: ["-5", lowest, highest, "4611686018427387905", "900"])
  func rowOffsets(offset: String) throws {
    let fixture = try Self.fixture(in: TemporaryDirectory())
    fixture.sql("UPDATE notification SET offset = \(offset) WHERE offset = 3")
    #expect(fixture.inbox("u").map(\.offset) == [5, 4, 2, 1])
    for limit in 1...5 {
      var before: UInt64?
      repeat {
        before = fixture.page("u", limit: limit, before: before, grouping: .separate).next
        #expect(before.map { $0 <= 5 || $0 == 900 } != false)
      } while before != nil
    }
    guard case .position(let through, _) = fixture.read(.missed(user: "u", after: 1, limit: 200))
    else {
      Issue.record("a partial replay")
      return
    }
    #expect(through == fixture.store.metrics.lastOffset)
    #expect(fixture.publish("u") == .published)
  }

  @Test("a query that fails for damage is reported, and the next commit repairs the newest offset")
  func failedRead() throws {
    let fixture = try Self.fixture(in: TemporaryDirectory())
    for change in ["last_offset = -1", "everyone_version = \(Self.highest)"] {
      fixture.notices.change { $0 = [] }
      fixture.sql("UPDATE store SET \(change)")
      guard case .failed = fixture.read(.counts(user: "u")) else {
        Issue.record("\(change) is not noticed")
        return
      }
      #expect(fixture.notices.current.count == 1)
      fixture.publish("v")
      Self.expect(fixture.counts("u"), total: 5, unread: 3, unseen: 2)
    }
  }

  @Test("a query that fails at a damaged page fails again, and other queries do not")
  func failedPage() throws {
    let directory = TemporaryDirectory()
    do {
      let fixture = try StoreFixture(in: directory)
      let content = Content(
        type: "t", title: "T", message: String(repeating: "first page ", count: 100))
      for _ in 0..<3 { fixture.publish("u", content: content) }
      for _ in 0..<20 {
        fixture.publish("v", content: Content(type: "t", title: "T", data: Self.largeData))
      }
    }
    var bytes = try #require(StoreFixture.contents(of: directory.databasePath))
    let text = Array("first page first page".utf8)
    let position = try #require(
      bytes.indices.first { bytes[$0...].starts(with: text) }, "the first row")
    // The kind of the page.
    bytes[position & ~4_095] = 0xFF
    StoreFixture.write(bytes, to: directory.databasePath)
    let fixture = try StoreFixture(in: directory) { $0.readerCount = 1 }
    #expect(fixture.store.metrics.corruptRows == 1)
    for _ in 0..<3 {
      let page = StoreQuery.page(
        user: "u", limit: 10, before: nil, unreadOnly: false, type: nil, grouping: .separate)
      for query in [page, .missed(user: "u", after: 0, limit: 10)] {
        guard case .failed = fixture.read(query) else {
          Issue.record("\(query) has an answer")
          return
        }
      }
      #expect(fixture.inbox("v").count == 20)
      #expect(fixture.counts("u").total == 3)
    }
  }

  @Test("damaged times of reading count as read, at the time of creation")
  func readTimes() throws {
    let fixture = try Self.fixture(in: TemporaryDirectory())
    for time in [Self.lowest, Self.highest, "300000000000000"] {
      fixture.sql("UPDATE notification SET read_at = \(time), seen_at = \(time) WHERE offset = 5")
      let newest = try #require(fixture.inbox("u").first)
      #expect(newest.readAt == newest.createdAt && newest.seenAt == newest.createdAt)
    }
  }

  @Test("a count that is one too large is found at a replay, which is a resync, and is repaired")
  func smallDamage() throws {
    let fixture = try Self.fixture(in: TemporaryDirectory())
    fixture.sql("UPDATE user SET total = total + 1")
    guard case .position = fixture.read(.missed(user: "u", after: 1, limit: 200)) else {
      Issue.record("the number of rows was not compared")
      return
    }
    fixture.publish("v")
    Self.expect(fixture.counts("u"), total: 5, unread: 3, unseen: 2)
    guard case .missed(let rows, _, _, _, _) = fixture.read(.missed(user: "u", after: 1, limit: 9))
    else {
      Issue.record("no replay")
      return
    }
    #expect(rows.map(\.offset) == [2, 3, 4, 5])
  }

  @Test(
    "damaged states and rows of notifications for everyone are left out",
    arguments: [
      "UPDATE everyone_state SET offset = \(lowest)", "UPDATE everyone_state SET offset = -1",
      "UPDATE everyone_state SET read_at = \(highest)",
      "UPDATE everyone SET offset = \(lowest) WHERE offset = 8",
      "UPDATE everyone SET offset = \(highest) WHERE offset = 8",
      "UPDATE everyone SET created_at = \(lowest)", "UPDATE everyone SET expires_at = \(highest)",
      "UPDATE everyone SET priority = 255",
    ])
  func everyone(change: String) throws {
    let directory = TemporaryDirectory()
    do {
      let fixture = try Self.fixture(in: directory)
      fixture.publishForEveryone()
      _ = fixture.change("u", .read([try #require(fixture.inbox("u").first).id]))
      fixture.publishForEveryone()
      fixture.store.close()
      fixture.sql(change)
    }
    let fixture = try StoreFixture(in: directory)
    let counts = fixture.counts("u")
    #expect((5...7).contains(counts.total))
    #expect((5...7).contains(fixture.inbox("u").count))
    guard case .changed(_, let after) = fixture.change("u", .readAll) else {
      Issue.record("not changed")
      return
    }
    #expect(after.unread == 0)
    #expect(fixture.publish("u") == .published)
    fixture.publishForEveryone()
    #expect(fixture.counts("u").total == counts.total + 2)
  }

  @Test(
    "a damaged row for everyone ends each replay that would include it with a resync",
    arguments: [
      "id = x'00'", "priority = 255", "created_at = \(lowest)", "expires_at = \(highest)",
      "title = 'other'", "type = 'other'", "priority = 0",
    ])
  func commonReplay(change: String) throws {
    let directory = TemporaryDirectory()
    do {
      let fixture = try Self.fixture(in: directory)
      for _ in 0..<3 { fixture.publishForEveryone() }
      fixture.store.close()
      fixture.sql("UPDATE everyone SET \(change) WHERE offset = 9")
    }
    let fixture = try StoreFixture(in: directory) { $0.readerCount = 1 }
    for after: UInt64 in [0, 5, 8] {
      guard case .position = fixture.read(.missed(user: "u", after: after, limit: 200)) else {
        Issue.record("a partial replay after \(after)")
        continue
      }
    }
    guard case .missed(let rows, _, _, _, _) = fixture.read(.missed(user: "u", after: 9, limit: 9))
    else {
      Issue.record("no replay")
      return
    }
    #expect(rows.map(\.offset) == [10])
    #expect(fixture.store.metrics.corruptRows > 0)
    #expect(fixture.notices.current.contains { if case .damage = $0 { true } else { false } })
  }

  @Test("a notification with a damaged time to expire stays")
  func expiry() throws {
    let fixture = try StoreFixture()
    for user in ["u", "v"] {
      fixture.publish(user, content: Content(type: "t", title: "T", expiresAt: 1_900_000_000_000))
    }
    fixture.publishForEveryone(
      content: Content(type: "t", title: "T", expiresAt: 1_900_000_000_000))
    fixture.sql("UPDATE notification SET expires_at = 5 WHERE offset = 1")
    #expect(fixture.submit(.expire(at: 1_800_000_000_000)) == .expired(hasMore: false))
    #expect(fixture.sql("SELECT count(*) FROM notification") == "2")
    #expect(fixture.store.metrics.repairs == 1)
    fixture.sql("UPDATE everyone SET title = 'other'")
    #expect(fixture.submit(.expire(at: 2_000_000_000_000)) == .expired(hasMore: false))
    #expect(fixture.sql("SELECT count(*) FROM notification") == "1")
    #expect(fixture.sql("SELECT count(*) FROM everyone") == "1")
  }

  @Test("a damaged response for a repeated publish is not repeated")
  func response() throws {
    let fixture = try StoreFixture()
    let key = IdempotencyKey(scope: "s", key: "k", digest: [1, 2])
    #expect(fixture.publish("u", key: key, answer: [1, 2, 3]) == .published)
    #expect(fixture.publish("u", key: key, answer: [4]) == .repeated(answer: [1, 2, 3]))
    for change in ["answer = x'010203'", "answer = x'0104'", "digest = x'0103'"] {
      fixture.sql("UPDATE idempotency SET \(change)")
      let outcome = fixture.publish("u", key: key, answer: [1, 2, 3])
      #expect(outcome == (change.hasSuffix("0203'") ? .repeated(answer: [1, 2, 3]) : .published))
    }
    #expect(fixture.store.metrics.repairs == 2)
  }

  @Test("preferences with a flipped bit are as none")
  func preferences() throws {
    let fixture = try StoreFixture()
    let muted = Preferences(rules: ["news": .init(isMuted: true)])
    #expect(fixture.submit(.setPreferences(user: "u", muted)) == .saved)
    #expect(fixture.read(.preferences(user: "u")).isSame(as: muted))
    fixture.sql(
      """
      UPDATE user
      SET preferences = CAST(replace(CAST(preferences AS TEXT), 'news', 'newt') AS BLOB),
        preferences_version = preferences_version + 1
      """)
    #expect(fixture.read(.preferences(user: "u")).isSame(as: Preferences()))
    #expect(fixture.store.metrics.corruptRows == 1)
    // Earlier versions stored the document without a checksum.
    fixture.sql(
      """
      UPDATE user SET preferences = substr(preferences, 1, length(preferences) - 9),
        preferences_version = preferences_version + 1
      """)
    #expect(
      fixture.read(.preferences(user: "u"))
        .isSame(as: Preferences(rules: ["newt": .init(isMuted: true)])))
  }
}

extension StoreAnswer {
  fileprivate func isSame(as preferences: Preferences) -> Bool {
    if case .preferences(let read) = self { read == preferences } else { false }
  }
}
