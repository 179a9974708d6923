// The fields that pages of other origins may send, the answers that they may read, and the host
// names that a page can misuse.

import Testing

@testable import Server

@Suite("Requests of pages")
struct CrossOriginTests {
  private static let ours = "https://app.example"

  /// The head of the answer to a request, its lines apart.
  private static func ask(
    _ line: String, _ fields: String, host: String = "carillon.example",
    _ change: (inout Configuration) -> Void = { $0.allowedOrigins = [ours] }
  ) throws -> [String] {
    let fixture = try ShardFixture(files: ClientFilesTests.files, change)
    let peer = try fixture.connect()
    peer.send("\(line) HTTP/1.1\r\n\(host.isEmpty ? "" : "Host: \(host)\r\n")\(fields)\r\n")
    try fixture.turn(until: { peer.receive().headEnd != nil })
    let head = peer.received[..<(try #require(peer.received.headEnd))].map { $0 }.text
    return head.split(separator: "\r\n").map { String($0) }
  }

  private static func status(_ head: [String]) -> String { String(head[0].dropFirst(9).prefix(3)) }

  @Test func `only a page of an origin that is named may read an answer to its credentials`()
    throws
  {
    let allow = "Access-Control-Allow-Credentials: true"
    let listed = try Self.ask("GET /healthz", "Origin: \(Self.ours)\r\n")
    #expect(listed.contains("Access-Control-Allow-Origin: \(Self.ours)"))
    #expect(listed.contains(allow) && listed.contains("Vary: Origin"))
    let any = try Self.ask("GET /healthz", "Origin: https://other.example\r\n") {
      $0.allowedOrigins = ["*", Self.ours]
    }
    #expect(any.contains("Access-Control-Allow-Origin: https://other.example"))
    #expect(!any.contains(allow))
    let both = try Self.ask("GET /healthz", "Origin: \(Self.ours)\r\n") {
      $0.allowedOrigins = ["*", Self.ours]
    }
    #expect(both.contains(allow))
    let foreign = try Self.ask("GET /healthz", "Origin: https://other.example\r\n")
    #expect(foreign.contains("Vary: Origin"))
    #expect(!foreign.contains { $0.hasPrefix("Access-Control-") })
  }

  @Test("credentials are for named origins only")
  func credentials() throws {
    let head = try Self.ask("GET /healthz", "Origin: https://other.example\r\n") {
      $0.allowedOrigins = ["*"]
    }
    #expect(!head.contains("Access-Control-Allow-Credentials: true"))
  }

  @Test("a preflight allows the fields that the page of an allowed origin asks for")
  func preflight() throws {
    func ask(_ fields: String, from origin: String = CrossOriginTests.ours) throws -> [String] {
      try Self.ask(
        "OPTIONS /api/v1/notifications",
        "Origin: \(origin)\r\nAccess-Control-Request-Method: POST\r\n\(fields)")
    }
    let name = "Access-Control-Request-Headers"
    let asked = try ask("\(name): authorization,x-request-id,traceparent\r\n")
    #expect(Self.status(asked) == "204")
    #expect(asked.contains("Access-Control-Allow-Headers: authorization,x-request-id,traceparent"))
    #expect(asked.contains("Vary: Origin, Access-Control-Request-Headers"))
    #expect(asked.contains("Access-Control-Allow-Credentials: true"))
    let standard =
      "Access-Control-Allow-Headers: "
      + "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-API-Key"
    #expect(try ask("").contains(standard))
    #expect(try ask("\(name): x-\u{E9}\r\n").contains(standard))
    #expect(try ask("\(name): \(String(repeating: "x", count: 1_025))\r\n").contains(standard))
    let foreign = try ask("\(name): authorization\r\n", from: "https://other.example")
    #expect(foreign.contains("Vary: Origin, Access-Control-Request-Headers"))
    #expect(!foreign.contains { $0.hasPrefix("Access-Control-") })
  }

  @Test(
    "a page reads the reason of an error that comes before routing",
    arguments: [
      "GET /\u{E9}", "GET /a b", "GET /" + String(repeating: "x", count: 10_000), "GET \\",
    ])
  func early(line: String) throws {
    let head = try Self.ask(line, "Origin: \(Self.ours)\r\n")
    #expect(Self.status(head).hasPrefix("4"))
    #expect(head.contains("Access-Control-Allow-Origin: *"))
    #expect(!head.contains { $0.hasPrefix("Access-Control-Allow-Credentials") })
  }

  @Test func `a page reads that its address has too many connections`() throws {
    let fixture = try ShardFixture { $0.limits.connectionsPerAddressLimit = 1 }
    let first = try fixture.connect()
    let (head, _) = try EndpointTests.answer(to: try fixture.connect(), fixture)
    #expect(head.hasPrefix("HTTP/1.1 429 "))
    #expect(head.contains("\r\nAccess-Control-Allow-Origin: *\r\n"))
    #expect(!first.isEnded)
  }

  @Test func `a page reads the answer at an unknown path and to a wrong method`() throws {
    for (line, status) in [("GET /nowhere", "404"), ("PATCH /healthz", "405")] {
      let head = try Self.ask(line, "Origin: \(Self.ours)\r\n")
      #expect(Self.status(head) == status)
      #expect(head.contains("Access-Control-Allow-Origin: \(Self.ours)"))
    }
  }

  @Test(
    "metrics need no token on this machine, but under its own names only",
    arguments: [
      ("localhost", "200"), ("localhost:9090", "200"), ("127.0.0.1:1", "200"), ("[::1]", "200"),
      ("evil.example", "401"), ("localhost.evil.example", "401"), ("evil.example:8080", "401"),
    ])
  func metrics(host: String, status: String) throws {
    #expect(Self.status(try Self.ask("GET /metrics", "", host: host)) == status)
    let token = ShardFixture.token("p", scopes: ["publish"])
    let head = try Self.ask("GET /metrics", "Authorization: Bearer \(token)\r\n", host: host)
    #expect(Self.status(head) == "200")
  }

  @Test(
    "a development server answers under this machine's own names only",
    arguments: [
      ("localhost", true), ("LOCALHOST:80", true), ("127.0.0.1", true), ("[::1]:1", true),
      ("evil.example", false), ("localhost.evil.example", false), ("127.0.0.1.nip.io", false),
      ("localhost.", false),
    ])
  func development(host: String, isServed: Bool) throws {
    let lines = [
      "GET /healthz", "GET /", "GET /nowhere", "GET /api/v1/notifications", "POST /healthz",
      "GET /socket.io/?EIO=4&transport=polling", "GET /api/ws", "OPTIONS *",
    ]
    for line in lines {
      let head = try Self.ask(line, "Origin: http://\(host)\r\n", host: host) {
        $0.servesLoopbackNamesOnly = true
      }
      #expect((Self.status(head) != "403") == isServed, "\(line)")
      if !isServed { #expect(!head.contains { $0.hasPrefix("Access-Control-") }) }
    }
  }
}
