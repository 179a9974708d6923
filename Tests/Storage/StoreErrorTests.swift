// Errors of SQLite after which nothing has happened: the store refuses the group and goes on.

import CSQLite
import Notifications
import Storage
import Testing

/// A connection that another program could have, with a transaction open.
final class ForeignConnection {
  private var database: OpaquePointer?

  init(on path: String, running sql: String) {
    #expect(sqlite3_open(path, &database) == SQLITE_OK)
    #expect(sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK)
  }

  func rollBack() {
    #expect(sqlite3_exec(database, "ROLLBACK", nil, nil, nil) == SQLITE_OK)
  }

  deinit {
    sqlite3_close(database)
  }
}

@Suite("An error before the first write is not final", .timeLimit(.minutes(10)))
struct StoreErrorTests {
  // Case 86
  @Test("a lock that another process holds refuses commands only while it is held")
  func lockOfAnotherProcess() throws {
    let directory = TemporaryDirectory()
    let fixture = try StoreFixture(in: directory) { $0.lockTimeoutMilliseconds = 20 }
    #expect(fixture.publish("u") == .published)
    let other = ForeignConnection(on: directory.databasePath, running: "BEGIN IMMEDIATE")
    let reason = "the store refuses writes for now: SQLite: database is locked (5)"
    for _ in 0..<2 {
      #expect(fixture.publish("u") == .unavailable(reason: reason))
      #expect(fixture.change("u", .readAll) == .unavailable(reason: reason))
    }
    #expect(fixture.store.status == .unavailable(reason: reason))
    #expect(fixture.store.failure == nil)
    #expect(fixture.counts("u").total == 1)
    other.rollBack()
    #expect(fixture.publish("u") == .published)
    #expect(fixture.store.status == .ready)
    #expect(fixture.notices.current == [.status(.unavailable(reason: reason)), .status(.ready)])
    #expect(fixture.store.metrics.refusedCommands == 4)
    #expect(fixture.store.metrics.failedGroups == 4)
    #expect(fixture.inbox("u").map(\.offset) == [2, 1])
    #expect(fixture.events.current.count == 2)
  }

  // Case 86
  @Test(
    "a transaction that cannot begin has changed nothing",
    arguments: [SQLITE_NOMEM, SQLITE_BUSY, SQLITE_IOERR | (12 << 8), SQLITE_PROTOCOL])
  func failedBegin(code: Int32) throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files) { $0.lockTimeoutMilliseconds = 0 }
    #expect(fixture.publish("u") == .published)
    files.fail(.lock, with: code)
    guard case .unavailable = fixture.publish("u") else {
      Issue.record("the store is not merely unavailable")
      return
    }
    #expect(files.state.current.failureCount == 1)
    files.fail()
    #expect(fixture.publish("u") == .published)
    #expect(fixture.store.status == .ready)
    #expect(fixture.counts("u").total == 2)
  }

  @Test("commands that wait while a group fails are refused with it, after one wait for the lock")
  func oneWait() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files) { configuration in
      configuration.lockTimeoutMilliseconds = 0
      configuration.groupLimit = 10
    }
    files.hold(.sync(.log))
    let outcomes = Latch<[StoreOutcome]>([])
    func submit() {
      let command = StoreCommand.publish(
        drafts: (0..<10).map { _ in fixture.draft("u") }, idempotency: nil, answer: [])
      #expect(fixture.store.submit(command) { outcome in outcomes.change { $0.append(outcome) } })
    }
    submit()
    files.awaitHeldCall()
    // Each is a group of its own, and the journal takes all of them at once.
    for _ in 0..<10 { submit() }
    files.fail(.lock, with: SQLITE_BUSY)
    files.release()
    outcomes.wait { $0.count == 11 }
    #expect(outcomes.current.filter { $0 == .published }.count == 1)
    #expect(files.state.current.failureCount == 1)
    #expect(fixture.store.metrics.refusedCommands == 10)
    #expect(fixture.store.metrics.failedGroups == 1)
    #expect(fixture.counts("u").total == 10)
  }

  @Test("a command that fails by itself is refused alone", arguments: [1, 4])
  func oneCommand(badCount: Int) throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files)
    refuseTitle("bad", in: fixture)
    let outcomes = try Self.group(of: fixture, files, badCount: badCount)
    #expect(outcomes.filter { $0 == .published }.count == 6)
    let reason = "SQLite: constraint failed (1811)"
    #expect(outcomes.filter { $0 == .unavailable(reason: reason) }.count == badCount)
    #expect(fixture.store.status == .ready)
    let notice = StoreNotice.failedCommand(reason: reason)
    #expect(fixture.notices.current == Array(repeating: notice, count: badCount))
    #expect(fixture.store.metrics.refusedCommands == badCount)
    #expect(fixture.counts("u").total == 7)
    #expect(fixture.inbox("u").map(\.title) == Array(repeating: "good", count: 7))
  }

  @Test("a group with many commands that fail is refused as a whole")
  func manyCommands() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files)
    refuseTitle("bad", in: fixture)
    let outcomes = try Self.group(of: fixture, files, badCount: 5)
    #expect(!outcomes.contains(.published))
    #expect(fixture.counts("u").total == 1)
    #expect(fixture.publish("u") == .published)
    #expect(fixture.store.status == .ready)
  }

  /// Makes each insert of a notification with that title fail.
  private func refuseTitle(_ title: String, in fixture: StoreFixture) {
    fixture.sql(
      """
      CREATE TRIGGER refuse BEFORE INSERT ON notification WHEN NEW.title = '\(title)'
      BEGIN SELECT RAISE(ABORT, 'refused'); END
      """)
  }

  /// The outcomes of one group of six good publishes and some bad ones.
  private static func group(
    of fixture: StoreFixture, _ files: FaultFileSystem, badCount: Int
  ) throws -> [StoreOutcome] {
    let outcomes = Latch<[StoreOutcome]>([])
    func submit(_ title: String) {
      let draft = fixture.draft("u", content: Content(type: "t", title: title))
      let command = StoreCommand.publish(drafts: [draft], idempotency: nil, answer: [])
      #expect(fixture.store.submit(command) { outcome in outcomes.change { $0.append(outcome) } })
    }
    files.hold(.sync(.log))
    submit("good")
    files.awaitHeldCall()
    for index in 0..<(6 + badCount) {
      submit(index % 2 == 1 && index / 2 < badCount ? "bad" : "good")
    }
    files.release()
    outcomes.wait { $0.count == 7 + badCount }
    return Array(outcomes.current.dropFirst())
  }
}
