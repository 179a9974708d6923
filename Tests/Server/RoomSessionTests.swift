// Rooms on one shard: the recipients and the order of room messages, typing indicators and presence
// updates.

import Glibc
import Notifications
import Testing
import Tokens

@testable import Server

@Suite("Room sessions")
struct RoomSessionTests {
  static let path = "/ws/connect"

  static func said(_ text: String, in room: String = "r", except user: String? = nil) -> Event {
    Event(
      audience: .room(room, except: user),
      body: .room(
        RoomMessage(
          room: room, notificationType: "t", title: text, message: "",
          payload: Content.emptyObject)), timestamp: 0)
  }

  static func system(_ text: String) -> Event {
    Event(
      audience: .everyone,
      body: .system(
        SystemMessage(
          id: DialectTests.id, messageType: "t", title: text, message: "",
          payload: Content.emptyObject)), timestamp: 0)
  }

  static func own(_ text: String, _ user: String) -> Event {
    Event(
      audience: .user(user),
      body: .liveUpdate(LiveUpdate(updateType: text, payload: Content.emptyObject)), timestamp: 0)
  }

  static func message(_ type: String, _ data: String = "{}") -> String {
    #"{"type":"\#(type)","data":\#(data)}"#
  }

  static func member(
    _ user: String, of room: String = "r", _ fixture: ShardFixture
  ) throws -> TestPeer {
    let peer = try fixture.session(user, path: path)
    try fixture.say(message("join_room", #"{"room":"\#(room)"}"#), peer)
    var frames: [String] = []
    try fixture.turn(until: {
      frames += (try? fixture.frames(of: peer)) ?? []
      return frames.contains { $0.contains("room_joined") }
    })
    return peer
  }

  /// The messages that a peer received, each by its title, its type of update or its message type.
  static func heard(_ fixture: ShardFixture, _ peer: TestPeer) throws -> [String] {
    try fixture.frames(of: peer).map { frame in
      for mark in [
        #""title":""#, #""update_type":""#, #""status":""#, #""is_typing":"#, #""type":""#,
      ] {
        guard let found = frame.firstRange(of: mark) else { continue }
        return String(frame[found.upperBound...].prefix { !"\",}".contains($0) })
      }
      return frame
    }
  }

  @Test func `a room message reaches only its members, in order`() throws {
    let fixture = try ShardFixture()
    let inside = try Self.member("a", fixture)
    let both = try Self.member("b", fixture)
    try fixture.say(Self.message("join_room", #"{"room":"s"}"#), both)
    let outside = try fixture.session("c", path: Self.path)
    try fixture.turn(4)
    _ = try Self.heard(fixture, both)
    _ = try Self.heard(fixture, inside)
    // A room batch, interrupted by every kind of event that may come between.
    try fixture.publish(Self.said("1"))
    try fixture.publish(Self.said("2"))
    try fixture.publish(Self.own("3", "b"))
    try fixture.publish(Self.said("4"))
    try fixture.publish(Self.system("5"))
    try fixture.publish(Self.said("6"))
    try fixture.publish(Self.said("7", in: "s"))
    try fixture.publish(Self.said("8"))
    try fixture.publish(Self.said("9", except: "b"))
    try fixture.publish(Self.said("10"))
    try fixture.turn(4)
    #expect(try Self.heard(fixture, both) == ["1", "2", "3", "4", "5", "6", "7", "8", "10"])
    #expect(try Self.heard(fixture, inside) == ["1", "2", "4", "5", "6", "8", "9", "10"])
    #expect(try Self.heard(fixture, outside) == ["5"])
  }

  @Test func `a message that a socket takes only in part arrives whole and in order`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.member("a", fixture)
    let other = try Self.member("b", fixture)
    fixture.script.sends[peer.serverDescriptor] = [10, Int(-EAGAIN)]
    try fixture.publish(Self.said("1"))
    try fixture.publish(Self.said("2"))
    try fixture.turn()
    #expect(peer.connection.isBlocked)
    try fixture.publish(Self.said("3"))
    try fixture.publish(Self.system("4"))
    var heard: [String] = []
    try fixture.turn(until: {
      heard += (try? Self.heard(fixture, peer)) ?? []
      return heard.contains("4")
    })
    #expect(heard.filter { Int($0) != nil } == ["1", "2", "3", "4"])
    #expect(try Self.heard(fixture, other).filter { Int($0) != nil } == ["1", "2", "3", "4"])
  }

  @Test func `a member over the backlog limit is cut, and the others are not`() throws {
    let fixture = try ShardFixture { $0.limits.backlogBytesLimit = 4_096 }
    let slow = try Self.member("a", fixture)
    let healthy = try Self.member("b", fixture)
    fixture.script.room[slow.serverDescriptor] = 0
    var heard = 0
    for number in 0..<200 {
      try fixture.publish(Self.said("\(number)"))
      try fixture.turn()
      heard += try Self.heard(fixture, healthy).filter { Int($0) != nil }.count
    }
    #expect(heard == 200)
    #expect(slow.connection.state == .closing)
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 1)
    fixture.script.room[slow.serverDescriptor] = nil
    try fixture.turn(until: {
      slow.receive(); return slow.isEnded || slow.connection.state == .lingering
    })
    #expect(try fixture.frames(of: slow).last == "close 1013")
    #expect(fixture.shard.localMemberCount(of: "r") == 1)
  }

  @Test func `a member that left gets every message before and none after`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.member("a", fixture)
    try fixture.publish(Self.said("1"))
    try fixture.say(Self.message("leave_room", #"{"room":"r"}"#), peer)
    try fixture.turn(4)
    try fixture.publish(Self.said("2"))
    try fixture.turn(4)
    let heard = try Self.heard(fixture, peer)
    #expect(!heard.contains("2"))
    #expect(heard.last == "room_left")
    #expect(fixture.shard.localRooms.isEmpty)
    #expect(fixture.shard.rosters.isEmpty)
    #expect(!peer.connection.hasMembership)
  }

  @Test func `joining, leaving and joining at once ends in the room, once`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("a", path: Self.path)
    for type in ["join_room", "leave_room", "join_room", "join_room"] {
      try fixture.say(Self.message(type, #"{"room":"r"}"#), peer)
    }
    try fixture.turn(6)
    #expect(
      try Self.heard(fixture, peer) == ["room_joined", "room_left", "room_joined", "room_joined"])
    try fixture.publish(Self.said("1"))
    try fixture.turn(2)
    #expect(try Self.heard(fixture, peer) == ["1"])
    try fixture.say(Self.message("leave_room", #"{"room":"r"}"#), peer)
    try fixture.turn(3)
    #expect(fixture.shard.rosters.isEmpty)
  }

  @Test func `nothing is left of rooms after their last member`() throws {
    let fixture = try ShardFixture()
    for _ in 0..<3 {
      let peers = try (0..<8).map { number in
        try Self.member("u\(number / 2)", of: "r\(number % 3)", fixture)
      }
      peers[0].say(Self.message("leave_room", #"{"room":"r0"}"#))
      try fixture.turn(2)
      for peer in peers { peer.connection.end() }
      try fixture.turn(3)
    }
    #expect(fixture.shard.localRooms.isEmpty)
    #expect(fixture.shard.rosters.isEmpty)
    try fixture.pass(milliseconds: 4_000)
    #expect(fixture.shard.presenceEntryCount == 0)
    #expect(fixture.shard.typingEntryCount == 0)
  }
}

@Suite("Room policy and limits")
struct RoomPolicyTests {
  private static func claimed(_ configuration: inout Configuration) {
    configuration.roomPolicy = .claimed
  }

  private static func session(
    _ fixture: ShardFixture, rooms: [String], query: String = ""
  ) throws -> TestPeer {
    let now = ShardFixture.startWall / 1_000
    let token = TokenSigner.sign(
      userID: "a", rooms: rooms, issuedAtSeconds: now, expiresAtSeconds: now + 3_600,
      secret: ShardFixture.secret)
    let peer = try fixture.connect()
    peer.send(
      "GET /ws/connect\(query) HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        + "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer \(token)\r\n\r\n")
    try fixture.turn(until: { peer.receive().headEnd != nil })
    return peer
  }

  private static func frames(_ fixture: ShardFixture, _ peer: TestPeer) throws -> [String] {
    if let end = peer.received.headEnd { peer.received.removeFirst(end) }
    return try fixture.frames(of: peer)
  }

  @Test func `a token opens the rooms that it names, and a fresh one others`() throws {
    let fixture = try ShardFixture(Self.claimed)
    let peer = try Self.session(fixture, rooms: ["team:*"])
    _ = try Self.frames(fixture, peer)
    for room in ["team:1", "other"] {
      try fixture.say(RoomSessionTests.message("join_room", #"{"room":"\#(room)"}"#), peer)
    }
    try fixture.turn(4)
    let answers = try fixture.frames(of: peer)
    #expect(answers.contains { $0.contains("room_joined") && $0.contains("team:1") })
    #expect(answers.contains { $0.contains(#""code":"forbidden""#) })
    let now = ShardFixture.startWall / 1_000
    let fresh = TokenSigner.sign(
      userID: "a", rooms: ["other"], issuedAtSeconds: now, expiresAtSeconds: now + 3_600,
      secret: ShardFixture.secret)
    try fixture.say(#"{"type":"auth","token":"\#(fresh)"}"#, peer)
    try fixture.say(RoomSessionTests.message("join_room", #"{"room":"other"}"#), peer)
    try fixture.turn(4)
    let later = try fixture.frames(of: peer)
    #expect(later.contains { $0.contains("room_left") && $0.contains("team:1") })
    #expect(later.contains { $0.contains("room_joined") && $0.contains("other") })
    #expect(peer.connection.rooms == ["other"])
  }

  @Test func `rooms in the query are entered, or refused before the upgrade`() throws {
    let fixture = try ShardFixture(Self.claimed)
    let peer = try Self.session(fixture, rooms: ["r*"], query: "?rooms=r1,r2")
    try fixture.turn(4)
    #expect(peer.connection.rooms == ["r1", "r2"])
    let refused = try Self.session(fixture, rooms: ["r*"], query: "?rooms=r1,s")
    #expect(refused.received.text.hasPrefix("HTTP/1.1 403 "))
  }

  // Case 38
  @Test func `no more than 128 rooms in a query`() throws {
    let fixture = try ShardFixture()
    let names = (0..<129).map { "r\($0)" }
    let full = try Self.session(
      fixture, rooms: [], query: "?rooms=" + names.dropLast().joined(separator: ","))
    try fixture.turn(4)
    #expect(full.connection.rooms.count == 128)
    let over = try Self.session(fixture, rooms: [], query: "?rooms=" + names.joined(separator: ","))
    #expect(over.received.text.hasPrefix("HTTP/1.1 400 "))
    let empty = try Self.session(fixture, rooms: [], query: "?rooms=a,,b")
    #expect(empty.received.text.hasPrefix("HTTP/1.1 400 "))
  }

  // Case 38
  @Test
  func `a further room over a connection's limit is an error, and so is one over the server's`()
    throws
  {
    let fixture = try ShardFixture {
      $0.limits.roomsPerConnectionLimit = 2
      $0.limits.roomsLimit = 3
    }
    let first = try RoomSessionTests.member("a", of: "1", fixture)
    try fixture.say(RoomSessionTests.message("join_room", #"{"room":"2"}"#), first)
    try fixture.say(RoomSessionTests.message("join_room", #"{"room":"3"}"#), first)
    try fixture.turn(4)
    #expect(try fixture.frames(of: first).contains { $0.contains(#""code":"too_many_rooms""#) })
    #expect(fixture.shard.rosters.count == 2)
    let second = try RoomSessionTests.member("b", of: "3", fixture)
    try fixture.say(RoomSessionTests.message("join_room", #"{"room":"4"}"#), second)
    try fixture.turn(4)
    #expect(try fixture.frames(of: second).contains { $0.contains(#""code":"too_many_rooms""#) })
    #expect(second.connection.rooms == ["3"])
    #expect(fixture.shard.rosters.count == 3)
    #expect(fixture.core.metrics[0].value(.roomsRefused) == 2)
  }
}
