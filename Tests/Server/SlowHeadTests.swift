// Connections that never finish what they begin.

import TestSupport
import Testing

@testable import Server

@Suite("Slow requests")
struct SlowHeadTests {
  // Case 28
  @Test func `15,000 heads that come by the byte get 408 and are gone, and others are served`()
    throws
  {
    let fixture = try ShardFixture()
    let crowd = fixture.script.crowd
    let slow = (0..<15_000).map { _ in crowd.arrive() }
    try fixture.turn(until: { fixture.shard.connectionCount == slow.count })
    var served = 0
    // A byte every five seconds: at the 10th second the third one is due.
    for second in 0..<13 {
      if second.isMultiple(of: 5) {
        let byte = Array("GET / HTTP/1.1".utf8)[second / 5]
        for socket in slow where !socket.isEnded { socket.send([byte]) }
      }
      let honest = crowd.arrive()
      honest.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
      try fixture.turn(until: { honest.received.headEnd != nil })
      if honest.received.text.hasPrefix("HTTP/1.1 200 ") { served += 1 }
      if second < 10 {
        let answered = slow.count { !$0.received.isEmpty || $0.isEnded }
        #expect(answered == 0, "second \(second)")
      }
      try fixture.pass(milliseconds: 1_000)
    }
    #expect(served == 13)
    #expect(slow.allSatisfy { $0.received.text.hasPrefix("HTTP/1.1 408 ") && $0.isEnded })
    #expect(fixture.core.metrics[0].value(.timedOut) == slow.count)
    // The served connections stay open; of the slow ones nothing is left.
    #expect(fixture.shard.connectionCount == served)
    #expect(fixture.shard.bodyBytesInFlight == 0)
  }

  // Case 28
  @Test func `bodies that come by the byte are answered 408 when their time is up`() throws {
    let fixture = try ShardFixture()
    let crowd = fixture.script.crowd
    let slow = (0..<1_000).map { _ in crowd.arrive() }
    let head =
      "POST /api/v1/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
      + "Authorization: Bearer \(ShardFixture.token("p", scopes: ["publish"]))\r\n\r\n"
    for socket in slow { socket.send(head) }
    try fixture.turn(until: { slow.allSatisfy { $0.unreadCount == 0 } })
    for second in 0..<32 {
      if second.isMultiple(of: 5) {
        for socket in slow where !socket.isEnded { socket.send([0x20]) }
      }
      if second < 30 { #expect(slow.allSatisfy { $0.received.isEmpty }, "second \(second)") }
      try fixture.pass(milliseconds: 1_000)
    }
    #expect(slow.allSatisfy { $0.received.text.hasPrefix("HTTP/1.1 408 ") && $0.isEnded })
    try fixture.pass(milliseconds: 2_000)
    #expect(fixture.shard.connectionCount == 0)
    #expect(fixture.shard.bodyBytesInFlight == 0)
  }
}
