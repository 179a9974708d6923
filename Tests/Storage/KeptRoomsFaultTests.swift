// Kept rooms under faults: a failing disk, damaged rows, an older file.

import CSQLite
import Notifications
import TestSupport
import Testing

@testable import Storage

@Suite("Rooms that outlive a connection, under faults", .timeLimit(.minutes(10)))
struct KeptRoomsFaultTests {
  // Case 86
  @Test("a read-only store reports it, and still returns the rooms it kept")
  func readOnly() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files)
    #expect(fixture.keep(["a"], of: 1) == .saved)
    files.fail(.sync(.log))
    guard case .unknown = fixture.keep(["b"], of: 1, until: 5) else {
      Issue.record("rooms that are not on the disk were acknowledged")
      return
    }
    files.fail()
    guard case .readOnly = fixture.keep([], of: 1, until: 5) else {
      Issue.record("a failed store accepted rooms")
      return
    }
    #expect(fixture.kept(1) == ["a"])
    #expect(fixture.store.nextExpiry == nil)
    #expect(fixture.store.metrics.refusedCommands == 1)
  }

  // Case 86
  @Test("a store opens read-only when it cannot write the ends of the last run's sessions")
  func failedOpening() throws {
    let directory = TemporaryDirectory()
    do {
      let fixture = try StoreFixture(in: directory)
      fixture.keep(["a"], of: 1)
      fixture.publish("u")
    }
    do {
      let files = FaultFileSystem()
      files.fail(.write(.log), with: SQLITE_FULL)
      let fixture = try StoreFixture(in: directory, fileSystem: files)
      let reason = try #require(fixture.store.failure)
      #expect(fixture.notices.current == [.status(.readOnly(reason: reason))])
      #expect(fixture.kept(1) == ["a"])
      #expect(fixture.counts("u").total == 1)
      files.fail()
      guard case .readOnly = fixture.publish("u") else {
        Issue.record("a failed store accepted a write")
        return
      }
    }
    let fixture = try StoreFixture(in: directory, clock: WallClock(0)) {
      $0.keptRoomsMilliseconds = 9
    }
    #expect(fixture.store.failure == nil)
    #expect(fixture.store.nextExpiry == 9)
    #expect(fixture.kept(1) == ["a"])
  }

  // Case 90
  @Test("rooms share a transaction with other queued commands, in order of submission")
  func group() throws {
    let files = FaultFileSystem()
    let fixture = try StoreFixture(fileSystem: files)
    fixture.publish("u")
    let before = fixture.store.metrics
    files.hold(.sync(.log))
    let answered = Latch(0)
    func submit(_ command: StoreCommand) {
      #expect(fixture.store.submit(command) { _ in answered.change { $0 += 1 } })
    }
    func keep(_ rooms: [RoomName]) {
      let session = RecoveryID(high: 0, low: 1)
      submit(.keepRooms(session: session, user: "u", rooms: rooms, endsAt: nil))
    }
    submit(.publish(drafts: [fixture.draft("u")], idempotency: nil, answer: []))
    files.awaitHeldCall()
    keep(["a"])
    submit(.publish(drafts: [fixture.draft("u")], idempotency: nil, answer: []))
    keep([])
    keep(["b"])
    keep(["c"])
    files.release()
    answered.wait { $0 == 6 }
    #expect(fixture.kept(1) == ["c"])
    #expect(fixture.store.metrics.commits - before.commits == 2)
    #expect(fixture.store.metrics.largestGroup == 5)
    #expect(fixture.store.metrics.lastOffset == 3)
  }

  // Case 88
  @Test(
    "damaged rooms are treated as none, and counted",
    arguments: [
      "rooms = x'0100000062'", "rooms = x''", "rooms = zeroblob(3)", "checksum = 0",
      "user = 'v'", "session = x'\(String(repeating: "0", count: 31))2'",
      "rooms = (SELECT rooms FROM kept_rooms WHERE user = 'w')",
    ])
  func damaged(change: String) throws {
    let fixture = try StoreFixture()
    fixture.keep(["a"], of: 1)
    fixture.keep(["of w"], of: 3, user: "w")
    fixture.sql("UPDATE kept_rooms SET \(change) WHERE user = 'u'")
    #expect(fixture.kept(1) == [])
    #expect(fixture.kept(1, "v") == [])
    #expect(fixture.kept(2) == [])
    #expect(fixture.store.metrics.corruptRows == 1)
    #expect(fixture.store.metrics.lastCorruption != nil)
    #expect(fixture.store.failure == nil)
    #expect(fixture.kept(3, "w") == ["of w"])
  }

  @Test("encoded names decode to the same names, and other bytes to nil or whole names")
  func row() throws {
    var random = SeededGenerator.announced()
    for count in 0..<40 {
      let rooms = (0..<count).map { number in
        String(repeating: number % 3 == 0 ? "é" : "r", count: Int(random.next() % 60))
      }
      let bytes = KeptRoomsRow.bytes(of: rooms)
      #expect(KeptRoomsRow.rooms(from: bytes) == rooms)
      for end in bytes.indices {
        let read = KeptRoomsRow.rooms(from: Array(bytes[..<end]))
        // A prefix gives a number of whole names, or nothing.
        if let read { #expect(read == Array(rooms.prefix(read.count))) }
      }
      for mutant in mutants(of: bytes, count: 40, using: &random) {
        if let read = KeptRoomsRow.rooms(from: mutant) {
          #expect(KeptRoomsRow.bytes(of: read) == mutant)
        }
      }
    }
    #expect(KeptRoomsRow.rooms(from: [0xFF, 0xFF, 0xFF, 0xFF]) == nil)
    #expect(KeptRoomsRow.rooms(from: [1, 0, 0, 0, 0xFF]) == nil)
  }
}
