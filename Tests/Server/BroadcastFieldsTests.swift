// Publishing through rooms-hub's endpoints: which clients receive each event, and which requests
// the server rejects.

import Broadcast
import Notifications
import Testing

@testable import Server

@Suite("Broadcasts and publishing through rooms-hub")
struct BroadcastFieldsTests {
  static let hub = "/api/v1/websocket"

  /// A valid body for each endpoint.
  static let good = [
    "/send/notification": #"{"user_id":"u","notification_type":"t","title":"t"}"#,
    "/send/system": #"{"title":"t"}"#,
    "/send/room": #"{"room":"r","notification_type":"t","title":"t"}"#,
    "/live/update": #"{"user_id":"u","update_type":"t"}"#,
    "/live/data": #"{"user_id":"u","update_type":"t"}"#,
    "/live/broadcast": #"{"update_type":"t"}"#,
  ]

  static func post(
    _ path: String, _ body: String, fields: String = "", _ peer: TestPeer,
    _ fixture: ShardFixture
  ) throws -> (head: String, body: String) {
    peer.send(EndpointTests.request("POST \(path)", fields: fields, body: body))
    return try EndpointTests.answer(to: peer, fixture)
  }

  @Test func `an update reaches every device of its user under its own event name`() throws {
    let fixture = try ShardFixture()
    let device = try fixture.session("u")
    let other = try fixture.session("v")
    let asking = try fixture.connect()
    try fixture.turn(until: { (try? device.frames())?.isEmpty == false })
    try fixture.turn(until: { (try? other.frames())?.isEmpty == false })
    for (path, event) in [("/live/update", "live:update"), ("/live/data", "data:update")] {
      for payload in [#"{"x": [1]}"#, "[]", "null", "7", #""text""#, "true"] {
        let body = #"{"user_id":"u","update_type":"price","payload":\#(payload)}"#
        let answer = try Self.post(Self.hub + path, body, asking, fixture)
        #expect(answer.head.hasPrefix("HTTP/1.1 200"))
        #expect(answer.body == #"{"success":true,"data":{}}"#)
        try fixture.turn(until: { device.receive().count > 0 })
        let frames = try device.frames()
        #expect(frames.count == 1)
        #expect(frames[0].contains(#""event":"\#(event)""#))
        #expect(frames[0].contains(#"{"update_type":"price","payload":\#(payload)}"#))
      }
    }
    #expect(try other.frames() == [])
  }

