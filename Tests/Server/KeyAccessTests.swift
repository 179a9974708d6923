// Requests with API keys: the endpoints that each verb allows, types, ends and refusals.

import Broadcast
import Notifications
import Testing
import Wire

@testable import Server

@Suite("Requests with API keys")
struct KeyAccessTests {
  private static let publish = "POST /api/v1/notifications"

  private static func body(_ type: String = "t") -> String {
    #"{"user_id":"u","type":"\#(type)","title":"T"}"#
  }

  private static func metric(_ counter: Counter, _ fixture: ShardFixture) -> Int {
    fixture.core.metrics.reduce(0) { $0 + $1.value(counter) }
  }

  // MARK: Verbs

  @Test("each endpoint for publishers has its verb")
  func verbs() {
    var found: [String] = []
    for endpoint in Endpoints.rows(hasDemo: true) {
      guard let verb = endpoint.access.verb else { continue }
      found.append("\(endpoint.method.name) \(endpoint.path) \(verb.rawValue)")
    }
    let (hub, hooks) = ("/api/v1/websocket", "/api/v1/webhooks")
    let expected = [
      "POST /api/v1/notifications publish", "POST /api/v1/notifications/batch publish",
      "POST \(hub)/send/notification publish", "POST \(hub)/send/system broadcast",
      "POST \(hub)/send/room broadcast", "POST \(hub)/live/update broadcast",
      "POST \(hub)/live/data broadcast", "POST \(hub)/live/payment broadcast",
      "POST \(hub)/live/broadcast broadcast", "GET /api/v1/users/online read",
      "GET /api/v1/users/:id/online read", "GET /api/v1/users/:id/connections read",
      "GET /api/v1/users/:id/notifications read", "GET /api/v1/metrics/stream read",
      "GET /metrics read", "POST /api/v1/disconnect disconnect", "POST /api/v1/keys admin",
      "GET /api/v1/keys admin", "DELETE /api/v1/keys/:id admin",
      "POST /api/v1/keys/:id/rotate admin", "POST \(hooks) webhooks", "GET \(hooks) webhooks",
      "GET \(hooks)/:id webhooks", "PATCH \(hooks)/:id webhooks", "DELETE \(hooks)/:id webhooks",
      "POST \(hooks)/:id/rotate webhooks", "POST \(hooks)/:id/test webhooks",
      "GET \(hooks)/:id/deliveries webhooks", "POST \(hooks)/:id/replay webhooks",
    ]
    #expect(found.sorted() == expected.sorted())
  }

  @Test("a key may use the endpoints of its verbs and no others", arguments: APIVerb.allCases)
  func access(verb: APIVerb) throws {
    let only = TestKey(1, [verb])
    let others = TestKey(2, Set(APIVerb.allCases.filter { $0 != verb }))
    for endpoint in Endpoints.rows(hasDemo: false) {
      // A request from this machine needs no key for /metrics.
      guard endpoint.access.verb == verb, endpoint.path != "/metrics" else { continue }
      let fixture = try ShardFixture(apiKeys: [only.key, others.key])
      let line = "\(endpoint.method.name) \(endpoint.path.replacing(":id", with: "x"))"
      let (status, body) = try fixture.answer(line, key: others.secret)
      #expect(status == "403", "\(line)")
      #expect(body.contains("this needs a key with the verb \(verb.rawValue)"))
      #expect(Self.metric(.keysRefusedVerb, fixture) == 1)
      let peer = try fixture.send(line, key: only.secret)
      try fixture.turn(until: {
        peer.receive().headEnd != nil || !fixture.store.reads.isEmpty
          || !fixture.store.commands.isEmpty
      })
      #expect(!peer.received.text.contains(" 401 ") && !peer.received.text.contains(" 403 "))
    }
  }

