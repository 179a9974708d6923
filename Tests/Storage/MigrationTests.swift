// Stores of every earlier format open with their contents, in bounded steps that a crash may end.

import CSQLite
import Glibc
import Notifications
import Reactor
import Testing

@testable import Storage

@Suite("Migrating a store", .timeLimit(.minutes(10)))
struct MigrationTests {
  /// SQL that gives the user with key 1 further rows, which fail their checksums.
  private func rows(_ count: Int) -> String {
    """
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
    INSERT INTO notification (offset, user, id, type, priority, title, message, data, group_key,
      created_at, checksum)
    SELECT 100 + i, 1, randomblob(16), 't', 1, 'T', '', x'7b7d', 'g', 0, 0 FROM n;
    UPDATE user SET total = total + \(count), unread = unread + \(count),
      unread_normal = unread_normal + \(count) WHERE key = 1;
    UPDATE store SET last_offset = \(count + 1000);
    """
  }

  @Test(
    "every earlier format opens with its contents",
    arguments: ["format1", "format2", "format2-preferences", "format3", "format4"])
  func contents(format: String) throws {
    let fixture = try StoreFixture(in: StoreFixture.directory(ofFormat: format))
    #expect(fixture.store.history.epoch == "s4oq246yn28kuvfu")
    let hasEveryone = !["format1", "format2-preferences"].contains(format)
    let hasPreferences = !["format1", "format2"].contains(format)
    var titles = ["After seen", "Keyed", "For all", "Silent", "Zweite – é", "Disk full"]
    if !hasEveryone { titles.removeAll { $0 == "For all" } }
    if !hasPreferences { titles.removeAll { $0 == "Silent" } }
    let rows = fixture.inbox("ann")
    #expect(rows.map(\.title) == titles)
    #expect(
      fixture.inbox("bob").map(\.title) == (hasEveryone ? ["For all", "For Bob"] : ["For Bob"]))
    #expect(fixture.store.metrics.corruptRows == 0)
    let first = try #require(rows.last)
    #expect(first.isRead && first.type == "incident.created" && first.groupKey == "node-12")
    #expect(fixture.counts("ann").total == titles.count)
    #expect(fixture.counts("ann").unread == titles.count - 1)
    #expect(fixture.counts("ann").unseen == 1)
    let unread = fixture.page("ann", unreadOnly: true, grouping: .separate).rows
    #expect(unread.map(\.title) == titles.dropLast())
    #expect(fixture.page("ann", grouping: .only("node-12")).rows.count == 2)
    #expect(fixture.page("ann", type: "incident.created").rows == [first])
    guard case .preferences(let preferences) = fixture.read(.preferences(user: "ann")) else {
      Issue.record("no preferences")
      return
    }
    #expect(preferences.rules["quiet"]?.isMuted == (hasPreferences ? true : nil))
    #expect(fixture.publish("ann", content: Content(type: "quiet", title: "T")) == .published)
    #expect(fixture.inbox("ann")[0].isMuted == hasPreferences)
    #expect(fixture.inbox("ann")[0].offset == 10)
    #expect(fixture.sql("PRAGMA integrity_check") == "ok")
  }

  @Test("rows move in bounded steps, with lines for the log")
  func steps() throws {
    let directory = try StoreFixture.directory(ofFormat: "format4", adding: rows(6_000))
    let statistics = StatementStatistics()
    let fixture = try StoreFixture(in: directory) {
      $0.migrationStepLimit = 100
      $0.statistics = statistics
    }
    let newest = Schema.migrations.count
    #expect(
      fixture.notices.current == [
        .migration("migrating the store from format 4 to format \(newest)"),
        .migration("2500 notifications moved, up to offset 2594 of 6100"),
        .migration("5000 notifications moved, up to offset 5094 of 6100"),
        .migration("the store has format \(newest): 6006 notifications moved"),
      ])
    #expect(fixture.sql("SELECT count(*) FROM notification") == "6006")
    #expect(fixture.sql("SELECT count(*) FROM notification WHERE in_large_inbox = 1") == "6005")
    let moves = statistics.records.filter { $0.sql.contains("notification_old") }
    #expect(moves.map(\.record).map(\.runCount).max() == 62)
    // A row takes fewer than 300 instructions, a hundred of them fewer than 30,000.
    for (sql, record) in moves { #expect(record.mostInstructions < 30_000, "\(sql)") }
    #expect(fixture.sql("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%_old'") == "0")
    #expect(StoreFixture.size(of: directory.databasePath + "-wal") < 4 << 20)
  }

  /// Pages that the statements of the formats write, without the steps that move the rows.
  private func pagesWritten(migrating format: String, rowCount: Int) throws -> Int {
    let directory = try StoreFixture.directory(
      ofFormat: format,
      adding: rows(rowCount)
        + """
        CREATE TRIGGER stop BEFORE DELETE ON notification BEGIN SELECT RAISE(ABORT, 'moved'); END;
        """)
    let connection = try Connection(path: directory.databasePath, mode: .readWrite, vfs: nil)
    _ = try connection.value(of: "PRAGMA journal_mode = wal")
    let pages = LogPages()
    connection.countLogPages(into: pages)
    let migration = Migration(.real, stepLimit: 100) { _ in }
    #expect(throws: StoreError.self) { try migration.run(on: connection) }
    #expect(
      try connection.value(of: "PRAGMA user_version") == "\(Schema.migrations.count)")
    return pages.count
  }

  @Test(
    "the statements of the formats write as little in a large store as in a small one",
    arguments: ["format1", "format2", "format2-preferences", "format3", "format4"])
  func largeStore(format: String) throws {
    let small = try pagesWritten(migrating: format, rowCount: 10)
    let large = try pagesWritten(migrating: format, rowCount: 20_000)
    #expect(small > 0 && large <= small + 10, "\(small) and \(large) pages")
  }

  @Test("a migration that ended between two steps goes on at the next start")
  func interrupted() throws {
    let directory = try StoreFixture.directory(ofFormat: "format4", adding: rows(1_000))
    for format in 4..<Schema.migrations.count {
      StoreFixture.sql(
        Schema.migrations[format] + "PRAGMA user_version = \(format + 1);",
        at: directory.databasePath)
    }
    let columns = """
      offset, user, id, type, priority, title, message, data, entity_type, entity_id, entity_url,
      actions, group_key, created_at, expires_at, read_at, seen_at, checksum, is_silent
      """
    StoreFixture.sql(
      """
      INSERT INTO notification (\(columns), in_large_inbox)
        SELECT \(columns), 1 FROM notification_old WHERE offset <= 500;
      DELETE FROM notification_old WHERE offset <= 500;
      """, at: directory.databasePath)
    let fixture = try StoreFixture(in: directory)
    #expect(fixture.sql("SELECT count(*) FROM notification") == "1006")
    #expect(fixture.sql("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%_old'") == "0")
    #expect(fixture.inbox("bob").map(\.title) == ["For all", "For Bob"])
  }

  @Test("a failed write ends a migration, and the next start completes it")
  func failed() throws {
    let directory = try StoreFixture.directory(ofFormat: "format4", adding: rows(1_000))
    let files = FaultFileSystem()
    files.failSyncs(after: 8)
    #expect(throws: StoreError.self) {
      _ = try StoreFixture(in: directory, fileSystem: files) { $0.migrationStepLimit = 100 }
    }
    let moved = StoreFixture.sql("SELECT count(*) FROM notification", at: directory.databasePath)
    #expect((1...900).contains(Int(moved) ?? 0), "\(moved)")
    let fixture = try StoreFixture(in: directory)
    #expect(fixture.sql("SELECT count(*) FROM notification") == "1006")
    #expect(fixture.inbox("bob").map(\.title) == ["For all", "For Bob"])
  }

  @Test("a store of format -1 is refused like a newer one")
  func negative() throws {
    let directory = try StoreFixture.directory(
      ofFormat: "format4", adding: "PRAGMA user_version = -1;")
    #expect(throws: StoreError.newerVersion(-1, known: Schema.migrations.count)) {
      _ = try StoreFixture(in: directory)
    }
  }
}

extension StoreFixture {
  /// A directory with a store of an earlier format, changed by `sql`.
  static func directory(
    ofFormat format: String, adding sql: String = ""
  ) throws -> TemporaryDirectory {
    let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
    let path = "/\(folder)/formats/\(format).sql"
    let text = try #require(contents(of: path), "\(path)")
    let directory = TemporaryDirectory()
    let script = String(decoding: text, as: UTF8.self)
    Self.sql(script + sql, at: directory.databasePath)
    return directory
  }
}
