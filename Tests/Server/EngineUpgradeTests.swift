// From polling to WebSocket, turn by turn: whatever is under way on either, each message comes once
// and in its order; who probes and does not go on changes nothing. Protocol version 4, "Upgrade".

import Reactor
import TestSupport
import Testing
import Wire

@testable import Server

@Suite("Engine.IO 4: upgrade")
struct EngineUpgradeTests {
  /// A WebSocket that has been shown to work for the session, which has not gone over yet.
  static func probe(
    _ poller: PollingClient, on index: Int = 0
  ) throws -> TestPeer {
    let peer = try poller.fixture.webSocket(poller.path, sid: poller.sid, on: index)
    peer.say("2probe")
    #expect(try poller.fixture.frames(1, of: peer) == ["3probe"])
    return peer
  }

  @Test func `what waited comes over the WebSocket, and what it takes follows`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try poller.post("4a", "bAQID", "4b")
    let peer = try Self.probe(poller)
    peer.say("5")
    peer.say("4c")
    // The binary one is raw now.
    #expect(try fixture.frames(4, of: peer) == ["4a", "\u{1}\u{2}\u{3}", "4b", "4c"])
    let session = try #require(poller.session)
    #expect(session.connection.descriptor == peer.serverDescriptor)
    #expect(!session.connection.isPolled)
    // The session and the two connections that it was polled by: the probe's place is gone.
    #expect(fixture.shard.connectionCount == 3)
    #expect(fixture.core.metrics[0].value(.engineUpgrades) == 1)
    peer.say("1")
    #expect(try fixture.frames(1, of: peer) == ["close 1000"])
    peer.leave()
    poller.leave()
    try fixture.expectEmpty()
  }

  @Test func `a poll that waits is let go by the probe, and so is one that comes later`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try poller.begin()
    let peer = try Self.probe(poller)
    #expect(try poller.packets(isBegun: true) == ["6"])
    #expect(try poller.packets() == ["6"])
    // What there is comes by polling still.
    try poller.post("4a")
    #expect(try poller.packets() == ["4a"])
    peer.say("5")
    peer.say("4b")
    #expect(try fixture.frames(1, of: peer) == ["4b"])
    #expect(try poller.poll().status == 400)
  }

  @Test func `a poll that waits still when the session goes over is let go`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    try poller.begin()
    let peer = try fixture.webSocket(sid: poller.sid)
    // In one packet: nothing is sent between the probe and the upgrade.
    var bytes: [UInt8] = []
    for text in ["2probe", "5", "4a"] {
      WebSocketFrame.append(.text, payload: Array(text.utf8), maskingKey: 7, into: &bytes)
    }
    peer.send(bytes)
    #expect(try fixture.frames(2, of: peer) == ["3probe", "4a"])
    #expect(try poller.packets(isBegun: true) == ["6"])
  }

  @Test func `what lies behind the upgrade in one packet is the session's`() throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let peer = try Self.probe(poller)
    var bytes: [UInt8] = []
    for text in ["5", "4a", "4b"] {
      WebSocketFrame.append(.text, payload: Array(text.utf8), maskingKey: 7, into: &bytes)
    }
    // And the beginning of one whose end comes later.
    WebSocketFrame.append(.text, payload: Array("4c".utf8), maskingKey: 7, into: &bytes)
    peer.send(Array(bytes.dropLast(3)))
    #expect(try fixture.frames(2, of: peer) == ["4a", "4b"])
    peer.send(Array(bytes.suffix(3)))
    #expect(try fixture.frames(1, of: peer) == ["4c"])
  }

  // Cases 42, 99
  @Test func `in whatever order, each message comes once and after those before it`() throws {
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

  // MARK: Probes that come to nothing

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
    // A poll waits again, and another WebSocket may try.
    try poller.begin()
    #expect(poller.session?.isPollWaiting == true)
    let second = try Self.probe(poller)
    second.say("5")
    second.say("4b")
    #expect(try fixture.frames(1, of: second) == ["4b"])
  }

  @Test(arguments: ["5", "4a", "2probes", "1", "", "3probe"])
  func `what is no probe ends the WebSocket alone`(text: String) throws {
    let fixture = try ShardFixture.engine()
    let poller = try PollingClient(fixture)
    let peer = try fixture.webSocket(sid: poller.sid)
    peer.say(text)
    #expect(try fixture.frames(1, of: peer) == ["close 1002"])
    #expect(poller.session?.isUpgradePending != true)
    try poller.post("4a")
    #expect(try poller.packets() == ["4a"])
  }

  @Test func `a second WebSocket is closed, before and after the first one has gone over`() throws {
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

  @Test func `a session that ends takes its probe along`() throws {
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
    // A poll is not let go at once any more.
    try poller.begin()
    try fixture.turn(3)
    #expect(poller.polls.receive().isEmpty)
    try poller.post("4a")
    #expect(try poller.packets(isBegun: true) == ["4a"])
  }

  // MARK: Several shards

  @Test func `a request goes to its session's shard, and what follows on it too`() throws {
    let fixture = try ShardFixture.engine(shardCount: 3)
    let poller = try PollingClient(fixture, on: 1)
    #expect(fixture.shards[1].engineSessionCount == 1)
    for index in [0, 2] {
      let peer = try fixture.connect(to: index)
      fixture.request("POST", poller.path, "&sid=\(poller.sid)", body: "4from \(index)", on: peer)
      #expect(try fixture.answer(to: peer).body == "ok")
      #expect(fixture.core.metrics[index].value(.connectionsHandedOver) == 1)
      #expect(fixture.shards[index].connectionCount == 0)
      // Two requests at once, on the connection that is the other shard's now.
      fixture.request("GET", poller.path, "&sid=\(poller.sid)", on: peer)
      fixture.request("POST", poller.path, "&sid=\(poller.sid)", body: "1x", on: peer)
      #expect(try fixture.answer(to: peer).body == "4from \(index)")
      peer.leave()
      break
    }
  }

  @Test func `a session goes over to a WebSocket that came to another shard`() throws {
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

  @Test func `a shard without room takes no connection, and it is not counted on`() throws {
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
  func `a sid of no shard's, or of none, goes nowhere`(sid: String) throws {
    let fixture = try ShardFixture.engine(shardCount: 2)
    let peer = try fixture.connect()
    // As one that a shard made, but of a shard that there is not.
    let foreign = sid.isEmpty ? EngineID.random(on: 2, from: .real).text : sid
    fixture.request("GET", "/engine.io/", "&sid=\(foreign)", on: peer)
    let (status, body) = try fixture.answer(to: peer)
    #expect(status == 400 && body == #"{"code":1,"message":"Session ID unknown"}"#)
    #expect(fixture.core.metrics[0].value(.connectionsHandedOver) == 0)
  }
}
