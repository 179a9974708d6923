// From polling to WebSocket, turn by turn: each message under way on either transport comes once
// and in order, and an unfinished probe changes nothing. Protocol version 4, "Upgrade".

import Reactor
import TestSupport
import Testing
import Wire

@testable import Server

@Suite("Engine.IO 4: upgrade")
struct EngineUpgradeTests {
  /// A WebSocket with an answered probe that has not taken over the session yet.
  static func probe(
    _ poller: PollingClient, on index: Int = 0
  ) throws -> TestPeer {
    let peer = try poller.fixture.webSocket(poller.path, sid: poller.sid, on: index)
    peer.say("2probe")
    #expect(try poller.fixture.frames(1, of: peer) == ["3probe"])
    return peer
  }

  @Test func `waiting packets come over the WebSocket, and the client's packets follow`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try poller.post("4a", "bAQID", "4b")
    let peer = try Self.probe(poller)
    peer.say("5")
    peer.say("4c")
    // The binary packet is a binary frame now.
    #expect(try fixture.frames(4, of: peer) == ["4a", "\u{1}\u{2}\u{3}", "4b", "4c"])
    let session = try #require(poller.session)
    #expect(session.connection.descriptor == peer.serverDescriptor)
    #expect(!session.connection.isPolled)
    // The session and the client's two polling connections: the probe's own slot is free again.
    #expect(fixture.shard.connectionCount == 3)
    #expect(fixture.core.metrics[0].value(.engineUpgrades) == 1)
    peer.say("1")
    #expect(try fixture.frames(1, of: peer) == ["close 1000"])
    peer.leave()
    poller.leave()
    try fixture.expectEmpty()
  }

  @Test func `the probe answers a waiting poll, and every later poll at once`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try poller.begin()
    let peer = try Self.probe(poller)
    #expect(try poller.packets(isBegun: true) == ["6"])
    #expect(try poller.packets() == ["6"])
    // Packets still come by polling.
    try poller.post("4a")
    #expect(try poller.packets() == ["4a"])
    peer.say("5")
    peer.say("4b")
    #expect(try fixture.frames(1, of: peer) == ["4b"])
    #expect(try poller.poll().status == 400)
  }

  @Test func `a poll that still waits at the upgrade is answered`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try poller.begin()
    let peer = try fixture.webSocket(sid: poller.sid)
    // In one segment: nothing is sent between the probe and the upgrade.
    var bytes: [UInt8] = []
    for text in ["2probe", "5", "4a"] {
      WebSocketFrame.append(.text, payload: Array(text.utf8), maskingKey: 7, into: &bytes)
    }
    peer.send(bytes)
    #expect(try fixture.frames(2, of: peer) == ["3probe", "4a"])
    #expect(try poller.packets(isBegun: true) == ["6"])
  }

  @Test func `frames after the upgrade in one segment belong to the session`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let peer = try Self.probe(poller)
    var bytes: [UInt8] = []
    for text in ["5", "4a", "4b"] {
      WebSocketFrame.append(.text, payload: Array(text.utf8), maskingKey: 7, into: &bytes)
    }
    // And the beginning of a frame; its end comes later.
    WebSocketFrame.append(.text, payload: Array("4c".utf8), maskingKey: 7, into: &bytes)
    peer.send(Array(bytes.dropLast(3)))
    #expect(try fixture.frames(2, of: peer) == ["4a", "4b"])
    peer.send(Array(bytes.suffix(3)))
    #expect(try fixture.frames(1, of: peer) == ["4c"])
  }

  // Cases 42, 99
  @Test func `in any order of events each message comes once and in order`() throws {
    for seed in UInt64(0)..<60 {
      let fixture = try ShardFixture.engine()
      var generator = SeededGenerator(seed: seed)
      fixture.script.generator = SeededGenerator(seed: seed)
      let poller = try PollingClient(fixture)
      fixture.script.shortPermille = Int.random(in: 0...300, using: &generator)
      var (sent, heard, isWaiting) = (0, [String](), false)
      func post() throws {
        let count = Int.random(in: 1...20, using: &generator)
        #expect(try poller.post((0..<count).map { "4\(sent + $0)" }) == 200)
        sent += count
      }
      func step() throws {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0, 1: try post()
        case 2 where !isWaiting:
          try poller.begin()
          isWaiting = true
        default:
          guard isWaiting, poller.session?.isPollWaiting != true else { return try fixture.turn() }
          heard += try poller.packets(isBegun: true)
          isWaiting = false
        }
      }
      for _ in 0..<Int.random(in: 0...6, using: &generator) { try step() }
      let peer = try fixture.webSocket(sid: poller.sid)
      for _ in 0..<Int.random(in: 0...3, using: &generator) { try step() }
      peer.say("2probe")
      #expect(try fixture.frames(1, of: peer) == ["3probe"])
      for _ in 0..<Int.random(in: 0...3, using: &generator) { try step() }
      if isWaiting { heard += try poller.packets(isBegun: true) }
      peer.say("5")
      for _ in 0..<Int.random(in: 1...5, using: &generator) {
        peer.say("4\(sent)")
        sent += 1
      }
      let overPolls = heard.filter { $0 != "6" }
      let overSocket = try fixture.frames(sent - overPolls.count, of: peer)
      #expect(overPolls + overSocket == (0..<sent).map { "4\($0)" }, "seed \(seed)")
      try fixture.turn(3)
      #expect(try fixture.frames(of: peer).isEmpty, "seed \(seed)")
    }
  }

  // MARK: Failed probes

  // Case 42
  @Test func `a probe has ten seconds, and the session goes on without it`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let peer = try Self.probe(poller)
    try fixture.pass(milliseconds: 9_000)
    #expect(peer.connection.state == .session)
    try poller.post("4meanwhile")
    try fixture.pass(milliseconds: 1_000)
    #expect(try fixture.frames(1, of: peer) == ["close 1000"])
    #expect(fixture.core.metrics[0].value(.timedOut) == 1)
    #expect(try poller.packets() == ["4meanwhile"])
    // Polls wait again, and another WebSocket may probe.
    try poller.begin()
    #expect(poller.session?.isPollWaiting == true)
    let second = try Self.probe(poller)
    second.say("5")
    second.say("4b")
    #expect(try fixture.frames(1, of: second) == ["4b"])
  }

  @Test(arguments: ["5", "4a", "2probes", "1", "", "3probe"])
  func `an invalid probe ends only its WebSocket`(text: String) throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let peer = try fixture.webSocket(sid: poller.sid)
    peer.say(text)
    #expect(try fixture.frames(1, of: peer) == ["close 1002"])
    #expect(poller.session?.isUpgradePending != true)
    try poller.post("4a")
    #expect(try poller.packets() == ["4a"])
  }

  @Test func `a second WebSocket is closed, before and after the first one takes over`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let first = try Self.probe(poller)
    let second = try fixture.webSocket(sid: poller.sid)
    #expect(try fixture.frames(1, of: second) == ["close 1000"])
    first.say("5")
    first.say("4a")
    #expect(try fixture.frames(1, of: first) == ["4a"])
    let third = try fixture.webSocket(sid: poller.sid)
    #expect(try fixture.frames(1, of: third) == ["close 1000"])
    #expect(try poller.post("4stray") == 400)
    #expect(try poller.poll().status == 400)
    first.say("4b")
    #expect(try fixture.frames(1, of: first) == ["4b"])
    for each in [first, second, third] { each.leave() }
    poller.leave()
    try fixture.pass(milliseconds: 60_000)
    try fixture.expectEmpty()
  }

  @Test func `a session that ends ends its probe as well`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let peer = try Self.probe(poller)
    try poller.post("1")
    #expect(try fixture.frames(1, of: peer) == ["close 1000"])
    peer.leave()
    poller.leave()
    try fixture.expectEmpty()
  }

  @Test func `a probe that ends leaves the session as it was`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let peer = try Self.probe(poller)
    peer.leave()
    try fixture.turn(until: { poller.session?.isUpgradePending != true })
    // Polls are not answered at once any more.
    try poller.begin()
    try fixture.turn(3)
    #expect(poller.polls.receive().isEmpty)
    try poller.post("4a")
    #expect(try poller.packets(isBegun: true) == ["4a"])
  }

  // MARK: Several shards

  @Test func `a request goes to its session's shard, and so do the requests after it`() throws {
    let fixture = try ShardFixture.engine(shardCount: 3)
    let poller = try PollingClient(fixture, on: 1)
    #expect(fixture.shards[1].engineSessionCount == 1)
    for index in [0, 2] {
      let peer = try fixture.connect(to: index)
      fixture.request("POST", poller.path, "&sid=\(poller.sid)", body: "4from \(index)", on: peer)
      #expect(try fixture.answer(to: peer).body == "ok")
      #expect(fixture.core.metrics[index].value(.connectionsHandedOver) == 1)
      #expect(fixture.shards[index].connectionCount == 0)
      // Two requests at once, on the connection that has moved to the other shard.
      fixture.request("GET", poller.path, "&sid=\(poller.sid)", on: peer)
      fixture.request("POST", poller.path, "&sid=\(poller.sid)", body: "1x", on: peer)
      #expect(try fixture.answer(to: peer).body == "4from \(index)")
      peer.leave()
      break
    }
  }

  @Test func `a WebSocket on another shard takes over the session`() throws {
    let fixture = try ShardFixture.engine(shardCount: 3)
    let poller = try PollingClient(fixture, on: 2)
    try poller.post("4a")
    let peer = try fixture.webSocket(sid: poller.sid)
    peer.say("2probe")
    peer.say("5")
    peer.say("4b")
    var frames: [String] = []
    try fixture.turn(until: {
      frames += (try? peer.frames()) ?? []
      return frames.count == 3
    })
    #expect(frames == ["3probe", "4a", "4b"])
    #expect(fixture.shards[0].connectionCount == 0 && fixture.shards[2].engineSessionCount == 1)
    peer.say("1")
    poller.leave()
    peer.leave()
    try fixture.expectEmpty()
  }

  @Test func `a connection that migrates to a full shard is refused, and no slot leaks`() throws {
    let fixture = try ShardFixture.engine(
      Namespaces(), shardCount: 2, { $0.limits.connectionsPerShardLimit = 3 })
    let poller = try PollingClient(fixture, on: 1)
    let peer = try fixture.connect()
    fixture.request("GET", poller.path, "&sid=\(poller.sid)", on: peer)
    try fixture.turn(until: {
      peer.receive()
      return peer.isEnded
    })
    #expect(peer.received.isEmpty)
    #expect(fixture.core.metrics[1].value(.refusedConnections) == 1)
    #expect(fixture.shards[0].connectionCount == 0 && fixture.shards[1].connectionCount == 3)
    try poller.post("4a")
    #expect(try poller.packets() == ["4a"])
  }

  @Test(arguments: ["", "AAAAAAAAAAAAAAAAAAAAAAA", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
  func `a sid that is invalid or of no shard is unknown`(sid: String) throws {
    let fixture = try ShardFixture.engine(shardCount: 2)
    let peer = try fixture.connect()
    // A valid sid of a shard that does not exist.
    let foreign = sid.isEmpty ? EngineID.random(on: 2, from: .real).text : sid
    fixture.request("GET", "/engine.io/", "&sid=\(foreign)", on: peer)
    let (status, body) = try fixture.answer(to: peer)
    #expect(status == 400 && body == #"{"code":1,"message":"Session ID unknown"}"#)
    #expect(fixture.core.metrics[0].value(.connectionsHandedOver) == 0)
  }
}
