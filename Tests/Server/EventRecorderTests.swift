// Events of users, rooms and slow sessions on their way to the outbox.

import Broadcast
import Notifications
import Testing

@testable import Server

@Suite("Events of a shard for webhooks")
struct EventRecorderTests {
  private typealias Rooms = RoomSessionTests

  private static func wanting(_ types: WebhookTypes) throws -> ShardFixture {
    let fixture = try ShardFixture()
    fixture.core.mailboxes[0].append(.webhookTypes(types))
    try fixture.turn(1)
    return fixture
  }

  /// The names and subjects of the events that the store was handed.
  private static func recorded(_ fixture: ShardFixture) -> [String] {
    fixture.store.commands.flatMap { command -> [String] in
      guard case .outbox(.record(let events)) = command.command else { return [] }
      return events.map { "\($0.type.name) \(String(decoding: $0.data, as: UTF8.self))" }
    }
  }

  @Test("a user is online with its first connection, and offline three seconds after its last")
  func users() throws {
    let fixture = try Self.wanting(.all)
    let first = try Rooms.member("a", fixture)
    let second = try Rooms.member("a", fixture)
    try fixture.turn(3)
    first.connection.end()
    try fixture.turn(3)
    second.connection.end()
    try fixture.turn(3)
    try fixture.pass(milliseconds: 2_000)
    #expect(
      Self.recorded(fixture) == [
        #"user.online {"user_id":"a"}"#, #"room.occupied {"room":"r"}"#,
        #"room.vacated {"room":"r"}"#,
      ])
    try fixture.pass(milliseconds: 2_000)
    #expect(Self.recorded(fixture).last == #"user.offline {"user_id":"a"}"#)
    #expect(Self.recorded(fixture).count == 4)
  }

  @Test("a user that returns within the grace period was online all along")
  func returning() throws {
    let fixture = try Self.wanting(WebhookTypes([.userOnline, .userOffline]))
    for _ in 0..<3 {
      let member = try Rooms.member("a", fixture)
      try fixture.turn(3)
      member.connection.end()
      try fixture.turn(3)
      try fixture.pass(milliseconds: 2_000)
    }
    #expect(Self.recorded(fixture).count == 1)
    try fixture.pass(milliseconds: 4_000)
    #expect(Self.recorded(fixture).map { $0.prefix(12) } == ["user.online ", "user.offline"])
  }

  @Test("nothing is recorded that no webhook wants")
  func unwanted() throws {
    let fixture = try Self.wanting(WebhookTypes([.roomVacated]))
    let member = try Rooms.member("a", fixture)
    try fixture.turn(3)
    #expect(Self.recorded(fixture).isEmpty)
    member.connection.end()
    try fixture.turn(3)
    #expect(Self.recorded(fixture) == [#"room.vacated {"room":"r"}"#])
  }

  @Test("events wait for a store that is full, up to a bound, and lost ones are counted")
  func bound() throws {
    let fixture = try Self.wanting(.all)
    fixture.store.isFull = true
    let limit = EventRecorder.eventsLimit
    for number in 0..<limit + 3 {
      fixture.shard.recorder.note(room: "room \(number)", isOccupied: true)
    }
    try fixture.turn(1)
    #expect(Self.recorded(fixture).isEmpty)
    #expect(fixture.core.metrics[0].value(.webhookEventsLost) == 3)
    fixture.store.isFull = false
    try fixture.turn(1)
    #expect(Self.recorded(fixture).count == limit)
    // Those that the store could not save are counted, too.
    let count = fixture.store.commands.count
    try fixture.store.answer(.unavailable(reason: "full"))
    for _ in 1..<count { try fixture.store.answer(.outbox(.saved)) }
    try fixture.turn(1)
    #expect(
      fixture.core.metrics[0].value(.webhookEventsLost) == 3 + EventRecorder.commandLimit)
  }
}
