import Testing

@testable import Wire

@Suite("RFC 9112, 3 and 5: valid request heads")
struct HTTPRequestHeadTests {
  static let sound: [String] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /api/ws?token=a.b-c_d&since=0 HTTP/1.1\r\nHost: localhost:8080\r\nX: \r\n\r\n",
    "POST /api/v1/notifications HTTP/1.1\r\nhost:[::1]:80\r\nContent-Length:\t12 \t\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
    "GET http://example.com HTTP/1.1\r\nHost: Example.com\r\n\r\n",
    "GET HTTPS://example.com:443?a=b HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
    "GET /%41?%zz HTTP/1.0\r\n\r\n",
    "BREW /pot HTTP/1.9\r\nHost: a.b%2Dc\r\nX-Y: caf\u{E9} \u{1F514}\r\n\r\n",
    "GET /a//b/../c HTTP/1.1\r\nHost: a\r\nX!#$%&'*+-.^_`|~9: \"<>()[]{}@,;:\\/?=\r\n\r\n",
  ]

  @Test(
    "a valid head is read the same whole, byte by byte and split at every point", arguments: sound)
  func everySplit(text: String) {
    let wire = Array(text.utf8)
    guard case .head(let byteCount, _, _, _) = feedEveryWay(wire) else {
      Issue.record("refused: \(feedWhole(wire))")
      return
    }
    #expect(byteCount == wire.count)
  }

  @Test("every proper prefix of a valid head is incomplete, never an error", arguments: sound)
  func prefixes(text: String) {
    let wire = Array(text.utf8)
    for end in 0..<wire.count {
      #expect(feedWhole(Array(wire[..<end])) == .incomplete, "prefix of \(end) bytes")
    }
  }

  @Test("bytes after a head are not read", arguments: sound)
  func pipelined(text: String) {
    let wire = Array(text.utf8)
    let followed = wire + [0, 0xFF, 0x0A]
    #expect(feedWhole(followed) == feedWhole(wire))
  }

  @Test("a head is split into its parts")
  func parts() throws {
    let head = try parse(
      "PUT /a/b?x=1?y HTTP/1.1\r\nHost: h:1\r\nAccept:  one \r\naccept: two\r\nEmpty:\r\n"
        + "Content-Length: 7\r\nExpect: 100-Continue\r\n\r\n")
    #expect(head.method == .put)
    #expect(head.methodName == "PUT")
    #expect(head.path == "/a/b")
    #expect(head.query == "x=1?y")
    #expect(head.host == "h:1")
    #expect(head.minorVersion == 1)
    #expect(head.contentLength == 7)
    #expect(!head.isChunked)
    #expect(head.hasBody)
    #expect(head.keepsAlive)
    #expect(head.expectsContinue)
    #expect(head.value(of: "accept") == "one")
    #expect(head.values(of: "accept") == ["one", "two"])
    #expect(head.value(of: "empty") == "")
    #expect(head.value(of: "absent") == nil)
    #expect(head.fields.count == 6)
    #expect(head.fields.valueBytes(of: "host").map(Array.init) == Array("h:1".utf8))
  }

  @Test("an absolute target gives path, query and host")
  func absoluteTarget() throws {
    let bare = try parse("GET http://example.com HTTP/1.1\r\nHost: Example.com\r\n\r\n")
    #expect(bare.path == "/")
    #expect(bare.query == nil)
    #expect(bare.host == "Example.com")
    let full = try parse("GET http://example.com:81/p?q HTTP/1.1\r\nHost: example.com:81\r\n\r\n")
    #expect(full.path == "/p")
    #expect(full.query == "q")
    #expect(full.host == "example.com:81")
    let queryOnly = try parse("GET http://e?q HTTP/1.1\r\nHost: e\r\n\r\n")
    #expect(queryOnly.path == "/")
    #expect(queryOnly.query == "q")
  }

  @Test("an empty query is not an absent one")
  func emptyQuery() throws {
    #expect(try parse("GET /? HTTP/1.1\r\nHost: a\r\n\r\n").query == "")
    #expect(try parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n").query == nil)
  }

  @Test(
    "a connection is kept as version and Connection field require",
    arguments: [
      ("1.1", "X: y", true), ("1.1", "Connection: close", false),
      ("1.1", "Connection: keep-alive, Close", false), ("1.1", "Connection: closed", true),
      ("1.1", "Connection: upgrade\r\nConnection: close", false), ("1.0", "X: y", false),
      ("1.0", "Connection: Keep-Alive", true), ("1.0", "Connection: keep-alive, close", false),
      ("1.9", "X: y", true),
    ] as [(String, String, Bool)])
  func keepAlive(version: String, field: String, keeps: Bool) throws {
    let head = try parse("GET / HTTP/\(version)\r\nHost: a\r\n\(field)\r\n\r\n")
    #expect(head.keepsAlive == keeps)
  }

  @Test(
    "a token is found in a list whatever its case and surroundings",
    arguments: [
      ("Upgrade", true), ("keep-alive, Upgrade", true), ("upgrade\t ,close", true),
      (",,upgrade", true), ("upgraded", false), ("up grade", false), ("\"upgrade\"", false),
      ("upgrade;q=1", false), ("", false), (" , ", false),
    ] as [(String, Bool)])
  func tokens(value: String, isFound: Bool) throws {
    let head = try parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: \(value)\r\n\r\n")
    #expect(head.hasToken("upgrade", in: "connection") == isFound)
  }

  @Test("every method is recognised by its name and no other")
  func methods() throws {
    for method in HTTPMethod.allCases where method != .other && method != .connect {
      let head = try parse("\(method.name) / HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(head.method == method)
      let lower = try parse("\(method.name.lowercased()) / HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(lower.method == .other)
      let longer = try parse("\(method.name)X / HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(longer.method == .other)
      #expect(longer.methodName == "\(method.name)X")
    }
    let connect = try parse("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    #expect(connect.method == .connect)
    #expect(connect.host == "a:1")
  }

  @Test("a reset parser reads the next pipelined request")
  func burst() throws {
    let one = Array("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    var wire: [UInt8] = []
    for _ in 0..<5 { wire += one }
    var parser = HTTPRequestHeadParser()
    var start = 0
    var count = 0
    while start < wire.count {
      let head = try #require(try parser.parse(wire.span.extracting(start..<wire.count)))
      #expect(head.path == "/1")
      start += head.byteCount
      count += 1
      parser.reset()
    }
    #expect(count == 5)
  }

  @Test("a parser that refused a head refuses everything until it is reset")
  func staysRefused() throws {
    var parser = HTTPRequestHeadParser()
    let sound = Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    #expect(throws: HTTPViolation.self) { try parser.parse([UInt8](" ".utf8).span) }
    #expect(throws: HTTPViolation.self) { try parser.parse(sound.span) }
    parser.reset()
    #expect(try parser.parse(sound.span) != nil)
  }

  // Case 32
  @Test("an upgrade request keeps its deciding fields, and the frame after it is not lost")
  func upgrade() throws {
    let frame: [UInt8] = [0x81, 0x85, 1, 2, 3, 4, 0x69, 0x67, 0x6F, 0x68, 0x6E]
    let wire =
      Array(
        ("GET /api/ws?token=t HTTP/1.1\r\nHost: a\r\nUpgrade: foo, WebSocket\r\n"
          + "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
          + "sec-websocket-key: x\r\n\r\n").utf8) + frame
    for split in 0...wire.count {
      var parser = HTTPRequestHeadParser()
      var head = try parser.parse(wire.span.extracting(0..<split))
      if head == nil { head = try parser.parse(wire.span) }
      let upgrade = try #require(head)
      #expect(Array(wire[upgrade.byteCount...]) == frame)
      #expect(upgrade.hasToken("upgrade", in: "connection"))
      #expect(upgrade.hasToken("websocket", in: "upgrade"))
      #expect(upgrade.values(of: "sec-websocket-key") == ["dGhlIHNhbXBsZSBub25jZQ==", "x"])
      #expect(!upgrade.hasBody)
    }
  }
}
