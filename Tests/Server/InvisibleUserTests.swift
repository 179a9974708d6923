// Users that set their status to offline and stay connected.

import Notifications
import Testing

@testable import Server

@Suite("Users with the status offline")
struct InvisibleUserTests {
  private typealias Rooms = RoomSessionTests

  @Test(arguments: [1, 2])
  func `a later member sees as offline a user that has entered invisibly`(shardCount: Int) throws {
    let fixture = try ShardFixture(shardCount: shardCount)
    let present = try Rooms.member("a", fixture)
    let user = try fixture.session("b", path: Rooms.path)
    user.connection.setStatus(.offline)
    try fixture.turn(3)
    user.connection.join("r")
    try fixture.turn(8)
    _ = try fixture.frames(of: present)
    let later = try fixture.session("c", path: Rooms.path)
    later.connection.join("r")
    try fixture.turn(8)
    #expect(try Rooms.heard(fixture, later).filter { $0 != "room_joined" } == ["offline"])
    #expect(try Rooms.heard(fixture, present) == ["online"], "of the later member alone")
    // The user shows itself, more than a second after the last update of it.
    try fixture.pass(milliseconds: 1_000)
    user.connection.setStatus(.online)
    try fixture.turn(8)
    #expect(try Rooms.heard(fixture, later) == ["online"])
    #expect(try Rooms.heard(fixture, present) == ["online"])
  }
}
