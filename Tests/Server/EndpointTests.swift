// Answers to requests that need a store or a ring under the test's control.

import Broadcast
import Notifications
import Testing

@testable import Server

@Suite("Endpoints")
struct EndpointTests {
  static func request(
    _ line: String, user: String = "p", fields: String = "", body: String = "",
    scopes: [String] = ["publish"]
  ) -> String {
    "\(line) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\(fields)"
      + "Authorization: Bearer \(ShardFixture.token(user, scopes: scopes))\r\n\r\n\(body)"
  }

  /// Waits for one whole answer and takes it: its head and its body.
  static func answer(
    to peer: TestPeer, _ fixture: ShardFixture
  ) throws -> (head: String, body: String) {
    try fixture.turn(until: { peer.receive().headEnd != nil })
    let end = try #require(peer.received.headEnd)
    let head = peer.received[..<end].map { $0 }.text
    let name = try #require(head.firstRange(of: "Content-Length: "))
    let length = try #require(Int(head[name.upperBound...].prefix { $0.isNumber }))
    try fixture.turn(until: { peer.receive().count >= end + length })
    let body = Array(peer.received[end..<(end + length)]).text
    peer.received.removeFirst(end + length)
    return (head, body)
  }

  @Test func `concurrent readiness requests share one probe`() throws {
    let fixture = try ShardFixture { $0.limits.ringCapacity = 4 }
    let peers = try (0..<20).map { _ in try fixture.connect() }
    for peer in peers { peer.send("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n") }
    for peer in peers {
      #expect(try Self.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200"))
    }
    #expect(fixture.core.metrics[0].value(.ringFull) == 0)
  }

