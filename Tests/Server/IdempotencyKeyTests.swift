// The Idempotency-Key of a request: its characters, its publisher, and its retry after an expiry.

import Notifications
import Testing
import Tokens

@testable import Server

@Suite("Idempotency keys")
struct IdempotencyKeyTests {
  private static let path = "/api/v1/notifications"
  private static let draft = #"{"user_id":"u","type":"t","title":"T"}"#

  /// Sends a publish with the bytes of a key.
  private static func send(_ key: [UInt8], to peer: TestPeer, path: String = path) {
    let request = EndpointTests.request(
      "POST \(path)", fields: "Idempotency-Key: @\r\n", body: draft)
    let parts = request.utf8.split(separator: UInt8(ascii: "@"), maxSplits: 1)
    peer.send(Array(parts[0]) + key + Array(parts[1]))
  }

  @Test(
    "a key that is not printable ASCII, or not of 1 to 255 bytes, is refused",
    arguments: [
      [], [0x09], [0x61, 0x09, 0x62], [0xFF], [0xFE], Array("ü".utf8), [0x61, 0x80],
      [UInt8](repeating: 0x61, count: 256),
    ])
  func refused(key: [UInt8]) throws {
    for path in [Self.path, Self.path + "/batch"] {
      let fixture = try ShardFixture()
      let peer = try fixture.connect()
      Self.send(key, to: peer, path: path)
      let (head, body) = try EndpointTests.answer(to: peer, fixture)
      #expect(head.hasPrefix("HTTP/1.1 400 "), "\(path)")
      #expect(body.contains("bad_idempotency_key"))
      #expect(fixture.store.commands.isEmpty)
    }
  }

  @Test func `each printable ASCII character makes another key`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    var found: Set<String> = []
    for byte in UInt8(0x20)...0x7E where byte != UInt8(ascii: "@") {
      Self.send([0x61, byte, 0x61], to: peer)
      try fixture.turn(until: { fixture.store.commands.count == 1 })
      found.insert(try Self.key(fixture).key)
      try fixture.store.answer(.published)
      _ = try EndpointTests.answer(to: peer, fixture)
    }
    #expect(found.count == 94)
  }

  /// The key of the command that the store has.
  private static func key(_ fixture: ShardFixture) throws -> IdempotencyKey {
    switch fixture.store.commands.first?.command {
    case .publish(_, let key?, _, _): return key
    case .findKey(let key): return key
    default:
      Issue.record("no command with a key")
      throw CancellationError()
    }
  }

  /// A publisher's token: the signer writes a user, which `claim` does not read.
  private static func scope(
    _ user: String, claim: String?, keyIdentifier: String? = nil
  ) throws -> String {
    let fixture = try ShardFixture { $0.tokenPolicy.userClaim = claim }
    let peer = try fixture.connect()
    peer.send(
      EndpointTests.request(
        "POST \(path)", user: user, fields: "Idempotency-Key: k\r\n", body: draft))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    return try key(fixture).scope
  }

  @Test func `publishers with and without a user id, and the API key, have scopes of their own`()
    throws
  {
    let fixture = try ShardFixture { $0.apiKey = "a key" }
    let peer = try fixture.connect()
    peer.send(
      "POST \(Self.path) HTTP/1.1\r\nHost: x\r\nX-API-Key: a key\r\nIdempotency-Key: k\r\n"
        + "Content-Length: \(Self.draft.utf8.count)\r\n\r\n\(Self.draft)")
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    let scopes = [
      try Self.key(fixture).scope, try Self.scope("p", claim: nil),
      // Publishers without a user id: by `sub`, of any text.
      try Self.scope("p", claim: "tenant"), try Self.scope("q", claim: "tenant"),
      try Self.scope(String(repeating: "q", count: 200), claim: nil),
      try Self.scope("key", claim: nil), try Self.scope("key", claim: "tenant"),
    ]
    #expect(Set(scopes).count == scopes.count, "\(scopes)")
    #expect(scopes.allSatisfy { $0.utf8.count <= 140 })
    #expect(try Self.scope("p", claim: "tenant") == scopes[2])
  }

  @Test func `without sub, the key that signed the token is the publisher`() {
    func scope(_ identity: Caller.Identity) -> String {
      Caller(identity: identity, isPublisher: true, end: .max).scope
    }
    func scope(_ bearer: Claims.Bearer) -> String {
      let claims = Claims(
        userID: nil, isPublisher: true, scopes: ["publish"], expiresAtSeconds: nil, bearer: bearer)
      return scope(Caller.Identity(claims))
    }
    let scopes = [
      scope(.key(nil)), scope(.key("a")), scope(.key("b")), scope(.subject("a")),
      scope(.subject("")), scope(.apiKey),
    ]
    #expect(Set(scopes).count == scopes.count, "\(scopes)")
  }

  private static let expired =
    #"{"user_id":"u","type":"t","title":"T","expires_at":"2023-11-14T22:13:21Z"}"#

  @Test(
    "a retry after the notification has expired gets the first answer",
    arguments: ["", "/batch"])
  func expiredRetry(suffix: String) throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    let request = EndpointTests.request(
      "POST \(Self.path)\(suffix)", fields: "Idempotency-Key: k\r\n", body: Self.expired)
    peer.send(request)
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    guard case .publish(_, let first?, let kept, _) = fixture.store.commands[0].command else {
      Issue.record("the store got no publish with a key")
      return
    }
    try fixture.store.answer(.published)
    let answered = try EndpointTests.answer(to: peer, fixture)
    try fixture.pass(milliseconds: 2_000)
    peer.send(request)
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    guard case .findKey(let again) = fixture.store.commands[0].command else {
      Issue.record("the store was not asked for the key")
      return
    }
    #expect(again == first)
    try fixture.store.answer(.repeated(answer: kept))
    let repeated = try EndpointTests.answer(to: peer, fixture)
    #expect(repeated.body == answered.body)
    #expect(repeated.head.prefix(13) == answered.head.prefix(13))
    #expect(repeated.head.contains("Idempotent-Replay: true"))
    // A first attempt that comes too late is refused as one without a key, and so is another body.
    for (outcome, status) in [
      (StoreOutcome.unknownKey, suffix.isEmpty ? 422 : 200), (.conflict, 409),
    ] {
      peer.send(request)
      try fixture.turn(until: { fixture.store.commands.count == 1 })
      try fixture.store.answer(outcome)
      let (head, body) = try EndpointTests.answer(to: peer, fixture)
      #expect(head.hasPrefix("HTTP/1.1 \(status) "))
      #expect(body.contains("expires_at") == (outcome == .unknownKey))
    }
    // Without a key the store is not asked.
    peer.send(EndpointTests.request("POST \(Self.path)\(suffix)", body: Self.expired))
    #expect(try EndpointTests.answer(to: peer, fixture).body.contains("expires_at"))
    #expect(fixture.store.commands.isEmpty)
  }
}
