// Long polls, turn by turn: no order of commits, reads and events loses a wake-up.

import Notifications
import Testing

@testable import Server

@Suite("A poll")
struct PollTests {
  /// A connection of "u" that polls from `since`, once the store has been asked.
  static func poll(
    _ fixture: ShardFixture, since: String = "test.5", wait: Int = 25
  ) throws -> TestPeer {
    let peer = try fixture.connect()
    peer.send(
      "GET /api/v1/notifications/poll?since=\(since)&wait=\(wait) HTTP/1.1\r\nHost: x\r\n"
        + "Authorization: Bearer \(ShardFixture.token("u"))\r\n\r\n")
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    return peer
  }

  static func isAnswered(_ peer: TestPeer, with text: String) -> Bool {
    peer.receive().text.contains("HTTP/1.1 200") && peer.received.text.contains(text)
  }

  static func page(_ offsets: [UInt64], through: UInt64) -> StoreAnswer {
    ReplaySessionTests.page(offsets, through: through)
  }

  @Test func `a notification committed during the read makes the poll read again`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.poll(fixture)
    // Committed after the reader's snapshot, and out of the ring before the reader's answer.
    try fixture.publish(ReplaySessionTests.stored(6))
    try fixture.turn(2)
    #expect(fixture.store.reads.count == 1)
    try fixture.store.answer(Self.page([], through: 5))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    #expect(peer.receive().isEmpty)
    try fixture.store.answer(Self.page([6], through: 6))
    try fixture.turn(until: { Self.isAnswered(peer, with: #""title":"n6""#) })
    #expect(peer.received.text.contains(#""cursor":"test.6""#))
    #expect(fixture.shard.sessionCount == 0)
  }

  @Test func `an event that the read included does not wake the poll`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.poll(fixture)
    // The reader saw another user's commit before the ring brought the events before it.
    try fixture.store.answer(Self.page([], through: 9))
    try fixture.turn(2)
    try fixture.publish(ReplaySessionTests.stored(9))
    try fixture.turn(2)
    #expect(fixture.store.reads.isEmpty)
    try fixture.publish(ReplaySessionTests.stored(10))
    try fixture.publish(ReplaySessionTests.stored(11))
    try fixture.turn(2)
    #expect(fixture.store.reads.count == 1, "one read, however many notifications come")
    try fixture.store.answer(Self.page([10, 11], through: 11))
    try fixture.turn(until: { Self.isAnswered(peer, with: #""cursor":"test.11""#) })
  }

  @Test func `a change does not wake a poll`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.poll(fixture)
    try fixture.store.answer(Self.page([], through: 5))
    try fixture.turn(2)
    try fixture.publish(
      Event(
        audience: .user("u"), body: .readAll(ReplaySessionTests.counts(6)), timestamp: 0,
        offset: 6))
    try fixture.turn(2)
    #expect(fixture.store.reads.isEmpty && peer.receive().isEmpty)
  }

  @Test func `a poll is answered when its time is up, to the second, and not before`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.poll(fixture)
    try fixture.store.answer(Self.page([], through: 5))
    try fixture.turn(2)
    try fixture.pass(milliseconds: 24_000)
    #expect(peer.receive().isEmpty)
    try fixture.pass(milliseconds: 2_000)
    #expect(Self.isAnswered(peer, with: #"{"notifications":[],"cursor":"test.5"}"#))
    #expect(fixture.shard.sessionCount == 0)
    #expect(fixture.core.metrics[0].value(.timedOut) == 0)
  }

  @Test func `a poll that times out during a read is answered by that read`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.poll(fixture)
    try fixture.store.answer(Self.page([], through: 5))
    try fixture.turn(2)
    try fixture.publish(ReplaySessionTests.stored(6))
    try fixture.turn(2)
    try fixture.pass(milliseconds: 30_000)
    #expect(peer.receive().isEmpty)
    try fixture.store.answer(Self.page([6], through: 6))
    try fixture.turn(until: { Self.isAnswered(peer, with: #""title":"n6""#) })
  }

  @Test func `a poll that a full store cannot serve is answered 503 and ends`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.poll(fixture)
    try fixture.store.answer(Self.page([], through: 5))
    try fixture.turn(2)
    #expect(fixture.shard.sessionCount == 1)
    fixture.store.isFull = true
    try fixture.publish(ReplaySessionTests.stored(6))
    try fixture.turn(until: { peer.receive().text.contains("HTTP/1.1 503") })
    #expect(fixture.shard.sessionCount == 0)
  }

  @Test func `a peer that goes during the read leaves no state`() throws {
    let fixture = try ShardFixture()
    var peer: TestPeer? = try Self.poll(fixture)
    #expect(fixture.shard.sessionCount == 1)
    peer = nil
    withExtendedLifetime(peer) {}
    try fixture.turn(3)
    try fixture.store.answer(Self.page([], through: 5))
    try fixture.turn(until: { fixture.shard.connectionCount == 0 })
    #expect(fixture.shard.sessionCount == 0)
  }

  @Test func `lost continuity is answered with resync and the present cursor`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.poll(fixture, since: "test.50")
    try fixture.store.answer(Self.page([], through: 9))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.store.answer(.position(9, ReplaySessionTests.counts(9)))
    try fixture.turn(until: {
      Self.isAnswered(peer, with: #"{"notifications":[],"cursor":"test.9","resync":true}"#)
    })
  }
}
