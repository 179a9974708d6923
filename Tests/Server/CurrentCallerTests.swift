// `GET /api/v1/me`, and the answers that no cache may store.

import Testing
import Tokens

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
        $0.limits.shardQueriesLimit = 0
      }
      #expect(head.count(of: "\r\nCache-Control: no-store\r\n") == 1, "\(path): \(head)")
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
