// Cursors of commits that the store does not have, on each transport.

import Notifications
import Testing
import Wire

@testable import Server

@Suite("Cursors of lost commits")
struct ContinuityTests {
  /// Run `k` went from 0 to 3 in this store, and `w` is the present one.
  private static let history = StoreHistory(
    epoch: "test", stored: [StoreHistory.Incarnation(name: "k", start: 0)],
    latest: StoreHistory.Incarnation(name: "w", start: 3))

  private func fixture(log: Log = Log(level: .error)) throws -> ShardFixture {
    let fixture = try ShardFixture(log: log, history: Self.history)
    try fixture.publish(
      Event(audience: .user("x"), body: .readAll(Counts()), timestamp: 0, offset: 20_000))
    try fixture.turn(2)
    return fixture
  }

  // Cases 37, 88
  @Test(
    "a cursor beyond its run, or of an unknown run, gets `resync` and is counted and logged",
    arguments: HostileCursorTests.transports)
  func lost(path: String) throws {
    let log = try ReadLog(.error)
    let fixture = try fixture(log: log.log)
    for (index, since) in ["test.k.8", "test.q.2", "test.1"].enumerated() {
      // Limited to one line a second.
      try fixture.pass(milliseconds: 1_000)
      let socket = try HostileCursorTests.ask(fixture, path, since: since)
      HostileCursorTests.expectBounded(fixture.store.reads[0].query, isMissed: false)
      try fixture.store.answer(.position(7, HostileCursorTests.counts))
      try fixture.turn(until: { socket.received.text.contains("test.w.7") })
      try fixture.turn(2)
      #expect(socket.received.text.contains("resync"), "\(path) \(since)")
      #expect(fixture.core.metrics[0].value(.historyLosses) == index + 1)
    }
    #expect(
      log.lines() == [
        "the store has lost commits: a client's cursor is at offset 8 of a run that ends at 3 in "
          + "the store; changes missing: 5",
        "the store has lost commits: a client's cursor, at offset 2, is of a run that the store "
          + "does not know; changes missing: unknown",
        "the store has lost commits: a client's cursor is at offset 1 of a run that ends at 0 in "
          + "the store; changes missing: 1",
      ])
  }

  @Test(
    "a cursor beyond the newest commit of the present run is counted and logged, too",
    arguments: HostileCursorTests.transports)
  func beyond(path: String) throws {
    let log = try ReadLog(.error)
    let fixture = try fixture(log: log.log)
    let socket = try HostileCursorTests.ask(fixture, path, since: "test.w.8")
    try fixture.store.answer(ReplaySessionTests.page([], through: 7))
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    try fixture.store.answer(.position(7, HostileCursorTests.counts))
    try fixture.turn(until: { socket.received.text.contains("resync") })
    #expect(fixture.core.metrics[0].value(.historyLosses) == 1)
    #expect(log.lines().map { $0.hasSuffix("changes missing: 1") } == [true])
  }

  @Test(
    "a cursor that its run reaches is resumed, and no loss is counted",
    arguments: HostileCursorTests.transports)
  func proven(path: String) throws {
    let fixture = try fixture()
    for since in ["test.k.3", "test.k.0", "test.0", "test.w.3", "test.w.5"] {
      let socket = try HostileCursorTests.ask(fixture, path, since: since)
      guard case .missed = fixture.store.reads[0].query else {
        Issue.record("\(path) \(since): \(fixture.store.reads[0].query)")
        return
      }
      try fixture.store.answer(ReplaySessionTests.page([6], through: 6))
      try fixture.turn(until: { socket.received.text.contains("test.w.6") })
      #expect(!socket.received.text.contains("resync"))
    }
    #expect(fixture.core.metrics[0].value(.historyLosses) == 0)
  }

  @Test func `a Socket.IO client ahead of its run starts fresh, and the loss is counted`() throws {
    let fixture = try ShardFixture.engine()
    fixture.store.history = Self.history
    let (first, firstSID, pid) = try SocketIORecoveryTests.connected("u", fixture)
    #expect(pid.hasSuffix(".test.w.5"))
    first.leave()
    try fixture.turn(until: { fixture.engineSession(firstSID) == nil })
    // The next run began at 3.
    fixture.store.history = StoreHistory(
      epoch: "test", stored: [StoreHistory.Incarnation(name: "w", start: 0)],
      latest: StoreHistory.Incarnation(name: "p", start: 3))
    let (peer, _) = try SocketIORecoveryTests.returning("u", pid, offset: "test.w.8", fixture)
    try SocketIORecoveryTests.answerRooms(["r"], fixture)
    try SocketIORecoveryTests.answerPosition(9, fixture)
    let packets = try fixture.frames(3, of: peer)
    #expect(try SocketIORecoveryTests.member("pid", of: packets[0]).hasSuffix(".test.p.9"))
    #expect(packets[2].contains(#"["resync",{"cursor":"test.p.9"}"#))
    #expect(fixture.shard.localRooms.isEmpty)
    #expect(fixture.core.metrics[0].value(.historyLosses) == 1)
  }

  @Test("many cursors of lost commits lead to one line a second")
  func rate() throws {
    let log = try ReadLog(.error)
    let fixture = try fixture(log: log.log)
    for _ in 0..<50 {
      _ = try HostileCursorTests.ask(fixture, "/api/ws", since: "test.k.8")
      try fixture.store.answer(.position(7, HostileCursorTests.counts))
      try fixture.turn(2)
    }
    #expect(log.lines().count == 1)
    try fixture.pass(milliseconds: 1_000)
    _ = try HostileCursorTests.ask(fixture, "/api/ws", since: "test.k.8")
    #expect(log.lines().map { $0.hasSuffix("(and 49 more such cursors)") } == [true])
    #expect(fixture.core.metrics[0].value(.historyLosses) == 51)
  }
}
