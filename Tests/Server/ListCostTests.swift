// The cost of a list, a quote or a run of spaces in a head: linear in its length, never quadratic.
//
// The tests cover each field and part of a target that any parser here splits into pieces.

import TestSupport
import Testing
import Wire

@testable import Server

@Suite("The cost of lists")
struct ListCostTests {
  static let fields = [
    "connection", "upgrade", "sec-websocket-protocol", "sec-websocket-extensions",
    "sec-websocket-version", "sec-websocket-key", "cookie", "origin", "authorization", "host",
    "transfer-encoding", "expect", "accept", "last-event-id", "idempotency-key",
    "access-control-request-method", "access-control-request-headers", "content-type",
    "content-length", "x-api-key",
  ]

  static let units = [
    " ", ",", ", ", "\"", "\"a\",", "\\\"", ";", "a=b; ", "upgrad, ", "=", ".", "\t,", "a",
  ]

  /// All parsing that a head may get, whether or not a server would get that far.
  static func work(_ wire: [UInt8]) {
    var parser = HTTPRequestHeadParser(
      limits: HTTPLimits(headBytes: .max, targetBytes: .max, fieldValueBytes: .max))
    guard let head = try? parser.parse(wire.span) else { return }
    _ = WebSocketHandshake.isUpgrade(head)
    _ = try? WebSocketHandshake.validate(head)
    _ = try? QueryString(head.query ?? "")
    for policy in [OriginPolicy(allowed: []), OriginPolicy(allowed: ["https://a.example"])] {
      _ = policy.allows(head.values(of: "origin"), host: head.value(of: "host"))
      _ = policy.fields(for: head)
      _ = policy.preflight(head, methods: "GET, POST")
    }
    _ = head.value(of: "authorization")
  }

  static func cost(_ text: String) -> Duration {
    let wire = Array(text.utf8)
    return processorTime(rounds: 4) { work(wire) }
  }

  static func expectLinear(_ name: String, _ head: (String) -> String) {
    for unit in units {
      // The case's own sizes are too short to be timed on a busy machine, so both are eight times
      // as long: 8 times the work if linear, 64 times if not.
      let small = cost(head(String(repeating: unit, count: 8_192 / unit.utf8.count)))
      let large = cost(head(String(repeating: unit, count: 65_536 / unit.utf8.count)))
      #expect(large < small * 20 + .microseconds(200), "\(name), \(unit): \(small), \(large)")
    }
  }

  // Cases 20, 26
  @Test("a field", arguments: fields)
  func field(name: String) {
    Self.expectLinear(name) { value in
      var lines = [
        "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "host": "x",
      ]
      lines[name] = "b" + value + "x"
      return "GET / HTTP/1.1\r\n" + lines.map { "\($0): \($1)\r\n" }.joined() + "\r\n"
    }
  }

  // Case 26
  @Test("a target", arguments: ["/", "/?", "/?a=", "/api/v1/notifications/"])
  func target(start: String) {
    for unit in ["/", "&", "=", "%41", "+", "a&", "a=", "..", ";", ","] {
      let small = Self.cost(
        "GET \(start)\(String(repeating: unit, count: 8_192 / unit.utf8.count)) HTTP/1.1\r\n"
          + "Host: x\r\n\r\n")
      let large = Self.cost(
        "GET \(start)\(String(repeating: unit, count: 65_536 / unit.utf8.count)) HTTP/1.1\r\n"
          + "Host: x\r\n\r\n")
      #expect(large < small * 20 + .microseconds(200), "\(start)\(unit): \(small), \(large)")
    }
  }
}
