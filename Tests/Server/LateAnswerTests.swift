// The store's answer to a connection that has gone: its slot holds another connection by then,
// which waits for an answer of its own.

import Glibc
import Notifications
import Testing

@testable import Server

@Suite("Late answers of the store")
struct LateAnswerTests {
  static func request(_ line: String, user: String, body: String = "") -> String {
    "\(line) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n"
      + "Authorization: Bearer \(ShardFixture.token(user, scopes: ["publish"]))\r\n\r\n\(body)"
  }

  /// A connection that asked `request` and was reset; the store still has the question.
  static func askAndLeave(_ fixture: ShardFixture, _ request: String) throws -> (UInt32, Int32) {
    let peer = try fixture.connect()
    peer.send(request)
    try fixture.turn(until: { fixture.store.reads.count + fixture.store.commands.count == 1 })
    fixture.script.keptDescriptor = peer.serverDescriptor
    // Closed with nothing to linger for, which the server sees as a reset.
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(
      peer.descriptor, SOL_SOCKET, SO_LINGER, &linger,
      socklen_t(MemoryLayout.size(ofValue: linger)))
    return (peer.connection.slot, peer.serverDescriptor)
  }

  /// A connection in that slot and with that descriptor.
  static func successor(
    _ fixture: ShardFixture, _ former: (slot: UInt32, descriptor: Int32)
  ) throws -> TestPeer {
    try fixture.turn(until: { fixture.shard.connectionCount == 0 })
    let peer = try fixture.connect()
    #expect(peer.connection.slot == former.slot)
    #expect(peer.serverDescriptor == former.descriptor)
    return peer
  }

  // Case 61
  @Test func `the outcome of a command reaches only the connection that sent it`() throws {
    let fixture = try ShardFixture()
    let draft = #"{"user_id":"u","type":"t","title":"t"}"#
    let former = try Self.askAndLeave(
      fixture, Self.request("POST /api/v1/notifications", user: "a", body: draft))
    let peer = try Self.successor(fixture, former)
    peer.send(Self.request("POST /api/v1/notifications", user: "b", body: draft))
    try fixture.turn(until: { fixture.store.commands.count == 2 })
    try fixture.store.answer(.conflict)
    try fixture.turn(5)
    #expect(peer.receive().isEmpty)
    try fixture.store.answer(.published)
    try fixture.turn(until: { peer.receive().headEnd != nil })
    #expect(peer.received.text.hasPrefix("HTTP/1.1 201 "))
  }

  // Cases 61, 66
  @Test func `a user's page is not sent to another user who has the slot by then`() throws {
    let fixture = try ShardFixture()
    let former = try Self.askAndLeave(
      fixture, Self.request("GET /api/v1/notifications", user: "a"))
    let peer = try Self.successor(fixture, former)
    peer.send(Self.request("GET /api/v1/notifications", user: "b"))
    try fixture.turn(until: { fixture.store.reads.count == 2 })
    let secret = Notification(
      id: NotificationID(high: 1, low: 1), userID: "a", type: "t", priority: .normal,
      title: "for a alone", message: "", data: Array("{}".utf8), createdAt: 0, offset: 1)
    try fixture.store.answer(.page([secret], next: nil, Counts(total: 1)))
    try fixture.turn(5)
    #expect(peer.receive().isEmpty)
    try fixture.store.answer(.page([], next: nil, Counts()))
    try fixture.turn(until: { peer.receive().text.hasSuffix("}}") })
    #expect(!peer.received.text.contains("for a alone"))
  }

  // Cases 61, 66
  @Test func `a session's missed notifications are not sent to the next session in its slot`()
    throws
  {
    let fixture = try ShardFixture()
    let path = "GET /api/ws?since=0 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    let fields = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    let token = ShardFixture.token("a")
    let former = try Self.askAndLeave(
      fixture, "\(path)\(fields)Host: x\r\nAuthorization: Bearer \(token)\r\n\r\n")
    try fixture.turn(until: { fixture.shard.connectionCount == 0 })
    let peer = try fixture.session("b", path: "/api/ws", since: "0")
    #expect(peer.connection.slot == former.0)
    try fixture.turn(until: { fixture.store.reads.count == 2 })
    let secret = Notification(
      id: NotificationID(high: 1, low: 1), userID: "a", type: "t", priority: .normal,
      title: "for a alone", message: "", data: Array("{}".utf8), createdAt: 0, offset: 1)
    try fixture.store.answer(
      .missed([secret], through: 1, next: nil, total: 1, Counts(total: 1)))
    try fixture.turn(5)
    let frames = try peer.frames()
    #expect(!frames.contains { $0.contains("for a alone") }, "\(frames)")
  }
}
