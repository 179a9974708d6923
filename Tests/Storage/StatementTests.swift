// The plan and the counters of every statement that the store compiles.

import CSQLite
import Glibc
import Notifications
import Testing

@testable import Storage

@Suite("The statements of the store", .timeLimit(.minutes(10)))
struct StatementTests {
  /// Statements that read a table without an index, and the number of rows that bounds them.
  private static let scans: [(sql: String, table: String, bound: String)] = [
    ("SELECT last_offset, everyone_version FROM store", "store", "one row"),
    ("SELECT everyone_version FROM store", "store", "one row"),
    ("UPDATE store SET last_offset = ?1, everyone_version = ?2", "store", "one row"),
    ("SELECT running_milliseconds FROM store", "store", "one row"),
    ("SELECT outbox_sequence FROM store", "store", "one row"),
    ("UPDATE store SET outbox_sequence = ?1", "store", "one row"),
    ("SELECT key FROM webhook_gone LIMIT 1", "webhook_gone", "LIMIT 1"),
    (
      "SELECT key, id, url, types, about, secret, previous_secret, previous_secret_ends_at, "
        + "disabled_reason, created_at, updated_at, checksum FROM webhook ORDER BY key",
      "webhook", "WebhookEndpoint.countLimit rows"
    ),
    ("UPDATE store SET running_milliseconds = ?1", "store", "one row"),
    (
      "SELECT epoch, last_offset, horizon, everyone_version, running_milliseconds FROM store "
        + "LIMIT 1", "store", "one row"
    ),
    (
      "SELECT key, name, start_offset, checksum FROM incarnation ORDER BY key", "incarnation",
      "IncarnationRow.countLimit rows, read when the store is opened"
    ),
    ("UPDATE store SET horizon = ~horizon", "store", "one row"),
    ("SELECT offset FROM everyone_gone LIMIT 1", "everyone_gone", "LIMIT 1"),
    (
      "SELECT offset, id, type, priority, created_at, expires_at, group_key FROM everyone\n"
        + "ORDER BY offset", "everyone", "everyoneLimit rows, read once for each version"
    ),
    (APIKeyRow.all, "api_key", "APIKey.countLimit rows, read when a key changes"),
    (
      "SELECT count(*) FROM api_key",
      "api_key USING COVERING INDEX sqlite_autoindex_api_key_1",
      "APIKey.countLimit rows, counted when a key is created"
    ),
  ]

  /// Whether a statement runs only while a store is opened or migrated.
  private func isOfOpening(_ sql: String) -> Bool {
    [
      "PRAGMA", "sqlite_schema", "notification_old", "epoch", "SELECT running_milliseconds",
      "FROM incarnation ORDER BY key", "SELECT max(offset) FROM", "SELECT outbox_sequence",
      "SELECT max(sequence)", "SELECT count(*) FROM delivery",
    ].contains { sql.contains($0) }
  }

  /// The lines of a statement's plan.
  private func plan(of sql: String, _ database: OpaquePointer?) -> [String]? {
    var statement: OpaquePointer?
    let result = sqlite3_prepare_v2(database, "EXPLAIN QUERY PLAN " + sql, -1, &statement, nil)
    guard result == SQLITE_OK else { return nil }
    defer { sqlite3_finalize(statement) }
    var lines: [String] = []
    while sqlite3_step(statement) == SQLITE_ROW {
      lines.append(String(cString: sqlite3_column_text(statement, 3)))
    }
    return lines
  }

  private func complaint(about line: String, in sql: String) -> String? {
    if line.contains("TEMP B-TREE") || line.contains("AUTOMATIC") { return line }
    // A subquery that has a limit, counted.
    guard line.hasPrefix("SCAN "), !line.hasPrefix("SCAN (subquery") else { return nil }
    let isAllowed = Self.scans.contains { $0.sql == sql && line == "SCAN \($0.table)" }
    return isAllowed ? nil : line
  }

