// The history of a store over restarts, restored copies and lost logs.

import Glibc
import Notifications
import Storage
import Testing
import Wire

@Suite("A store's history", .timeLimit(.minutes(10)))
struct HistoryTests {
  private static func names(_ fixture: StoreFixture) -> String {
    fixture.sql("SELECT group_concat(name) FROM incarnation")
  }

  /// The cursor of a client that has everything up to the newest commit.
  private static func cursor(_ fixture: StoreFixture) -> Cursor {
    fixture.store.history.cursors.cursor(at: fixture.store.metrics.lastOffset)
  }

  private static func isProven(_ cursor: Cursor, in fixture: StoreFixture) -> Bool {
    fixture.store.history.continuity(of: cursor) == .proven
  }

  private static func copy(_ directory: TemporaryDirectory, to other: TemporaryDirectory) throws {
    for name in directory.names where name != "carillon.lock" {
      let bytes = try #require(StoreFixture.contents(of: directory.path + "/" + name))
      unlink(other.path + "/" + name)
      close(open(other.path + "/" + name, O_WRONLY | O_CREAT, 0o600))
      StoreFixture.write(bytes, to: other.path + "/" + name)
    }
  }

  @Test("a cursor is proven by every later run, and a run without commits stores nothing")
  func restarts() throws {
    let directory = TemporaryDirectory()
    var cursors: [Cursor] = []
    for run in 0..<5 {
      let fixture = try StoreFixture(in: directory)
      cursors.append(Self.cursor(fixture))
      for cursor in cursors { #expect(Self.isProven(cursor, in: fixture), "\(run) \(cursor)") }
      if run % 2 == 0 { fixture.publish("u") }
      cursors.append(Self.cursor(fixture))
      for cursor in cursors { #expect(Self.isProven(cursor, in: fixture), "\(run) \(cursor)") }
      let stored = Self.names(fixture).split(separator: ",")
      #expect(stored.count == run / 2 + 1)
      #expect(Set(stored).count == stored.count)
    }
  }

  @Test("a cursor's incarnation is in the file with the commit that the cursor is of")
  func firstCommit() throws {
    let directory = TemporaryDirectory()
    let fixture = try StoreFixture(in: directory)
    #expect(Self.names(fixture).isEmpty)
    // Preferences give out no offset.
    #expect(fixture.submit(.setPreferences(user: "u", Preferences())) == .saved)
    #expect(Self.names(fixture).isEmpty)
    fixture.publish("u")
    #expect(Self.names(fixture) == Self.cursor(fixture).incarnation)
    fixture.publish("u")
    #expect(Self.names(fixture) == Self.cursor(fixture).incarnation)
  }

  // Case 88
  @Test("a restored copy recognises the cursors of the commits that it does not have")
  func restored() throws {
    let directory = TemporaryDirectory()
    let backup = TemporaryDirectory()
    func publish(_ count: Int) throws -> [Cursor] {
      let fixture = try StoreFixture(in: directory)
      return (0..<count).map { _ in
        fixture.publish("u")
        return Self.cursor(fixture)
      }
    }
    let kept = try publish(3)
    try Self.copy(directory, to: backup)
    let lost = try publish(5)
    try Self.copy(backup, to: directory)
    var fixture = try StoreFixture(in: directory)
    for cursor in kept { #expect(Self.isProven(cursor, in: fixture), "\(cursor)") }
    for cursor in lost { #expect(!Self.isProven(cursor, in: fixture), "\(cursor)") }
    fixture.store.close()
    // Also after the same offsets were given out again.
    let again = try publish(7)
    #expect(again.map(\.offset) == [4, 5, 6, 7, 8, 9, 10])
    fixture = try StoreFixture(in: directory)
    for cursor in kept + again { #expect(Self.isProven(cursor, in: fixture), "\(cursor)") }
    for cursor in lost { #expect(!Self.isProven(cursor, in: fixture), "\(cursor)") }
  }

  @Test("a copy of a running store recognises the commits that followed in the same run")
  func copiedWhileOpen() throws {
    let directory = TemporaryDirectory()
    let backup = TemporaryDirectory()
    let fixture = try StoreFixture(in: directory)
    for _ in 0..<3 { fixture.publish("u") }
    let kept = Self.cursor(fixture)
    try Self.copy(directory, to: backup)
    for _ in 0..<5 { fixture.publish("u") }
    let lost = Self.cursor(fixture)
    #expect(kept.incarnation == lost.incarnation)
    let restored = try StoreFixture(in: backup)
    #expect(restored.store.metrics.lastOffset == 3)
    #expect(Self.isProven(kept, in: restored))
    #expect(
      restored.store.history.continuity(of: lost) == .lost(HistoryLoss(offset: 8, end: 3)))
  }

  // Case 88
  @Test("a damaged log that loses commits is recognised by their cursors")
  func damagedLog() throws {
    let directory = TemporaryDirectory()
    let damaged = TemporaryDirectory()
    let fixture = try StoreFixture(in: directory)
    var cursors: [Cursor] = []
    for _ in 0..<8 {
      fixture.publish("u")
      cursors.append(Self.cursor(fixture))
    }
    let log = damaged.databasePath + "-wal"
    let size = StoreFixture.size(of: directory.databasePath + "-wal")
    for position in stride(from: 100, to: size, by: 4_099) {
      try Self.copy(directory, to: damaged)
      unlink(damaged.databasePath + "-shm")
      var bytes = try #require(StoreFixture.contents(of: log))
      bytes[position] ^= 0x10
      StoreFixture.write(bytes, to: log)
      let left: StoreFixture
      do {
        left = try StoreFixture(in: damaged)
      } catch {
        // The tables themselves are in the log.
        continue
      }
      // Whatever is left, nothing is proven: each of them has lost the last commit.
      for cursor in cursors { #expect(!Self.isProven(cursor, in: left), "\(position) \(cursor)") }
      left.store.close()
      let later = try StoreFixture(in: damaged)
      for cursor in cursors { #expect(!Self.isProven(cursor, in: later), "\(position) \(cursor)") }
      #expect(Self.isProven(Self.cursor(later), in: later))
    }
  }

  @Test("a log that ends inside a commit, as a crash leaves it, has lost nothing")
  func tornLog() throws {
    let directory = TemporaryDirectory()
    let torn = TemporaryDirectory()
    let fixture = try StoreFixture(in: directory)
    for _ in 0..<3 { fixture.publish("u") }
    let cursor = Self.cursor(fixture)
    try Self.copy(directory, to: torn)
    let whole = StoreFixture.size(of: torn.databasePath + "-wal")
    fixture.publish("u")
    for added in [1, 24, 25, 4_119] {
      try Self.copy(directory, to: torn)
      unlink(torn.databasePath + "-shm")
      #expect(truncate(torn.databasePath + "-wal", off_t(whole + added)) == 0)
      let left = try StoreFixture(in: torn)
      #expect(left.store.metrics.lastOffset == 3)
      #expect(Self.isProven(cursor, in: left), "\(added)")
      #expect(left.store.metrics.corruptRows == 0)
    }
  }

  @Test("a log used again has the frames of its earlier use, which are no lost commits")
  func reusedLog() throws {
    let directory = TemporaryDirectory()
    let copy = TemporaryDirectory()
    let fixture = try StoreFixture(in: directory) {
      $0.checkpointPages = 16
      $0.logPagesLimit = 32
    }
    for _ in 0..<60 {
      fixture.publish("u")
      try Self.copy(directory, to: copy)
      unlink(copy.databasePath + "-shm")
      let left = try StoreFixture(in: copy)
      #expect(Self.isProven(Self.cursor(fixture), in: left))
      #expect(left.store.metrics.corruptRows == 0)
    }
  }

  @Test("a store of an earlier version accepts the cursors of its time, up to its newest commit")
  func upgraded() throws {
    let directory = try StoreFixture.directory(ofFormat: "format4")
    for _ in 0..<2 {
      let fixture = try StoreFixture(in: directory)
      let epoch = fixture.store.history.epoch
      #expect(Self.isProven(Cursor(epoch: epoch, offset: 9), in: fixture))
      #expect(
        fixture.store.history.continuity(of: Cursor(epoch: epoch, offset: 10))
          == .lost(HistoryLoss(offset: 10, end: 9)))
      #expect(Self.isProven(Self.cursor(fixture), in: fixture))
      fixture.publish("u")
      #expect(!Self.cursor(fixture).incarnation.isEmpty)
    }
  }

  @Test("the latest 1,000 incarnations are kept")
  func limit() throws {
    let directory = TemporaryDirectory()
    let first: Cursor
    do {
      let fixture = try StoreFixture(in: directory)
      fixture.publish("u")
      first = Self.cursor(fixture)
      fixture.sql(
        """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
        INSERT INTO incarnation (name, start_offset, checksum) SELECT 'x', 1, 0 FROM n
        """)
    }
    do {
      let fixture = try StoreFixture(in: directory)
      #expect(fixture.sql("SELECT count(*) FROM incarnation") == "1000")
      fixture.publish("u")
      #expect(fixture.sql("SELECT count(*) FROM incarnation") == "1000")
    }
    let fixture = try StoreFixture(in: directory)
    #expect(fixture.store.history.continuity(of: first) != .proven)
    #expect(
      fixture.store.history.continuity(of: Cursor(epoch: first.epoch, offset: 0)) == .unknown)
  }

  @Test("a damaged incarnation makes no cursor before it valid")
  func damagedRow() throws {
    let directory = TemporaryDirectory()
    let first: Cursor
    do {
      let fixture = try StoreFixture(in: directory)
      for _ in 0..<3 { fixture.publish("u") }
      first = Self.cursor(fixture)
    }
    do {
      let fixture = try StoreFixture(in: directory)
      fixture.publish("u")
      fixture.sql("UPDATE incarnation SET start_offset = start_offset + 4 WHERE key = 2")
    }
    let fixture = try StoreFixture(in: directory)
    #expect(!Self.isProven(first, in: fixture))
    let later = Self.cursor(fixture)
    #expect(Self.isProven(later, in: fixture))
    // The cursor is given to clients, although this run commits nothing.
    fixture.store.close()
    #expect(try Self.isProven(later, in: StoreFixture(in: directory)))
  }
}
