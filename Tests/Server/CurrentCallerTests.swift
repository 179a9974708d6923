// `GET /api/v1/me`, and the answers that no cache may store.

import Notifications
import Testing
import Tokens
import Wire

@testable import Server

@Suite("The current caller")
struct CurrentCallerTests {
  private static func get(
    _ path: String, _ fields: String, _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> (head: String, body: String) {
    let fixture = try ShardFixture { configuration in
      configuration.apiKey = "a key"
      change(&configuration)
    }
    let peer = try fixture.connect()
    peer.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\(fields)\r\n")
    return try EndpointTests.answer(to: peer, fixture)
  }

  private static func bearer(_ user: String, scopes: [String] = []) -> String {
    "Authorization: Bearer \(ShardFixture.token(user, scopes: scopes))\r\n"
  }

  private static func answer(user: String?, publisher: Bool, expiresAt: String?) -> String {
    #"{"success":true,"data":{"user_id":\#(user.map { #""\#($0)""# } ?? "null"),"#
      + #""publisher":\#(publisher),"expires_at":\#(expiresAt.map { #""\#($0)""# } ?? "null")}}"#
  }

  @Test func `a token's caller is its user, until the exp of the token`() throws {
    let expected = [("ann", [], false), ("ann", ["publish"], true)]
    for (user, scopes, publisher) in expected {
      let (head, body) = try Self.get("/api/v1/me", Self.bearer(user, scopes: scopes))
      #expect(head.hasPrefix("HTTP/1.1 200 "))
      // A day after the fixture's start, without the leeway.
      #expect(
        body
          == Self.answer(user: user, publisher: publisher, expiresAt: "2023-11-15T22:13:20.000Z"))
    }
  }

  @Test func `a caller with a key has no user`() throws {
    let (head, body) = try Self.get("/api/v1/me", "X-API-Key: a key\r\n")
    #expect(head.hasPrefix("HTTP/1.1 200 "))
    #expect(body == Self.answer(user: nil, publisher: true, expiresAt: nil))
  }

  @Test func `a token beside the key of a gateway names the user`() throws {
    let (_, body) = try Self.get("/api/v1/me", "X-API-Key: a key\r\n" + Self.bearer("ann"))
    #expect(body.contains(#""user_id":"ann","publisher":false"#))
  }

  @Test func `the user is the one of the configured claim`() throws {
    let (_, body) = try Self.get("/api/v1/me", Self.bearer("ann", scopes: ["publish"])) {
      $0.tokenPolicy.userClaim = "tenant_user"
    }
    #expect(body.contains(#""user_id":null,"publisher":true"#))
  }

  @Test func `a caller without a token is refused`() throws {
    let (head, _) = try Self.get("/api/v1/me", "")
    #expect(head.hasPrefix("HTTP/1.1 401 "))
  }

  @Test(
    "no cache may store an answer that depends on the caller or the moment, refusals included",
    arguments: [
      "/api/v1/me", "/api/v1/notifications/poll?wait=x", "/api/v1/websocket/connections/stats",
      "/api/notifications/stats", "/metrics", "/healthz", "/nowhere", "/api/ws", "/socket.io/",
      "/api/v1/users/online", "/api/v1/notifications/unread-count?a=%zz",
    ])
  func caching(path: String) throws {
    for fields in ["", Self.bearer("ann"), "X-API-Key: a key\r\n"] {
      let (head, _) = try Self.get(path, fields) {
        $0.limits.waitingShardQueriesLimit = 0
      }
      #expect(head.count(of: "\r\nCache-Control: no-store\r\n") == 1, "\(path): \(head)")
    }
  }

  /// The paths of public files: their answers depend on no caller.
  private static let publicFiles = ["/client/*", "/console", "/"]

  @Test func `no cache may store an answer of any route but the public files`() throws {
    let router = Endpoints.router(hasDemo: true)
    #expect(router.patterns.count > 40)
    var checked = 0
    for (method, pattern) in router.patterns where !Self.publicFiles.contains(pattern) {
      let path = pattern.replacing(":id", with: "u")
      guard case .found(let endpoint, _) = router.match(method, path: path) else {
        Issue.record("no endpoint for \(method.name) \(path)")
        continue
      }
      #expect(endpoint.method == method && endpoint.path == pattern)
      for fields in ["", Self.bearer("u", scopes: ["publish"]), "X-API-Key: a key\r\n"] {
        let head = try Self.head(of: "\(method.name) \(path)", fields)
        let values = ["no-store", "no-store, no-transform"]
        #expect(
          values.contains { head.count(of: "\r\nCache-Control: \($0)\r\n") == 1 },
          "\(method.name) \(path): \(head)")
        checked += 1
      }
    }
    #expect(checked > 120)
  }

  /// The head of the answer to a request, for which the store has no data.
  private static func head(of line: String, _ fields: String) throws -> String {
    let fixture = try ShardFixture {
      $0.apiKey = "a key"
      $0.demoTokens = { _ in DemoTokens(users: [], publisher: "") }
    }
    let peer = try fixture.connect()
    peer.send("\(line) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\(fields)\r\n{}")
    try fixture.turn(until: {
      while !fixture.store.reads.isEmpty { try? fixture.store.answer(.failed(reason: "none")) }
      while !fixture.store.commands.isEmpty { try? fixture.store.answer(.readOnly(reason: "none")) }
      return peer.receive().headEnd != nil
    })
    return peer.received[..<(try #require(peer.received.headEnd))].map { $0 }.text
  }

  @Test func `no cache may store the answers of Engine.IO's polling`() throws {
    let fixture = try ShardFixture.engine()
    let peer = try fixture.connect()
    fixture.request("GET", "/engine.io/", "", on: peer)
    let (opening, body) = try EndpointTests.answer(to: peer, fixture)
    let sid = try PollingClient.sid(in: body)
    fixture.request("POST", "/engine.io/", "&sid=\(sid)", body: "4x", on: peer)
    let (posted, _) = try EndpointTests.answer(to: peer, fixture)
    fixture.request("GET", "/engine.io/", "&sid=\(sid)", on: peer)
    let (polled, _) = try EndpointTests.answer(to: peer, fixture)
    for head in [opening, posted, polled] {
      #expect(head.hasPrefix("HTTP/1.1 200 "))
      #expect(head.count(of: "\r\nCache-Control: no-store\r\n") == 1, "\(head)")
    }
  }

  @Test func `no cache may store the refusal of a connection`() throws {
    let fixture = try ShardFixture { $0.limits.connectionsPerAddressLimit = 1 }
    let first = try fixture.connect()
    let second = try fixture.connect()
    let (head, _) = try EndpointTests.answer(to: second, fixture)
    #expect(head.hasPrefix("HTTP/1.1 429 "))
    #expect(head.contains("\r\nCache-Control: no-store\r\n"))
    #expect(!first.isEnded)
  }
}

extension String {
  /// How often the text has `part`.
  fileprivate func count(of part: String) -> Int { ranges(of: part).count }
}
