// Copies of the log into the database file: they wait for no reader, and nothing waits for them.

import CSQLite
import Glibc
import Notifications
import Storage
import Testing

@Suite("Checkpoints", .timeLimit(.minutes(10)))
struct CheckpointTests {
  /// A notification of about a page.
  private static let content = Content(
    type: "t", title: "T", message: String(repeating: "m", count: 4_000))

  /// A store with a short log.
  private static func store(
    _ files: FaultFileSystem, in directory: TemporaryDirectory = TemporaryDirectory(),
    checkpointPages: Int = 32, logPagesLimit: Int = 128
  ) throws -> StoreFixture {
    try StoreFixture(in: directory, fileSystem: files) { configuration in
      configuration.checkpointPages = checkpointPages
      configuration.logPagesLimit = logPagesLimit
    }
  }

  /// Publishes until the log has restarted; whether it did.
  ///
  /// On a busy machine many publishes pass before the checkpointer's thread runs.
  private static func publishUntilRestart(
    _ fixture: StoreFixture, atMost limit: Int = 50_000
  ) -> Bool {
    var pageCount = 0
    for _ in 0..<limit {
      let before = pageCount
      guard fixture.publish("u", content: content) == .published else { return false }
      pageCount = fixture.store.metrics.logPages
      if pageCount < before { return true }
    }
    return false
  }

  // Case 89
  @Test("a reader of another process delays no publish, and the log restarts after it")
  func outsideReader() throws {
    let files = FaultFileSystem()
    let fixture = try Self.store(files)
    #expect(fixture.publish("u") == .published)
    let reader = ForeignConnection(
      on: fixture.directory.databasePath, running: "BEGIN; SELECT count(*) FROM notification")
    #expect(!Self.publishUntilRestart(fixture, atMost: 1_000))
    #expect(fixture.store.metrics.logPages > 1_000)
    #expect(files.state.current.sleepCount == 0)
    #expect(fixture.store.status == .ready)
    reader.rollBack()
    #expect(Self.publishUntilRestart(fixture))
    #expect(files.state.current.sleepCount == 0)
  }

