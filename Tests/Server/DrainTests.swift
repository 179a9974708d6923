// Shutting down: which connections close at once, which get their answer first, which are cut.

import Broadcast
import Notifications
import Testing

@testable import Server

@Suite("Drain")
struct DrainTests {
  // Case 95
  @Test func `idle, waiting and open connections each end in their own way`() throws {
    let fixture = try ShardFixture()
    let session = try fixture.session("u")
    let idle = try fixture.connect()
    idle.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    _ = try EndpointTests.answer(to: idle, fixture)
    let asking = try fixture.connect()
    asking.send(EndpointTests.request("POST /api/v1/notifications", body: EndpointTests.draft))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    fixture.core.mailboxes[0].append(.drain)
    try fixture.turn(3)
    try fixture.pass(milliseconds: 200)
    #expect(try session.frames().contains("close 1001"))
    idle.receive()
    #expect(idle.isEnded)
    #expect(asking.connection.state == .http)
    try fixture.store.answer(.published)
    let answer = try EndpointTests.answer(to: asking, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 201"))
    #expect(answer.head.contains("Connection: close"))
    try fixture.turn(until: {
      asking.receive()
      return asking.isEnded
    })
    try fixture.pass(milliseconds: 2_000)
    #expect(fixture.shard.connectionCount == 0)
    #expect(fixture.core.metrics[0].value(.draining) == 1)
  }

  @Test func `sessions are closed in batches of a hundred`() throws {
    let fixture = try ShardFixture()
    let sessions = try (0..<250).map { try fixture.session("u\($0)") }
    var closed = 0
    func isClosed(_ session: TestPeer) throws -> Bool {
      try fixture.frames(of: session).contains("close 1001")
    }
    fixture.core.mailboxes[0].append(.drain)
    try fixture.turn(2)
    for count in [100, 100, 50] {
      let batch = try sessions.count { try isClosed($0) }
      #expect(batch == count)
      closed += batch
      try fixture.pass(milliseconds: 50)
    }
    #expect(closed == sessions.count)
  }

  @Test func `a client that takes nothing does not delay the drain past its deadline`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    fixture.script.room[peer.serverDescriptor] = 0
    try fixture.publish(TurnTests.broadcast(20_000))
    let asking = try fixture.connect()
    asking.send(EndpointTests.request("POST /api/v1/notifications", body: EndpointTests.draft))
    try fixture.turn(until: { fixture.store.commands.count == 1 && peer.connection.isBlocked })
    fixture.core.mailboxes[0].append(.drain)
    try fixture.turn(2)
    #expect(fixture.shard.connectionCount == 2)
    try fixture.pass(milliseconds: fixture.core.configuration.limits.drainTimeoutMilliseconds + 100)
    #expect(fixture.shard.connectionCount == 0)
    // The store's answer for a connection that has gone is dropped.
    try fixture.store.answer(.published)
    try fixture.turn(2)
  }
}