  @Test("another machine needs the verb read for /metrics")
  func metrics() throws {
    let fixture = try ShardFixture(
      apiKeys: [TestKey(1, [.read]).key, TestKey(2, [.admin]).key])
    // Under this name a request does not count as local.
    for (key, expected) in [(TestKey(1), "200"), (TestKey(2), "403")] {
      let (status, _) = try fixture.answer("GET /metrics", key: key.secret)
      #expect(status == expected)
    }
    let (_, body) = try fixture.answer("GET /metrics", key: TestKey(1).secret)
    #expect(body.contains("carillon_api_keys 0\n"))
    #expect(body.contains("carillon_keys_refused_verb_total{shard=\"0\"} 1\n"))
  }

  @Test("a key is for no user's endpoint, and any key for those of every caller")
  func users() throws {
    let key = TestKey(1, [.read])
    let fixture = try ShardFixture(apiKeys: [key.key])
    #expect(try fixture.answer("GET /api/v1/notifications", key: key.secret).status == "403")
    #expect(try fixture.answer("GET /api/notifications/stats", key: key.secret).status == "200")
    let peer = try fixture.send("GET /api/v1/ws/notifications", key: key.secret)
    #expect(try EndpointTests.answer(to: peer, fixture).head.contains(" 426 "))
  }