  @Test("no statement scans a table, sorts or builds an index, except for tables of bounded size")
  func plans() throws {
    let statistics = StatementStatistics()
    let fixture = try StoreFixture { $0.statistics = statistics }
    var database: OpaquePointer?
    #expect(sqlite3_open(fixture.directory.databasePath, &database) == SQLITE_OK)
    defer { sqlite3_close(database) }
    let statements = statistics.statements
    #expect(statements.count > 45)
    for sql in statements.sorted() where !isOfOpening(sql) {
      guard let plan = plan(of: sql, database) else {
        Issue.record("\(sql): \(String(cString: sqlite3_errmsg(database)))")
        continue
      }
      for line in plan {
        let found = complaint(about: line, in: sql)
        #expect(found == nil, "\(sql)")
      }
    }
    for scan in Self.scans { #expect(statements.contains(scan.sql), "\(scan.sql)") }
  }

  @Test("a scan, a sort and an index for one run are noticed")
  func noticing() throws {
    let fixture = try StoreFixture()
    var database: OpaquePointer?
    #expect(sqlite3_open(fixture.directory.databasePath, &database) == SQLITE_OK)
    defer { sqlite3_close(database) }
    for sql in [
      "SELECT offset FROM notification WHERE title = ?1",
      "SELECT offset FROM notification WHERE user = ?1 ORDER BY created_at",
      "SELECT count(*) FROM everyone a JOIN everyone b ON a.type = b.type",
    ] {
      let lines = try #require(plan(of: sql, database))
      #expect(lines.contains { complaint(about: $0, in: sql) != nil }, "\(lines)")
    }
  }

  /// Waits for the end of a recount, during which the user's commands are refused.
  private func awaitRecount(of user: UserID, _ fixture: StoreFixture) {
    fixture.events.wait { events in
      events.contains { event in
        if case .user(user) = event.audience, case .counted = event.body { true } else { false }
      }
    }
  }

  /// Runs every command and every query, on inboxes above the size of small ones.
  private func exercise(_ fixture: StoreFixture, _ clock: WallClock) {
    var ids: [NotificationID] = []
    for type in ["a", "b"] {
      var drafts: [PendingNotification] = []
      for number in 0..<1_500 {
        let group: String? = number % 2 == 0 ? "g" : nil
        let expiry: Int64? = number % 3 == 0 ? Int64(number) : nil
        let content = Content(type: type, title: "T", groupKey: group, expiresAt: expiry)
        drafts.append(fixture.draft("u", content: content))
      }
      _ = fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: []))
      ids += drafts.map(\.id)
    }
    let key = IdempotencyKey(scope: "s", key: "k", digest: [1])
    for _ in 0..<2 { fixture.publish("v", key: key) }
    for _ in 0..<12 { fixture.publishForEveryone() }
    let common = fixture.makeID()
    fixture.publishForEveryone(id: common)
    _ = fixture.change("u", .read([common]))
    let muted = Preferences(rules: ["a": .init(isMuted: true)])
    _ = fixture.submit(.setPreferences(user: "u", muted))
    fixture.publish("u")
    let some = Array(ids[100..<110])
    for change in [
      InboxChange.read(some), .unread(some), .seen(some), .delete(some), .seenAll, .readAll,
    ] {
      _ = fixture.change("u", change)
      _ = fixture.change("stranger", change)
    }
    for change in [GroupChange.unread, .read, .delete] {
      _ = fixture.submit(.changeGroup(user: "u", of: ids[4], change, at: 9))
    }
    let session = RecoveryID(bytes: Array(repeating: 7, count: 16))!
    for rooms in [["a"], ["a", "b"], []] {
      _ = fixture.submit(.keepRooms(session: session, user: "u", rooms: rooms, endsAt: 50))
      _ = fixture.read(.keptRooms(session: session, user: "u"))
    }
    exerciseKeys(fixture)
    for _ in 0..<3 { fixture.publish("u", content: Content(type: "a", title: "T", groupKey: "h")) }
    for unread in [false, true] {
      for type in [nil, "a"] {
        for grouping in [PageGrouping.collapsed, .separate, .only("g")] {
          _ = fixture.page("u", unreadOnly: unread, type: type, grouping: grouping)
        }
      }
    }
    exerciseOutbox(fixture)
    _ = fixture.read(.missed(user: "u", after: 5, limit: 100))
    _ = fixture.read(.position(user: "u"))
    _ = fixture.read(.preferences(user: "u"))
    // A check writes its row only when no commit was just before it.
    clock.monotonic.change { $0 += 2_000 }
    _ = fixture.submit(.check)
    // A day later the key of another publisher has expired.
    clock.monotonic.change { $0 += 86_400_000 }
    fixture.publish("v", key: IdempotencyKey(scope: "t", key: "k", digest: [1]))
    damage(fixture)
    _ = fixture.change("u", .deleteAll)
    _ = fixture.submit(.setPreferences(user: "u", Preferences()))
  }

  /// Runs every command and query of the outbox, on hundreds of deliveries.
  private func exerciseOutbox(_ fixture: StoreFixture) {
    guard let endpoint = fixture.addWebhook("wh_1"), fixture.addWebhook("wh_2") != nil else {
      Issue.record("no endpoint")
      return
    }
    var change = WebhookChange()
    change.about = "New"
    _ = fixture.outbox(.change("wh_1", change, at: 1))
    for _ in 0..<700 { fixture.publish("w") }
    _ = fixture.outbox(.test("wh_1", at: 1))
    for sequence in Int64(1)...500 {
      fixture.settle(
        endpoint, sequence,
        sequence % 3 == 0 ? .delivered : sequence % 3 == 1 ? .dead : .retry(at: sequence))
    }
    _ = fixture.outbox(.replay("wh_1", .events([1]), at: 1))
    _ = fixture.outbox(.replay("wh_1", .since(0), at: 1))
    _ = fixture.first(endpoint, after: 100)
    _ = fixture.retries(endpoint, dueBy: 200)
    for state in [nil, DeliveryState.first, .retry, .dead] {
      _ = fixture.deliveries("wh_1", state: state)
    }
    fixture.settle(endpoint, 2, .dead)
    _ = fixture.outbox(.delete("wh_2"))
    for _ in 0..<3 { _ = fixture.outbox(.sweep) }
  }

  private func exerciseKeys(_ fixture: StoreFixture) {
    for number in 0..<20 {
      _ = fixture.run(.create(fixture.key(number, until: number == 0 ? 50 : nil)))
      _ = fixture.run(.noteUses([.test(number): 1]))
    }
    _ = fixture.run(.rotate(.test(1), to: .test(2), at: 1, overlapMilliseconds: 1))
    _ = fixture.run(.revoke(.test(2), at: 1))
    #expect(fixture.listedKeys(pageOf: 7).count == 20)
  }

  /// Damages rows, which a reader, an expiry and a publish notice.
  private func damage(_ fixture: StoreFixture) {
    fixture.events.change { $0 = [] }
    fixture.sql("UPDATE user SET total = -1 WHERE id = 'u'")
    _ = fixture.counts("u")
    awaitRecount(of: "u", fixture)
    fixture.sql("UPDATE notification SET title = 'other' WHERE expires_at = 0")
    // A number that the store's table cannot have, and cannot calculate with.
    fixture.sql(
      """
      PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'user';
      """)
    fixture.sql("UPDATE user SET total = 2.5 WHERE id = 'u'")
    _ = fixture.submit(.expire(at: 2_000))
    // The expiry or the first publish begins the recount, which may be over before the next line.
    while fixture.publish("u") != .published { sched_yield() }
  }

  @Test("no run of a command or query scans, sorts or builds an index")
  func counters() throws {
    let statistics = StatementStatistics()
    let clock = WallClock(0)
    let fixture = try StoreFixture(clock: clock) {
      $0.statistics = statistics
      $0.everyoneLimit = 10
      $0.outbox.dead = 100
    }
    exercise(fixture, clock)
    for (sql, record) in statistics.records where !isOfOpening(sql) {
      if Self.scans.contains(where: { $0.sql == sql }) { continue }
      #expect(record.fullScanSteps == 0, "\(sql)")
      #expect(record.sorts == 0, "\(sql)")
      #expect(record.automaticIndexRows == 0, "\(sql)")
    }
    let run = statistics.records.map(\.sql)
    let idle = statistics.statements.filter { !run.contains($0) && !isOfOpening($0) }
    #expect(idle == [], "every statement has run")
  }
}
