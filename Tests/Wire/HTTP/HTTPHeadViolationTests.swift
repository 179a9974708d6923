import Testing

@testable import Wire

@Suite("RFC 9112, 2 to 5: refused request heads")
struct HTTPHeadViolationTests {
  struct Vector: CustomTestStringConvertible, Sendable {
    let name: String
    let wire: [UInt8]
    let status: UInt16
    var testDescription: String { name }

    init(_ name: String, _ text: String, _ status: UInt16 = 400) {
      self.name = name
      self.wire = Array(text.utf8)
      self.status = status
    }
  }

  static let requestLines: [Vector] = [
    Vector("two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    Vector("a bare LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    Vector("a bare CR first", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    Vector("a space first", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    Vector("white space only", "   \r\n\r\n"),
    Vector("a TLS greeting", "\u{16}\u{3}\u{1}\u{2}\u{0}"),
    Vector("no method", "/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    Vector("two spaces after the method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    Vector("two spaces after the target", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    Vector("tab after the method", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    Vector("tab after the target", "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"),
    Vector("no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n"),
    Vector("no version", "GET /\r\nHost: a\r\n\r\n"),
    Vector("space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    Vector("lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n"),
    Vector("another protocol", "GET / HTTQ/1.1\r\nHost: a\r\n\r\n"),
    Vector("white space in the version", "GET / HTTP/ 1.1\r\nHost: a\r\n\r\n"),
    Vector("no minor version", "GET / HTTP/1\r\nHost: a\r\n\r\n"),
    Vector("comma in the version", "GET / HTTP/1,1\r\nHost: a\r\n\r\n"),
    Vector("two digits of minor version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    Vector("letter as minor version", "GET / HTTP/1.x\r\nHost: a\r\n\r\n"),
    Vector("version 0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    Vector("version 01.1", "GET / HTTP/01.1\r\nHost: a\r\n\r\n", 505),
    Vector("version 2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    Vector("version 9.9", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505),
    Vector("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    Vector("bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
    Vector("bare CR after the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n"),
    Vector("a method that is too long", "\(String(repeating: "A", count: 33)) / HTTP/1.1\r\n"),
  ]

  // In HTTP/1.0 without Host, so that only the target can be refused.
  static let targets: [Vector] =
    [
      "a", "a/b", "?q", "http:/a", "http//a", "ftp://a/", "http://", "http:///p", "http://?q",
      "http://a@b/", "http://a b/", "http://a:b/", "http://a:65536/", "http://a:1:2/", "*x", "**",
      "/#f", "/a#", "/\u{E9}", "//\u{7F}", "http://[::1/", "http://[]/", "http://a%2/",
      "http://a\\b/",
    ].map { Vector("target \($0)", "GET \($0) HTTP/1.0\r\n\r\n") } + [
      Vector("* for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
      Vector("authority for GET", "GET a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
      Vector("path for CONNECT", "CONNECT /p HTTP/1.1\r\nHost: a\r\n\r\n"),
      Vector("CONNECT without port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"),
      Vector("CONNECT with empty port", "CONNECT a: HTTP/1.1\r\nHost: a:\r\n\r\n"),
      Vector("Host contradicts the target's host", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
      Vector("Host contradicts the target's port", "GET http://a:1/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]

  static let hosts: [Vector] =
    [
      "", " ", "a b", "a,b", "a, b", "u@a", "a/p", "a?q", "a#f", "http://a", "a:", "a:b", "a:-1",
      "a:65536", "a:123456", "a:1:2", ":80", "[::1", "::1]", "[]", "[::g]", "[::1]x", "[::1]:x",
      "a%", "a%2", "a%zz", "a\\b", "\"a\"", "<a>", "\u{E9}",
    ].filter { $0 != "a:" }.map { Vector("Host: \($0)", "GET / HTTP/1.1\r\nHost: \($0)\r\n\r\n") }
    + [
      Vector("no Host", "GET / HTTP/1.1\r\n\r\n"),
      Vector("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
      Vector("one Host twice", "GET / HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n"),
      Vector("a bad Host in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n"),
      Vector("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
    ]

  static let fields: [Vector] = [
    ("space before the colon", "X : v\r\n"), ("tab before the colon", "X\t: v\r\n"),
    ("no colon", "X\r\n"), ("empty name", ": v\r\n"), ("space first", " X: v\r\n"),
    ("tab first", "\tX: v\r\n"), ("fold", "X: v\r\n w\r\n"), ("fold with tab", "X: v\r\n\tw\r\n"),
    ("line of white space", " \r\n"), ("bracket in the name", "X[: v\r\n"),
    ("non-ASCII name", "X\u{EB}: v\r\n"), ("NUL in the value", "X: a\u{0}b\r\n"),
    ("DEL in the value", "X: a\u{7F}b\r\n"), ("bare LF in the value", "X: a\nY: b\r\n"),
    ("bare CR in the value", "X: a\rY: b\r\n"), ("bare CR before the end", "X: a\r\r\n"),
    ("vertical tab in the value", "X: a\u{B}b\r\n"), ("bare LF for the empty line", "\n"),
    ("bare CR for the empty line", "\rX"), ("another expectation", "Expect: 200-ok\r\n"),
    ("empty expectation", "Expect:\r\n"), ("two expectations", "Expect: 100-continue, x\r\n"),
  ].map { name, line in
    Vector(
      name, "GET / HTTP/1.1\r\nHost: a\r\n\(line)\r\n", name.contains("expectation") ? 417 : 400)
  }

  @Test(
    "an invalid head is refused with its status however it is split",
    arguments: requestLines + targets + hosts + fields)
  func refused(vector: Vector) {
    #expect(feedEveryWay(vector.wire).status == vector.status)
  }

  @Test("the byte that shows the violation is enough")
  func atOnce() {
    let shown: [(String, UInt16)] = [
      ("\0", 400), ("GET \r", 400), ("GET  ", 400), (" ", 400), ("GET / HTTP/2", 505),
      ("GET / HTTP/1.1\n", 400),
      ("GET / HTTP/1.1\r\n ", 400), ("GET / HTTP/1.1\r\nX ", 400),
      ("GET / HTTP/1.1\r\nX: \0", 400),
    ]
    for (text, status) in shown {
      #expect(feedWhole(Array(text.utf8)).status == status, "\(text.debugDescription)")
      #expect(feedWhole(Array(text.utf8.dropLast())) == .incomplete, "\(text.debugDescription)")
    }
  }

  @Test("the refusal of a target that is not percent-encoded says to encode it")
  func encodingOfTargets() {
    let wrong = [
      ("GET /users/\u{E9} HTTP/1.1\r\n", "percent-encode its UTF-8"),
      ("GET /?q=\u{1F514} HTTP/1.1\r\n", "percent-encode its UTF-8"),
      ("GET /a b HTTP/1.1\r\n", "percent-encode a space"),
    ]
    for (text, remedy) in wrong {
      guard case .violation(let violation) = feedEveryWay(Array(text.utf8)) else {
        Issue.record("\(text) was accepted")
        continue
      }
      #expect(violation.status == 400)
      #expect(violation.reason.contains(remedy))
    }
  }

  @Test("the refusal of a head over a limit names the bound")
  func namedBounds() throws {
    let limits = HTTPLimits(
      headBytes: 90, targetBytes: 21, fieldCount: 3, fieldNameBytes: 17, fieldValueBytes: 35)
    func text(_ count: Int) -> String { String(repeating: "x", count: count) }
    let start = "GET / HTTP/1.1\r\n"
    let wrong: [(String, UInt16, String)] = [
      (text(33) + " / HTTP/1.1\r\n", 400, "method over 32 bytes"),
      ("GET /\(text(21)) HTTP/1.1\r\n", 414, "request target over 21 bytes"),
      ("\(start)\(text(18)): v\r\n", 431, "header name over 17 bytes"),
      ("\(start)X: \(text(36))\r\n", 431, "header value over 35 bytes"),
      ("\(start)A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n", 431, "over 3 header fields"),
      ("\(start)A: \(text(35))\r\nB: \(text(35))\r\nC: 3\r\n", 431, "head over 90 bytes"),
    ]
    for (head, status, reason) in wrong {
      let outcome = feedWhole(Array(head.utf8), limits: limits)
      #expect(outcome == .violation(HTTPViolation(status: status, reason: reason)))
    }
    let pairs = (0...QueryString.pairCountLimit).map { "a\($0)" }.joined(separator: "&")
    let query = #expect(throws: HTTPViolation.self) { try QueryString(pairs) }
    let bound = QueryString.pairCountLimit
    #expect(query?.reason == "over \(bound) query parameters")
  }

  @Test("an expectation in HTTP/1.0 is ignored")
  func oldExpectation() throws {
    #expect(try !parse("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expectsContinue)
    #expect(try !parse("GET / HTTP/1.0\r\nExpect: other\r\n\r\n").expectsContinue)
  }

  // Case 27
  @Test("each of the 256 bytes in each position is accepted or refused as the RFC specifies")
  func everyByte() {
    let visible = Set(UInt8(0x21)...0x7E)
    let token = Set(
      "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
    let value = Set(UInt8(0x20)...0x7E).union(UInt8(0x80)...0xFF).union([0x09])
    let host = Set(
      "!$&'()*+;=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:".utf8)
    let places: [(String, before: String, after: String, legal: Set<UInt8>)] = [
      ("method", "G", "T / HTTP/1.1\r\nHost: a\r\n\r\n", token),
      ("path", "GET /a", "b HTTP/1.1\r\nHost: a\r\n\r\n", visible.subtracting("#".utf8)),
      ("query", "GET /?a", "b HTTP/1.1\r\nHost: a\r\n\r\n", visible.subtracting("#".utf8)),
      ("name", "GET / HTTP/1.1\r\nHost: a\r\nX", "Y: v\r\n\r\n", token.union(":".utf8)),
      ("value", "GET / HTTP/1.1\r\nHost: a\r\nX: a", "b\r\n\r\n", value),
      ("cookie", "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=", "b\r\n\r\n", value),
      ("host", "GET / HTTP/1.1\r\nHost: a", "1\r\n\r\n", host),
    ]
    for place in places {
      var reasons = Set<String>()
      for byte in UInt8.min...UInt8.max {
        let wire = Array(place.before.utf8) + [byte] + Array(place.after.utf8)
        switch feedEveryWay(wire) {
        case .head: #expect(place.legal.contains(byte), "\(byte) in \(place.0) was accepted")
        case .incomplete: Issue.record("\(byte) in \(place.0) left the head incomplete")
        case .violation(let violation):
          #expect(!place.legal.contains(byte), "\(byte) in \(place.0) was refused")
          #expect(violation.status == 400)
          reasons.insert(violation.reason)
        }
      }
      // Constant text, whatever the byte: it contains none of the peer's bytes.
      #expect(reasons.count <= 3, "\(reasons)")
      #expect(reasons.allSatisfy { $0.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } })
    }
  }
}
