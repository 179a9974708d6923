// Calls that are interrupted, move one byte or find the peer gone: no byte is lost or repeated.

import Glibc
import Notifications
import TestSupport
import Testing
import Wire

@testable import Server

@Suite("Short input and output")
struct ShortIOTests {
  static func numbered(_ number: Int) -> Event {
    let message = SystemMessage(
      id: DialectTests.id, messageType: "m", title: "n \(number)", message: "",
      payload: Array("{}".utf8))
    return Event(audience: .everyone, body: .system(message), timestamp: 0)
  }

  // Case 68
  @Test func `every byte arrives in order through a kernel that interrupts and cuts short`() throws
  {
    let fixture = try ShardFixture { $0.limits.backlogBytesLimit = 256 * 1_024 }
    let peers = try (0..<4).map { try fixture.session("u\($0)") }
    try fixture.turn(3)
    for peer in peers { _ = try peer.frames() }
    fixture.script.generator = .announced()
    fixture.script.interruptedPermille = 200
    fixture.script.shortPermille = 100
    let count = size(2_000, full: 250_000)
    var next = 0
    var heard = [Int](repeating: 0, count: peers.count)
    var answered = [Int](repeating: 0, count: peers.count)
    var asked = 0
    while heard.contains(where: { $0 < count }) || answered.contains(where: { $0 < asked }) {
      if next < count, next - heard.min()! < 200 {
        try fixture.publish(Self.numbered(next))
        next += 1
        if next.isMultiple(of: 10) {
          asked += 1
          for peer in peers { peer.say(#"{"type":"ping"}"#) }
        }
      }
      try fixture.turn()
      for (index, peer) in peers.enumerated() {
        for text in try peer.frames() {
          if text.contains(#""event":"pong""#) {
            answered[index] += 1
          } else {
            try #require(text.contains(#""title":"n \#(heard[index])""#), "\(text)")
            heard[index] += 1
          }
        }
        try #require(!peer.isEnded)
      }
    }
    #expect(heard == [Int](repeating: count, count: peers.count))
    #expect(fixture.core.metrics[0].value(.resets) == 0)
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 0)
  }

  // Case 68
  @Test(
    "a failed send ends its own connection and no other", arguments: [EPIPE, ECONNRESET])
  func gone(code: Int32) throws {
    let fixture = try ShardFixture()
    let peers = try (0..<20).map { try fixture.session("u\($0)") }
    try fixture.turn(3)
    for peer in peers { _ = try peer.frames() }
    for peer in peers where peer.connection.slot.isMultiple(of: 2) {
      fixture.script.sends[peer.serverDescriptor] = [-Int(code)]
    }
    try fixture.publish(Self.numbered(1))
    try fixture.turn(3)
    try fixture.publish(Self.numbered(2))
    try fixture.turn(3)
    for peer in peers {
      let texts = try peer.frames()
      if peer.connection.slot.isMultiple(of: 2) {
        #expect(texts.isEmpty && peer.isEnded)
      } else {
        #expect(texts.count == 2 && !peer.isEnded)
      }
    }
    #expect(fixture.core.metrics[0].value(.resets) == 10)
    #expect(fixture.shard.connectionCount == 10)
  }

  // Case 68
  @Test func `after a stop of any length no client that answers is cut`() throws {
    for seconds in [3, 10, 60, 600, 40_000] as [UInt64] {
      let fixture = try ShardFixture()
      let sessions = try (0..<100).map { try fixture.arrive("u\($0)") }
      let request = try fixture.arrive()
      request.send("GET /healthz HTTP/1.1\r\nHost:")
      try fixture.turn(2)
      for session in sessions { session.received = [] }
      fixture.script.elapsed += seconds * 1_000
      // The bytes sent meanwhile are read by the first turn after the stop, or by the next.
      for session in sessions.prefix(50) { session.send(HeartbeatTests.pong()) }
      try fixture.turn()
      for session in sessions.dropFirst(50) { session.send(HeartbeatTests.pong()) }
      request.send(" x\r\n\r\n")
      try fixture.pass(milliseconds: 20_000)
      #expect(request.received.text.hasPrefix("HTTP/1.1 200 "), "\(seconds) s")
      #expect(fixture.core.metrics[0].value(.timedOut) == 0, "\(seconds) s")
      #expect(fixture.core.metrics[0].value(.sessionsClosed) == 0, "\(seconds) s")
    }
  }
}
