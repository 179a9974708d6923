// How connections end: a client that is owed an answer gets all of it or is cut by a deadline.

import Notifications
import Testing

@testable import Server

@Suite("The end of a connection")
struct EndingTests {
  /// A request for a page, after which its client sends nothing more.
  static func lastRequest(close: Bool, of user: String = "u") -> String {
    "GET /api/v1/notifications HTTP/1.1\r\nHost: x\r\n" + (close ? "Connection: close\r\n" : "")
      + "Authorization: Bearer \(ShardFixture.token(user))\r\n\r\n"
  }

  /// Answers the page that the shard has asked for with about 100 KiB.
  static func answerPage(_ fixture: ShardFixture) throws {
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    let content = String(repeating: "m", count: 4_000)
    let page = (1...25).map { offset in
      Notification(
        id: NotificationID(high: 1, low: offset), userID: "u", type: "t", priority: .normal,
        title: "t", message: content, data: Array("{}".utf8), createdAt: 0, offset: offset)
    }
    try fixture.store.answer(.page(page, next: nil, Counts(total: 25)))
  }

  /// Whether a whole answer of that size has come.
  static func isWhole(_ peer: TestPeer) -> Bool {
    peer.receive().count > 100_000 && peer.received.text.hasSuffix("\"total\":25}}")
  }

  @Test func `a client that has ended its side and reads slowly gets its whole answer`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    peer.send(Self.lastRequest(close: false))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    peer.endSending()
    try fixture.turn(until: {
      peer.connection.isPeerEnded
    })
    fixture.script.room[peer.serverDescriptor] = 1_000
    try Self.answerPage(fixture)
    try fixture.turn(5)
    fixture.script.room[peer.serverDescriptor] = nil
    try fixture.turn(until: { Self.isWhole(peer) && peer.isEnded })
    #expect(fixture.shard.connectionCount == 0)
    #expect(fixture.core.metrics[0].value(.resets) == 0)
  }

  @Test func `a last answer may take longer than a close frame, as long as the client reads`()
    throws
  {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    fixture.script.room[peer.serverDescriptor] = 1_000
    peer.send(Self.lastRequest(close: true))
    try Self.answerPage(fixture)
    for _ in 0..<5 {
      try fixture.pass(milliseconds: 4_000)
      fixture.script.room[peer.serverDescriptor] = 1_000
    }
    fixture.script.room[peer.serverDescriptor] = nil
    try fixture.turn(until: { Self.isWhole(peer) })
  }

  // Case 65
  @Test func `a last answer that the client does not read at all is given up`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    fixture.script.room[peer.serverDescriptor] = 1_000
    peer.send(Self.lastRequest(close: true))
    try Self.answerPage(fixture)
    try fixture.turn(3)
    #expect(fixture.shard.connectionCount == 1)
    try fixture.pass(milliseconds: 11_000)
    #expect(fixture.shard.connectionCount == 0)
  }

  @Test func `the size of a user's unread pages is bounded, and other users get theirs`() throws {
    let fixture = try ShardFixture { $0.limits.blockedBytesLimit = 44 << 20 }
    var peers: [TestPeer] = []
    for _ in 0..<4 {
      let peer = try fixture.connect()
      fixture.script.room[peer.serverDescriptor] = 1_000
      peer.send(Self.lastRequest(close: false))
      try Self.answerPage(fixture)
      try fixture.turn(until: { peer.connection.isBlocked })
      peers.append(peer)
    }
    let next = try fixture.connect()
    next.send(Self.lastRequest(close: false))
    try fixture.turn(until: { next.receive().headEnd != nil })
    #expect(next.received.text.hasPrefix("HTTP/1.1 503"))
    let resuming = try fixture.session("u", since: "0")
    var texts: [String] = []
    try fixture.turn(until: {
      texts += (try? resuming.frames()) ?? []
      return texts.contains("close 1013")
    })
    let other = try fixture.connect()
    other.send(Self.lastRequest(close: false, of: "other"))
    try Self.answerPage(fixture)
    try fixture.turn(until: { Self.isWhole(other) })
    // One client reads its page and another goes away, which makes room.
    fixture.script.room[peers[0].serverDescriptor] = nil
    fixture.script.sends[peers[1].serverDescriptor] = [-104]
    try fixture.turn(until: { Self.isWhole(peers[0]) && peers[1].connection.hasEnded })
    next.received = []
    next.send(Self.lastRequest(close: false))
    try Self.answerPage(fixture)
    try fixture.turn(until: { Self.isWhole(next) })
    // Those of the two that have not read.
    #expect((200_000..<230_000).contains(fixture.shard.pageByteCount))
    for peer in peers { peer.connection.end() }
    try fixture.turn()
    #expect(fixture.shard.pageByteCount == 0)
  }
}
