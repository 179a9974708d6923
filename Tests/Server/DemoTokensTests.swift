// The demo's tokens: only in development, and only under this machine's own host names.

import Testing

@testable import Server

@Suite("The demo's tokens")
struct DemoTokensTests {
  private static func get(
    host: String, fields: String = "", isDemo: Bool = true, line: String = "GET /demo/tokens"
  ) throws -> (head: String, body: String) {
    let fixture = try ShardFixture(files: ClientFilesTests.files) { configuration in
      // The provider of tokens gets the time of the request.
      if isDemo {
        configuration.demoTokens = { now in
          DemoTokens(users: [("alice", "a\(now)"), ("bob", "b\(now)")], publisher: "p\(now)")
        }
      }
    }
    let peer = try fixture.connect()
    try fixture.pass(milliseconds: 5_000)
    peer.send("\(line) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n")
    return try EndpointTests.answer(to: peer, fixture)
  }

  @Test(
    "this machine's own host names get tokens made for the time of the request",
    arguments: [
      "localhost", "LocalHost", "localhost:8080", "127.0.0.1", "127.0.0.1:1", "[::1]",
      "[::1]:65535",
    ])
  func issued(host: String) throws {
    let (head, body) = try Self.get(host: host)
    let now = ShardFixture.startWall / 1_000 + 5
    #expect(head.hasPrefix("HTTP/1.1 200 "))
    #expect(
      body == """
        {"success":true,"data":{"users":[{"id":"alice","token":"a\(now)"},\
        {"id":"bob","token":"b\(now)"}],"publisher":"p\(now)"}}
        """)
    #expect(head.contains("\r\nCache-Control: no-store\r\n"))
    #expect(head.contains("\r\nCross-Origin-Resource-Policy: same-origin\r\n"))
    #expect(head.contains("\r\nX-Content-Type-Options: nosniff\r\n"))
  }

  @Test(
    "any other host name gets none, even if it resolves to this machine",
    arguments: [
      "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
      "localhost.", "localhost:", "notlocalhost", "127.0.0.2", "127.1", "0.0.0.0", "2130706433",
      "[::]", "[::ffff:127.0.0.1]", "10.0.0.1",
    ])
  func refused(host: String) throws {
    let (head, body) = try Self.get(host: host)
    #expect(head.hasPrefix("HTTP/1.1 403 "))
    #expect(!body.contains("alice"))
    #expect(!head.contains("Access-Control-"))
  }

  @Test func `a page of another origin may not read the tokens, even if it may connect`() throws {
    for origin in ["http://localhost:3000", "https://shop.example"] {
      let (head, _) = try Self.get(host: "localhost", fields: "Origin: \(origin)\r\n")
      #expect(head.hasPrefix("HTTP/1.1 200 "))
      #expect(!head.contains("Access-Control-"))
    }
  }

  @Test func `without demo tokens the path is 404`() throws {
    for line in ["GET /demo/tokens", "POST /demo/tokens", "PUT /demo/tokens"] {
      let (head, _) = try Self.get(host: "localhost", isDemo: false, line: line)
      #expect(head.hasPrefix("HTTP/1.1 404 "), "\(line)")
    }
  }
}