  @Test func `a ring that is full only because this shard has not read it is still ready`() throws {
    let fixture = try ShardFixture { $0.limits.ringCapacity = 4 }
    let peer = try fixture.connect()
    try fixture.turn()
    for _ in 0..<4 { try fixture.publish(TurnTests.broadcast()) }
    peer.send("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(try Self.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200"))
  }

  @Test func `the total size of bodies that are being received is bounded`() throws {
    let limit = 256 * 1_024
    let fixture = try ShardFixture { $0.limits.publisherBodiesBytesLimit = limit }
    let length = 60 * 1_024
    let peers = try (0..<20).map { _ in try fixture.connect() }
    // All heads first: each body alone would fit.
    let head =
      "POST /api/v1/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: \(length)\r\n"
      + "Authorization: Bearer \(ShardFixture.token("p", scopes: ["publish"]))\r\n\r\n"
    for peer in peers { peer.send(head) }
    try fixture.turn(5)
    var refused = 0
    for peer in peers {
      peer.send([UInt8](repeating: 0x20, count: length - 1))
      try fixture.turn(5)
      #expect(fixture.shard.bodyBytesInFlight <= limit + 64 * 1_024)
      if peer.receive().text.hasPrefix("HTTP/1.1 503") { refused += 1 }
    }
    #expect(refused == 16)
    for peer in peers.prefix(4) { peer.endSending() }
    try fixture.turn(until: { fixture.shard.bodyBytesInFlight == 0 })
  }

  @Test func `a publish may name up to the limit of users`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    let ids = (0..<10_000).map { number in
      "\"0190a000-0000-7000-8000-\(String(String(1_000_000_000_000 + number).dropFirst()))\""
    }
    let body = #"{"user_ids":[\#(ids.joined(separator: ","))],"type":"t","title":"t"}"#
    let bytes = Array(Self.request("POST /api/v1/notifications", body: body).utf8)
    var rest = bytes[...]
    while !rest.isEmpty {
      peer.send(Array(rest.prefix(32 * 1_024)))
      rest = rest.dropFirst(32 * 1_024)
      try fixture.turn(2)
    }
    try fixture.turn(until: { !fixture.store.commands.isEmpty || peer.receive().headEnd != nil })
    guard case .publish(let drafts, _, _, _) = fixture.store.commands.first?.command else {
      Issue.record("\(peer.received.text)")
      return
    }
    #expect(drafts.count == 10_000)
  }

  @Test(
    "a body has 64 KiB, with user_ids 1 MiB, a batch 8 MiB, and one byte more is 413",
    arguments: [
      ("POST /api/v1/notifications", #"{"user_id":"u","type":"t","title":"t"}"#, 65_536),
      ("POST /api/v1/notifications", #"{"audience":"everyone","type":"t","title":"t"}"#, 65_536),
      ("POST /api/v1/notifications", #"{"user_ids":["u"],"type":"t","title":"t"}"#, 1_048_576),
      ("POST /api/v1/notifications/batch", #"{"user_id":"u","type":"t","title":"t"}"#, 8_388_608),
      (
        "POST /api/v1/websocket/send/notification",
        #"{"user_id":"u","notification_type":"t","title":"t","message":"m"}"#, 65_536
      ),
      ("PUT /api/v1/preferences", #"{"types":{}}"#, 65_536),
    ])
  func bodyLimits(line: String, json: String, limit: Int) throws {
    for count in [limit, limit + 1] {
      let fixture = try ShardFixture()
      let peer = try fixture.connect()
      // White space after the document is part of the body.
      let body = json + String(repeating: " ", count: count - json.utf8.count)
      let bytes = Array(Self.request(line, body: body).utf8)
      var rest = bytes[...]
      while !rest.isEmpty, peer.receive().headEnd == nil {
        peer.sendIfOpen(Array(rest.prefix(32 * 1_024)).text)
        rest = rest.dropFirst(32 * 1_024)
        try fixture.turn(2)
      }
      try fixture.turn(until: { !fixture.store.commands.isEmpty || peer.receive().headEnd != nil })
      if count == limit {
        #expect(fixture.store.commands.count == 1, "\(peer.received.text)")
      } else {
        #expect(peer.received.text.hasPrefix("HTTP/1.1 413 "))
        #expect(peer.received.text.contains("at most \(limit) bytes"))
        #expect(fixture.store.commands.isEmpty)
      }
    }
  }

  static let draft = #"{"user_id":"u","type":"t","title":"t"}"#

  @Test func `a batch with an Idempotency-Key is stored once and answered the same again`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    peer.send(
      Self.request(
        "POST /api/v1/notifications/batch", fields: "Idempotency-Key: k\r\n", body: Self.draft))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    guard case .publish(_, let key?, let stored, _) = fixture.store.commands[0].command else {
      Issue.record("the key did not reach the store")
      return
    }
    try fixture.store.answer(.published)
    let first = try Self.answer(to: peer, fixture)
    #expect(first.body.utf8.elementsEqual(stored))
    peer.send(
      Self.request(
        "POST /api/v1/notifications/batch", fields: "Idempotency-Key: k\r\n", body: Self.draft))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    try fixture.store.answer(.repeated(answer: stored))
    let second = try Self.answer(to: peer, fixture)
    #expect(second.body == first.body)
    #expect(second.head.hasPrefix("HTTP/1.1 200"))
    #expect(second.head.contains("application/x-ndjson"))
    #expect(second.head.contains("Idempotent-Replay: true"))
    // The same key and body as a single publish is another request and gets another answer.
    peer.send(
      Self.request("POST /api/v1/notifications", fields: "Idempotency-Key: k\r\n", body: Self.draft)
    )
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    guard case .publish(_, let other?, _, _) = fixture.store.commands[0].command else {
      Issue.record("the key did not reach the store")
      return
    }
    #expect(other.digest != key.digest)
  }

  @Test func `only stored notifications are counted as published`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    let outcomes: [StoreOutcome] = [
      .unavailable(reason: ""), .readOnly(reason: ""), .conflict, .repeated(answer: [0x7B, 0x7D]),
      .published,
    ]
    for outcome in outcomes {
      #expect(fixture.core.metrics[0].value(.published) == 0)
      peer.send(Self.request("POST /api/v1/notifications", body: Self.draft))
      try fixture.turn(until: { fixture.store.commands.count == 1 })
      try fixture.store.answer(outcome)
      _ = try Self.answer(to: peer, fixture)
    }
    #expect(fixture.core.metrics[0].value(.published) == 1)
  }
}