  @Test func `a message for a room is published to the room with all its fields`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let asking = try fixture.connect()
    asking.send(
      EndpointTests.request(
        "POST \(Self.hub)/send/room",
        body: #"{"room":"läden","notification_type":"t","title":"T","message":"M","#
          + #""payload":{"a":1}}"#))
    // The second shard is not turned, so its unread events are still in the ring.
    for _ in 0..<2_000 where asking.receive().headEnd == nil { try fixture.shard.turn() }
    #expect(asking.received.text.hasPrefix("HTTP/1.1 200"))
    var heard: [Event] = []
    _ = fixture.core.ring.drain(consumer: 1, limit: 10) { heard.append($0) }
    guard heard.count == 1, case .room(let room, nil) = heard[0].audience,
      case .room(let message) = heard[0].body
    else {
      Issue.record("\(heard.count) events")
      return
    }
    #expect(room == "läden" && message.room == "läden" && message.notificationType == "t")
    #expect(message.title == "T" && message.message == "M")
    #expect(message.payload.text == #"{"a":1}"#)
  }

  @Test func `a notification published through rooms-hub is stored and answered like any other`()
    throws
  {
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    let body =
      #"{"user_id":"u","notification_type":"a.b","title":"T","message":"M","payload":{"k":1}}"#
    asking.send(
      EndpointTests.request(
        "POST \(Self.hub)/send/notification", fields: "Idempotency-Key: k\r\n", body: body))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    let command = fixture.store.commands[0].command
    guard case .publish(let drafts, let key?, let kept, _) = command else {
      Issue.record("the store got no publish with a key")
      return
    }
    #expect(drafts.map(\.userID) == ["u"] && drafts[0].content.type == "a.b")
    #expect(drafts[0].content.title == "T" && drafts[0].content.message == "M")
    #expect(drafts[0].content.data.text == #"{"k":1}"#)
    try fixture.store.answer(.published)
    let answer = try EndpointTests.answer(to: asking, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 201"))
    #expect(answer.body.contains(#""id":"\#(drafts[0].id.text)""#))
    #expect(answer.body.contains(#""type":"a.b""#) && answer.body == kept.text)
    // The same text under the other endpoint's field names is another request.
    asking.send(
      EndpointTests.request(
        "POST /api/v1/notifications", fields: "Idempotency-Key: k\r\n",
        body: #"{"user_id":"u","type":"a.b","title":"T","message":"M","data":{"k":1}}"#))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    guard case .publish(_, let other?, _, _) = fixture.store.commands[0].command else {
      Issue.record("the key did not reach the store")
      return
    }
    #expect(other.digest != key.digest)
  }

  @Test func `the same body has another idempotency digest as a batch of one line`() throws {
    // The answers differ, so one key must not cover both.
    let body = #"{"user_id":"u","type":"t","title":"t"}"#
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    var digests: Set<[UInt8]> = []
    let paths = ["/api/v1/notifications", "/api/v1/notifications/batch"]
    for path in paths {
      asking.send(
        EndpointTests.request("POST \(path)", fields: "Idempotency-Key: k\r\n", body: body))
      try fixture.turn(until: { fixture.store.commands.count == 1 })
      if case .publish(_, let key?, _, _) = fixture.store.commands[0].command {
        digests.insert(key.digest)
      }
      try fixture.store.answer(.published)
      _ = try EndpointTests.answer(to: asking, fixture)
    }
    #expect(digests.count == 2)
  }

  @Test(
    "a missing required field is named in the 422",
    arguments: [
      ("/send/notification", "user_id"), ("/send/notification", "notification_type"),
      ("/send/notification", "title"), ("/send/system", "title"), ("/send/room", "room"),
      ("/send/room", "notification_type"), ("/send/room", "title"), ("/live/update", "user_id"),
      ("/live/update", "update_type"), ("/live/data", "user_id"), ("/live/data", "update_type"),
      ("/live/broadcast", "update_type"),
    ])
  func missing(path: String, field: String) throws {
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    let good = try #require(Self.good[path])
    for instead in [#""payload":null"#, #""\#(field)":null"#] {
      let body = good.replacing(try Regex(#""\#(field)":"[^"]*""#), with: instead)
      #expect(body != good)
      let answer = try Self.post(Self.hub + path, body, asking, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 422"))
      #expect(answer.body.contains("\(field): missing"), "\(answer.body)")
    }
    #expect(fixture.store.commands.isEmpty && fixture.core.metrics[0].value(.broadcasts) == 0)
  }

  @Test(
    "an unknown field is named in the 422, with the nearest known one",
    arguments: good.keys.sorted())
  func unknown(path: String) throws {
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    let body = try #require(Self.good[path])
    for (name, reason) in [
      ("payloda", "unknown field (did you mean payload?)"), ("elsewhere", "unknown field"),
    ] {
      let wrong = body.dropLast() + #","\#(name)":{}}"#
      let answer = try Self.post(Self.hub + path, String(wrong), asking, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 422"))
      #expect(answer.body.contains(#""message":"\#(name): \#(reason)""#), "\(answer.body)")
    }
    #expect(fixture.store.commands.isEmpty && fixture.core.metrics[0].value(.broadcasts) == 0)
  }

  @Test("an invalid field is named in the 422", arguments: good.keys.sorted())
  func wrong(path: String) throws {
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    let long = String(repeating: "x", count: 16_384)
    let fields = try #require(Self.good[path])
    var wrong: [(field: String, body: String)] = []
    for name in ["user_id", "room", "notification_type", "update_type", "title"] {
      guard let field = fields.firstMatch(of: try Regex(#""\#(name)":"[^"]*""#)) else { continue }
      let text = String(fields[field.range])
      for value in ["7", "[]", "{}", "true", "\"\(long)\""] {
        wrong.append((name, fields.replacing(text, with: "\"\(name)\":\(value)")))
      }
      wrong.append((name, fields.replacing(text, with: text + "," + text)))
    }
    let payload = fields.dropLast() + #","payload":"#
    wrong.append(("payload", payload + #"{"x":"\#(long)"}}"#))
    wrong.append(("payload", payload + #"{},"payload":{}}"#))
    if path.hasPrefix("/send") {
      for value in ["[]", "7", "\"text\"", "true"] {
        wrong.append(("payload", payload + value + "}"))
      }
      wrong.append(("message", fields.dropLast() + #","message":"\#(long)"}"#))
    }
    for (field, body) in wrong {
      let answer = try Self.post(Self.hub + path, body, asking, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 422"), "\(body.prefix(100))")
      #expect(answer.body.contains("\"\(field): "), "\(answer.body)")
    }
    for body in ["", "{", fields + "x", fields.dropLast() + #","unknown":{"#] {
      #expect(try Self.post(Self.hub + path, body, asking, fixture).head.hasPrefix("HTTP/1.1 400"))
    }
    for body in ["[]", "null", "7"] {
      #expect(try Self.post(Self.hub + path, body, asking, fixture).head.hasPrefix("HTTP/1.1 422"))
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\n"
    let refused = try Self.post(Self.hub + path, fields, fields: form, asking, fixture)
    #expect(refused.head.hasPrefix("HTTP/1.1 415"))
    #expect(fixture.store.commands.isEmpty && fixture.core.metrics[0].value(.broadcasts) == 0)
  }

  @Test(
    "an invalid name is rejected",
    arguments: [
      ("/send/room", #"{"room":"","notification_type":"t","title":"t"}"#, "room"),
      ("/send/room", #"{"room":"a\u0000b","notification_type":"t","title":"t"}"#, "room"),
      ("/send/room", #"{"room":"r","notification_type":"a b","title":"t"}"#, "notification_type"),
      ("/live/update", #"{"user_id":"","update_type":"t"}"#, "user_id"),
      ("/live/update", #"{"user_id":"a\u007f","update_type":"t"}"#, "user_id"),
    ])
  func names(path: String, body: String, field: String) throws {
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    let answer = try Self.post(Self.hub + path, body, asking, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 422") && answer.body.contains("\"\(field): "))
  }

  @Test func `a disconnect reason must fit into a close frame`() throws {
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    func status(_ body: String) throws -> Substring {
      try Self.post("/api/v1/disconnect", body, asking, fixture).head.dropFirst(9).prefix(3)
    }
    #expect(try status(#"{"user_id":"u"}"#) == "200")
    #expect(try status(#"{"user_id":"u","reason":null}"#) == "200")
    for (count, expected) in [(61, "200"), (62, "422")] {
      let reason = String(repeating: "é", count: count)
      #expect(try status(#"{"user_id":"u","reason":"\#(reason)"}"#) == expected)
    }
    #expect(try status(#"{"user_id":"u","reason":"a\u0007b"}"#) == "422")
    #expect(try status(#"{"user_id":"u","reason":7}"#) == "422")
    #expect(try status(#"{"user_id":"u","user_id":"v"}"#) == "422")
    #expect(try status(#"{"reason":"r"}"#) == "422")
    #expect(try status(#"{"user_id":""}"#) == "422")
    #expect(try status("{") == "400")
  }

  @Test func `a full ring rejects an event with 503`() throws {
    let fixture = try ShardFixture(shardCount: 2) { $0.limits.ringCapacity = 4 }
    let asking = try fixture.connect()
    // The second shard has not read these events, so the ring stays full.
    for _ in 0..<4 { try fixture.publish(TurnTests.broadcast()) }
    for path in ["/live/update", "/live/data", "/live/payment", "/send/room"] {
      asking.send(
        EndpointTests.request(
          "POST \(Self.hub)\(path)",
          body: path == "/live/payment" ? PaymentTests.body() : try #require(Self.good[path])))
      for _ in 0..<2_000 where asking.receive().headEnd == nil { try fixture.shard.turn() }
      #expect(asking.received.text.hasPrefix("HTTP/1.1 503"))
      #expect(asking.received.text.contains("Retry-After"))
      asking.received = []
    }
  }
}

@Suite("ack=relayed")
struct RelayedTests {
  static let paths = [
    ("/api/v1/notifications", EndpointTests.draft),
    ("/api/v1/notifications/batch", EndpointTests.draft),
    (
      "/api/v1/websocket/send/notification",
      #"{"user_id":"u","notification_type":"t","title":"t"}"#
    ),
  ]

  @Test(arguments: paths)
  func `a publisher is answered before the store is done`(path: String, body: String) throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    peer.send(EndpointTests.request("POST \(path)?ack=relayed", body: body))
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 202"))
    guard case .publish(let drafts, nil, _, _) = fixture.store.commands.first?.command else {
      Issue.record("the store got no publish without a key")
      return
    }
    #expect(answer.body.contains(drafts[0].id.text))
    // The connection sends its next request meanwhile and gets the answer to that one.
    #expect(fixture.core.metrics[0].value(.published) == 0)
    peer.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(try EndpointTests.answer(to: peer, fixture).body.contains("\"status\":\"ok\""))
    peer.send(EndpointTests.request("POST \(path)?ack=stored", body: body))
    try fixture.turn(until: { fixture.store.commands.count == 2 })
    try fixture.store.answer(.published)
    try fixture.turn(3)
    #expect(fixture.core.metrics[0].value(.published) == 1)
    #expect(
      peer.receive().isEmpty, "the outcome of the first publish does not answer the second request")
    try fixture.store.answer(.published)
    let stored = try EndpointTests.answer(to: peer, fixture)
    #expect(stored.head.hasPrefix(path.hasSuffix("batch") ? "HTTP/1.1 200" : "HTTP/1.1 201"))
    #expect(fixture.core.metrics[0].value(.published) == 2)
  }

  @Test func `a relayed notification that the store rejects is counted as lost`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    let two = EndpointTests.draft + "\n" + EndpointTests.draft
    peer.send(EndpointTests.request("POST /api/v1/notifications/batch?ack=relayed", body: two))
    _ = try EndpointTests.answer(to: peer, fixture)
    try fixture.store.answer(.readOnly(reason: "disk"))
    try fixture.turn(2)
    #expect(fixture.core.metrics[0].value(.relayedLost) == 2)
    #expect(fixture.core.metrics[0].value(.published) == 0)
  }

  @Test func `a body counts as in flight until the store is done with it`() throws {
    let fixture = try ShardFixture { $0.limits.publisherBodiesBytesLimit = 100 }
    let peer = try fixture.connect()
    let post = EndpointTests.request(
      "POST /api/v1/notifications?ack=relayed", body: EndpointTests.draft)
    let length = EndpointTests.draft.utf8.count
    for number in 1...(100 / length) {
      peer.send(post)
      #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 202"))
      #expect(fixture.shard.bodyBytesInFlight == number * length)
    }
    peer.send(post)
    #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 503"))
    while !fixture.store.commands.isEmpty { try fixture.store.answer(.published) }
    try fixture.turn(until: { fixture.shard.bodyBytesInFlight == 0 })
  }

  @Test func `ack=relayed is rejected where it could not be honoured`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    func post(_ query: String, fields: String = "") throws -> (head: String, body: String) {
      try BroadcastFieldsTests.post(
        "/api/v1/notifications?\(query)", EndpointTests.draft, fields: fields, peer, fixture)
    }
    for query in ["ack=", "ack=RELAYED", "ack=none", "ack"] {
      let answer = try post(query)
      #expect(answer.head.hasPrefix("HTTP/1.1 422") && answer.body.contains("ack: "))
    }
    let keyed = try post("ack=relayed", fields: "Idempotency-Key: k\r\n")
    #expect(keyed.head.hasPrefix("HTTP/1.1 422"))
    #expect(keyed.body.contains("ack: relayed cannot be combined with Idempotency-Key"))
    fixture.store.isFull = true
    #expect(try post("ack=relayed").head.hasPrefix("HTTP/1.1 503"))
    fixture.store.isFull = false
    fixture.store.status = .readOnly(reason: "disk")
    let failed = try post("ack=relayed")
    #expect(failed.head.hasPrefix("HTTP/1.1 503") && failed.head.contains("Retry-After"))
    #expect(fixture.store.commands.isEmpty && fixture.shard.bodyBytesInFlight == 0)
  }
}
