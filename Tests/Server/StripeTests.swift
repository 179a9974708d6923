// The endpoint for Stripe's webhooks: its signature, what it stores, and its answers.

import Cryptography
import Notifications
import Testing

@testable import Server

@Suite("Stripe: the endpoint")
struct StripeTests {
  static let path = "/integrations/stripe"
  static let secret = "whsec_a_secret_of_an_endpoint"
  static let event = Self.body("evt_1")

  static func body(
    _ id: String, metadata: String = #"{"user_id":"u"}"#, more: String = ""
  ) -> String {
    #"{"id":"\#(id)","object":"event","type":"payment_intent.succeeded","#
      + #""data":{"object":{"id":"pi_1","amount":1000,"currency":"usd","metadata":\#(metadata)}}"#
      + more + "}"
  }

  /// The header field with which Stripe signs a body.
  static func signature(
    of body: String, secret: String = secret, seconds: Int64 = ShardFixture.startWall / 1_000
  ) -> String {
    let code = HMAC.authenticate(
      Array("\(seconds).\(body)".utf8), key: Array(secret.utf8), using: .sha256)
    let text = code.map { String($0 >> 4, radix: 16) + String($0 & 0x0F, radix: 16) }.joined()
    return "Stripe-Signature: t=\(seconds),v1=\(text)\r\n"
  }

  static func request(_ body: String, fields: String? = nil) -> String {
    "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n"
      + (fields ?? signature(of: body)) + "\r\n" + body
  }

