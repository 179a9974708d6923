// Users in namespaces of Socket.IO on one shard: let in by their tokens, recovered by what they
// were told, let go where they are taken up elsewhere, and forgotten when they leave.

import Notifications
import Testing
import Tokens
import Wire

@testable import Server

@Suite("Socket.IO 5: users and their recovery")
struct SocketIORecoveryTests {
  static let path = SocketIODialect.servedAt
  static let space = "/notifications"

  /// A client over a WebSocket that says `packet` first.
  static func open(
    _ fixture: ShardFixture, saying packet: String
  ) throws -> (peer: TestPeer, sid: String) {
    let peer = try fixture.webSocket(path)
    let sid = try fixture.takeOpening(of: peer)
    peer.say(packet)
    return (peer, sid)
  }

  static func connecting(_ user: String, seconds: Int64 = 86_400, more: String = "") -> String {
    #"40/notifications,{"token":"\#(ShardFixture.token(user, seconds: seconds))"\#(more)}"#
  }

  /// What stands behind a name in a packet.
  static func member(_ name: String, of packet: String) throws -> String {
    try #require(members(name, of: [packet]).first, "\(packet)")
  }

  /// What stands behind it in those packets that have it.
  static func members(_ name: String, of packets: [String]) -> [String] {
    packets.compactMap { packet in
      packet.firstRange(of: "\"\(name)\":\"").map { mark in
        String(packet[mark.upperBound...].prefix { $0 != "\"" })
      }
    }
  }

  /// Answers the question by which a session learns where it begins.
  static func answerPosition(_ offset: UInt64, _ fixture: ShardFixture) throws {
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    guard case .position = fixture.store.reads[0].query else {
      Issue.record("\(fixture.store.reads[0].query)")
      return
    }
    // Everything up to there has come out of the ring.
    fixture.shard.advanceAppliedOffset(to: offset)
    try fixture.store.answer(.position(offset, ReplaySessionTests.counts(offset)))
  }

  /// A user who has just come, with what it is to recover by.
  static func connected(
    _ user: String, _ fixture: ShardFixture, at offset: UInt64 = 5
  ) throws -> (peer: TestPeer, sid: String, pid: String) {
    let (peer, sid) = try open(fixture, saying: connecting(user))
    try answerPosition(offset, fixture)
    let packets = try fixture.frames(2, of: peer)
    #expect(packets[1] == #"42/notifications,["unread_count",{"count":0}]"#)
    return (peer, sid, try member("pid", of: packets[0]))
  }