  // Case 89
  @Test("a publish does not wait for the sync of the database file")
  func hungSync() throws {
    let files = FaultFileSystem()
    let fixture = try Self.store(files)
    files.hold(.sync(.database))
    var count = 0
    while files.state.current.waiting == 0, count < 1_000 {
      #expect(fixture.publish("u", content: Self.content) == .published)
      count += 1
    }
    files.awaitHeldCall()
    for _ in 0..<200 { #expect(fixture.publish("u", content: Self.content) == .published) }
    #expect(fixture.store.metrics.logPages > 128)
    files.release()
    #expect(Self.publishUntilRestart(fixture))
    #expect(fixture.counts("u").total == fixture.store.metrics.stored)
  }

  // Case 89
  @Test("pages that are copied while others are committed are synced by the checkpointer")
  func partialCopy() throws {
    let files = FaultFileSystem()
    let fixture = try Self.store(files)
    files.hold(.write(.database))
    while files.state.current.waiting == 0 {
      try #require(fixture.publish("u", content: Self.content) == .published)
    }
    // The checkpointer copies, so this is too late for it, and SQLite does not sync the file.
    #expect(fixture.publish("u", content: Self.content) == .published)
    files.state.change { $0.trace = [] }
    files.release()
    while fixture.store.metrics.checkpoints == 0 { sched_yield() }
    #expect(files.state.current.trace.contains("sync database"))
  }

  // Case 89
  @Test("at the limit of the log, a checkpointer that commits outrun is not asked again")
  func outrunCheckpointer() throws {
    let files = FaultFileSystem()
    let fixture = try Self.store(files)
    files.hold(.sync(.database))
    var pageCount = 0
    while pageCount < 32 {
      #expect(fixture.publish("u", content: Self.content) == .published)
      pageCount = fixture.store.metrics.logPages
    }
    files.awaitHeldCall()
    // More than the checkpointer is usually asked for have been committed while it worked.
    let end = pageCount + 100
    while pageCount < end {
      #expect(fixture.publish("u", content: Self.content) == .published)
      pageCount = fixture.store.metrics.logPages
    }
    files.release()
    while fixture.store.metrics.checkpoints == 0 { sched_yield() }
    for _ in 0..<2 { #expect(fixture.publish("u", content: Self.content) == .published) }
    #expect(fixture.store.metrics.logPages < pageCount)
  }

  // Case 89
  @Test("a short rest of the log is copied also while commands wait")
  func shortRest() throws {
    let files = FaultFileSystem()
    let fixture = try Self.store(files, checkpointPages: 1_000, logPagesLimit: 1_000_000)
    files.hold(.write(.database))
    func submit(_ count: Int, _ latch: Latch<Int>) {
      let drafts = (0..<count).map { _ in fixture.draft("u", content: Self.content) }
      let command = StoreCommand.publish(drafts: drafts, idempotency: nil, answer: [])
      #expect(
        fixture.store.submit(command) { outcome in
          if outcome == .published { latch.change { $0 += 1 } }
        })
    }
    let done = Latch(0)
    var count = 0
    while fixture.store.metrics.logPages < 1_000 {
      submit(200, done)
      count += 1
      done.wait { $0 == count }
    }
    files.awaitHeldCall()
    // Too late for this checkpoint.
    submit(1, done)
    done.wait { $0 == count + 1 }
    files.release()
    while fixture.store.metrics.checkpoints == 0 { sched_yield() }
    // The second command waits from before the commit of the first one until after it.
    files.hold(.sync(.log))
    submit(1, done)
    files.awaitHeldCall()
    submit(1, done)
    files.state.change { $0.trace = [] }
    files.release()
    done.wait { $0 == count + 3 }
    let trace = files.state.current.trace
    let second = try #require(trace.lastIndex(of: "publish 1"))
    #expect(trace[..<second].contains("sync database"), "\(trace)")
  }

  // Case 89
  @Test("the log restarts before its limit")
  func restart() throws {
    let files = FaultFileSystem()
    let fixture = try Self.store(files, checkpointPages: 1_000, logPagesLimit: 1_000_000)
    files.hold(.write(.database))
    while fixture.store.metrics.logPages < 1_000 {
      let drafts = (0..<200).map { _ in fixture.draft("u", content: Self.content) }
      let command = StoreCommand.publish(drafts: drafts, idempotency: nil, answer: [])
      try #require(fixture.submit(command) == .published)
    }
    files.awaitHeldCall()
    // Too late for this checkpoint, and too little for the next one.
    #expect(fixture.publish("u", content: Self.content) == .published)
    files.release()
    while fixture.store.metrics.checkpoints == 0 { sched_yield() }
    let pageCount = fixture.store.metrics.logPages
    // The answer to a publish comes before the journal copies the rest.
    var count = 0
    repeat {
      #expect(fixture.publish("u") == .published)
      _ = fixture.counts("u")
      count += 1
    } while fixture.store.metrics.logPages >= pageCount && count < 5_000
    #expect(fixture.store.metrics.logPages < pageCount)
  }

  // Case 86
  @Test("a checkpoint that fails while nothing is published is reported at once, and is final")
  func failedWhileIdle() throws {
    let directory = TemporaryDirectory()
    let files = FaultFileSystem()
    let fixture = try Self.store(files, in: directory)
    files.hold(.sync(.database), .sync(.log))
    files.fail(.sync(.database))
    // This publish is in the log, and its commit ends after the checkpoint has failed.
    let outcomes = Latch<[StoreOutcome]>([])
    func submit() {
      let drafts = (0..<200).map { _ in fixture.draft("u", content: Self.content) }
      let command = StoreCommand.publish(drafts: drafts, idempotency: nil, answer: [])
      #expect(fixture.store.submit(command) { outcome in outcomes.change { $0.append(outcome) } })
    }
    files.state.change { $0.held = [.sync(.database)] }
    submit()
    outcomes.wait { $0.count == 1 }
    files.awaitHeldCall()
    files.state.change { $0.held = [.sync(.database), .sync(.log)] }
    submit()
    files.state.wait { $0.waiting == 2 }
    files.state.change { $0.held = [.sync(.log)] }
    fixture.notices.wait { !$0.isEmpty }
    files.release()
    outcomes.wait { $0.count == 2 }
    #expect(outcomes.current == [.published, .published])
    let reason = try #require(fixture.store.failure)
    #expect(fixture.notices.current == [.status(.readOnly(reason: reason))])
    #expect(fixture.publish("u") == .readOnly(reason: reason))
    files.fail()
    fixture.store.close()
    // The database file may lack what the log has.
    #expect(directory.names.contains("carillon.db-wal"))
    #expect(try StoreFixture(in: directory).counts("u").total == 400)
  }
}
