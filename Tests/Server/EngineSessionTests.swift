// Sessions of Engine.IO, protocol version 4, on one shard, turn by turn: begun, polled, watched,
// bounded and ended, with nothing left of them.

import Broadcast
import Testing

@testable import Server

@Suite("Engine.IO 4: sessions")
struct EngineSessionTests {
  static func value(_ counter: Counter, _ fixture: ShardFixture) -> Int {
    fixture.core.metrics[0].value(counter)
  }

  @Test func `a polled session has its own slot without a socket`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    #expect(
      poller.opening == #"0{"sid":"\#(poller.sid)","upgrades":["websocket"],"pingInterval":20000,"#
        + #""pingTimeout":10000,"maxPayload":65536}"#)
    let session = try #require(poller.session)
    #expect(session.connection.descriptor == -1)
    #expect(session.connection.isPolled)
    // The connections of the two requests, and the session.
    #expect(fixture.shard.connectionCount == 3)
    #expect(try poller.post("1") == 200)
    poller.leave()
    try fixture.expectEmpty()
  }

  @Test func `a poll waits while there is nothing, and brings the next packets`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try poller.begin()
    try fixture.pass(milliseconds: ShardFixture.pingInterval - 1_000)
    #expect(poller.polls.receive().isEmpty)
    try poller.post("4a", "4b")
    #expect(try poller.packets(isBegun: true) == ["4a", "4b"])
    #expect(poller.session?.isPollWaiting != true)
  }

  @Test func `packets wait until they are polled for, sixteen at a time`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let sent = (0..<40).map { "4\($0)" }
    for packet in sent { try poller.post(packet) }
    let session = try #require(poller.session)
    try fixture.turn(2)
    #expect(session.connection.isBlocked)
    #expect(fixture.shard.blockedByteCount > 0)
    let polls = try (0..<3).map { _ in try poller.packets() }
    #expect(polls.map(\.count) == [16, 16, 8] && polls.flatMap { $0 } == sent)
    #expect(fixture.shard.blockedByteCount == 0 && fixture.shard.blockedConnectionCount == 0)
    #expect(session.connection.privateBuffer.count == 0)
  }

  @Test func `a client that never polls is cut at the backlog limit`() throws {
    let fixture = try ShardFixture.engine(Namespaces(), { $0.limits.backlogBytesLimit = 8_192 })
    let poller = try PollingClient(fixture)
    let packet = "4" + String(repeating: "x", count: 1_000)
    var largest = 0
    for _ in 0..<50 {
      guard let connection = poller.session?.connection else { break }
      largest = max(largest, connection.queuedByteCount)
      _ = try poller.post(packet)
      try fixture.turn(2)
    }
    #expect(poller.session == nil)
    // Four times the limit of a client with a socket: no kernel buffer takes these packets.
    #expect(largest > 3 * 8_192 && largest <= 4 * 8_192)
    #expect(Self.value(.slowConsumers, fixture) == 1)
    #expect(try poller.poll().status == 400)
    poller.leave()
    try fixture.expectEmpty()
  }

  // Case 40
  @Test func `two polls at once end the session, and the first poll's answer says so`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try poller.begin()
    let second = try fixture.connect()
    fixture.request("GET", poller.path, "&sid=\(poller.sid)", on: second)
    #expect(try fixture.answer(to: second).status == 400)
    #expect(try poller.packets(isBegun: true) == ["1"])
    #expect(fixture.shard.engineSessionCount == 0)
    poller.leave()
    second.leave()
    try fixture.expectEmpty()
  }

  @Test func `two bodies at once end the session, and neither is processed`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let first = try fixture.connect()
    first.send(
      "POST \(poller.path)?EIO=4&transport=polling&sid=\(poller.sid) HTTP/1.1\r\nHost: x\r\n"
        + "Content-Length: 6\r\n\r\n4fir")
    try fixture.turn(until: { poller.session?.isPosting == true })
    #expect(try poller.post("4second") == 400)
    first.sendIfOpen("st")
    #expect(try fixture.answer(to: first).status == 400)
    #expect(try poller.poll().status == 400)
    poller.leave()
    first.leave()
    try fixture.expectEmpty()
  }

  @Test func `a body announced as too large ends the session before it comes`() throws {
    let fixture = try ShardFixture.engine { _ in
    } settings: {
      $0.bodyBytesLimit = 100
    }
    let poller = try PollingClient(fixture)
    #expect(try poller.post(String(repeating: "4", count: 100)) == 200)
    _ = try poller.packets()
    poller.posts.send(
      "POST \(poller.path)?EIO=4&transport=polling&sid=\(poller.sid) HTTP/1.1\r\nHost: x\r\n"
        + "Content-Length: 101\r\n\r\n")
    #expect(try fixture.answer(to: poller.posts).status == 413)
    #expect(fixture.shard.engineSessionCount == 0)
  }

  @Test func `a packet of a body is held to the message limit`() throws {
    let fixture = try ShardFixture.engine { _ in
    } settings: {
      $0.messageBytesLimit = 10
    }
    let poller = try PollingClient(fixture)
    #expect(try poller.post("4123456789x") == 200)
    #expect(try poller.post("4ok", "4123456789xy") == 400)
    #expect(poller.session == nil)
    #expect(Self.value(.protocolViolations, fixture) == 1)
  }

  @Test(arguments: [true, false])
  func `a connection cut during a body or a poll ends the session`(isPoll: Bool) throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let bystander = try PollingClient(fixture)
    if isPoll {
      try poller.begin()
      poller.polls.leave()
    } else {
      poller.posts.send(
        "POST \(poller.path)?EIO=4&transport=polling&sid=\(poller.sid) HTTP/1.1\r\nHost: x\r\n"
          + "Content-Length: 6\r\n\r\n4fi")
      try fixture.turn(until: { poller.session?.isPosting == true })
      poller.posts.leave()
    }
    try fixture.turn(until: { poller.session == nil })
    #expect(bystander.session != nil)
    try bystander.post("1")
    poller.leave()
    bystander.leave()
    try fixture.expectEmpty()
  }

  // MARK: Heartbeat

  @Test func `a ping is sent on time, and a pong postpones the next one`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try poller.begin()
    for _ in 0..<3 {
      try fixture.pass(milliseconds: ShardFixture.pingInterval - 1_000)
      #expect(poller.polls.receive().isEmpty)
      try fixture.pass(milliseconds: 1_000)
      #expect(try poller.packets(isBegun: true) == ["2"])
      // Just before the ping timeout ends.
      try poller.begin()
      try fixture.pass(milliseconds: ShardFixture.pingTimeout - 1_000)
      try poller.post("3")
    }
    #expect(Self.value(.timedOut, fixture) == 0)
  }

  @Test(arguments: ["polling", "websocket"])
  func `a client that answers no ping is gone after the timeout, not before`(how: String) throws {
    let fixture = try ShardFixture.engine()
    var poller = how == "polling" ? try PollingClient(fixture) : nil
    let socket = how == "polling" ? nil : try fixture.webSocket()
    let sid = try socket.map { try fixture.takeOpening(of: $0) } ?? poller?.sid ?? ""
    try fixture.pass(milliseconds: ShardFixture.pingInterval + ShardFixture.pingTimeout - 1_000)
    #expect(fixture.engineSession(sid) != nil)
    // The ping waits for a poll; any packet but a pong leaves it unanswered.
    try poller?.post("4a")
    if let socket { try fixture.say("4a", socket) }
    try fixture.pass(milliseconds: 1_000)
    #expect(fixture.engineSession(sid) == nil)
    #expect(Self.value(.timedOut, fixture) == 1)
    if let socket { #expect(try fixture.frames(3, of: socket) == ["2", "4a", "close 1000"]) }
    socket?.leave()
    poller?.leave()
    poller = nil
    try fixture.expectEmpty()
  }

  @Test func `an unsolicited pong postpones nothing`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try fixture.pass(milliseconds: ShardFixture.pingInterval - 1_000)
    try poller.post("3")
    try fixture.pass(milliseconds: 1_000)
    #expect(try poller.packets() == ["2"])
  }

  @Test func `a ping from the client ends the session`() throws {
    let fixture = try ShardFixture.engine()
    let peer = try fixture.webSocket()
    let sid = try fixture.takeOpening(of: peer)
    peer.say("2")
    #expect(try fixture.frames(1, of: peer) == ["close 1002"])
    #expect(fixture.engineSession(sid) == nil)
  }

  // MARK: Ending

  @Test func `a close packet is answered after the packets that waited`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try poller.post("4a")
    #expect(try poller.packets() == ["4a"])
    try poller.begin()
    #expect(try poller.post("4b", "1", "4never heard") == 200)
    #expect(try poller.packets(isBegun: true) == ["4b", "6"])
    #expect(try poller.post("4late") == 400)
    poller.leave()
    try fixture.expectEmpty()
  }

  /// Keeps its latest client, also after that client's session has ended.
  private final class Keeper: EngineApplication, @unchecked Sendable {
    // Unchecked: a fixture's shard runs on the test's thread, and so does everything here.
    var client: EngineClient?

    func received(text: [UInt8], from client: EngineClient) { self.client = client }
    func received(binary: [UInt8], from client: EngineClient) { self.client = client }
  }

  // Case 61
  @Test func `a message to an ended session reaches no other client`() throws {
    let keeper = Keeper()
    let fixture = try ShardFixture.engine(
      Namespaces(),
      {
        $0.engines = [EnginePath("/engine.io/", .messages(keeper)), .notifications()]
      })
    let ended = try fixture.webSocket()
    _ = try fixture.takeOpening(of: ended)
    ended.say("4hello")
    try fixture.turn(until: { keeper.client != nil })
    ended.connection.end()
    keeper.client?.send(text: Array("early".utf8))
    let next = try fixture.webSocket()
    _ = try fixture.takeOpening(of: next)
    #expect(next.connection.slot == ended.connection.slot)
    keeper.client?.send(text: Array("late".utf8))
    keeper.client?.send(binary: [1])
    try fixture.turn(2)
    #expect(try fixture.frames(of: next).isEmpty)
  }

  @Test func `a client that closes its WebSocket leaves no state`() throws {
    let fixture = try ShardFixture.engine()
    let peers = try (0..<3).map { _ in try fixture.webSocket() }
    for peer in peers {
      let sid = try fixture.takeOpening(of: peer)
      // Queued bytes that the client does not read.
      fixture.script.room[peer.serverDescriptor] = 0
      for _ in 0..<10 { peer.say("4" + String(repeating: "x", count: 2_000)) }
      try fixture.turn(until: { peer.connection.queuedByteCount > 20_000 })
      #expect(fixture.engineSession(sid) != nil)
    }
    #expect(fixture.shard.engineSessionCount == 3)
    for peer in peers { peer.leave() }
    try fixture.pass(milliseconds: 60_000)
    try fixture.expectEmpty()
  }

  @Test func `there are as many sessions as slots, and the next is refused and leaves no state`()
    throws
  {
    let fixture = try ShardFixture.engine(
      Namespaces(), { $0.limits.connectionsPerShardLimit = 3 })
    let poller = try PollingClient(fixture)
    fixture.request("GET", "/engine.io/", "", on: poller.posts)
    #expect(try fixture.answer(to: poller.posts).status == 503)
    #expect(fixture.shard.engineSessionCount == 1)
    try poller.post("1")
    poller.leave()
    try fixture.expectEmpty()
  }

  @Test func `a dropped session answers its waiting poll`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try poller.begin()
    try #require(poller.session).connection.end()
    #expect(try poller.poll(isBegun: true).status == 400)
    poller.leave()
    try fixture.expectEmpty()
  }

  // MARK: Draining

  @Test func `a drain closes polled and WebSocket sessions and opens no more`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let peer = try fixture.webSocket()
    _ = try fixture.takeOpening(of: peer)
    try poller.post("4last")
    let late = try fixture.connect()
    late.send("GET /engine.io/?EIO=4&tr")
    try fixture.turn(until: { late.connection.hasUnparsedBytes })
    fixture.core.mailboxes[0].append(.drain)
    try poller.begin()
    try fixture.pass(milliseconds: 200)
    #expect(try poller.packets(isBegun: true).first == "4last")
    #expect(try fixture.frames(1, of: peer) == ["close 1001"])
    #expect(fixture.shard.engineSessionCount == 0)
    late.send("ansport=polling HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(try fixture.answer(to: late).status == 503)
    for each in [peer, late] { each.leave() }
    poller.leave()
    try fixture.expectEmpty()
  }
}
