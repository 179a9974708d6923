// Valid and invalid upgrade requests.

import TestSupport
import Testing

@testable import Wire

@Suite("RFC 6455, 4.2: opening handshake")
struct WebSocketHandshakeTests {
  static let good: [(name: String, value: String)] = [
    ("Host", "server.example.com"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13"),
  ]

  static func head(
    _ line: String = "GET /chat HTTP/1.1", _ fields: [(name: String, value: String)] = good
  ) throws -> HTTPRequestHead {
    var bytes: [UInt8] = []
    bytes.appendText(line + "\r\n")
    for field in fields { bytes.appendText("\(field.name): \(field.value)\r\n") }
    bytes.appendText("\r\n")
    var parser = HTTPRequestHeadParser(limits: HTTPLimits())
    return try #require(try parser.parse(bytes.span))
  }

  /// The valid request with other values for one field, in the same position.
  static func fields(_ name: String, _ values: [String]) -> [(name: String, value: String)] {
    good.flatMap { field in
      field.name == name ? values.map { (name, $0) } : [field]
    }
  }

  static func status(_ head: HTTPRequestHead) -> UInt16? {
    do {
      _ = try WebSocketHandshake.validate(head)
      return nil
    } catch {
      return error.status
    }
  }

  // Case 20: an offer of an extension is not read.
  @Test("the request of section 1.2 is accepted")
  func accepted() throws {
    let fields =
      Self.good + [
        ("Origin", "http://example.com"), ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, \"unclosed"),
      ]
    let head = try Self.head("GET /chat HTTP/1.1", fields)
    let request = try WebSocketHandshake.validate(head)
    #expect(request.key == "dGhlIHNhbXBsZSBub25jZQ==")
    #expect(request.protocols == ["chat", "superchat"])
    #expect(WebSocketHandshake.isUpgrade(head))
  }

  // Case 32
  @Test("a missing requirement of section 4.2.1 is refused with its status")
  func refused() throws {
    let key = "dGhlIHNhbXBsZSBub25jZQ=="
    let table: [(name: String, values: [String], status: UInt16?)] = [
      ("Upgrade", ["websocket"], nil), ("Upgrade", ["WebSocket"], nil),
      ("Upgrade", ["h2c, websocket"], nil), ("Upgrade", ["h2c", "websocket"], nil),
      ("Upgrade", [], 400), ("Upgrade", ["h2c"], 400), ("Upgrade", ["websockets"], 400),
      ("Connection", ["keep-alive, Upgrade"], nil), ("Connection", ["keep-alive", "UPGRADE"], nil),
      ("Connection", [], 400), ("Connection", ["keep-alive"], 400),
      ("Connection", ["Upgraded"], 400),
      ("Sec-WebSocket-Version", [], 426), ("Sec-WebSocket-Version", ["8"], 426),
      ("Sec-WebSocket-Version", ["12"], 426), ("Sec-WebSocket-Version", ["99"], 426),
      ("Sec-WebSocket-Version", ["013"], 426), ("Sec-WebSocket-Version", ["13, 8"], 426),
      ("Sec-WebSocket-Version", ["13", "13"], 426), ("Sec-WebSocket-Version", [""], 426),
      ("Sec-WebSocket-Key", [], 400), ("Sec-WebSocket-Key", [key, key], 400),
      ("Sec-WebSocket-Key", [""], 400),
      ("Sec-WebSocket-Key", [Base64.encode(.init(repeating: 7, count: 15))], 400),
      ("Sec-WebSocket-Key", [Base64.encode(.init(repeating: 7, count: 16))], nil),
      ("Sec-WebSocket-Key", [Base64.encode(.init(repeating: 7, count: 17))], 400),
      ("Sec-WebSocket-Key", [Base64.encode(.init(repeating: 7, count: 18))], 400),
      ("Sec-WebSocket-Key", [Base64.encodeURL(.init(repeating: 7, count: 16))], 400),
      // Unused bits set, padding inside, foreign characters of the URL alphabet.
      ("Sec-WebSocket-Key", ["dGhlIHNhbXBsZSBub25jZR=="], 400),
      ("Sec-WebSocket-Key", ["dGhlIHNhbXBsZSBub25j=Q=="], 400),
      ("Sec-WebSocket-Key", ["-GhlIHNhbXBsZSBub25jZQ=="], 400),
    ]
    for row in table {
      let head = try Self.head("GET /chat HTTP/1.1", Self.fields(row.name, row.values))
      #expect(Self.status(head) == row.status, "\(row.name): \(row.values)")
    }
  }

