// The check of the store: it commits a row, and looks at the files.

import CSQLite
import Glibc
import Notifications
import Storage
import Testing

@Suite("The check of a store", .timeLimit(.minutes(10)))
struct StoreCheckTests {
  private static func syncCount(_ files: FaultFileSystem) -> Int {
    files.state.current.trace.filter { $0 == "sync log" }.count
  }

  // Case 86
  @Test("checks at the same time and within a second share one commit, which changes nothing")
  func oneCommit() throws {
    let (files, clock) = (FaultFileSystem(), WallClock(0))
    let fixture = try StoreFixture(fileSystem: files, clock: clock)
    let before = Self.syncCount(files)
    let horizon = fixture.sql("SELECT horizon FROM store")
    files.hold(.sync(.log))
    let found = Latch<[StoreStatus]>([])
    for _ in 0..<20 { fixture.store.check { status in found.change { $0.append(status) } } }
    files.awaitHeldCall()
    #expect(found.current.isEmpty)
    files.release()
    found.wait { $0.count == 20 }
    #expect(found.current.allSatisfy { $0 == .ready })
    clock.monotonic.change { $0 += 999 }
    #expect(fixture.check() == .ready)
    #expect(Self.syncCount(files) == before + 1)
    clock.monotonic.change { $0 += 1 }
    #expect(fixture.check() == .ready)
    #expect(Self.syncCount(files) == before + 2)
    #expect(fixture.sql("SELECT horizon FROM store") == horizon)
    #expect(fixture.store.metrics.lastOffset == 0)
    #expect(fixture.events.current.isEmpty && fixture.notices.current.isEmpty)
    #expect((fixture.store.metrics.freeBytes ?? 0) > 0)
  }

  // Case 86
  @Test("a check that failed is shared for a second, too")
  func oneFailure() throws {
    let (files, clock) = (FaultFileSystem(), WallClock(0))
    let fixture = try StoreFixture(fileSystem: files, clock: clock) {
      $0.lockTimeoutMilliseconds = 0
    }
    files.fail(.lock, with: SQLITE_BUSY)
    let status = fixture.check()
    guard case .unavailable = status else {
      Issue.record("\(status)")
      return
    }
    clock.monotonic.change { $0 += 999 }
    #expect(fixture.check() == status)
    #expect(files.state.current.failureCount == 1)
    clock.monotonic.change { $0 += 1 }
    #expect(fixture.check() == status)
    #expect(files.state.current.failureCount == 2)
  }

  // Case 86
  @Test("a commit within the last second spares the check its own")
  func recentCommit() throws {
    let (files, clock) = (FaultFileSystem(), WallClock(0))
    let fixture = try StoreFixture(fileSystem: files, clock: clock)
    #expect(fixture.publish("u") == .published)
    let before = Self.syncCount(files)
    #expect(fixture.check() == .ready)
    #expect(Self.syncCount(files) == before)
    // A check that wrote nothing does not count as a commit.
    clock.monotonic.change { $0 += 1_000 }
    #expect(fixture.check() == .ready)
    #expect(Self.syncCount(files) == before + 1)
  }

  // Case 86
  @Test("a commit that does not end is a stall, and the check ends with it")
  func hungSync() throws {
    let (files, clock) = (FaultFileSystem(), WallClock(0))
    let fixture = try StoreFixture(fileSystem: files, clock: clock)
    files.hold(.sync(.log))
    let found = Latch<StoreStatus?>(nil)
    fixture.store.check { status in found.change { $0 = status } }
    files.awaitHeldCall()
    clock.monotonic.change { $0 += 2_999 }
    #expect(fixture.store.status == .ready)
    clock.monotonic.change { $0 += 1_001 }
    #expect(fixture.store.status == .stalled(milliseconds: 4_000))
    #expect(fixture.store.status.reason == "the store has been waiting for the disk for 4 s")
    files.release()
    found.wait { $0 == .ready }
    #expect(fixture.store.status == .ready)
  }

  // Case 86
  @Test(
    "a file that was removed or replaced makes the store read-only",
    arguments: ["carillon.db", "carillon.db-wal", "carillon.lock"], [false, true])
  func replacedFile(name: String, isReplaced: Bool) throws {
    let clock = WallClock(0)
    let fixture = try StoreFixture(clock: clock)
    #expect(fixture.publish("u") == .published)
    #expect(fixture.check() == .ready)
    let path = fixture.directory.path + "/" + name
    #expect(rename(path, path + ".old") == 0)
    if isReplaced { StoreFixture.appendByte(to: path) }
    clock.monotonic.change { $0 += 1_000 }
    let reason =
      "the store is read-only until it is restarted: the data directory no longer has the \(name) "
      + "that is open: it was removed or replaced"
    #expect(fixture.check() == .readOnly(reason: reason))
    #expect(fixture.publish("u") == .readOnly(reason: reason))
    #expect(fixture.notices.current == [.status(.readOnly(reason: reason))])
    #expect(fixture.counts("u").total == 1)
  }

  // Cases 86, 87
  @Test("a check finds a disk that takes no write, also where nothing is published")
  func fullDisk() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files)
    files.fail(.write(.log), with: SQLITE_FULL)
    let reason =
      "the store is read-only until it is restarted: SQLite: database or disk is full (13)"
    #expect(fixture.check() == .readOnly(reason: reason))
    #expect(fixture.store.failure == reason)
  }

  @Test("a check finds the lock of another process, and that it was released")
  func lock() throws {
    let clock = WallClock(0)
    let fixture = try StoreFixture(clock: clock) { $0.lockTimeoutMilliseconds = 20 }
    let other = ForeignConnection(
      on: fixture.directory.databasePath, running: "BEGIN IMMEDIATE")
    let reason = "the store refuses writes for now: SQLite: database is locked (5)"
    #expect(fixture.check() == .unavailable(reason: reason))
    #expect(fixture.store.status == .unavailable(reason: reason))
    other.rollBack()
    clock.monotonic.change { $0 += 1_000 }
    #expect(fixture.check() == .ready)
    #expect(fixture.store.status == .ready)
  }
}
