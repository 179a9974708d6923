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
    try fixture.pass(milliseconds: 7_000)
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
}
