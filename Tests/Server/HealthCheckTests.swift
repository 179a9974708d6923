// Requests as load balancers, probes and caches send them.

import Testing

@testable import Server

@Suite("Health checks and the methods of a path")
struct HealthCheckTests {
  /// The status and the head of the answer to one request.
  private static func ask(
    _ line: String, _ fields: String = "Host: localhost\r\n",
    _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> (status: String, head: String) {
    let fixture = try ShardFixture(files: ClientFilesTests.files, change)
    let peer = try fixture.connect()
    peer.send("\(line)\r\n\(fields)\r\n")
    try fixture.turn(until: { peer.receive().headEnd != nil })
    let head = peer.received[..<(try #require(peer.received.headEnd))].map { $0 }.text
    return (String(head.dropFirst(9).prefix(3)), head)
  }

  @Test func `the default check of HAProxy succeeds, with and without a page at the root`() throws {
    let asked = [("OPTIONS / HTTP/1.0", ""), ("OPTIONS / HTTP/1.1", "Host: x\r\n")]
    for (line, fields) in asked {
      #expect(try Self.ask(line, fields).status == "204")
      let (status, head) = try Self.ask(line, fields.isEmpty ? "" : "Host: localhost\r\n") {
        $0.demoTokens = { _ in ClientFilesTests.demo }
      }
      #expect(status == "204")
      #expect(head.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"))
    }
  }

  @Test func `OPTIONS of the server lists the methods of all paths`() throws {
    let (status, head) = try Self.ask("OPTIONS * HTTP/1.1")
    #expect(status == "204")
    #expect(head.contains("\r\nAllow: DELETE, GET, HEAD, OPTIONS, POST, PUT\r\n"))
  }

  @Test(
    "OPTIONS lists the methods of a path",
    arguments: [
      ("/api/v1/notifications", "DELETE, GET, HEAD, OPTIONS, POST"),
      ("/healthz", "GET, HEAD, OPTIONS"), ("/healthz/", "GET, HEAD, OPTIONS"),
      ("/api/ws", "GET, OPTIONS"), ("/socket.io/", "GET, OPTIONS, POST"),
    ])
  func options(path: String, methods: String) throws {
    let (status, head) = try Self.ask("OPTIONS \(path) HTTP/1.1")
    #expect(status == "204")
    #expect(head.contains("\r\nAllow: \(methods)\r\n"))
    #expect(!head.contains("Content-Length"))
  }

  @Test func `OPTIONS of an unknown path is 404`() throws {
    #expect(try Self.ask("OPTIONS /nowhere HTTP/1.1").status == "404")
  }

  @Test(
    "a probe may end its path with a slash and add to the query",
    arguments: [
      "/healthz/", "/healthz?x=1&x=2", "/healthz/?x=1&x=2", "/healthz?%", "/readyz/",
      "/readyz?x&x", "/metrics/", "/metrics?a=1&a=2", "/console?v=1&v=2",
      "/?v=1&v=2",
    ])
  func probes(path: String) throws {
    for method in ["GET", "HEAD"] {
      let status = try Self.ask("\(method) \(path) HTTP/1.1", "Host: localhost\r\n").status
      #expect(status == "200", "\(method)")
    }
  }

  @Test func `a slash at the end does not make a DELETE of one a DELETE of all`() throws {
    let token = "Host: x\r\nAuthorization: Bearer \(ShardFixture.token("u"))\r\n"
    for method in ["DELETE", "POST", "PUT"] {
      let (status, _) = try Self.ask("\(method) /api/v1/notifications/ HTTP/1.1", token)
      #expect(status == "404", "\(method)")
    }
  }

  @Test func `a parameter that an endpoint reads may still occur only once`() throws {
    let fields = "Host: x\r\nAuthorization: Bearer \(ShardFixture.token("u"))\r\n"
    #expect(
      try Self.ask("GET /api/v1/notifications?limit=1&limit=2 HTTP/1.1", fields).status == "400")
  }

  @Test func `a WebSocket's path may end with a slash`() throws {
    let fields =
      "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      + "Authorization: Bearer \(ShardFixture.token("u"))\r\n"
    for path in ["/api/ws", "/api/ws/"] {
      #expect(try Self.ask("GET \(path) HTTP/1.1", fields).status == "101")
    }
    #expect(try Self.ask("GET /api/ws// HTTP/1.1", fields).status == "404")
  }

  @Test func `a page at a path with a slash redirects to its one place`() throws {
    let (status, head) = try Self.ask("GET /console/ HTTP/1.1")
    #expect(status == "307")
    #expect(head.contains("\r\nLocation: ../console\r\n"))
  }
}
