// Users in namespaces of Socket.IO on one shard: admitted by their tokens, recovered by the pid and
// offset they present, closed where they reconnect elsewhere, and removed when they leave.

import Notifications
import Testing
import Tokens
import Wire

@testable import Server

@Suite("Socket.IO 5: users and their recovery")
struct SocketIORecoveryTests {
  static let path = SocketIODialect.servedAt
  static let space = "/notifications"

  /// A client over a WebSocket that sends `packet` first.
  static func open(
    _ fixture: ShardFixture, saying packet: String
  ) throws -> (peer: TestPeer, sid: String) {
    let peer = try fixture.webSocket(path)
    let sid = try fixture.takeOpening(of: peer)
    peer.say(packet)
    return (peer, sid)
  }

  /// A CONNECT that asks for cursors from now on, or with `since` nil for none.
  static func connecting(
    _ user: String, seconds: Int64 = 86_400, since: String? = "", more: String = ""
  ) -> String {
    let asked = since.map { #","since":"\#($0)""# } ?? ""
    let token = ShardFixture.token(user, seconds: seconds)
    return #"40/notifications,{"token":"\#(token)"\#(asked)\#(more)}"#
  }

  /// The text value of a member in a packet.
  static func member(_ name: String, of packet: String) throws -> String {
    try #require(members(name, of: [packet]).first, "\(packet)")
  }

  /// The text values of a member in the packets that have it.
  static func members(_ name: String, of packets: [String]) -> [String] {
    packets.compactMap { packet in
      packet.firstRange(of: "\"\(name)\":\"").map { mark in
        String(packet[mark.upperBound...].prefix { $0 != "\"" })
      }
    }
  }

  /// Answers the query by which a session learns its first offset.
  static func answerPosition(_ offset: UInt64, _ fixture: ShardFixture) throws {
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    guard case .position = fixture.store.reads[0].query else {
      Issue.record("\(fixture.store.reads[0].query)")
      return
    }
    // The ring has brought every event up to there.
    fixture.shard.advanceAppliedOffset(to: offset)
    try fixture.store.answer(.position(offset, ReplaySessionTests.counts(offset)))
  }

  @Test func `a user is admitted by its token and receives its own notifications`() throws {
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
  func `a client without a valid token is refused and has no session`(payload: String) throws {
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

  @Test func `an expired token ends the namespace, and the connection stays`() throws {
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

  @Test func `a secondary namespace has its own slot, freed when it is left`() throws {
    let fixture = try ShardFixture.engine()
    let (peer, sid, _) = try Self.connected("u", fixture)
    let before = fixture.shard.connectionCount
    peer.say(#"40{"token":"\#(ShardFixture.token("v"))","since":""}"#)
    try Self.answerPosition(5, fixture)
    #expect(try fixture.frames(2, of: peer)[0].hasPrefix("40{"))
    #expect(fixture.shard.connectionCount == before + 1)
    // The secondary namespace is left first, then the one in the connection's own slot.
    peer.say("41")
    try fixture.turn(until: { fixture.shard.connectionCount == before })
    #expect(fixture.shard.sessionCount == 1)
    peer.say("41/notifications,")
    try fixture.turn(until: { fixture.shard.sessionCount == 0 })
    #expect(fixture.engineSession(sid) != nil && fixture.shard.connectionCount == before)
    peer.leave()
    try fixture.expectEmpty()
  }

  // The charge of its pages stayed until the session's end.
  @Test func `the pages of a secondary namespace are released once they are sent`() throws {
    let fixture = try ShardFixture.engine()
    let (peer, _, _) = try Self.connected("u", fixture)
    try fixture.publish(ReplaySessionTests.stored(405))
    try fixture.turn(3)
    fixture.script.room[peer.serverDescriptor] = 1_000
    peer.say(#"40{"token":"\#(ShardFixture.token("v"))","since":"test.5"}"#)
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    try fixture.store.answer(ReplaySessionTests.page(Array(6...405), through: 405))
    try fixture.turn(3)
    #expect(fixture.shard.pageByteCount > 0)
    fixture.script.room[peer.serverDescriptor] = nil
    try fixture.turn(until: {
      peer.receive()
      return !peer.connection.isBlocked
    })
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    #expect(fixture.shard.pageByteCount == SessionReads.missedBytesLimit, "for the next page")
    try fixture.store.answer(ReplaySessionTests.page([], through: 405))
    try fixture.turn(3)
    #expect(fixture.shard.pageByteCount == 0 && fixture.store.reads.isEmpty)
    #expect(fixture.shard.sessionCount == 2)
  }

  // MARK: Recovery

  @Test func `a reconnecting client gets CONNECT, then missed, then new notifications`() throws {
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

  @Test func `a client that had received nothing resumes from its first offset, twice`() throws {
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

  @Test func `a recovered client is in its rooms before CONNECT, and they are kept when it goes`()
    throws
  {
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Self.connected("u", fixture)
    first.say(#"42/notifications,["join_room",{"room":"r"}]"#)
    #expect(try fixture.frames(1, of: first)[0].contains("room_joined"))
    // Stored at once, so that the rooms survive a crash.
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
    #expect(fixture.shard.localRooms.count == 1, "in the room before the answer to CONNECT")
    // In the room with its handshake pending: a message sent there now is not for it yet.
    try fixture.publish(RoomSessionTests.said("too early"))
    try fixture.turn(3)
    #expect(try fixture.frames(of: peer).isEmpty)
    try fixture.store.answer(ReplaySessionTests.page([], through: 5))
    #expect(try fixture.frames(2, of: peer)[0].hasPrefix("40/notifications,{"))
    // The stored rooms do not expire any more.
    guard case .keepRooms(_, "u", ["r"], nil)? = fixture.store.commands.last?.command else {
      Issue.record("\(fixture.store.commands.map(\.command))")
      return
    }
    try fixture.publish(RoomSessionTests.said("hello"))
    #expect(try fixture.frames(1, of: peer)[0].contains("hello"))
    peer.leave()
    try fixture.expectEmpty()
  }

  @Test func `a client that leaves the namespace is removed with its rooms`() throws {
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

  @Test func `a pid of another user or an invalid one recovers nothing`() throws {
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

  @Test func `a client whose pid is of another epoch starts fresh, without its rooms`() throws {
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Self.connected("u", fixture)
    first.leave()
    try fixture.turn(until: { fixture.engineSession(firstSID) == nil })
    #expect(pid.hasSuffix(".test.5"))
    let old = pid.dropLast("test.5".count) + "another.5"
    let (peer, _) = try Self.returning("u", String(old), offset: "another.7", fixture)
    try Self.answerRooms(["r"], fixture)
    try Self.answerPosition(9, fixture)
    let packets = try fixture.frames(3, of: peer)
    #expect(try Self.member("pid", of: packets[0]).hasSuffix(".test.9"))
    #expect(packets[2] == #"42/notifications,["resync",{"cursor":"test.9"},"test.9"]"#)
    #expect(fixture.shard.localRooms.isEmpty)
  }

  @Test(arguments: ["ping", "0", "", "test.", "test.4", "another.9", "test.99999999999999999999"])
  func `an offset that is no position of the session counts as absent`(offset: String) throws {
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Self.connected("u", fixture)
    first.leave()
    try fixture.turn(until: { fixture.engineSession(firstSID) == nil })
    let (peer, _) = try Self.returning("u", pid, offset: offset, fixture)
    try Self.answerRooms([], fixture)
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    guard case .missed("u", after: 5, _) = fixture.store.reads[0].query else {
      Issue.record("\(fixture.store.reads[0].query)")
      return
    }
    fixture.shard.advanceAppliedOffset(to: 6)
    try fixture.store.answer(ReplaySessionTests.page([6], through: 6))
    let packets = try fixture.frames(3, of: peer)
    #expect(try Self.member("pid", of: packets[0]) == pid)
  }

  // MARK: Clients that did not ask

  @Test func `a client that did not ask has no pid and no further argument of any event`() throws {
    let fixture = try ShardFixture.engine()
    let (peer, _) = try Self.open(fixture, saying: Self.connecting("u", since: nil))
    try Self.answerPosition(5, fixture)
    let opening = try fixture.frames(2, of: peer)
    #expect(Self.members("sid", of: opening).count == 1 && Self.members("pid", of: opening) == [])
    try fixture.publish(ReplaySessionTests.stored(6))
    let packets = try fixture.frames(2, of: peer)
    #expect(packets[0].hasPrefix(#"42/notifications,["notification",{"#))
    #expect(packets[0].hasSuffix("}]"))
    peer.say(#"42/notifications,["ping"]"#)
    #expect(try fixture.frames(1, of: peer) == [#"42/notifications,["pong"]"#])
    try fixture.pass(milliseconds: ShardFixture.pingInterval)
    #expect(try fixture.frames(2, of: peer) == ["2", #"42/notifications,["ping"]"#])
    // Its rooms are not stored either, because it has no state to recover.
    peer.say(#"42/notifications,["join_room",{"room":"r"}]"#)
    _ = try fixture.frames(1, of: peer)
    #expect(fixture.store.commands.isEmpty)
  }

  @Test func `ping and pong carry the position of the last notification to that socket`() throws {
    let fixture = try ShardFixture.engine()
    let (peer, _, _) = try Self.connected("u", fixture)
    let (other, _) = try Self.open(fixture, saying: Self.connecting("u", since: "test.5"))
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    fixture.shard.advanceAppliedOffset(to: 7)
    try fixture.store.answer(ReplaySessionTests.page([6, 7], through: 7))
    // The answer to CONNECT, two notifications and the counts.
    #expect(try fixture.frames(4, of: other).count == 4)
    try fixture.pass(milliseconds: ShardFixture.pingInterval)
    #expect(try fixture.frames(2, of: peer) == ["2", #"42/notifications,["ping","test.5"]"#])
    #expect(try fixture.frames(2, of: other) == ["2", #"42/notifications,["ping","test.7"]"#])
    try fixture.publish(ReplaySessionTests.stored(9))
    for each in [peer, other] {
      #expect(try fixture.frames(2, of: each)[0].hasSuffix(#","test.9"]"#))
      each.say(#"42/notifications,["ping"]"#)
      #expect(try fixture.frames(1, of: each) == [#"42/notifications,["pong","test.9"]"#])
    }
  }

  @Test func `the client's query asks for each of its namespaces`() throws {
    let fixture = try ShardFixture.engine()
    let peer = try fixture.session(nil, path: "\(Self.path)?EIO=4&transport=websocket&since=")
    _ = try fixture.takeOpening(of: peer)
    let token = ShardFixture.token("u")
    for packet in [Self.connecting("u", since: nil), #"40{"token":"\#(token)"}"#] {
      peer.say(packet)
      try Self.answerPosition(5, fixture)
      #expect(try Self.member("pid", of: try fixture.frames(2, of: peer)[0]).hasSuffix(".test.5"))
    }
  }

  @Test func `a since of thousands of bytes is not kept, and proves no continuity`() throws {
    let fixture = try ShardFixture.engine()
    let long = String(repeating: "a", count: 3_000) + ".5"
    let peer = try fixture.session(
      nil, path: "\(Self.path)?EIO=4&transport=websocket&since=\(long)")
    let sid = try fixture.takeOpening(of: peer)
    let session = try SocketIONamespaceTests.session(sid, fixture)
    #expect((session.since?.utf8.count ?? .max) <= 64)
    peer.say(Self.connecting("u", since: nil))
    try Self.answerPosition(5, fixture)
    let packets = try fixture.frames(3, of: peer)
    #expect(packets[2] == #"42/notifications,["resync",{"cursor":"test.5"},"test.5"]"#)
  }

  @Test func `a client that reconnects leaves its old session and keeps its other ones`() throws {
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Self.connected("u", fixture)
    let (other, otherSID, _) = try Self.connected("u", fixture)
    let (peer, sid) = try Self.returning("u", pid, offset: "test.5", fixture)
    try Self.answerRooms([], fixture)
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    #expect(fixture.engineSession(firstSID) != nil, "not before the new session is connected")
    try fixture.store.answer(ReplaySessionTests.page([], through: 5))
    #expect(try fixture.frames(1, of: first) == ["close 1001"])
    #expect(fixture.engineSession(firstSID) == nil)
    #expect(fixture.engineSession(otherSID) != nil && fixture.engineSession(sid) != nil)
    #expect(fixture.shard.sessionCount == 2)
    for each in [first, other, peer] { each.leave() }
    try fixture.pass(milliseconds: 30_000)
    try fixture.expectEmpty()
  }

  @Test func `a late reconnect of an old connection does not end the newer one`() throws {
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
    // The client gave up the first connection and went on with the second; the shard reads the
    // first one's CONNECT last.
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

  @Test func `a client that goes during the store's read leaves nothing to the next in its slot`()
    throws
  {
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
    try Self.beginToReadRooms(fixture)
    peer.leave()
    try fixture.turn(until: { fixture.engineSession(sid) == nil })
    // Another client has its slot by now and waits for its own rooms.
    let (next, _) = try Self.returning("v", pids[1], offset: "test.5", fixture)
    try #require(next.connection.slot == peer.connection.slot)
    try fixture.turn(until: { !fixture.store.commands.isEmpty })
    try fixture.store.answer(.keptRooms(["r"]))
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

  @Test func `a reconnect while the store is full is closed with 1013 to try again`() throws {
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
