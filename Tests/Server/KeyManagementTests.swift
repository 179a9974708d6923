// `/api/v1/keys`: who may manage keys, which bodies are refused, and when a change is answered.

import Notifications
import Testing
import Tokens
import Wire

@testable import Server

@Suite("Managing API keys")
struct KeyManagementTests {
  private static let path = "/api/v1/keys"
  private static let body = #"{"name":"ci","verbs":["publish"]}"#

  private static func secret(in body: String) throws -> String {
    let name = try #require(body.firstRange(of: #""secret":""#))
    return String(body[name.upperBound...].prefix { $0 != "\"" })
  }

  /// Answers the store's next command about keys as a store with these keys does.
  private static func carryOut(
    _ fixture: ShardFixture, among keys: [APIKey] = []
  ) throws -> APIKey {
    let changed: APIKey
    switch try fixture.keyCommand() {
    case .create(let key): changed = key
    case .revoke(let id, let time):
      var key = try #require(keys.first { $0.id == id })
      key.revoke(at: time)
      changed = key
    case .rotate(let id, let digest, let time, let overlap):
      var key = try #require(keys.first { $0.id == id })
      key.rotate(to: digest, at: time, overlapMilliseconds: overlap)
      changed = key
    case .noteUses: throw ShardFixture.UnexpectedCommand()
    }
    let all = keys.filter { $0.id != changed.id } + [changed]
    let submitted = fixture.store.commands.removeFirst()
    submitted.reply(.apiKeys(.changed(changed, all: all)))
    return changed
  }

  // MARK: Callers

  @Test("only an administrator manages keys")
  func callers() throws {
    func status(_ scopes: [String]) throws -> String {
      let fixture = try ShardFixture()
      let peer = try fixture.connect()
      peer.send(EndpointTests.request("POST \(Self.path)", body: "{", scopes: scopes))
      return String(try EndpointTests.answer(to: peer, fixture).head.dropFirst(9).prefix(3))
    }
    for scopes in [[], ["publish"], ["service"], ["publish", "service", "administrator", "ADMIN"]] {
      #expect(try status(scopes) == "403", "\(scopes)")
    }
    #expect(try status(["admin"]) == "400")
    #expect(try status(["x", "admin"]) == "400")
    let fixture = try ShardFixture(apiKeys: [TestKey(1, [.admin]).key]) { $0.apiKey = "a key" }
    for key in ["a key", TestKey(1).secret] {
      #expect(try fixture.answer("POST \(Self.path)", key: key, body: "{").status == "400")
    }
    #expect(fixture.core.metrics[0].value(.publishesRefused) == 0)
  }

  @Test("a token with a scope that does not publish here manages no keys")
  func scopes() throws {
    let fixture = try ShardFixture { $0.tokenPolicy.publisherScopes = ["publish"] }
    let peer = try fixture.connect()
    peer.send(EndpointTests.request("GET \(Self.path)", scopes: ["admin"]))
    #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 403 "))
  }

