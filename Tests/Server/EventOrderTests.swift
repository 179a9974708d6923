// A room's events that come right after one of its members: the message that takes the connection
// into the room waits in the mailbox of its shard, and the event is in the ring already.

import Broadcast
import Notifications
import Testing

@testable import Server

@Suite("Events after the messages that precede them")
struct EventOrderTests {
  private typealias Rooms = RoomSessionTests

  /// Two members of a room, and a session that is about to join it.
  private struct Joining {
    let fixture: ShardFixture
    let members: [TestPeer]
    let newcomer: TestPeer

    init(ringCapacity: Int = 4_096, setAsideEventsLimit: Int = 65_536) throws {
      fixture = try ShardFixture {
        $0.limits.ringCapacity = ringCapacity
        $0.limits.setAsideEventsLimit = setAsideEventsLimit
      }
      members = try ["a", "b", "c", "d", "e", "f", "g"].map { [fixture] user in
        try Rooms.member(user, of: "r", fixture)
      }
      newcomer = try fixture.session("newcomer", path: Rooms.path)
      try fixture.turn(3)
      for peer in members + [newcomer] { _ = try fixture.frames(of: peer) }
    }

    /// The newcomer joins, and after it all members type, before the shard handles any of that.
    func joinAndType() {
      newcomer.connection.join("r")
      for member in members { member.connection.setTyping(true, in: "r") }
    }

    /// The users that the newcomer sees typing.
    func typing() throws -> [String] {
      try fixture.frames(of: newcomer).filter { $0.contains("is_typing") }.compactMap { frame in
        let mark = #""user_id":""#
        return frame.firstRange(of: mark).map { String(frame[$0.upperBound...].prefix(1)) }
      }
    }
  }

  // The shard took the event out of the ring before it took the answer of the room's owner out of
  // its mailbox, and the new member never saw it.
  @Test func `a member gets the first event after it has joined`() throws {
    let test = try Joining()
    test.joinAndType()
    try test.fixture.turn()
    #expect(test.fixture.core.ring.hasWork(consumer: 0), "the shard does not park")
    try test.fixture.turn(2)
    #expect(try test.typing() == ["a", "b", "c", "d", "e", "f", "g"])
  }

  // To make room, the shard delivered the events of the ring in the middle of its messages.
  @Test func `a member gets the first event after it has joined when the ring is full`() throws {
    let test = try Joining(ringCapacity: 4)
    test.joinAndType()
    try test.fixture.turn()
    #expect(test.fixture.shard.sleepLimitMilliseconds == 0)
    try test.fixture.turn(2)
    #expect(try test.typing() == ["a", "b", "c", "d", "e", "f", "g"])
    #expect(test.fixture.core.metrics[0].value(.ringFull) == 0)
    #expect(test.fixture.shard.sleepLimitMilliseconds > 0)
  }

  @Test func `the events that a shard sets aside are bounded, and further ones are counted`() throws
  {
    let test = try Joining(ringCapacity: 4, setAsideEventsLimit: 1)
    test.joinAndType()
    try test.fixture.turn(3)
    #expect(try test.typing() == ["a", "b", "c", "d"])
    #expect(test.fixture.core.metrics[0].value(.ringFull) == 3)
    #expect(test.fixture.core.metrics[0].value(.presenceDropped) == 3)
  }

  // Case 62
  @Test func `events of users leave a quarter of the ring to publishers`() throws {
    let test = try Joining(ringCapacity: 4, setAsideEventsLimit: 1)
    test.joinAndType()
    try test.fixture.turn()
    #expect(test.fixture.core.ring.depth == 3)
    try test.fixture.publish(
      Event(audience: .everyone, body: .storedForEveryone, timestamp: 0, offset: 6))
  }

  // A disconnection delivered all events of the ring, also those offered after it was requested.
  @Test func `a disconnection delivers the events before it and none early`() throws {
    let test = try Joining()
    let other = try test.fixture.session("other", path: Rooms.path)
    try test.fixture.turn()
    _ = try test.fixture.frames(of: other)
    try test.fixture.publish(Rooms.own("before", "other"))
    test.joinAndType()
    test.fixture.core.mailboxes[0].append(
      .shardQuery(
        .disconnect("other", reason: "r"), ringEnd: test.fixture.core.ring.end, reply: { _ in }))
    try test.fixture.turn(3)
    #expect(try Rooms.heard(test.fixture, other) == ["before", "close 1008"])
    #expect(try test.typing() == ["a", "b", "c", "d", "e", "f", "g"])
  }
}
