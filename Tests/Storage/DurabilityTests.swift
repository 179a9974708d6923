// Durability: commit order, groups, failures.

import CSQLite
import Notifications
import Storage
import Testing

@Suite("A publish is durable before its reply and its event", .timeLimit(.minutes(10)))
struct DurabilityTests {
  // Case 85
  @Test("a group is synced, then published, then answered")
  func orderOfOneGroup() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files)
    fixture.publish("first")
    for _ in 0..<50 {
      files.state.change { $0.trace = [] }
      let answered = Latch(0)
      for _ in 0..<3 {
        let drafts = [fixture.draft("u")]
        let command = StoreCommand.publish(drafts: drafts, idempotency: nil, answer: [])
        let isTaken = fixture.store.submit(command) { outcome in
          files.state.change { $0.trace.append(outcome == .published ? "reply" : "refusal") }
          answered.change { $0 += 1 }
        }
        #expect(isTaken)
      }
      answered.wait { $0 == 3 }
      // Any number of groups, but each is: sync, publish n, and n replies.
      var trace = files.state.current.trace[...]
      while let entry = trace.popFirst() {
        #expect(entry == "sync log")
        let published = trace.popFirst() ?? ""
        let count = Int(published.dropFirst("publish ".count)) ?? -1
        #expect(published.hasPrefix("publish ") && count >= 1)
        #expect(Array(trace.prefix(count)) == Array(repeating: "reply", count: count))
        trace = trace.dropFirst(count)
      }
    }
  }

  // Case 90
  @Test("commands submitted during a sync form the next group")
  func groupsGather() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files)
    fixture.publish("warm-up")
    let before = fixture.store.metrics
    files.hold(.sync(.log))
    let answered = Latch(0)
    func submit() {
      let command = StoreCommand.publish(
        drafts: [fixture.draft("u")], idempotency: nil, answer: [])
      #expect(fixture.store.submit(command) { _ in answered.change { $0 += 1 } })
    }
    submit()
    files.awaitHeldCall()
    for _ in 0..<500 { submit() }
    #expect(answered.current == 0)
    files.release()
    answered.wait { $0 == 501 }
    let metrics = fixture.store.metrics
    #expect(metrics.commits - before.commits == 2)
    #expect(metrics.largestGroup == 500)
    #expect(metrics.stored - before.stored == 501)
  }

  @Test("a group takes at most the configured number of rows")
  func groupLimit() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files) { $0.groupLimit = 10 }
    files.hold(.sync(.log))
    let answered = Latch(0)
    for _ in 0..<101 {
      let drafts = [fixture.draft("a"), fixture.draft("b")]
      let command = StoreCommand.publish(drafts: drafts, idempotency: nil, answer: [])
      #expect(fixture.store.submit(command) { _ in answered.change { $0 += 1 } })
    }
    files.release()
    answered.wait { $0 == 101 }
    #expect(fixture.store.metrics.largestGroup == 5)
    #expect(fixture.counts("a").total == 101)
  }

  @Test("a full queue rejects commands, and accepts them again once drained")
  func fullQueue() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files) { configuration in
      configuration.queueCapacity = 8
      configuration.groupLimit = 1
    }
    files.hold(.sync(.log))
    let answered = Latch(0)
    var taken = 0
    func submit() -> Bool {
      let command = StoreCommand.publish(
        drafts: [fixture.draft("u")], idempotency: nil, answer: [])
      return fixture.store.submit(command) { _ in answered.change { $0 += 1 } }
    }
    while taken < 100, submit() { taken += 1 }
    #expect((8...9).contains(taken))
    files.awaitHeldCall()
    files.release()
    answered.wait { $0 == taken }
    #expect(submit())
    answered.wait { $0 == taken + 1 }
  }

  @Test("closing finishes the submitted commands, and leaves a database without a log")
  func closing() throws {
    let directory = TemporaryDirectory()
    let answered = Latch(0)
    do {
      let fixture = try StoreFixture(in: directory)
      for _ in 0..<1_000 {
        let command = StoreCommand.publish(
          drafts: [fixture.draft("u")], idempotency: nil, answer: [])
        #expect(fixture.store.submit(command) { _ in answered.change { $0 += 1 } })
      }
      fixture.store.close()
      #expect(answered.current == 1_000)
    }
    #expect(directory.names == ["carillon.db", "carillon.lock"])
    let reopened = try StoreFixture(in: directory)
    #expect(reopened.counts("u").total == 1_000)
  }

  // Cases 86, 87
  @Test(
    "after a failed write or sync the store stays read-only, and still answers queries",
    arguments: [
      (FaultFileSystem.Call.sync(.log), ioErrorFsync),
      (.write(.log), ioErrorWrite), (.write(.log), SQLITE_FULL),
    ])
  func failedCommit(call: FaultFileSystem.Call, code: Int32) throws {
    let directory = TemporaryDirectory()
    let files = FaultFileSystem()
    do {
      let fixture = try StoreFixture(in: directory, fileSystem: files)
      #expect(fixture.publish("u") == .published)
      let position = fixture.store.metrics.lastOffset
      files.fail(call, with: code)
      guard case .unknown = fixture.publish("u") else {
        Issue.record("the outcome of a publish whose commit failed was given as known")
        return
      }
      #expect(files.state.current.failureCount > 0)
      files.fail()
      // The disk works again, but the pages that it dropped are unknown.
      guard case .readOnly = fixture.publish("u") else {
        Issue.record("a failed store accepted a write")
        return
      }
      guard case .readOnly = fixture.change("u", .readAll) else {
        Issue.record("a failed store accepted a change")
        return
      }
      let reason = try #require(fixture.store.failure)
      #expect(fixture.notices.current == [.status(.readOnly(reason: reason))])
      #expect(fixture.events.current.count == 1)
      #expect(fixture.store.metrics.refusedCommands == 2)
      #expect(fixture.store.metrics.unknownOutcomes == 1)
      #expect(fixture.counts("u").total == 1)
      #expect(fixture.page("u").rows.map(\.offset) == [position])
    }
    // After a restart every acknowledged publish is there, and a rejected one is there whole or not
    // at all.
    let reopened = try StoreFixture(in: directory)
    let counts = reopened.counts("u")
    #expect((1...2).contains(counts.total))
    #expect(reopened.inbox("u").count == counts.total)
    #expect(reopened.publish("u") == .published)
  }

  // Case 86
  @Test("a write that fails before the commit is final, and nothing of its group is stored")
  func failedSpill() throws {
    let directory = TemporaryDirectory()
    let files = FaultFileSystem()
    do {
      let fixture = try StoreFixture(in: directory, fileSystem: files) { $0.cacheKibibytes = 64 }
      #expect(fixture.publish("u") == .published)
      files.fail(.write(.log), with: SQLITE_FULL)
      let content = Content(
        type: "t", title: "T", message: String(repeating: "m", count: 4_000))
      let drafts = (0..<500).map { _ in fixture.draft("u", content: content) }
      let outcome = fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: []))
      #expect(outcome == .readOnly(reason: try #require(fixture.store.failure)))
      #expect(fixture.store.metrics.unknownOutcomes == 0)
    }
    files.fail()
    #expect(try StoreFixture(in: directory).counts("u").total == 1)
  }

  // Case 86
  @Test(
    "a failed checkpoint makes the store read-only, because the log may not be restarted",
    arguments: [FaultFileSystem.Call.sync(.database), .write(.database)])
  func failedCheckpoint(call: FaultFileSystem.Call) throws {
    let directory = TemporaryDirectory()
    let files = FaultFileSystem()
    var acknowledged = 0
    do {
      let fixture = try StoreFixture(in: directory, fileSystem: files) { $0.checkpointPages = 8 }
      files.fail(call)
      while acknowledged < 10_000, fixture.publish("u") == .published { acknowledged += 1 }
      files.fail()
      #expect(acknowledged < 10_000)
      let reason = try #require(fixture.store.failure)
      #expect(fixture.notices.current == [.status(.readOnly(reason: reason))])
      guard case .readOnly = fixture.publish("u") else {
        Issue.record("a failed store accepted a write")
        return
      }
      #expect(fixture.counts("u").total == acknowledged)
    }
    let reopened = try StoreFixture(in: directory)
    #expect(reopened.counts("u").total == acknowledged)
    #expect(reopened.inbox("u").count == acknowledged)
  }

  // Case 89
  @Test("the log is restarted, also while queries run")
  func boundedLog() throws {
    let fixture = try StoreFixture { configuration in
      configuration.checkpointPages = 32
      configuration.logPagesLimit = 256
    }
    let message = String(repeating: "m", count: 4_000)
    let content = Content(type: "t", title: "T", message: message)
    var published = 0
    var pageCount = 0
    var largestPageCount = 0
    var restarts = 0
    while published < 1_000 || restarts < 2, published < 50_000 {
      try #require(fixture.publish("u", content: content) == .published)
      published += 1
      _ = fixture.counts("u")
      let before = pageCount
      pageCount = fixture.store.metrics.logPages
      largestPageCount = max(largestPageCount, pageCount)
      if pageCount < before { restarts += 1 }
    }
    #expect(restarts >= 2, "\(published) publishes, at most \(largestPageCount) pages")
    // A log that restarts is written over: its file has a header, and each page one of its own.
    let size = StoreFixture.size(of: fixture.directory.databasePath + "-wal")
    #expect(size > 0 && size <= 32 + largestPageCount * (4_096 + 24), "\(size) bytes")
    #expect(fixture.counts("u").total == published)
  }

  // Case 83
  @Test("a store that is killed without closing has every acknowledged publish")
  func abandoned() async throws {
    let directory = TemporaryDirectory()
    let path = directory.path
    await #expect(processExitsWith: .signal(9)) { [path = path as String] in
      let acknowledged = Latch(0)
      let store = try SQLiteStore(StoreConfiguration(path: path)) { _ in }
      for number in UInt64(1)...400 {
        let draft = PendingNotification(
          id: NotificationID(milliseconds: 1, random: (number, number)), userID: "u",
          createdAt: Int64(number), content: Content(type: "t", title: "T"))
        let command = StoreCommand.publish(drafts: [draft], idempotency: nil, answer: [])
        _ = store.submit(command) { outcome in
          guard outcome == .published else { return }
          // The file records each acknowledged publish as one byte.
          StoreFixture.appendByte(to: path + "/acknowledged")
          acknowledged.change { $0 += 1 }
        }
        if number == 200 { acknowledged.wait { $0 >= 200 } }
      }
      acknowledged.wait { $0 >= 250 }
      StoreFixture.killThisProcess()
    }
    let acknowledged = StoreFixture.size(of: path + "/acknowledged")
    #expect(acknowledged >= 250)
    let reopened = try StoreFixture(in: directory)
    let rows = Array(reopened.inbox("u").reversed())
    #expect(rows.count >= acknowledged)
    // Each is there once, in order, without a gap.
    #expect(rows.map(\.createdAt) == (1...Int64(max(1, rows.count))).map { $0 })
    #expect(reopened.counts("u").total == rows.count)
    #expect(reopened.sql("PRAGMA integrity_check") == "ok")
    // A new offset is above all earlier ones.
    #expect(reopened.publish("u") == .published)
    let newest = try #require(reopened.page("u", limit: 1).rows.first)
    #expect(newest.offset > (rows.last?.offset ?? .max))
  }
}
