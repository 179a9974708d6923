// Namespaces, events, acknowledgements and attachments of Socket.IO 5 on one shard, turn by turn.

import Notifications
import Testing
import Wire

@testable import Server

@Suite("Socket.IO 5: namespaces")
struct SocketIONamespaceTests {
  static let path = "/namespaces/"

  /// A client over a WebSocket that has just connected.
  static func open(_ fixture: ShardFixture) throws -> (peer: TestPeer, sid: String) {
    let peer = try fixture.webSocket(path)
    return (peer, try fixture.takeOpening(of: peer))
  }

  /// A client in the main namespace.
  static func connected(_ fixture: ShardFixture) throws -> (peer: TestPeer, sid: String) {
    let (peer, sid) = try open(fixture)
    peer.say("40")
    #expect(try fixture.frames(1, of: peer)[0].hasPrefix(#"40{"sid":""#))
    return (peer, sid)
  }

  static func session(_ sid: String, _ fixture: ShardFixture) throws -> EngineSessionView {
    try #require(fixture.engineSession(sid))
  }

  @Test func `each namespace is joined, left and joined again on its own`() throws {
    let application = Namespaces()
    let fixture = try ShardFixture.engine(application)
    let (peer, sid) = try Self.connected(fixture)
    peer.say(#"40/other,{"a":1}"#)
    #expect(try fixture.frames(1, of: peer)[0].hasPrefix(#"40/other,{"sid":""#))
    #expect(application.payloads == [nil, #"{"a":1}"#])
    peer.say(#"42/other,["x",1]"#)
    #expect(try fixture.frames(1, of: peer) == [#"42/other,["x",1]"#])
    peer.say("41")
    peer.say(#"42/other,["x",2]"#)
    #expect(try fixture.frames(1, of: peer) == [#"42/other,["x",2]"#])
    #expect(application.left == [0])
    #expect(try Self.session(sid, fixture).namespaces == [1])
    peer.say("40")
    #expect(try fixture.frames(1, of: peer)[0].hasPrefix(#"40{"sid":""#))
    peer.leave()
    try fixture.expectEmpty()
  }

  @Test func `a refused client gets the reason, is in no namespace, and may try another`() throws {
    let application = Namespaces()
    let fixture = try ShardFixture.engine(application)
    let (peer, sid) = try Self.open(fixture)
    peer.say("40/closed,")
    peer.say("40/nowhere,")
    let refusals = [
      #"44/closed,{"message":"closed"}"#, #"44/nowhere,{"message":"Invalid namespace"}"#,
    ]
    #expect(try fixture.frames(2, of: peer) == refusals)
    #expect(try Self.session(sid, fixture).namespaces == [])
    #expect(
      application.payloads.count == 1, "the application is not asked about an unknown namespace")
    peer.say("40")
    #expect(try fixture.frames(1, of: peer)[0].hasPrefix(#"40{"sid":""#))
  }

  @Test(arguments: ["40", #"42/other,["x"]"#, "41/other,", "44{}", #"42["disconnect"]"#, "4x"])
  func `a protocol violation ends the session, and later packets are dropped`(
    packet: String
  ) throws {
    let fixture = try ShardFixture.engine()
    let (peer, sid) = try Self.connected(fixture)
    peer.say(packet)
    peer.say(#"42["x"]"#)
    #expect(try fixture.frames(1, of: peer) == ["close 1002"])
    #expect(fixture.engineSession(sid) == nil)
    #expect(fixture.core.metrics[0].value(.protocolViolations) == 1)
    peer.leave()
    try fixture.expectEmpty()
  }

  @Test func `a client in no namespace is closed in time, refused ones too`() throws {
    let fixture = try ShardFixture.engine()
    let (idle, idleSID) = try Self.open(fixture)
    let (refused, refusedSID) = try Self.open(fixture)
    let (inside, insideSID) = try Self.connected(fixture)
    refused.say("40/closed,")
    try fixture.pass(milliseconds: ShardFixture.connectTimeout - 1_000)
    #expect([idleSID, refusedSID].allSatisfy { fixture.engineSession($0) != nil })
    try fixture.pass(milliseconds: 1_000)
    #expect([idleSID, refusedSID].allSatisfy { fixture.engineSession($0) == nil })
    #expect(fixture.engineSession(insideSID) != nil)
    #expect(try fixture.frames(1, of: idle) == ["close 1000"])
    #expect(fixture.core.metrics[0].value(.timedOut) == 2)
    withExtendedLifetime(inside) {}
  }

  @Test func `a client that has left every namespace has the time of a new one`() throws {
    let fixture = try ShardFixture.engine { _ in
    } settings: {
      $0.pingIntervalMilliseconds = 600_000
    }
    let (peer, sid) = try Self.connected(fixture)
    try fixture.pass(milliseconds: 60_000)
    peer.say("41")
    try fixture.turn(until: { (try? Self.session(sid, fixture).namespaces) == [] })
    try fixture.pass(milliseconds: ShardFixture.connectTimeout - 1_000)
    #expect(fixture.engineSession(sid) != nil)
    try fixture.pass(milliseconds: 1_000)
    #expect(fixture.engineSession(sid) == nil)
  }

  @Test func `the application's keep-alive goes with each ping to every namespace joined`() throws {
    let application = Namespaces()
    application.keepAliveEvent = "alive"
    let fixture = try ShardFixture.engine(application)
    let (peer, _) = try Self.connected(fixture)
    peer.say("40/other,")
    _ = try fixture.frames(1, of: peer)
    try fixture.pass(milliseconds: ShardFixture.pingInterval)
    #expect(try fixture.frames(3, of: peer) == ["2", #"42["alive"]"#, #"42/other,["alive"]"#])
  }

  // MARK: Users

  @Test func `what was read for a user that has left is not sent to the next one`() throws {
    typealias Users = SocketIORecoveryTests
    let fixture = try ShardFixture.engine()
    let (first, firstSID, pid) = try Users.connected("u", fixture)
    first.leave()
    try fixture.turn(until: { fixture.engineSession(firstSID) == nil })
    let (peer, _) = try Users.returning("u", pid, fixture)
    try Users.answerRooms([], fixture)
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    // The store still reads for the first user.
    peer.say("41/notifications,")
    peer.say(Users.connecting("v", since: "test.5"))
    try fixture.turn(until: { fixture.store.reads.count == 2 })
    let users = fixture.store.reads.map { read -> UserID? in
      guard case .missed(let user, after: 5, _) = read.query else { return nil }
      return user
    }
    #expect(users == ["u", "v"])
    fixture.shard.advanceAppliedOffset(to: 6)
    try fixture.store.answer(ReplaySessionTests.page([6], through: 6))
    try fixture.turn(3)
    #expect(try fixture.frames(of: peer).isEmpty)
    try fixture.store.answer(ReplaySessionTests.page([], through: 6))
    let packets = try fixture.frames(2, of: peer)
    #expect(packets[0].hasPrefix(#"40/notifications,{"#))
    #expect(Users.members("title", of: packets) == [])
  }

  // MARK: Acknowledgements

  @Test func `an acknowledgement counts once, and in its own namespace`() throws {
    let application = Namespaces()
    let fixture = try ShardFixture.engine(application)
    let (peer, sid) = try Self.connected(fixture)
    peer.say("40/other,")
    _ = try fixture.frames(1, of: peer)
    peer.say(#"42["ask",7]"#)
    #expect(try fixture.frames(1, of: peer) == [#"421["question",7]"#])
    peer.say("43/other,1[0]")
    peer.say("432[0]")
    try fixture.turn(3)
    #expect(application.replies.isEmpty)
    peer.say("431[1,2]")
    peer.say("431[3]")
    try fixture.turn(until: { !application.replies.isEmpty })
    try fixture.turn(3)
    #expect(application.replies == ["1,2"])
    #expect(try Self.session(sid, fixture).pendingAcknowledgementCount == 0)
  }

  @Test func `an unanswered question is given up at its own time`() throws {
    let application = Namespaces()
    let fixture = try ShardFixture.engine(application)
    let (peer, _) = try Self.connected(fixture)
    peer.say(#"42["ask",1]"#)
    _ = try fixture.frames(1, of: peer)
    try fixture.pass(milliseconds: 3_000)
    peer.say(#"42["ask",2]"#)
    _ = try fixture.frames(1, of: peer)
    try fixture.pass(milliseconds: Namespaces.askTimeoutMilliseconds - 4_000)
    #expect(application.replies.isEmpty)
    try fixture.pass(milliseconds: 1_000)
    #expect(application.replies == [nil])
    peer.say(#"431["late"]"#)
    peer.say(#"432["in time"]"#)
    try fixture.turn(until: { application.replies.count > 1 })
    #expect(application.replies == [nil, #""in time""#])
  }

  @Test(arguments: ["41", "1", "end"])
  func `a client that leaves has each of its questions given up at once`(how: String) throws {
    let application = Namespaces()
    let fixture = try ShardFixture.engine(application)
    let (peer, _) = try Self.connected(fixture)
    for _ in 0..<3 { peer.say(#"42["ask"]"#) }
    _ = try fixture.frames(3, of: peer)
    if how == "end" { peer.leave() } else { peer.say(how) }
    try fixture.turn(until: { !application.replies.isEmpty })
    #expect(application.replies == [nil, nil, nil])
  }

  // Case 43
  @Test func `one client owes a thousand and twenty-four answers at the most`() throws {
    let application = Namespaces()
    let fixture = try ShardFixture.engine(application)
    let (peer, sid) = try Self.connected(fixture)
    for _ in 0..<PendingAcknowledgements.countLimit + 2 {
      peer.say(#"42["ask"]"#)
      _ = try fixture.frames(of: peer)
      try fixture.turn()
    }
    try fixture.turn(until: { application.replies.count == 2 })
    #expect(application.replies == [nil, nil])
    let session = try Self.session(sid, fixture)
    #expect(session.pendingAcknowledgementCount == PendingAcknowledgements.countLimit)
    peer.say("1")
    try fixture.turn(until: { application.replies.count == 2 + 1_024 })
  }

  // MARK: Attachments

  @Test func `attachments are put together over polls and sent raw over a WebSocket`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture, Self.path)
    try poller.post("40")
    _ = try poller.packets()
    let event = #"["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#
    try poller.post("452-" + event)
    try poller.post("bAQ==")
    #expect(try Self.session(poller.sid, fixture).attachmentsDeadline != nil)
    let peer = try fixture.webSocket(Self.path, sid: poller.sid)
    peer.say("2probe")
    peer.say("5")
    peer.say(binary: [2])
    #expect(try fixture.frames(4, of: peer) == ["3probe", "452-" + event, "\u{1}", "\u{2}"])
    #expect(try Self.session(poller.sid, fixture).attachmentsDeadline == nil)
  }

  // Case 39
  @Test func `attachments have ten seconds from their packet on, however slowly they come`() throws
  {
    let fixture = try ShardFixture.engine()
    let (peer, sid) = try Self.connected(fixture)
    let slots = (0..<3).map { #"{"_placeholder":true,"num":\#($0)}"# }.joined(separator: ",")
    peer.say(#"453-["x",\#(slots)]"#)
    try fixture.turn(until: { (try? Self.session(sid, fixture).attachmentsDeadline) != nil })
    let end = try #require(try Self.session(sid, fixture).attachmentsDeadline)
    for (number, wait) in [(UInt8(1), UInt64(6_000)), (2, 3_000)] {
      try fixture.pass(milliseconds: wait)
      let before = fixture.core.metrics[0].value(.framesReceived)
      peer.say(binary: [number])
      try fixture.turn(until: { fixture.core.metrics[0].value(.framesReceived) > before })
      #expect(try Self.session(sid, fixture).attachmentsDeadline == end)
    }
    try fixture.pass(milliseconds: 1_000)
    #expect(try fixture.frames(1, of: peer) == ["close 1000"])
    #expect(fixture.engineSession(sid) == nil)
    #expect(fixture.core.metrics[0].value(.timedOut) == 1)
    peer.leave()
    try fixture.expectEmpty()
  }

  // Case 39
  @Test(arguments: [
    #"4511-["x"]"#, #"45-1-["x"]"#, #"451000000000-["x"]"#, #"451.5-["x"]"#, #"451e400-["x"]"#,
  ])
  func `more than ten attachments, or an invalid count, ends the session`(packet: String) throws {
    let fixture = try ShardFixture.engine()
    let (peer, sid) = try Self.connected(fixture)
    peer.say(packet)
    #expect(try fixture.frames(1, of: peer)[0].hasPrefix("close "))
    #expect(fixture.engineSession(sid) == nil)
  }

  // Case 39
  @Test func `text in place of an attachment, or an unexpected one, ends the session`() throws {
    let fixture = try ShardFixture.engine()
    for isText in [true, false] {
      let (peer, sid) = try Self.connected(fixture)
      if isText {
        peer.say(#"451-["x",{"_placeholder":true,"num":0}]"#)
        peer.say(#"42["x"]"#)
      } else {
        peer.say(binary: [1])
      }
      #expect(try fixture.frames(1, of: peer) == ["close 1002"])
      #expect(fixture.engineSession(sid) == nil)
    }
  }

  // Case 39
  @Test func `an attachment is held to the message limit`() throws {
    let fixture = try ShardFixture.engine { _ in
    } settings: {
      $0.messageBytesLimit = 1_000
    }
    let (peer, sid) = try Self.connected(fixture)
    let event = #"451-["x",{"_placeholder":true,"num":0}]"#
    peer.say(event)
    peer.say(binary: [UInt8](repeating: 7, count: 1_000))
    #expect(try fixture.frames(2, of: peer)[1].utf8.count == 1_000)
    peer.say(event)
    peer.say(binary: [UInt8](repeating: 7, count: 1_001))
    #expect(try fixture.frames(1, of: peer) == ["close 1009"])
    #expect(fixture.engineSession(sid) == nil)
    peer.leave()
    try fixture.expectEmpty()
  }
}