  @Test(
    "a key grants only rights that it has, and no longer than it has them",
    arguments: [
      (#""verbs":["admin"],"types":["a_1"],"expires_at":"2023-11-15T00:00:00Z""#, nil),
      (#""verbs":["admin"],"types":["a_1"],"expires_at":"2023-11-14T23:00:00Z""#, nil),
      (#""verbs":["admin","read"],"types":["a_*"],"expires_at":"2023-11-15T00:00:00Z""#, "verbs"),
      (#""verbs":["admin"],"types":["b"],"expires_at":"2023-11-15T00:00:00Z""#, "verbs or types"),
      (#""verbs":["admin"],"expires_at":"2023-11-15T00:00:00Z""#, "verbs or types"),
      (#""verbs":["admin"],"types":["a_1"],"expires_at":"2023-11-15T00:00:01Z""#, "longer"),
      (#""verbs":["admin"],"types":["a_1"]"#, "longer"),
    ] as [(String, String?)])
  func grants(members: String, refusal: String?) throws {
    // Until midnight of the fixture's second day.
    let own = TestKey(1, [.admin], types: ["a_*"], until: ShardFixture.startWall + 6_400_000)
    let fixture = try ShardFixture(apiKeys: [own.key])
    let body = #"{"name":"n",\#(members)}"#
    guard let refusal else {
      _ = try fixture.send("POST \(Self.path)", key: own.secret, body: body)
      guard case .create = try fixture.keyCommand() else {
        Issue.record("no key is created")
        return
      }
      return
    }
    let (status, answer) = try fixture.answer("POST \(Self.path)", key: own.secret, body: body)
    #expect(status == "403" && answer.contains(refusal), "\(answer)")
    #expect(fixture.store.commands.isEmpty)
  }

  @Test("a key rotates only a key whose rights it has, and revokes any")
  func rotatesOthers() throws {
    let admin = TestKey(1, [.admin])
    let other = TestKey(2, [.publish])
    let fixture = try ShardFixture(apiKeys: [admin.key, other.key])
    let path = "\(Self.path)/\(other.key.id.text)"
    #expect(try fixture.answer("POST \(path)/rotate", key: admin.secret).status == "403")
    #expect(fixture.store.commands.isEmpty)
    let peer = try fixture.send("DELETE \(path)", key: admin.secret)
    #expect(try Self.carryOut(fixture, among: [admin.key, other.key]).revokedAt != nil)
    #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200 "))
    _ = try fixture.send("POST \(Self.path)/\(admin.key.id.text)/rotate", key: admin.secret)
    guard case .rotate = try fixture.keyCommand() else {
      Issue.record("a key does not rotate itself")
      return
    }
  }

  // MARK: Bodies

  @Test(
    "a body that describes no key is refused, with its first wrong field",
    arguments: [
      ("", "400"), ("[]", "422 body"), ("{}", "422 name"), (#"{"name":"n"}"#, "422 verbs"),
      (#"{"verbs":["read"]}"#, "422 name"), (#"{"name":"n","verbs":[]}"#, "422 verbs"),
      (#"{"name":"n","verbs":["root"]}"#, "422 verbs"),
      (#"{"name":"n","verbs":["read","read"]}"#, "422 verbs"),
      (#"{"name":"n","verbs":"read"}"#, "422 verbs"), (#"{"name":"n","verbs":[1]}"#, "422 verbs"),
      (#"{"name":"","verbs":["read"]}"#, "422 name"),
      (#"{"name":"a\nb","verbs":["read"]}"#, "422 name"), (#"{"name":7}"#, "422 name"),
      (#"{"name":"n","verbs":["read"],"types":["a b"]}"#, "422 types"),
      (#"{"name":"n","verbs":["read"],"types":[""]}"#, "422 types"),
      (#"{"name":"n","verbs":["read"],"types":"*"}"#, "422 types"),
      (#"{"name":"n","verbs":["read"],"expires_at":"tomorrow"}"#, "422 expires_at"),
      (#"{"name":"n","verbs":["read"],"expires_at":5}"#, "422 expires_at"),
      (#"{"name":"n","verbs":["read"],"expires_at":"2023-11-14T22:13:20Z"}"#, "422 expires_at"),
      (#"{"name":"n","verbs":["read"],"secret":"ck_x"}"#, "422 secret"),
      (#"{"name":"n","name":"m","verbs":["read"]}"#, "422 name"),
    ])
  func bodies(body: String, expected: String) throws {
    let fixture = try ShardFixture { $0.apiKey = "a key" }
    let (status, answer) = try fixture.answer("POST \(Self.path)", key: "a key", body: body)
    let parts = expected.split(separator: " ")
    #expect(status == parts[0], "\(answer)")
    if parts.count > 1 { #expect(answer.contains("\"message\":\"\(parts[1])"), "\(answer)") }
    #expect(fixture.store.commands.isEmpty)
  }

  @Test("the bounds of a key's name and types")
  func bounds() throws {
    func status(nameBytes: Int = 1, types: Int = 0, typeBytes: Int = 1) throws -> String {
      let fixture = try ShardFixture { $0.apiKey = "a key" }
      let list = (0..<types).map { _ in "\"\(String(repeating: "*", count: typeBytes))\"" }
      let name = String(repeating: "n", count: nameBytes)
      let peer = try fixture.send(
        "POST \(Self.path)", key: "a key",
        body: #"{"name":"\#(name)","verbs":["read"],"types":[\#(list.joined(separator: ","))]}"#)
      try fixture.turn(until: { !fixture.store.commands.isEmpty || peer.receive().headEnd != nil })
      return fixture.store.commands.isEmpty ? "refused" : "taken"
    }
    #expect(try status(nameBytes: 64, types: 32, typeBytes: 64) == "taken")
    #expect(try status(nameBytes: 65) == "refused")
    #expect(try status(types: 33) == "refused")
    #expect(try status(types: 1, typeBytes: 65) == "refused")
  }

  @Test(
    "the overlap of a rotation is a whole number of seconds, up to seven days",
    arguments: [
      ("", 86_400_000), ("{}", 86_400_000), (#"{"overlap":0}"#, 0), (#"{"overlap":1}"#, 1_000),
      (#"{"overlap":604800}"#, 604_800_000), (#"{"overlap":604801}"#, nil),
      (#"{"overlap":-1}"#, nil), (#"{"overlap":1.5}"#, nil), (#"{"overlap":"1"}"#, nil),
      (#"{"overlap":9223372036854775807}"#, nil), (#"{"overlap":1e99}"#, nil), ("7", nil),
    ] as [(String, Int64?)])
  func overlaps(body: String, expected: Int64?) throws {
    let key = TestKey(1)
    let fixture = try ShardFixture(apiKeys: [key.key]) { $0.apiKey = "a key" }
    let peer = try fixture.send(
      "POST \(Self.path)/\(key.key.id.text)/rotate", key: "a key", body: body)
    guard let expected else {
      #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 422 "))
      return
    }
    guard case .rotate(key.key.id, _, ShardFixture.startWall, expected) = try fixture.keyCommand()
    else {
      Issue.record("another command")
      return
    }
  }

  @Test("an id that names no key is answered 404", arguments: ["x", "key_", "key_%2F", "ck_\(0)"])
  func ids(id: String) throws {
    let fixture = try ShardFixture { $0.apiKey = "a key" }
    for line in ["DELETE \(Self.path)/\(id)", "POST \(Self.path)/\(id)/rotate"] {
      #expect(try fixture.answer(line, key: "a key").status == "404")
    }
    let unknown = TestKey(1).key.id.text
    #expect(try fixture.answer("POST \(Self.path)/\(unknown)/rotate", key: "a key").status == "404")
    let peer = try fixture.send("DELETE \(Self.path)/\(unknown)", key: "a key")
    _ = try fixture.keyCommand()
    try fixture.store.answer(.apiKeys(.unknown))
    #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 404 "))
  }

  // MARK: Changes

  @Test("a created key is answered with its secret, which only that answer has")
  func created() throws {
    let fixture = try ShardFixture { $0.apiKey = "a key" }
    let peer = try fixture.send(
      "POST \(Self.path)", key: "a key",
      body: #"{"name":"ci","verbs":["read","publish"],"types":["a_*"],"#
        + #""expires_at":"2023-12-01T00:00:00Z"}"#)
    let key = try Self.carryOut(fixture)
    let (head, body) = try EndpointTests.answer(to: peer, fixture)
    #expect(head.hasPrefix("HTTP/1.1 201 ") && head.contains("Cache-Control: no-store\r\n"))
    let secret = try Self.secret(in: body)
    #expect(TestKey.digest(of: secret) == key.digest && secret.utf8.count == 63)
    #expect(
      body
        == #"{"success":true,"data":{"id":"\#(key.id.text)","name":"ci","#
        + #""prefix":"\#(key.id.prefix)","verbs":["publish","read"],"types":["a_*"],"#
        + #""created_at":"2023-11-14T22:13:20.000Z","#
        + #""expires_at":"2023-12-01T00:00:00.000Z","revoked_at":null,"last_used_at":null,"#
        + #""earlier_secret_expires_at":null,"secret":"\#(secret)"}}"#)
    #expect(try fixture.answer("GET /api/v1/users/online", key: secret).status == "200")
  }

  @Test("two keys have different ids and secrets")
  func distinct() throws {
    let fixture = try ShardFixture { $0.apiKey = "a key" }
    var found: Set<String> = []
    for _ in 0..<20 {
      let peer = try fixture.send("POST \(Self.path)", key: "a key", body: Self.body)
      let key = try Self.carryOut(fixture)
      found.insert(key.id.text)
      found.insert(try Self.secret(in: EndpointTests.answer(to: peer, fixture).body))
    }
    #expect(found.count == 40)
  }

  @Test("a list has a page of keys without their secrets")
  func list() throws {
    let fixture = try ShardFixture { $0.apiKey = "a key" }
    let key = TestKey(1, [.read])
    let peer = try fixture.send("GET \(Self.path)?limit=1&after=7", key: "a key")
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    guard case .apiKeys(after: 7, limit: 1) = fixture.store.reads[0].query else {
      Issue.record("another query")
      return
    }
    try fixture.store.answer(.apiKeys([key.key], next: 9))
    let (_, body) = try EndpointTests.answer(to: peer, fixture)
    #expect(body.hasPrefix(#"{"success":true,"data":{"keys":[{"id":"\#(key.key.id.text)","#))
    #expect(body.hasSuffix(#"}],"next":"9"}}"#) && !body.contains("secret\":\""))
    for query in ["limit=0", "limit=101", "after=-1", "after=9223372036854775808", "limit=x"] {
      #expect(try fixture.answer("GET \(Self.path)?\(query)", key: "a key").status == "422")
    }
  }

  @Test("the largest page of keys fits into the memory that is reserved for it")
  func largestPage() throws {
    let type = String(repeating: "*", count: 64)
    let key = APIKey(
      id: TestKey(1).key.id, name: String(repeating: "\"", count: 64),
      rights: APIRights(
        verbs: Set(APIVerb.allCases), types: [String](repeating: type, count: 32)),
      createdAt: 1, expiresAt: 1, digest: TestKey(1).key.digest, revokedAt: 1, lastUsedAt: 1,
      earlier: APIKey.EarlierSecret(digest: TestKey(1).key.digest, endsAt: 1))
    let fixture = try ShardFixture { $0.apiKey = "a key" }
    let peer = try fixture.send("GET \(Self.path)", key: "a key")
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    let page = [APIKey](repeating: key, count: APIKeyPage.limit)
    try fixture.store.answer(.apiKeys(page, next: .max))
    let body = try EndpointTests.answer(to: peer, fixture).body
    #expect(body.utf8.count <= StoreReads.keyPageBytes)
  }

  @Test("a change is answered when every shard has it")
  func allShards() throws {
    let key = TestKey(1)
    let fixture = try ShardFixture(shardCount: 3, apiKeys: [key.key]) { $0.apiKey = "a key" }
    fixture.stalled = [2]
    let peer = try fixture.send("DELETE \(Self.path)/\(key.key.id.text)", key: "a key")
    _ = try Self.carryOut(fixture, among: [key.key])
    try fixture.turn(5)
    #expect(peer.receive().isEmpty)
    // A shard that has taken the change refuses the key before the change is answered.
    #expect(try fixture.answer("GET /api/v1/me", key: key.secret).status == "401")
    fixture.stalled = []
    #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200 "))
    for shard in 0..<3 {
      let peer = try fixture.send("GET /api/v1/me", key: key.secret, to: shard)
      #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 401 "))
    }
  }

  @Test("a failed change is answered at once, and no shard takes it")
  func failures() throws {
    let key = TestKey(1)
    let fixture = try ShardFixture(apiKeys: [key.key]) { $0.apiKey = "a key" }
    for (outcome, status, code) in [
      (.unavailable(reason: "r"), "503", "store_unavailable"),
      (.readOnly(reason: "r"), "503", "read_only"),
      (.unknown(reason: "r"), "504", "outcome_unknown"),
      (.apiKeys(.full(limit: 1_000)), "409", "key_limit"),
      (.apiKeys(.ended), "409", "key_ended"), (.apiKeys(.unknown), "404", "not_found"),
    ] as [(StoreOutcome, String, String)] {
      let peer = try fixture.send("DELETE \(Self.path)/\(key.key.id.text)", key: "a key")
      _ = try fixture.keyCommand()
      try fixture.store.answer(outcome)
      let (head, body) = try EndpointTests.answer(to: peer, fixture)
      #expect(head.hasPrefix("HTTP/1.1 \(status) ") && body.contains("\"\(code)\""))
      #expect(try fixture.answer("GET /api/v1/me", key: key.secret).status == "200")
      fixture.store.commands = []
    }
  }

  // MARK: Streams

  private static func stream(_ fixture: ShardFixture, _ secret: String) throws -> TestPeer {
    let peer = try fixture.send("GET /api/v1/metrics/stream", key: secret)
    try fixture.turn(until: { peer.receive().text.contains("data: ") })
    return peer
  }

  private static func apply(_ keys: [APIKey], _ fixture: ShardFixture) throws {
    fixture.core.apply(.apiKeys(.changed(keys[0], all: keys))) {}
    try fixture.turn(2)
  }

  @Test("a revoked key's streams end, and those of other keys go on")
  func revokedStreams() throws {
    var one = TestKey(1, [.read])
    let two = TestKey(2, [.read])
    let fixture = try ShardFixture(apiKeys: [one.key, two.key]) { $0.apiKey = "a key" }
    let peers = try [one.secret, two.secret, "a key"].map { try Self.stream(fixture, $0) }
    try Self.apply([one.key, two.key], fixture)
    #expect(fixture.shard.metricsStreamCount == 3)
    one.key.revoke(at: 1)
    try Self.apply([one.key, two.key], fixture)
    #expect(fixture.shard.metricsStreamCount == 2)
    try fixture.turn(until: {
      peers[0].receive()
      return peers[0].isEnded
    })
    #expect(!peers[1].isEnded && !peers[2].isEnded)
  }

  @Test("a stream ends with its key, and after a rotation with the earlier secret")
  func endingStreams() throws {
    let expiring = TestKey(1, [.read], until: ShardFixture.startWall + 5_000)
    var rotated = TestKey(2, [.read])
    let fixture = try ShardFixture(apiKeys: [expiring.key, rotated.key])
    let peers = try [expiring.secret, rotated.secret].map { try Self.stream(fixture, $0) }
    defer { withExtendedLifetime(peers) {} }
    let newer = TestKey.secret(of: rotated.key.id, 9)
    rotated.key.rotate(
      to: TestKey.digest(of: newer), at: ShardFixture.startWall, overlapMilliseconds: 20_000)
    try Self.apply([expiring.key, rotated.key], fixture)
    let last = try Self.stream(fixture, newer)
    try fixture.pass(milliseconds: 3_000)
    #expect(fixture.shard.metricsStreamCount == 3)
    try fixture.pass(milliseconds: 4_000)
    #expect(fixture.shard.metricsStreamCount == 2)
    try fixture.pass(milliseconds: 10_000)
    #expect(fixture.shard.metricsStreamCount == 2)
    try fixture.pass(milliseconds: 6_000)
    #expect(fixture.shard.metricsStreamCount == 1)
    last.receive()
    #expect(!last.isEnded)
  }

  @Test("a stream of a secret that is no longer valid ends at once")
  func replacedStreams() throws {
    var key = TestKey(1, [.read])
    let fixture = try ShardFixture(apiKeys: [key.key])
    let peer = try Self.stream(fixture, key.secret)
    defer { withExtendedLifetime(peer) {} }
    key.key.rotate(
      to: TestKey.digest(of: TestKey.secret(of: key.key.id, 9)), at: ShardFixture.startWall,
      overlapMilliseconds: 0)
    try Self.apply([key.key], fixture)
    #expect(fixture.shard.metricsStreamCount == 0)
  }
}