  /// One that comes back with what it was told, as far as the store's being asked for its rooms.
  static func returning(
    _ user: String, _ pid: String, offset: String? = nil, _ fixture: ShardFixture
  ) throws -> (peer: TestPeer, sid: String) {
    let heard = offset.map { #","offset":"\#($0)""# } ?? ""
    let known = #","pid":"\#(pid)"\#(heard)"#
    return try open(fixture, saying: connecting(user, more: known))
  }

  /// Answers what a client that comes back has asked of the store: its rooms.
  static func answerRooms(_ rooms: [RoomName], _ fixture: ShardFixture) throws {
    try fixture.turn(until: { !fixture.store.commands.isEmpty })
    try fixture.store.answer(.saved)
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    guard case .keptRooms = fixture.store.reads[0].query else {
      Issue.record("\(fixture.store.reads[0].query)")
      return
    }
    try fixture.store.answer(.keptRooms(rooms))
  }

  @Test func `a user is let in by its token, and hears what is its own`() throws {
    let fixture = try ShardFixture.engine()
    let (peer, sid, _) = try Self.connected("u", fixture)
    #expect(fixture.shard.sessionCount == 1)
    try fixture.publish(ReplaySessionTests.stored(6))
    let packets = try fixture.frames(2, of: peer)
    #expect(packets[0].hasPrefix(#"42/notifications,["notification",{"#))
    #expect(packets[0].hasSuffix(#","test.6"]"#))
    peer.say("1")
    try fixture.turn(until: { fixture.engineSession(sid) == nil })
    peer.leave()
    try fixture.expectEmpty()
  }

  @Test(arguments: ["", #"{"token":"no.good.one"}"#, "{}", #"{"token":7}"#])
  func `whoever shows no good token is refused, and is nobody`(payload: String) throws {
    let fixture = try ShardFixture.engine()
    let (peer, sid) = try Self.open(fixture, saying: "40/notifications," + payload)
    let refusal = #"44/notifications,{"message":"unauthorized"}"#
    #expect(try fixture.frames(1, of: peer) == [refusal])
    #expect(fixture.shard.sessionCount == 0 && fixture.store.reads.isEmpty)
    #expect(try SocketIONamespaceTests.session(sid, fixture).namespaces == [])
    peer.say(Self.connecting("u"))
    try Self.answerPosition(5, fixture)
    #expect(try fixture.frames(2, of: peer)[0].hasPrefix("40/notifications,"))
  }

  @Test func `a token that ends ends the namespace, and the connection stays`() throws {
    let fixture = try ShardFixture.engine { _ in
    } settings: {
      $0.pingIntervalMilliseconds = 600_000
    }
    let (peer, sid) = try Self.open(fixture, saying: Self.connecting("u", seconds: 10))
    try Self.answerPosition(5, fixture)
    _ = try fixture.frames(2, of: peer)
    let leeway = UInt64(fixture.core.configuration.tokenPolicy.leewaySeconds) * 1_000
    try fixture.pass(milliseconds: 9_000 + leeway)
    #expect(try fixture.frames(of: peer).isEmpty)
    try fixture.pass(milliseconds: 1_000)
    #expect(try fixture.frames(1, of: peer) == ["41/notifications,"])
    #expect(fixture.shard.sessionCount == 0)
    #expect(fixture.engineSession(sid) != nil)
    try fixture.publish(ReplaySessionTests.stored(6))
    try fixture.turn(3)
    #expect(try fixture.frames(of: peer).isEmpty)
  }

  @Test func `a further namespace has a slot of its own, given back when it is left`() throws {
    let fixture = try ShardFixture.engine()
    let (peer, sid, _) = try Self.connected("u", fixture)
    let before = fixture.shard.connectionCount
    peer.say(#"40{"token":"\#(ShardFixture.token("v"))"}"#)
    try Self.answerPosition(5, fixture)
    #expect(try fixture.frames(2, of: peer)[0].hasPrefix("40{"))
    #expect(fixture.shard.connectionCount == before + 1)
    // The one who came second is left, then the one whose place is the connection's own.
    peer.say("41")
    try fixture.turn(until: { fixture.shard.connectionCount == before })
    #expect(fixture.shard.sessionCount == 1)
    peer.say("41/notifications,")
    try fixture.turn(until: { fixture.shard.sessionCount == 0 })
    #expect(fixture.engineSession(sid) != nil && fixture.shard.connectionCount == before)
    peer.leave()
    try fixture.expectEmpty()
  }

  // MARK: Recovery

  @Test func `whoever comes back is told so first, then what it missed, then what is new`() throws {
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Self.connected("u", fixture)
    first.leave()
    try fixture.turn(until: { fixture.engineSession(firstSID) == nil })
    try fixture.expectEmpty()
    try fixture.publish(ReplaySessionTests.stored(6))
    try fixture.publish(ReplaySessionTests.stored(7))
    let (peer, _) = try Self.returning("u", pid, offset: "test.6", fixture)
    try Self.answerRooms([], fixture)
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    guard case .missed("u", after: 6, _) = fixture.store.reads[0].query else {
      Issue.record("\(fixture.store.reads[0].query)")
      return
    }
    #expect(try fixture.frames(of: peer).isEmpty, "nothing overtakes the answer to CONNECT")
    try fixture.store.answer(ReplaySessionTests.page([7], through: 7))
    try fixture.publish(ReplaySessionTests.stored(8))
    let packets = try fixture.frames(5, of: peer)
    #expect(try Self.member("pid", of: packets[0]) == pid)
    #expect(Self.members("title", of: packets) == ["n7", "n8"], "\(packets)")
  }

  @Test func `who had heard nothing goes on from where it began, and again, twice`() throws {
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Self.connected("u", fixture)
    first.leave()
    try fixture.turn(until: { fixture.engineSession(firstSID) == nil })
    for _ in 0..<2 {
      let (peer, sid) = try Self.returning("u", pid, fixture)
      try Self.answerRooms([], fixture)
      try fixture.turn(until: { !fixture.store.reads.isEmpty })
      guard case .missed("u", after: 5, _) = fixture.store.reads[0].query else {
        Issue.record("\(fixture.store.reads[0].query)")
        return
      }
      try fixture.store.answer(ReplaySessionTests.page([], through: 5))
      #expect(try Self.member("pid", of: try fixture.frames(1, of: peer)[0]) == pid)
      peer.leave()
      try fixture.turn(until: { fixture.engineSession(sid) == nil })
    }
    try fixture.expectEmpty()
  }

  @Test func `it is in its rooms again before it is told so, and they are kept when it goes`()
    throws
  {
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Self.connected("u", fixture)
    first.say(#"42/notifications,["join_room",{"room":"r"}]"#)
    #expect(try fixture.frames(1, of: first)[0].contains("room_joined"))
    // Noted at once, so that it is known after a crash.
    guard case .keepRooms(_, "u", ["r"], nil)? = fixture.store.commands.first?.command else {
      Issue.record("\(fixture.store.commands.map(\.command))")
      return
    }
    try fixture.store.answer(.saved)
    first.leave()
    try fixture.turn(until: { fixture.engineSession(firstSID) == nil })
    guard case .keepRooms(_, "u", ["r"], let end?)? = fixture.store.commands.first?.command else {
      Issue.record("\(fixture.store.commands.map(\.command))")
      return
    }
    #expect(end == fixture.shard.wallMilliseconds + 24 * 60 * 60 * 1_000)
    try fixture.store.answer(.saved)
    let (peer, _) = try Self.returning("u", pid, offset: "test.5", fixture)
    try Self.answerRooms(["r"], fixture)
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    #expect(fixture.shard.localRooms.count == 1, "before it is told")
    // In the room and not greeted: what is said there now is not for it yet.
    try fixture.publish(RoomSessionTests.said("too early"))
    try fixture.turn(3)
    #expect(try fixture.frames(of: peer).isEmpty)
    try fixture.store.answer(ReplaySessionTests.page([], through: 5))
    #expect(try fixture.frames(2, of: peer)[0].hasPrefix("40/notifications,{"))
    // No longer for a while only.
    guard case .keepRooms(_, "u", ["r"], nil)? = fixture.store.commands.last?.command else {
      Issue.record("\(fixture.store.commands.map(\.command))")
      return
    }
    try fixture.publish(RoomSessionTests.said("hello"))
    #expect(try fixture.frames(1, of: peer)[0].contains("hello"))
    peer.leave()
    try fixture.expectEmpty()
  }

  @Test func `who leaves by itself is forgotten, rooms and all`() throws {
    let fixture = try ShardFixture.engine()
    let (peer, _, _) = try Self.connected("u", fixture)
    peer.say(#"42/notifications,["join_room",{"room":"r"}]"#)
    _ = try fixture.frames(1, of: peer)
    try fixture.store.answer(.saved)
    peer.say("41/notifications,")
    try fixture.turn(until: { fixture.shard.sessionCount == 0 })
    guard case .keepRooms(_, "u", [], nil)? = fixture.store.commands.first?.command else {
      Issue.record("\(fixture.store.commands.map(\.command))")
      return
    }
    #expect(fixture.store.commands.count == 1 && fixture.shard.localRooms.isEmpty)
  }

  @Test func `another user's words recover nothing, nor do words that were never told`() throws {
    let fixture = try ShardFixture.engine()
    let (first, _, pid) = try Self.connected("u", fixture)
    let changed = (pid.hasPrefix("A") ? "B" : "A") + pid.dropFirst()
    for (user, words) in [("v", pid), ("u", changed), ("u", "nonsense"), ("u", "..")] {
      let (peer, _) = try Self.returning(user, words, offset: "test.5", fixture)
      try Self.answerPosition(6, fixture)
      #expect(fixture.store.commands.isEmpty, "no rooms are asked for")
      let told = try Self.member("pid", of: try fixture.frames(2, of: peer)[0])
      #expect(told != pid && told != words)
      peer.leave()
    }
    #expect(first.connection.state == .session)
  }

  @Test func `what cannot be proven begins anew, without the rooms`() throws {
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Self.connected("u", fixture)
    first.leave()
    try fixture.turn(until: { fixture.engineSession(firstSID) == nil })
    let (peer, _) = try Self.returning("u", pid, offset: "another.5", fixture)
    try Self.answerRooms(["r"], fixture)
    try Self.answerPosition(9, fixture)
    let packets = try fixture.frames(2, of: peer)
    #expect(try Self.member("pid", of: packets[0]) != pid)
    #expect(fixture.shard.localRooms.isEmpty)
  }

  @Test func `who comes back elsewhere leaves where it was, and keeps what it has`() throws {
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Self.connected("u", fixture)
    let (other, otherSID, _) = try Self.connected("u", fixture)
    let (peer, sid) = try Self.returning("u", pid, offset: "test.5", fixture)
    try Self.answerRooms([], fixture)
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    #expect(fixture.engineSession(firstSID) != nil, "not before the other one is there")
    try fixture.store.answer(ReplaySessionTests.page([], through: 5))
    #expect(try fixture.frames(1, of: first) == ["close 1001"])
    #expect(fixture.engineSession(firstSID) == nil)
    #expect(fixture.engineSession(otherSID) != nil && fixture.engineSession(sid) != nil)
    #expect(fixture.shard.sessionCount == 2)
    for each in [first, other, peer] { each.leave() }
    try fixture.pass(milliseconds: 30_000)
    try fixture.expectEmpty()
  }

  @Test func `what a client said where it was before does not end where it is now`() throws {
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Self.connected("u", fixture)
    first.leave()
    try fixture.turn(until: { fixture.engineSession(firstSID) == nil })
    var opened: [(peer: TestPeer, sid: String)] = []
    for _ in 0..<2 {
      let peer = try fixture.webSocket(Self.path)
      opened.append((peer, try fixture.takeOpening(of: peer)))
      try fixture.pass(milliseconds: 1)
    }
    func comeBack(_ peer: TestPeer) throws {
      peer.say(Self.connecting("u", more: #","pid":"\#(pid)","offset":"test.5""#))
      try Self.answerRooms(["r"], fixture)
      try fixture.turn(until: { !fixture.store.reads.isEmpty })
      try fixture.store.answer(ReplaySessionTests.page([], through: 5))
      #expect(try fixture.frames(2, of: peer)[0].hasPrefix("40/notifications,{"))
    }
    // It gave the first up and went on with the second; the first's words are taken up last.
    try comeBack(opened[1].peer)
    opened[1].peer.say(#"42/notifications,["leave_room",{"room":"r"}]"#)
    _ = try fixture.frames(1, of: opened[1].peer)
    while !fixture.store.commands.isEmpty { try fixture.store.answer(.saved) }
    try comeBack(opened[0].peer)
    try fixture.turn(until: { fixture.engineSession(opened[0].sid) == nil })
    #expect(fixture.engineSession(opened[1].sid) != nil)
    #expect(fixture.shard.sessionCount == 1)
    guard case .keepRooms(_, "u", [], nil)? = fixture.store.commands.last?.command else {
      Issue.record("\(fixture.store.commands.map(\.command))")
      return
    }
    try fixture.publish(ReplaySessionTests.stored(6))
    #expect(Self.members("title", of: try fixture.frames(2, of: opened[1].peer)) == ["n6"])
    for (peer, _) in opened { peer.leave() }
    try fixture.pass(milliseconds: 30_000)
    try fixture.expectEmpty()
  }

  @Test func `who goes while the store is asked leaves nothing, least of all to the next`() throws {
    let fixture = try ShardFixture.engine()
    var pids: [String] = []
    for user in ["u", "v"] {
      let (peer, sid, pid) = try Self.connected(user, fixture)
      peer.leave()
      try fixture.turn(until: { fixture.engineSession(sid) == nil })
      pids.append(pid)
    }
    try fixture.expectEmpty()
    let (peer, sid) = try Self.returning("u", pids[0], offset: "test.5", fixture)
    try fixture.turn(until: { !fixture.store.commands.isEmpty })
    peer.leave()
    try fixture.turn(until: { fixture.engineSession(sid) == nil })
    // Another one has its place by now, and waits for its own rooms.
    let (next, _) = try Self.returning("v", pids[1], offset: "test.5", fixture)
    try #require(next.connection.slot == peer.connection.slot)
    try fixture.turn(until: { fixture.store.commands.count == 2 })
    try Self.answerRooms(["r"], fixture)
    try fixture.turn(3)
    #expect(fixture.shard.localRooms.isEmpty && fixture.store.reads.isEmpty)
    try Self.answerRooms(["s"], fixture)
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    try fixture.store.answer(ReplaySessionTests.page([], through: 5))
    #expect(try Self.member("pid", of: try fixture.frames(2, of: next)[0]) == pids[1])
    #expect(fixture.shard.localRooms == ["s"])
    next.leave()
    try fixture.expectEmpty()
  }

  @Test func `a store that takes no more sends whoever comes back away, to try again`() throws {
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Self.connected("u", fixture)
    first.leave()
    try fixture.turn(until: { fixture.engineSession(firstSID) == nil })
    fixture.store.isFull = true
    let (peer, _) = try Self.returning("u", pid, offset: "test.5", fixture)
    #expect(try fixture.frames(1, of: peer) == ["close 1013"])
    peer.leave()
    try fixture.expectEmpty()
  }

  @Test func `a user's notifications follow it from polling to its WebSocket`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture, Self.path)
    try poller.post(Self.connecting("u"))
    try Self.answerPosition(5, fixture)
    try fixture.turn(2)
    _ = try poller.packets()
    try fixture.publish(ReplaySessionTests.stored(6))
    let peer = try EngineUpgradeTests.probe(poller)
    try fixture.publish(ReplaySessionTests.stored(7))
    peer.say("5")
    try fixture.turn(2)
    try fixture.publish(ReplaySessionTests.stored(8))
    let packets = try fixture.frames(6, of: peer)
    #expect(Self.members("title", of: packets) == ["n6", "n7", "n8"], "\(packets)")
    peer.leave()
    poller.leave()
    try fixture.expectEmpty()
  }
}