  // Case 32
  @Test("another method is 405, HTTP/1.0 is 400, and so is a request with a body")
  func requestLine() throws {
    for method in ["POST", "HEAD", "PUT", "OPTIONS", "BREW"] {
      #expect(Self.status(try Self.head("\(method) /chat HTTP/1.1")) == 405, "\(method)")
    }
    #expect(Self.status(try Self.head("GET /chat HTTP/1.0")) == 400)
    let body = Self.good + [("Content-Length", "5")]
    #expect(Self.status(try Self.head("GET /chat HTTP/1.1", body)) == 400)
    let chunked = Self.good + [("Transfer-Encoding", "chunked")]
    #expect(Self.status(try Self.head("GET /chat HTTP/1.1", chunked)) == 400)
    let empty = Self.good + [("Content-Length", "0")]
    #expect(Self.status(try Self.head("GET /chat HTTP/1.1", empty)) == nil)
  }

  @Test("a request with several faults gets the first one in the order of the checks")
  func orderOfChecks() throws {
    // The request starts with every fault; then they are fixed one by one.
    var fields: [(name: String, value: String)] = [
      ("Host", "h"), ("Sec-WebSocket-Protocol", "a b"),
    ]
    func reason(_ line: String) throws -> String? {
      let head = try Self.head(line, fields)
      do {
        _ = try WebSocketHandshake.validate(head)
        return nil
      } catch {
        return error.reason
      }
    }
    var reasons: [String?] = [try reason("POST / HTTP/1.0"), try reason("GET / HTTP/1.0")]
    let line = "GET / HTTP/1.1"
    reasons.append(try reason(line))
    for mended in Self.good.dropFirst().filter({ !$0.name.hasSuffix("Key") }) {
      fields.append(mended)
      reasons.append(try reason(line))
    }
    fields.append(Self.good[3])
    reasons.append(try reason(line))
    fields.remove(at: 1)
    reasons.append(try reason(line))
    #expect(
      reasons == [
        "a WebSocket handshake is a GET", "a WebSocket needs HTTP/1.1", "no Upgrade: websocket",
        "no Connection: Upgrade", "WebSocket version 13 only",
        "Sec-WebSocket-Key is not 16 bytes of base64, once", "invalid Sec-WebSocket-Protocol", nil,
      ])
  }

  @Test("a request that resembles an upgrade is treated as one, even if it is malformed")
  func isUpgrade() throws {
    #expect(try WebSocketHandshake.isUpgrade(Self.head()))
    let table: [(fields: [(name: String, value: String)], isUpgrade: Bool)] = [
      ([("Host", "h")], false),
      ([("Host", "h"), ("Upgrade", "websocket")], false),
      ([("Host", "h"), ("Connection", "upgrade")], false),
      ([("Host", "h"), ("Connection", "upgrade"), ("Upgrade", "h2c")], false),
      ([("Host", "h"), ("Connection", "upgrade"), ("Upgrade", "websocket")], true),
      ([("Host", "h"), ("Sec-WebSocket-Key", "x")], true),
    ]
    for row in table {
      #expect(
        try WebSocketHandshake.isUpgrade(Self.head("GET / HTTP/1.1", row.fields)) == row.isUpgrade,
        "\(row.fields)")
    }
  }

  static func protocols(_ values: [String]) throws -> [String]? {
    let fields = good + values.map { ("Sec-WebSocket-Protocol", $0) }
    let head = try head("GET / HTTP/1.1", fields)
    do {
      return try WebSocketHandshake.validate(head).protocols
    } catch {
      #expect(error.status == 400)
      return nil
    }
  }

  @Test("subprotocols are tokens in lists, in order, none twice")
  func subprotocols() throws {
    let many = (0..<32).map { "p\($0)" }
    let table: [(values: [String], protocols: [String]?)] = [
      ([], []), (["chat"], ["chat"]), (["a,b"], ["a", "b"]), (["a ,\tb", "c"], ["a", "b", "c"]),
      (["bearer, eyJhbGciOiJIUzI1NiJ9.e30.-_x"], ["bearer", "eyJhbGciOiJIUzI1NiJ9.e30.-_x"]),
      ([""], []), ([",, a,,"], ["a"]), (["Chat, chat"], ["Chat", "chat"]),
      (["a,a"], nil), (["a", "a"], nil), (["a b"], nil), (["a\tb"], nil), (["a;q=1"], nil),
      (["\"a\""], nil), (["a/b"], nil), (["é"], nil),
      ([many.joined(separator: ",")], many), ([many.joined(separator: ",") + ",p32"], nil),
    ]
    for row in table {
      #expect(try Self.protocols(row.values) == row.protocols, "\(row.values)")
    }
  }

  @Test("the entry after bearer is the token, and the answer names another one if there is one")
  func bearer() {
    let table: [(offered: String, token: String?, answered: String?)] = [
      ("", nil, nil), ("chat", nil, "chat"), ("chat json", nil, "chat"),
      ("bearer", nil, "bearer"), ("chat bearer", nil, "chat"),
      ("bearer T", "T", "bearer"), ("BeaREr T", "T", "BeaREr"),
      ("bearer T chat", "T", "chat"), ("chat bearer T", "T", "chat"),
      ("chat bearer T json", "T", "chat"), ("bearer T chat json", "T", "chat"),
      ("bearer T Bearer U", "T", "Bearer"), ("T chat bearer", nil, "T"),
    ]
    for row in table {
      let request = UpgradeRequest(
        key: "", protocols: row.offered.split(separator: " ").map(String.init))
      #expect(request.bearerToken == row.token, "\(row.offered)")
      #expect(request.answeredProtocol == row.answered, "\(row.offered)")
    }
  }

  // Case 27
  @Test("a byte is allowed in a subprotocol exactly if RFC 9110 calls it a token character")
  func subprotocolBytes() throws {
    let token = Set("!#$%&'*+-.^_`|~0123456789".utf8)
      .union("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
    for byte in UInt8.min...UInt8.max {
      var wire: [UInt8] = []
      wire.appendText("GET / HTTP/1.1\r\n")
      for field in Self.good { wire.appendText("\(field.name): \(field.value)\r\n") }
      wire.appendText("Sec-WebSocket-Protocol: a")
      wire.append(byte)
      wire.appendText("b\r\n\r\n")
      var protocols: [String]?
      do {
        var parser = HTTPRequestHeadParser(limits: HTTPLimits())
        if let head = try parser.parse(wire.span) {
          protocols = try WebSocketHandshake.validate(head).protocols
        }
      } catch {
        #expect(error.status == 400, "\(byte)")
      }
      if byte == UInt8(ascii: ",") {
        #expect(protocols == ["a", "b"])
      } else {
        #expect((protocols != nil) == token.contains(byte), "\(byte)")
      }
    }
  }

  // Case 26
  @Test("spaces inside a subprotocol cost linear time, not quadratic")
  func linearProtocols() throws {
    func cost(_ count: Int) throws -> Duration {
      let value = "b" + String(repeating: " ", count: count) + "x"
      let fields = Self.good + [("Sec-WebSocket-Protocol", value)]
      let head = try Self.head("GET / HTTP/1.1", fields)
      return processorTime { for _ in 0..<3 { #expect(Self.status(head) == 400) } }
    }
    let small = try cost(1_000)
    let large = try cost(8_000)
    #expect(large / small <= 12, "\(small), \(large)")
  }

  // Cases 17, 20
  @Test("the answer names the accept value and the chosen subprotocol, and no extension")
  func response() {
    var bytes: [UInt8] = []
    WebSocketHandshake.writeResponse(
      accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", protocol: nil, into: &bytes)
    #expect(
      String(decoding: bytes, as: UTF8.self) == """
        HTTP/1.1 101 Switching Protocols\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r
        \r

        """)
    bytes = []
    WebSocketHandshake.writeResponse(accept: "x", protocol: "bearer", into: &bytes)
    #expect(
      String(decoding: bytes, as: UTF8.self).hasSuffix(
        "Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: bearer\r\n\r\n"))
  }

  @Test func `a subprotocol that would break the answer's lines is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      var bytes: [UInt8] = []
      WebSocketHandshake.writeResponse(accept: "x", protocol: "a\r\nX: y", into: &bytes)
    }
  }
}