  static func fixture(
    _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> ShardFixture {
    try ShardFixture {
      $0.stripeSecrets = [secret]
      change(&$0)
    }
  }

  /// Sends a signed body and returns the command that the store has then.
  private static func submitted(
    _ body: String, _ peer: TestPeer, _ fixture: ShardFixture
  ) throws -> (drafts: [PendingNotification], key: IdempotencyKey) {
    peer.send(request(body))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    guard case .publish(let drafts, let key?, let answer, _) = fixture.store.commands[0].command
    else {
      Issue.record("no publish with a key")
      throw CancellationError()
    }
    #expect(answer.isEmpty)
    return (drafts, key)
  }

  // MARK: Storing

  @Test func `a signed event is stored, and answered 200 after its commit`() throws {
    let fixture = try Self.fixture()
    let device = try fixture.session("u", path: "/ws/connect")
    let other = try fixture.session("v", path: "/ws/connect")
    let peer = try fixture.connect()
    let (drafts, key) = try Self.submitted(Self.event, peer, fixture)
    #expect(drafts.map(\.userID) == ["u"] && drafts.map(\.content.type) == ["payment_succeeded"])
    #expect(key.scope == "stripe" && key.key == "evt_1")
    #expect(key.addedLifetime == 3 * 24 * 60 * 60 * 1_000)
    try fixture.turn(3)
    #expect(peer.receive().isEmpty && device.receive().isEmpty)
    try fixture.store.answer(.published)
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 200"))
    #expect(answer.body == #"{"success":true,"data":{"result":"stored"}}"#)
    try fixture.turn(until: { device.receive().count > 0 })
    let frames = try fixture.frames(of: device)
    #expect(frames.count == 1)
    #expect(
      try #require(frames.first).hasPrefix(
        #"{"type":"payment_update","data":{"payment_id":"pi_1","amount":1000,"currency":"usd","#
          + #""status":"succeeded"},"#))
    #expect(try fixture.frames(of: other) == [])
    #expect(fixture.core.metrics[0].value(.published) == 1)
  }

  @Test func `a repeated event is answered 200, and its update is not sent again`() throws {
    let fixture = try Self.fixture()
    let device = try fixture.session("u", path: "/ws/connect")
    let peer = try fixture.connect()
    for outcome in [StoreOutcome.repeated(answer: []), .conflict] {
      _ = try Self.submitted(Self.event, peer, fixture)
      try fixture.store.answer(outcome)
      let answer = try EndpointTests.answer(to: peer, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 200"))
      #expect(answer.body == #"{"success":true,"data":{"result":"repeated"}}"#)
    }
    try fixture.turn(3)
    #expect(try fixture.frames(of: device) == [])
    #expect(fixture.core.metrics[0].value(.published) == 0)
  }

  @Test func `an attempt with another body has the same key and the same digest`() throws {
    let fixture = try Self.fixture()
    let peer = try fixture.connect()
    var keys: [IdempotencyKey] = []
    for more in ["", #","pending_webhooks":1"#, #","pending_webhooks":0"#] {
      keys.append(try Self.submitted(Self.body("evt_1", more: more), peer, fixture).key)
      try fixture.store.answer(.published)
      _ = try EndpointTests.answer(to: peer, fixture)
    }
    #expect(keys[0] == keys[1] && keys[1] == keys[2])
    #expect(try Self.submitted(Self.body("evt_2"), peer, fixture).key != keys[0])
  }

  @Test(
    "an outcome that stores nothing, or may not have, is no 2xx, and sends no update",
    arguments: [
      (StoreOutcome.unavailable(reason: "busy"), "503"), (.readOnly(reason: "failed"), "503"),
      (.unknown(reason: "failed"), "504"), (.refused(.keys(limit: 1)), "429"),
    ])
  func failed(outcome: StoreOutcome, status: String) throws {
    let fixture = try Self.fixture()
    let device = try fixture.session("u", path: "/ws/connect")
    let peer = try fixture.connect()
    _ = try Self.submitted(Self.event, peer, fixture)
    try fixture.store.answer(outcome)
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 \(status)"))
    try fixture.turn(3)
    #expect(try fixture.frames(of: device) == [])
  }

  @Test func `a full queue of the store is 503`() throws {
    let fixture = try Self.fixture()
    let peer = try fixture.connect()
    fixture.store.isFull = true
    peer.send(Self.request(Self.event))
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 503") && answer.head.contains("Retry-After: 1"))
  }

  @Test func `the update is sent although the request was answered before the commit`() throws {
    let fixture = try Self.fixture()
    let device = try fixture.session("u", path: "/ws/connect")
    let peer = try fixture.connect()
    _ = try Self.submitted(Self.event, peer, fixture)
    try fixture.pass(milliseconds: 10_000)
    #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 504"))
    try fixture.store.answer(.published)
    try fixture.turn(until: { device.receive().count > 0 })
    #expect(try fixture.frames(of: device).count == 1)
  }

  // MARK: Ignoring and refusing

  @Test(
    "an event of no interest is answered 200 and not stored",
    arguments: [
      (#"{"id":"evt_1","object":"event","type":"charge.succeeded"}"#, "type"),
      (body("evt_1", metadata: "{}"), "has no metadata.user_id"),
      (body("evt_1", metadata: #"{"user_id":"a\u0000"}"#), "is no user id"),
    ])
  func ignored(body: String, reason: String) throws {
    let fixture = try Self.fixture()
    let peer = try fixture.connect()
    peer.send(Self.request(body))
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 200"))
    #expect(answer.body.contains(#""result":"ignored","reason":""#))
    #expect(answer.body.contains(reason))
    #expect(fixture.store.commands.isEmpty)
  }

  @Test(
    "a signed body that is no event is 400",
    arguments: ["", "{", "[]", #"{"type":"invoice.paid"}"#, #"{"id":"e","type":"invoice.paid"}"#])
  func malformed(body: String) throws {
    let fixture = try Self.fixture()
    let peer = try fixture.connect()
    peer.send(Self.request(body))
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 400") && answer.body.contains(#""code":"malformed""#))
    #expect(fixture.store.commands.isEmpty)
  }

  @Test(
    "a request with another signature is 400 and not read",
    arguments: [
      "", "Stripe-Signature: \r\n", "Stripe-Signature: t=1,v1=0\r\n",
      signature(of: event) + signature(of: event),
      signature(of: event, seconds: ShardFixture.startWall / 1_000 - 301),
      signature(of: event, seconds: ShardFixture.startWall / 1_000 + 301),
      signature(of: event, secret: "whsec_another_secret_of_one"),
      signature(of: event + " "), signature(of: body("evt_2")),
      "Authorization: Bearer \(ShardFixture.token("p", scopes: ["publish"]))\r\n",
    ])
  func unsigned(fields: String) throws {
    let fixture = try Self.fixture()
    let peer = try fixture.connect()
    peer.send(Self.request(Self.event, fields: fields))
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 400"), "\(fields)")
    #expect(answer.body.contains(#""code":"bad_signature""#))
    #expect(fixture.store.commands.isEmpty)
  }

  @Test func `a signature of another form or time is refused before the body arrives`() throws {
    let late = Self.signature(of: Self.event, seconds: ShardFixture.startWall / 1_000 - 301)
    for fields in ["", "Stripe-Signature: t=1\r\n", late] {
      let fixture = try Self.fixture()
      let peer = try fixture.connect()
      peer.send("POST \(Self.path) HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\(fields)\r\n")
      let answer = try EndpointTests.answer(to: peer, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 400"))
    }
  }

  @Test func `each of several secrets signs`() throws {
    let second = "whsec_the_one_after_the_rotation"
    let fixture = try Self.fixture { $0.stripeSecrets = [Self.secret, second] }
    let peer = try fixture.connect()
    for (index, secret) in [Self.secret, second].enumerated() {
      let body = Self.body("evt_\(index)")
      peer.send(Self.request(body, fields: Self.signature(of: body, secret: secret)))
      try fixture.turn(until: { fixture.store.commands.count == 1 })
      try fixture.store.answer(.published)
      #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200"))
    }
  }

  @Test func `without a secret there is nothing at the path`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    peer.send(Self.request(Self.event))
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 404"))
  }

  @Test func `a body may have 256 KiB, in the share of callers without a token`() throws {
    let fixture = try Self.fixture()
    let limit = fixture.core.configuration.limits.stripeBytesLimit
    let filler = { (count: Int) -> String in
      let start = String(Self.body("evt_1", more: #","x":""#).dropLast())
      return start + String(repeating: "x", count: count - start.utf8.count - 2) + "\"}"
    }
    let body = filler(limit)
    #expect(body.utf8.count == limit)
    let peer = try fixture.connect()
    var rest = Array(Self.request(body).utf8)[...]
    while !rest.isEmpty {
      peer.send(Array(rest.prefix(16_384)))
      rest = rest.dropFirst(16_384)
      try fixture.turn()
    }
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    try fixture.store.answer(.published)
    #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200"))
    // The heads alone, because both bodies are refused before they are read.
    let head = { (body: String) in
      Self.request(body).split(separator: "\r\n\r\n")[0] + "\r\n\r\n"
    }
    let longer = try fixture.connect()
    longer.send(String(head(filler(limit + 1))))
    #expect(try EndpointTests.answer(to: longer, fixture).head.hasPrefix("HTTP/1.1 413"))
    // The share does not grow with the bound of one body.
    let full = try Self.fixture { $0.limits.strangerBodiesBytesLimit = limit - 1 }
    let refused = try full.connect()
    refused.send(String(head(body)))
    #expect(try EndpointTests.answer(to: refused, full).head.hasPrefix("HTTP/1.1 503"))
  }

  // MARK: The setting

  @Test(
    "secrets are checked when the server starts",
    arguments: [
      ([secret], true), ([secret, secret, secret, secret], true),
      ([String(repeating: "s", count: 16)], true), ([], false), ([""], false),
      ([secret, ""], false),
      ([secret, secret, secret, secret, secret], false), (["whsec_too_short"], false),
      (["sk_live_0123456789abcdef"], false), (["rk_live_0123456789abcdef"], false),
      (["whsec_with a space in it"], false), (["whsec_with_ümlaut_in_it"], false),
    ])
  func secrets(secrets: [String], isValid: Bool) {
    #expect((Configuration.fault(inStripeSecrets: secrets) == nil) == isValid)
  }
}
