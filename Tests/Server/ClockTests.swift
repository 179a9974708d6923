// The wall clock jumps, the machine sleeps, a day passes: timers use the monotonic clock, and only
// token expiry uses the wall clock.

import Reactor
import TestSupport
import Testing
import Tokens
import Wire

@testable import Server

@Suite("Clocks")
struct ClockTests {
  static let hour: Int64 = 3_600_000

  // Case 69
  @Test(
    "a jump of the wall clock moves no timer",
    arguments: [hour, -hour, 24 * hour, -24 * hour, -1_000, 1_000])
  func jump(shift: Int64) throws {
    let fixture = try ShardFixture()
    let metrics = fixture.core.metrics[0]
    let sessions = try (0..<50).map { try fixture.arrive("u\($0)", seconds: 10 * 86_400) }
    let half = try fixture.arrive()
    half.send("GET /healthz HTTP/1.1\r\nHost:")
    try fixture.pass(milliseconds: 4_000)
    for session in sessions { session.received = [] }
    fixture.script.wallShift += shift
    // Nothing is early: the request has its 10 s, a session its 30 s to the first ping.
    try fixture.pass(milliseconds: 5_000)
    #expect(half.received.isEmpty)
    #expect(metrics.value(.timedOut) == 0)
    #expect(sessions.allSatisfy { $0.received.isEmpty && !$0.isEnded })
    // And nothing is late.
    try fixture.pass(milliseconds: 1_500)
    #expect(half.received.text.hasPrefix("HTTP/1.1 408 "))
    try fixture.pass(milliseconds: 20_000)
    for session in sessions {
      #expect(try session.frames() == ["ping"])
      session.send(HeartbeatTests.pong())
    }
    try fixture.pass(milliseconds: 40_000)
    #expect(metrics.value(.sessionsClosed) == 0)
    #expect(metrics.value(.tokensExpired) == 0)
  }

  // Case 69
  @Test(
    "a session ends by the wall clock, also after a jump of it",
    arguments: ["/api/ws", "/api/v1/ws/notifications", "/notifications/events"])
  func expiry(path: String) throws {
    let fixture = try ShardFixture { $0.tokenPolicy.leewaySeconds = 0 }
    let short = try fixture.arrive("short", path: path, seconds: 3_600)
    let long = try fixture.arrive("long", path: path, seconds: 7_200)
    try fixture.turn(3)
    // Half an hour is left of the token, then two seconds, then an hour and two seconds again.
    for shift in [Self.hour / 2, Self.hour / 2 - 2_000, -Self.hour] {
      fixture.script.wallShift += shift
      try fixture.pass(milliseconds: 100)
      #expect(short.connection.state == .session)
    }
    fixture.script.wallShift += Self.hour
    try fixture.pass(milliseconds: 1_000)
    #expect(short.connection.state == .session)
    try fixture.pass(milliseconds: 1_000)
    #expect(short.connection.state != .session)
    #expect(long.connection.state == .session)
    // One jump past the expiry ends the session, whenever its next timer is due.
    fixture.script.wallShift += Self.hour
    try fixture.pass(milliseconds: 100)
    #expect(long.connection.state != .session)
    #expect(fixture.core.metrics[0].value(.tokensExpired) == 2)
  }

  // Case 69
  @Test func `a machine that sleeps for a minute loses no live session`() throws {
    let fixture = try ShardFixture { $0.tokenPolicy.leewaySeconds = 0 }
    let sessions = try (0..<200).map { try fixture.arrive("u\($0)") }
    let ending = try fixture.arrive("ending", seconds: 50)
    try fixture.turn(2)
    for session in sessions + [ending] { session.received = [] }
    // While a machine sleeps, the monotonic clock stops and the wall clock does not.
    fixture.script.wallShift += 60_000
    try fixture.pass(milliseconds: 500)
    #expect(try ending.frames() == ["close 4002"])
    #expect(sessions.allSatisfy { $0.received.isEmpty })
    // Where the monotonic clock does not stop either.
    fixture.script.elapsed += 60_000
    try fixture.turn(3)
    for session in sessions {
      #expect(try !session.frames().contains { $0.hasPrefix("close") })
      session.send(HeartbeatTests.pong())
    }
    try fixture.pass(milliseconds: 25_000)
    #expect(fixture.core.metrics[0].value(.timedOut) == 0)
    #expect(fixture.shard.sessionCount == 200)
  }

  // Case 69
  @Test func `a session is pinged all day, never early nor later than the shared slack`() throws {
    let fixture = try ShardFixture()
    let session = try fixture.arrive("u", seconds: 10 * 86_400)
    try fixture.turn(2)
    session.received = []
    let interval: UInt64 = 30_000
    // Turns of 10 ms around a ping, so that its lateness is measured; longer turns between pings.
    let end = UInt64(size(2, full: 24)) * UInt64(Self.hour)
    let start = fixture.script.elapsed
    var last = start
    var count: UInt64 = 0
    while fixture.script.elapsed < end {
      let since = fixture.script.elapsed - last
      fixture.script.elapsed += since + 1_000 < interval ? 1_000 : 10
      try fixture.turn()
      guard !session.received.isEmpty else {
        try #require(fixture.script.elapsed - last <= 2 * interval)
        continue
      }
      #expect(try session.frames() == ["ping"])
      last = fixture.script.elapsed
      count += 1
      // Lateness does not accumulate.
      let due = start + count * interval
      try #require((due...due + TimerWindow.sharedSlack + 10).contains(last))
      session.send(HeartbeatTests.pong())
    }
    #expect(count == (end - start) / interval || count == (end - start) / interval - 1)
  }
}
