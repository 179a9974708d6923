// Clients that send as much as they can: a turn's work for one of them is bounded, so is the memory
// held for it, and the other clients notice nothing.

import TestSupport
import Testing
import Wire

@testable import Server

@Suite("Floods")
struct FloodTests {
  static func frames(_ opcode: WebSocketOpcode, payload: Int, count: Int) -> [UInt8] {
    var one: [UInt8] = []
    WebSocketFrame.append(
      opcode, payload: [UInt8](repeating: 0x70, count: payload), maskingKey: 0x0102_0304,
      into: &one)
    return [UInt8](repeatElement(one, count: count).joined())
  }

  // Case 9
  @Test("pings from a client that reads nothing queue no pongs", arguments: [0, 40_000])
  func pingsUnread(room: Int) throws {
    let fixture = try ShardFixture()
    let stalledClient = try fixture.arrive("stalledClient")
    let bystander = try fixture.arrive("innocent")
    try fixture.turn(2)
    _ = try bystander.frames()
    stalledClient.room = room
    let count = size(40_000, full: 1_000_000)
    // First as much as one turn reads, before the shard can see that the client does not read.
    var rest = count
    var largest = 0
    var heard = 0
    var told = 0
    while rest > 0 {
      let batch = min(rest, 5_000)
      rest -= batch
      stalledClient.send(Self.frames(.ping, payload: 125, count: batch))
      try fixture.publish(TurnTests.broadcast())
      told += 1
      repeat {
        try fixture.turn()
        largest = max(largest, stalledClient.connection.queuedByteCount)
      } while stalledClient.connection.state == .session && stalledClient.unreadCount > 0
      heard += try bystander.frames().filter { $0.contains("system:message") }.count
    }
    #expect(largest <= fixture.core.configuration.limits.backlogBytesLimit)
    #expect(heard == told)
    #expect(fixture.core.metrics[0].value(.droppedPongs) > count / 2)
    // A client that takes nothing at all is not kept.
    try fixture.pass(milliseconds: 11_000)
    #expect(stalledClient.connection.hasEnded)
    #expect(bystander.connection.state == .session)
  }

  // Case 9
  @Test func `pings that come in one piece are all answered if the client reads`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.arrive("u")
    try fixture.turn(2)
    _ = try peer.frames()
    peer.send(Self.frames(.ping, payload: 125, count: 20_000))
    try fixture.turn(until: { peer.unreadCount == 0 })
    try fixture.turn(2)
    #expect(try peer.frames() == [String](repeating: "pong", count: 20_000))
    #expect(fixture.core.metrics[0].value(.droppedPongs) == 0)
  }

  // Case 15
  @Test("a turn takes a bounded share of a flood of small frames", arguments: [0, 1, 125])
  func turnShare(payload: Int) throws {
    let fixture = try ShardFixture()
    let attacker = try fixture.arrive("attacker")
    // Enough bystanders that a fan-out waits for the bytes still arriving.
    let bystanders = try (0..<100).map { try fixture.arrive("u\($0)") }
    try fixture.turn(2)
    for bystander in bystanders { bystander.received = [] }
    let metrics = fixture.core.metrics[0]
    let perTurn = ShardView.framesPerTurn + ShardView.readBytes / (payload + 6) + 1
    attacker.send(Self.frames(.pong, payload: payload, count: size(120_000, full: 10_000_000)))
    var told = 0
    while attacker.unreadCount > 0 {
      let frames = metrics.value(.framesReceived)
      let unread = attacker.unreadCount
      try fixture.publish(TurnTests.broadcast())
      told += 1
      try fixture.turn()
      #expect(metrics.value(.framesReceived) - frames <= perTurn)
      #expect(unread - attacker.unreadCount <= ShardView.readBytesPerTurn + ShardView.readBytes)
      try #require(unread > attacker.unreadCount, "the flooding client is not starved either")
      // No bystander waits longer than the turn.
      for bystander in bystanders {
        let texts = try bystander.frames()
        try #require(texts.count == 1 && texts[0].contains("system:message"))
      }
    }
    #expect(told > 5)
    #expect(attacker.connection.state == .session)
  }
}
