// Events on one connection while a turn works on another.

import Glibc
import Notifications
import Testing
import Wire

@testable import Server

@Suite("A turn")
struct TurnTests {
  /// A broadcast of about `byteCount` bytes.
  static func broadcast(_ byteCount: Int = 10) -> Event {
    let message = SystemMessage(
      id: DialectTests.id, messageType: "m", title: "t",
      message: String(repeating: "x", count: byteCount), payload: Array("{}".utf8))
    return Event(audience: .everyone, body: .system(message), timestamp: 0)
  }

  @Test func `a session is greeted, receives its events and answers a ping`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    try fixture.publish(DialectTests.stored())
    try fixture.publish(Self.broadcast())
    peer.say(#"{"type":"ping"}"#)
    var texts: [String] = []
    try fixture.turn(until: {
      texts += (try? peer.frames()) ?? []
      return texts.count == 5
    })
    #expect(texts[0].contains("connection:established"))
    #expect(texts.filter { $0.contains("notification:new") }.count == 1)
    #expect(texts.filter { $0.contains("system:message") }.count == 1)
    #expect(texts.filter { $0.contains(#""event":"pong""#) }.count == 1)
  }

  @Test func `a flush does not overwrite the bytes that are being parsed`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    let other = try fixture.session("v")
    try fixture.turn()
    // The other's outbox has two ranges of the direct log, which a flush gathers.
    for _ in 0..<2 {
      other.connection.send(frame("for v: " + String(repeating: "v", count: 4_000)))
      peer.connection.send(frame("for u"))
    }
    // Enough pings that their answers do not fit into the bytes appended between two flushes.
    var pings: [UInt8] = []
    let payload = [UInt8](repeating: 0x70, count: 125)
    while pings.count < 16 * 1_024 - 131 {
      WebSocketFrame.append(.ping, payload: payload, maskingKey: 1, into: &pings)
    }
    fixture.shard.fillDirectLog(leaving: 200)
    peer.send(pings)
    var texts: [String] = []
    try fixture.turn(until: {
      texts += (try? peer.frames()) ?? []
      return texts.filter { $0 == "pong" }.count == pings.count / 131
        || texts.contains { $0.hasPrefix("close") }
    })
    #expect(!texts.contains { $0.hasPrefix("close") })
    #expect(!peer.connection.hasEnded)
  }

  @Test func `a publisher that resets while its broadcast makes room leaves no state`() throws {
    let fixture = try ShardFixture { $0.limits.ringCapacity = 4 }
    let publisher = try fixture.connect()
    let body = #"{"title":"t"}"#
    let post =
      "POST /api/v1/websocket/send/system HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)"
      + "\r\nAuthorization: Bearer \(ShardFixture.token("p", scopes: ["publish"]))\r\n\r\n\(body)"
    let listener = try fixture.session("u")
    try fixture.turn()
    // The waiting events do not fit into the bytes appended between two flushes, so making room for
    // the last broadcast flushes; by then the publisher has reset its connection.
    for _ in 0..<3 { try fixture.publish(Self.broadcast(100 * 1_024)) }
    fixture.script.sends[publisher.serverDescriptor] = [-Int(ECONNRESET)]
    publisher.send(post + post)
    try fixture.turn(until: { publisher.connection.hasEnded })
    let next = try fixture.connect()
    #expect(next.connection.slot == publisher.connection.slot)
    next.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    try fixture.turn(until: { next.receive().headEnd != nil })
    #expect(next.received.text.hasPrefix("HTTP/1.1 200"))
    #expect(next.received.text.contains("\"status\":\"ok\""))
    try fixture.turn(until: { (try? listener.frames())?.isEmpty == false })
  }

  private func frame(_ text: String) -> [UInt8] {
    var frame: [UInt8] = []
    WebSocketFrame.append(.text, payload: Array(text.utf8), into: &frame)
    return frame
  }
}
