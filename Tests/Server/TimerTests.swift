// Deadlines by a clock that the test moves.

import Testing

@testable import Server

@Suite("Timers")
struct TimerTests {
  // Case 64
  @Test func `a client that answers no ping is gone after the limit, and not before`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    try fixture.pass(milliseconds: 59_000)
    #expect(try peer.frames().filter { $0 == "ping" }.count == 1)
    #expect(peer.connection.state == .session)
    try fixture.pass(milliseconds: 2_000)
    #expect(try peer.frames().contains("close 1001"))
  }

  @Test func `a slow client that keeps reading does not time out`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    fixture.script.room[peer.serverDescriptor] = 0
    try fixture.publish(TurnTests.broadcast(20_000))
    try fixture.turn(until: { peer.connection.isBlocked })
    for _ in 0..<20 {
      try fixture.pass(milliseconds: 5_000)
      fixture.script.room[peer.serverDescriptor] = 100
    }
    #expect(peer.connection.state == .session)
    fixture.script.room[peer.serverDescriptor] = nil
    try fixture.turn(until: { !peer.connection.isBlocked })
    try fixture.pass(milliseconds: 5_000)
    #expect(peer.connection.state == .session)
  }

  // Case 65
  @Test func `a blocked client that takes nothing is cut`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    fixture.script.room[peer.serverDescriptor] = 0
    try fixture.publish(TurnTests.broadcast(20_000))
    try fixture.turn(until: { peer.connection.isBlocked })
    try fixture.pass(milliseconds: 9_000)
    #expect(!peer.connection.hasEnded)
    try fixture.pass(milliseconds: 2_000)
    #expect(peer.connection.hasEnded)
  }

  // Case 68
  @Test func `deadlines that expired while the process was stopped are extended a little`() throws {
    let fixture = try ShardFixture()
    let silent = try fixture.session("silent")
    let slow = try fixture.session("slow")
    let idle = try fixture.connect()
    fixture.script.room[slow.serverDescriptor] = 0
    try fixture.publish(TurnTests.broadcast(20_000))
    try fixture.turn(until: { slow.connection.isBlocked })
    fixture.script.elapsed += 70_000
    try fixture.turn(2)
    for peer in [silent, slow, idle] { #expect(!peer.connection.hasEnded) }
    #expect(silent.connection.state == .session)
    // The extension ends.
    try fixture.pass(milliseconds: 8_000)
    for peer in [silent, slow, idle] { #expect(peer.connection.hasEnded) }
  }

  // Case 50
  @Test func `a session ends when its token does, even if other deadlines are extended`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    let end = (86_400 + 30) * 1_000
    fixture.script.elapsed += UInt64(end) - 2_000
    try fixture.turn(2)
    peer.say("here")
    try fixture.turn(2)
    #expect(peer.connection.state == .session)
    fixture.script.elapsed += 4_000
    try fixture.turn(2)
    #expect(try peer.frames().contains("close 4002"))
  }

  /// The milliseconds from now at which `happens` first holds, with a turn each millisecond.
  private static func milliseconds(
    until happens: () throws -> Bool, limit: Int, _ fixture: ShardFixture
  ) throws -> Int? {
    for elapsed in 1...limit {
      fixture.script.elapsed += 1
      // The socket brings what the first turn sent in the second.
      try fixture.turn(2)
      if try happens() { return elapsed }
    }
    return nil
  }

  @Test(arguments: [(UInt64(300), UInt64(200)), (307, 101), (64, 64)])
  func `an Engine.IO session is pinged and ended at its milliseconds`(
    interval: UInt64, timeout: UInt64
  ) throws {
    let fixture = try ShardFixture.engine(settings: {
      $0.pingIntervalMilliseconds = interval
      $0.pingTimeoutMilliseconds = timeout
    })
    let peer = try fixture.webSocket()
    _ = try fixture.takeOpening(of: peer)
    let poller = try PollingClient(fixture)
    var frames: [String] = []
    let pinged = try Self.milliseconds(
      until: {
        frames += try fixture.frames(of: peer)
        return frames == ["2"]
      }, limit: 1_000, fixture)
    #expect(pinged == Int(interval))
    let ended = try Self.milliseconds(
      until: { poller.session == nil }, limit: 1_000, fixture)
    #expect(ended == Int(timeout))
    #expect(try fixture.frames(of: peer) == ["close 1000"])
    #expect(try poller.poll().status == 400)
  }

  @Test func `a poll read after its session's time does not extend it`() throws {
    let fixture = try ShardFixture.engine(settings: {
      $0.pingIntervalMilliseconds = 300
      $0.pingTimeoutMilliseconds = 200
    })
    let poller = try PollingClient(fixture)
    // The turn of the ping is late, and the next one has the poll and the session's end.
    fixture.script.elapsed += 340
    try fixture.turn()
    fixture.script.elapsed += 160
    #expect(try poller.poll().status == 400)
    #expect(poller.session == nil)
  }

  @Test func `an upgrade and a first message end at their milliseconds`() throws {
    let fixture = try ShardFixture.engine(settings: { $0.upgradeTimeoutMilliseconds = 1_001 })
    let poller = try PollingClient(fixture)
    let probe = try fixture.webSocket(sid: poller.sid)
    let upgrade = try Self.milliseconds(
      until: { try fixture.frames(of: probe).contains("close 1000") }, limit: 2_000, fixture)
    #expect(upgrade == 1_001)
    let stranger = try fixture.session(nil, path: "/api/notifications/ws")
    let wait = try Self.milliseconds(
      until: { try stranger.frames().contains("close 1008") }, limit: 11_000, fixture)
    #expect(wait == 10_000)
  }

  @Test func `a poll ends at its millisecond`() throws {
    let fixture = try ShardFixture()
    let peer = try PollTests.poll(fixture, wait: 3)
    // A turn that is not at a multiple of the shared slack.
    fixture.script.elapsed += 77
    try fixture.store.answer(PollTests.page([], through: 5))
    try fixture.turn(2)
    let wait = try Self.milliseconds(
      until: { PollTests.isAnswered(peer, with: "notifications") }, limit: 4_000, fixture)
    #expect(wait == 3_000 - 77)
  }

  @Test func `heartbeats of many clients share the turns of their shard`() throws {
    let fixture = try ShardFixture()
    var peers: [TestPeer] = []
    for number in 0..<40 {
      peers.append(try fixture.session("u\(number)"))
      fixture.script.elapsed += 7
      try fixture.turn()
      _ = try peers[number].frames()
    }
    try fixture.pass(milliseconds: 29_600)
    var wakeUps: [Int] = []
    var pinged = 0
    for elapsed in 0..<800 {
      fixture.script.elapsed += 1
      try fixture.turn()
      let count = try peers.reduce(0) { try $0 + $1.frames().count { $0 == "ping" } }
      pinged += count
      if count > 0 { wakeUps.append(elapsed) }
    }
    // 40 clients came within 280 ms, which is up to four multiples of 128 ms.
    #expect(pinged == 40 && wakeUps.count <= 4, "\(wakeUps)")
  }
}
