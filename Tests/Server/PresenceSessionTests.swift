// Typing and presence as the members of a room see them.

import Glibc
import Notifications
import Testing
import Tokens

@testable import Server

@Suite("Typing and presence")
struct PresenceSessionTests {
  private typealias Rooms = RoomSessionTests

  @Test func `typing is sent to the others once and clears after five seconds`() throws {
    let fixture = try ShardFixture()
    let typingEntry = try Rooms.member("a", fixture)
    let second = try Rooms.member("a", fixture)
    let other = try Rooms.member("b", fixture)
    try fixture.turn(3)
    for peer in [typingEntry, second, other] { _ = try Rooms.heard(fixture, peer) }
    try fixture.say(
      Rooms.message("typing_indicator", #"{"room":"r","is_typing":true}"#), typingEntry)
    try fixture.turn(4)
    #expect(try Rooms.heard(fixture, other) == ["true"])
    // Sent again, it lasts five seconds from then on.
    try fixture.pass(milliseconds: 3_000)
    try fixture.say(
      Rooms.message("typing_indicator", #"{"room":"r","is_typing":true}"#), typingEntry)
    try fixture.turn(4)
    try fixture.pass(milliseconds: 4_000)
    let between = try Rooms.heard(fixture, other)
    #expect(between == [])
    try fixture.pass(milliseconds: 1_000)
    #expect(try Rooms.heard(fixture, other) == ["false"])
    #expect(try Rooms.heard(fixture, typingEntry) == [])
    #expect(try Rooms.heard(fixture, second) == [])
    #expect(fixture.shard.typingEntryCount == 0)
  }

  @Test func `a member that goes stops typing`() throws {
    let fixture = try ShardFixture()
    let typingEntry = try Rooms.member("a", fixture)
    let other = try Rooms.member("b", fixture)
    try fixture.turn(3)
    _ = try Rooms.heard(fixture, other)
    try fixture.say(
      Rooms.message("typing_indicator", #"{"room":"r","is_typing":true}"#), typingEntry)
    try fixture.turn(4)
    typingEntry.connection.end()
    try fixture.turn(4)
    #expect(try Rooms.heard(fixture, other) == ["true"])
    // A second after the start.
    try fixture.pass(milliseconds: 1_000)
    #expect(try Rooms.heard(fixture, other) == ["false"])
  }

  @Test func `18,000 toggles a second cost each other member two messages`() throws {
    let fixture = try ShardFixture()
    let typing = try Rooms.member("typing", fixture)
    let others = try (0..<20).map { try Rooms.member("m\($0)", fixture) }
    try fixture.turn(3)
    for other in others { _ = try fixture.frames(of: other) }
    for number in 1...18_000 {
      typing.connection.setTyping(!number.isMultiple(of: 2), in: "r")
      if number.isMultiple(of: 1_000) { try fixture.turn(2) }
    }
    try fixture.pass(milliseconds: 1_000)
    for other in others {
      #expect(try Rooms.heard(fixture, other) == ["true", "false"])
      #expect(other.connection.state == .session)
    }
  }

  @Test func `typing in a room without being in it is an error, and the connection stays`() throws {
    let fixture = try ShardFixture()
    let peer = try Rooms.member("a", fixture)
    try fixture.say(Rooms.message("typing_indicator", #"{"room":"s","is_typing":true}"#), peer)
    try fixture.say(Rooms.message("leave_room", #"{"room":"s"}"#), peer)
    try fixture.turn(3)
    let frames = try fixture.frames(of: peer)
    #expect(frames.count == 2 && frames.allSatisfy { $0.contains(#""code":"not_in_room""#) })
    #expect(peer.connection.state == .session)
  }

  @Test func `others get a user's arrival, status and absence of three seconds`() throws {
    let fixture = try ShardFixture()
    let other = try Rooms.member("b", fixture)
    let stranger = try Rooms.member("c", of: "s", fixture)
    try fixture.turn(3)
    _ = try Rooms.heard(fixture, other)
    let peer = try Rooms.member("a", fixture)
    try fixture.turn(3)
    #expect(try Rooms.heard(fixture, other) == ["online"])
    try fixture.pass(milliseconds: 1_000)
    try fixture.say(Rooms.message("presence_update", #"{"status":"away"}"#), peer)
    try fixture.turn(3)
    #expect(try Rooms.heard(fixture, other) == ["away"])
    let late = try Rooms.member("d", fixture)
    try fixture.turn(3)
    #expect(try Rooms.heard(fixture, late) == [])
    _ = try Rooms.heard(fixture, other)
    peer.connection.end()
    try fixture.pass(milliseconds: 2_900)
    #expect(try Rooms.heard(fixture, other) == [])
    try fixture.pass(milliseconds: 200)
    #expect(try Rooms.heard(fixture, other) == ["offline"])
    #expect(try Rooms.heard(fixture, stranger) == [])
  }

  @Test func `a new member gets the statuses that differ from online`() throws {
    let fixture = try ShardFixture()
    let peer = try Rooms.member("a", fixture)
    try fixture.pass(milliseconds: 1_000)
    try fixture.say(Rooms.message("presence_update", #"{"status":"busy"}"#), peer)
    try fixture.turn(3)
    let late = try fixture.session("b", path: Rooms.path)
    try fixture.say(Rooms.message("join_room", #"{"room":"r"}"#), late)
    try fixture.turn(4)
    let frames = try fixture.frames(of: late)
    #expect(frames.first?.contains(#""members":["a","b"]"#) == true)
    #expect(frames.last?.contains(#""data":{"user_id":"a","status":"busy"}"#) == true)
  }

  @Test func `in a room over the presence limit no typing and no presence are sent`() throws {
    let fixture = try ShardFixture { $0.limits.presenceMembersLimit = 2 }
    let first = try Rooms.member("a", fixture)
    let second = try Rooms.member("b", fixture)
    try fixture.turn(3)
    #expect(try Rooms.heard(fixture, first) == ["online"])
    let third = try Rooms.member("c", fixture)
    try fixture.say(Rooms.message("typing_indicator", #"{"room":"r","is_typing":true}"#), second)
    try fixture.pass(milliseconds: 1_000)
    try fixture.say(Rooms.message("presence_update", #"{"status":"away"}"#), second)
    try fixture.turn(3)
    #expect(try Rooms.heard(fixture, first) == [])
    #expect(fixture.core.metrics[0].value(.presenceDropped) == 3)
    // A new member still gets the statuses.
    let fourth = try fixture.session("d", path: Rooms.path)
    try fixture.say(Rooms.message("join_room", #"{"room":"r"}"#), fourth)
    #expect(try fixture.frames(of: fourth).last?.contains(#""status":"away""#) == true)
    #expect(third.connection.state == .session)
  }

  @Test func `a user that shares two rooms with another gets one presence update`() throws {
    let fixture = try ShardFixture()
    let other = try Rooms.member("b", fixture)
    let third = try Rooms.member("c", of: "s", fixture)
    let peer = try Rooms.member("a", fixture)
    for each in [other, peer] {
      try fixture.say(Rooms.message("join_room", #"{"room":"s"}"#), each)
    }
    try fixture.turn(3)
    for each in [other, third] { _ = try Rooms.heard(fixture, each) }
    try fixture.pass(milliseconds: 1_000)
    try fixture.say(Rooms.message("presence_update", #"{"status":"busy"}"#), peer)
    try fixture.turn(3)
    #expect(try Rooms.heard(fixture, other) == ["busy"])
    #expect(try Rooms.heard(fixture, third) == ["busy"])
  }

  @Test func `a flickering status is sent once a second`() throws {
    let fixture = try ShardFixture()
    let other = try Rooms.member("b", fixture)
    let peer = try Rooms.member("a", fixture)
    try fixture.turn(3)
    _ = try Rooms.heard(fixture, other)
    try fixture.pass(milliseconds: 1_000)
    for status in ["away", "busy", "online", "busy"] {
      try fixture.say(Rooms.message("presence_update", #"{"status":"\#(status)"}"#), peer)
    }
    #expect(try Rooms.heard(fixture, other) == ["away"])
    try fixture.pass(milliseconds: 1_000)
    #expect(try Rooms.heard(fixture, other) == ["busy"])
    try fixture.pass(milliseconds: 5_000)
    #expect(try Rooms.heard(fixture, other) == [])
  }

  @Test func `a page that reloads sends no presence update`() throws {
    let fixture = try ShardFixture()
    let other = try Rooms.member("b", fixture)
    let peer = try Rooms.member("a", fixture)
    try fixture.turn(3)
    _ = try Rooms.heard(fixture, other)
    peer.connection.end()
    try fixture.pass(milliseconds: 1_000)
    let again = try Rooms.member("a", fixture)
    try fixture.pass(milliseconds: 10_000)
    #expect(again.connection.state == .session)
    let told = try Rooms.heard(fixture, other).filter { $0 != "ping" }
    #expect(told == [])
  }

  @Test(arguments: [true, false])
  func `a member that entered during another's reload sees it return`(isRoomEmpty: Bool) throws {
    let fixture = try ShardFixture()
    let early = try isRoomEmpty ? nil : Rooms.member("c", fixture)
    let peer = try Rooms.member("a", fixture)
    try fixture.pass(milliseconds: 1_000)
    try fixture.say(Rooms.message("presence_update", #"{"status":"away"}"#), peer)
    try fixture.turn(3)
    if let early { _ = try Rooms.heard(fixture, early) }
    peer.connection.end()
    try fixture.pass(milliseconds: 1_000)
    let entering = try fixture.session("b", path: Rooms.path)
    try fixture.say(Rooms.message("join_room", #"{"room":"r"}"#), entering)
    #expect(try !fixture.frames(of: entering).contains { $0.contains(#""a""#) })
    let again = try Rooms.member("a", fixture)
    try fixture.turn(3)
    #expect(try Rooms.heard(fixture, entering) == ["away"])
    // A member that enters later is listed its status, too.
    let late = try fixture.session("d", path: Rooms.path)
    _ = try fixture.frames(of: late)
    try fixture.say(Rooms.message("join_room", #"{"room":"r"}"#), late)
    var frames: [String] = []
    try fixture.turn(until: {
      frames += (try? fixture.frames(of: late)) ?? []
      return frames.contains { $0.contains("room_joined") }
    })
    frames += try fixture.frames(of: late)
    #expect(frames.contains { $0.contains(#""away""#) }, "\(frames)")
    #expect(again.connection.state == .session)
  }
}