  @Test("the caller with a key has no user, and publishes by its verb")
  func caller() throws {
    let keys = [TestKey(1, [.publish]), TestKey(2, [.read], until: ShardFixture.startWall + 9_000)]
    let fixture = try ShardFixture(apiKeys: keys.map(\.key))
    let bodies = try keys.map { try fixture.answer("GET /api/v1/me", key: $0.secret).body }
    #expect(
      bodies == [
        #"{"success":true,"data":{"user_id":null,"publisher":true,"expires_at":null}}"#,
        #"{"success":true,"data":{"user_id":null,"publisher":false,"#
          + #""expires_at":"2023-11-14T22:13:29.000Z"}}"#,
      ])
  }

  // MARK: Types

  @Test("a type that the key may not publish is refused by name, also in a batch and by rooms-hub")
  func types() throws {
    let key = TestKey(1, types: ["incident_*", "deploy"])
    let fixture = try ShardFixture(apiKeys: [key.key])
    for type in ["other", "incident", "deploys"] {
      let (status, body) = try fixture.answer(Self.publish, key: key.secret, body: Self.body(type))
      #expect(status == "403" && body.contains("the key may not publish the type \(type)\""))
    }
    let (status, _) = try fixture.answer(
      "POST /api/v1/websocket/send/notification", key: key.secret,
      body: #"{"user_id":"u","notification_type":"other","title":"T","message":"M"}"#)
    #expect(status == "403" && fixture.store.commands.isEmpty)
    let peer = try fixture.send(
      Self.publish + "/batch", key: key.secret,
      body: Self.body("incident_1") + "\n" + Self.body("other") + "\n")
    try fixture.turn(until: { !fixture.store.commands.isEmpty })
    guard case .publish(let drafts, _, _, _) = fixture.store.commands[0].command else {
      Issue.record("no publish")
      return
    }
    #expect(drafts.map(\.content.type) == ["incident_1"])
    try fixture.store.answer(.published)
    let lines = try EndpointTests.answer(to: peer, fixture).body.split(separator: "\n")
    #expect(lines.count == 2 && lines[0].contains("true") && lines[1].contains("\"forbidden\""))
    #expect(Self.metric(.keysRefusedType, fixture) == 5)
  }

  // MARK: Refusals

  @Test("an unknown, an expired and a revoked key are answered 401, and counted by reason")
  func refused() throws {
    let expired = TestKey(1, until: ShardFixture.startWall)
    var revoked = TestKey(2)
    revoked.key.revoke(at: 1)
    let log = try ReadLog(.debug)
    let fixture = try ShardFixture(log: log.log, apiKeys: [expired.key, revoked.key])
    for (secret, message, reason) in [
      (TestKey(3).secret, "the token or key is not valid", "the key is unknown"),
      (
        TestKey.secret(of: expired.key.id, 9), "the token or key is not valid", "the key is unknown"
      ),
      (expired.secret, "the key has expired", "the key has expired"),
      (revoked.secret, "the key has been revoked", "the key has been revoked"),
    ] {
      let (status, body) = try fixture.answer(Self.publish, key: secret, body: Self.body())
      #expect(status == "401" && body.contains("\"message\":\"\(message)\""), "\(body)")
      let line = log.lines().first ?? ""
      #expect(line == "credential refused, \(reason): shard 0, 127.0.0.1")
    }
    #expect(Self.metric(.keysRefusedUnknown, fixture) == 2)
    #expect(Self.metric(.keysRefusedExpired, fixture) == 1)
    #expect(Self.metric(.keysRefusedRevoked, fixture) == 1)
    #expect(fixture.store.commands.isEmpty)
  }

  @Test("a foreign key beside a token is ignored, and one that looks like ours is not")
  func foreign() throws {
    let token = "Authorization: Bearer \(ShardFixture.token("p", scopes: ["publish"]))\r\n"
    let unknown = TestKey(3).secret
    var revoked = TestKey(2)
    revoked.key.revoke(at: 1)
    for (keys, apiKey, given, isRefused) in [
      ([], nil, "gateway", false), ([], nil, unknown, false), ([], "a key", "gateway", true),
      ([], "a key", unknown, true), ([TestKey(1).key], nil, "gateway", false),
      ([TestKey(1).key], nil, unknown, true), ([revoked.key], nil, unknown, true),
      ([TestKey(1).key], "a key", "gateway", true), ([TestKey(1).key], nil, "ck_", true),
    ] as [([APIKey], String?, String, Bool)] {
      let fixture = try ShardFixture(apiKeys: keys) { $0.apiKey = apiKey }
      let (status, _) = try fixture.answer(Self.publish, key: given, body: "{", fields: token)
      #expect(status == (isRefused ? "401" : "400"), "\(keys.count) \(apiKey ?? "") \(given)")
    }
    let fixture = try ShardFixture(apiKeys: [TestKey(1).key]) { $0.apiKey = TestKey(5).secret }
    for key in [TestKey(1).secret, TestKey(5).secret] {
      #expect(try fixture.answer(Self.publish, key: key, body: "{").status == "400")
    }
  }

  @Test("a key that is revoked while its request arrives publishes nothing")
  func revokedMeanwhile() throws {
    var key = TestKey(1)
    let fixture = try ShardFixture(apiKeys: [key.key])
    let body = Self.body()
    let peer = try fixture.connect()
    peer.send(
      "\(Self.publish) HTTP/1.1\r\nHost: x\r\nX-API-Key: \(key.secret)\r\n"
        + "Content-Length: \(body.utf8.count)\r\n\r\n\(body.dropLast())")
    try fixture.turn(until: { fixture.shard.bodyBytesInFlight > 0 })
    key.key.revoke(at: 1)
    fixture.core.apply(.apiKeys(.changed(key.key, all: [key.key]))) {}
    try fixture.turn(2)
    peer.send("}")
    let (head, _) = try EndpointTests.answer(to: peer, fixture)
    #expect(head.hasPrefix("HTTP/1.1 401 ") && fixture.store.commands.isEmpty)
  }

  // MARK: Scopes

  @Test("idempotency keys and the publish rate belong to the key, also after a rotation")
  func scope() throws {
    var one = TestKey(1)
    let newer = TestKey.secret(of: one.key.id, 9)
    one.key.rotate(
      to: TestKey.digest(of: newer), at: ShardFixture.startWall, overlapMilliseconds: 9_000)
    let two = TestKey(2)
    let fixture = try ShardFixture(apiKeys: [one.key, two.key]) {
      $0.limits.publishRate = RateLimit(perSecond: 1, burst: 2)
      $0.apiKey = "a key"
    }
    var scopes: [String] = []
    for secret in [one.secret, newer, two.secret, "a key"] {
      let peer = try fixture.send(
        Self.publish, key: secret, body: Self.body(), fields: "Idempotency-Key: i\r\n")
      try fixture.turn(until: { !fixture.store.commands.isEmpty })
      guard case .publish(_, let key?, _, _) = fixture.store.commands[0].command else {
        Issue.record("no publish with a key")
        return
      }
      scopes.append(key.scope)
      try fixture.store.answer(.published)
      _ = try EndpointTests.answer(to: peer, fixture)
    }
    #expect(scopes[0] == scopes[1] && Set(scopes).count == 3, "\(scopes)")
    #expect(!scopes[0].contains(one.secret))
    for (secret, status) in [(one.secret, "429"), (newer, "429"), (two.secret, "400")] {
      #expect(try fixture.answer(Self.publish, key: secret, body: "{").status == status)
    }
  }

  @Test("a printed caller shows nothing of a secret")
  func printed() throws {
    let key = TestKey(1)
    let use = try KeyRing([key.key]).find(key.secret, at: 0)
    let caller = Caller(identity: .key(use), isPublisher: true, end: .max)
    var text = "\(caller) \(String(reflecting: caller))"
    dump(caller, to: &text)
    #expect(text.contains(key.key.id.characters))
    #expect(!text.contains(key.secret.suffix(20)))
  }

  // MARK: Uses

  @Test("a use is written once a minute, after the request, by the first shard")
  func uses() throws {
    let key = TestKey(1)
    let fixture = try ShardFixture(shardCount: 2, apiKeys: [key.key])
    func writtenTimes() throws -> [Int64] {
      try fixture.pass(milliseconds: 1_000)
      defer { fixture.store.keyUses = [] }
      return try fixture.store.keyUses.map { try #require($0[key.key.id]) }
    }
    let start = ShardFixture.startWall - ShardFixture.startWall % 60_000
    for shard in [0, 1, 1, 0] {
      let peer = try fixture.send("GET /api/v1/me", key: key.secret, to: shard)
      _ = try EndpointTests.answer(to: peer, fixture)
    }
    #expect(try writtenTimes() == [start])
    let peer = try fixture.send("GET /api/v1/me", key: key.secret, to: 1)
    _ = try EndpointTests.answer(to: peer, fixture)
    #expect(try writtenTimes() == [])
    try fixture.pass(milliseconds: 60_000)
    let last = try fixture.send("GET /api/v1/me", key: key.secret, to: 1)
    _ = try EndpointTests.answer(to: last, fixture)
    #expect(try writtenTimes() == [start + 60_000])
  }

  @Test("each shard sends the use of a key to the first one once a minute")
  func messages() throws {
    let key = TestKey(1)
    let fixture = try ShardFixture(shardCount: 2, apiKeys: [key.key])
    fixture.stalled = [0]
    for _ in 0..<3 {
      let peer = try fixture.send("GET /api/v1/me", key: key.secret, to: 1)
      _ = try EndpointTests.answer(to: peer, fixture)
    }
    #expect(fixture.core.mailboxes[0].count == 1)
  }

  @Test("the use of a key that has been removed meanwhile is not written")
  func removedUse() throws {
    let (one, two) = (TestKey(1), TestKey(2))
    let fixture = try ShardFixture(apiKeys: [one.key, two.key])
    for key in [one, two] {
      #expect(try fixture.answer("GET /api/v1/me", key: key.secret).status == "200")
      try fixture.turn(2)
    }
    // The second waits for the pause after the first.
    #expect(fixture.store.keyUses.map { Array($0.keys) } == [[one.key.id]])
    fixture.core.apply(.apiKeys(.changed(one.key, all: [one.key]))) {}
    try fixture.turn(2)
    try fixture.pass(milliseconds: 3_000)
    #expect(fixture.store.keyUses.map { Array($0.keys) } == [[one.key.id]])
  }

  @Test("the use of an unknown secret is not noted")
  func unknownUse() throws {
    let key = TestKey(1)
    let fixture = try ShardFixture(apiKeys: [key.key])
    let wrong = TestKey.secret(of: key.key.id, 9)
    #expect(try fixture.answer("GET /api/v1/me", key: wrong).status == "401")
    try fixture.pass(milliseconds: 2_000)
    #expect(fixture.store.keyUses.isEmpty)
  }
}
