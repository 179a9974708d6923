import Testing

@testable import Wire

@Suite("RFC 9112, 4: responses, written and read")
struct HTTPResponseTests {
  private func text(
    _ response: HTTPResponse, keepsAlive: Bool = true, isHead: Bool = false, minorVersion: Int = 1
  ) -> String {
    var wire: [UInt8] = []
    response.write(
      keepsAlive: keepsAlive, isHead: isHead, minorVersion: minorVersion, into: &wire)
    return String(decoding: wire, as: UTF8.self)
  }

  @Test("a response has exactly these bytes")
  func bytes() {
    var response = HTTPResponse(
      status: 201, body: Array("{}".utf8), contentType: "application/json")
    response.fields = [("Retry-After", "1"), ("Allow", "GET, HEAD")]
    #expect(
      text(response)
        == "HTTP/1.1 201 Created\r\nRetry-After: 1\r\nAllow: GET, HEAD\r\n"
        + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    #expect(
      text(response, keepsAlive: false, isHead: true)
        == "HTTP/1.1 201 Created\r\nRetry-After: 1\r\nAllow: GET, HEAD\r\n"
        + "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
    #expect(
      text(HTTPResponse(status: 404), minorVersion: 0)
        == "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n")
  }

  @Test("a response is appended to existing bytes")
  func appends() {
    var wire = Array("before".utf8)
    HTTPResponse(status: 204).write(keepsAlive: true, into: &wire)
    #expect(wire == Array("beforeHTTP/1.1 204 No Content\r\n\r\n".utf8))
  }

  @Test("1xx, 204 and 304 have neither body nor length", arguments: [100, 101, 199, 204, 304])
  func bodiless(status: UInt16) {
    let written = text(HTTPResponse(status: status, body: [0x61], contentType: "text/plain"))
    #expect(!written.contains("Content-"))
    #expect(written.hasSuffix("\r\n\r\n"))
  }

  @Test("every status is written with three digits and a reason")
  func statuses() throws {
    for status in UInt16.min...1_000 {
      let written = text(HTTPResponse(status: status))
      let expected = (100...599).contains(status) ? status : 500
      #expect(written.hasPrefix("HTTP/1.1 \(expected) "))
      var parser = HTTPResponseHeadParser()
      let head = try #require(try parser.parse(Array(written.utf8).span))
      #expect(head.status == expected)
    }
    for status in [400, 405, 413, 414, 417, 431, 501, 505] as [UInt16] {
      #expect(HTTPResponse.reason(for: status) != "Status")
    }
  }

  // Case 27
  @Test("no byte of a value, a name or a content type starts a second line")
  func injection() throws {
    for scalar in (0...0xFF).compactMap(Unicode.Scalar.init(_:)) {
      var response = HTTPResponse(
        status: 200, body: [0x61], contentType: "text/plain\(scalar)X-C: c")
      response.fields = [
        ("X-A", "a\(scalar)X-B: b\r\n\r\nHTTP/1.1 200 OK"), ("X-D\(scalar)", "d"), ("", "e"),
        ("X-E: e\r\nX-F", "f"),
      ]
      var wire: [UInt8] = []
      response.write(keepsAlive: true, into: &wire)
      var parser = HTTPResponseHeadParser()
      let head = try #require(try parser.parse(wire.span))
      #expect(head.byteCount == wire.count - 1)
      #expect(head.contentLength == 1)
      for name in ["x-b", "x-c", "x-e", "x-f", ""] { #expect(head.value(of: name) == nil) }
      #expect(head.fields.count <= 4)
    }
  }

  @Test("given fields that frame the message are ignored")
  func framing() throws {
    var response = HTTPResponse(status: 200, body: [0x61])
    response.fields = [("content-length", "5"), ("Transfer-Encoding", "chunked"), ("X", "y")]
    var wire: [UInt8] = []
    response.write(keepsAlive: true, into: &wire)
    var parser = HTTPResponseHeadParser()
    let head = try #require(try parser.parse(wire.span))
    #expect(head.contentLength == 1)
    #expect(!head.isChunked)
    #expect(head.value(of: "x") == "y")
  }

  @Test("the response to a violation has the violation's status")
  func violation() {
    let written = text(
      HTTPResponse(HTTPViolation(status: 431, reason: "head too large")), keepsAlive: false)
    #expect(written.hasPrefix("HTTP/1.1 431 Request Header Fields Too Large\r\n"))
    #expect(written.contains("\r\nConnection: close\r\n"))
  }

  static let soundHeads: [(String, UInt16)] = [
    ("HTTP/1.1 200 OK\r\n\r\n", 200), ("HTTP/1.0 404 \r\nX: y\r\n\r\n", 404),
    ("HTTP/1.1 101\r\nUpgrade: websocket\r\n\r\n", 101),
    ("HTTP/1.1 503 caf\u{E9} au lait\r\nContent-Length: 3\r\n\r\n", 503),
    ("HTTP/1.1 999 x\r\nTransfer-Encoding: chunked\r\n\r\n", 999),
  ]

  @Test("a response head is read the same however it is split", arguments: soundHeads)
  func readSound(text: String, status: UInt16) throws {
    let wire = Array(text.utf8)
    for split in 0...wire.count {
      var parser = HTTPResponseHeadParser()
      if split < wire.count { #expect(try parser.parse(wire.span.extracting(0..<split)) == nil) }
      let head = try #require(try parser.parse(wire.span))
      #expect(head.status == status)
      #expect(head.byteCount == wire.count)
    }
    var parser = HTTPResponseHeadParser()
    for end in 0..<wire.count {
      #expect(try parser.parse(wire.span.extracting(0..<end)) == nil, "prefix of \(end) bytes")
    }
    #expect(try parser.parse(wire.span)?.status == status)
  }

  static let brokenHeads: [String] = [
    "HTTP/2 200 OK\r\n", "http/1.1 200 OK\r\n", "HTTP/1.1  200 OK\r\n", "HTTP/1.1 20 OK\r\n",
    "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 -20 OK\r\n", "HTTP/1.1 +20 OK\r\n", "HTTP/1.1 099 OK\r\n",
    "HTTP/1.1 000 OK\r\n", "HTTP/1.1 200 OK\n", "HTTP/1.1 200 OK\rX", "HTTP/1.1 200\n",
    "HTTP/1.1 200 O\u{0}K\r\n", "HTTP/1.x 200 OK\r\n", "\r\nHTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200 OK\r\nX : y\r\n", "HTTP/1.1 200 OK\r\n X: y\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 " + String(repeating: "x", count: 20_000),
  ]

  @Test("a malformed response head is refused", arguments: brokenHeads)
  func readBroken(text: String) {
    let wire = Array(text.utf8)
    #expect(throws: HTTPViolation.self) {
      var parser = HTTPResponseHeadParser()
      _ = try parser.parse(wire.span)
    }
    #expect(throws: HTTPViolation.self) {
      var parser = HTTPResponseHeadParser()
      for end in 0...wire.count { _ = try parser.parse(wire.span.extracting(0..<end)) }
    }
  }

  // Case 33
  @Test("a status of any number is read or refused", arguments: HTTPFramingTests.numbers)
  func anyStatus(text: String) {
    let wire = Array("HTTP/1.1 \(text) OK\r\n\r\n".utf8)
    var parser = HTTPResponseHeadParser()
    // None of those numbers has three digits.
    #expect(throws: HTTPViolation.self) { try parser.parse(wire.span) }
  }

  @Test("a connection is kept as version and Connection field require")
  func keepAlive() throws {
    for (head, keeps) in [
      ("HTTP/1.1 200 OK\r\n\r\n", true), ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false),
      ("HTTP/1.0 200 OK\r\n\r\n", false),
      ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", true),
    ] {
      var parser = HTTPResponseHeadParser()
      #expect(try parser.parse(Array(head.utf8).span)?.keepsAlive == keeps, "\(head)")
    }
  }

  @Test(
    "dates are written in the format of RFC 9110",
    arguments: [
      (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
      (-1, "Wed, 31 Dec 1969 23:59:59 GMT"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
      (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
      (.max, "Fri, 31 Dec 9999 23:59:59 GMT"), (.min, "Sat, 01 Jan 0000 00:00:00 GMT"),
    ] as [(Int64, String)])
  func dates(seconds: Int64, expected: String) {
    #expect(HTTPDate.string(seconds: seconds) == expected)
    let clamped = min(max(seconds, -62_167_219_200), 253_402_300_799)
    #expect(HTTPDate.seconds(expected) == clamped)
  }

  @Test(
    "a date in another spelling is none",
    arguments: [
      "", "0", "Sun, 06 Nov 1994 08:49:37", "Mon, 06 Nov 1994 08:49:37 GMT",
      "sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
      "Sun, 6 Nov 1994 08:49:37 GMT", "Sun,  6 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 GMT ",
      " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
      "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:60 GMT",
      "Sun, 00 Nov 1994 08:49:37 GMT", "Wed, 31 Nov 1994 08:49:37 GMT",
      "Mon, 29 Feb 1999 00:00:00 GMT", "Sun, 06-Nov-1994 08:49:37 GMT",
      "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
      "Sun, +6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov -994 08:49:37 GMT",
      "Sun, 06 Nov 19é4 08:49:37 GMT", String(repeating: "9", count: 1 << 20),
    ])
  func otherDates(text: String) {
    #expect(HTTPDate.seconds(text) == nil)
  }
}
