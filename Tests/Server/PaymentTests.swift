// Payment updates: the dialects that send one, its text in each, and the requests that fail.

import Notifications
import Testing
import Wire

@testable import Server

@Suite("Updates of payments")
struct PaymentTests {
  static let path = "/api/v1/websocket/live/payment"
  static let members = [
    ("user_id", #""u""#), ("payment_id", "123"), ("amount", "1000"), ("currency", #""usd""#),
    ("status", #""succeeded""#),
  ]
  static let data = #"{"payment_id":123,"amount":1000,"currency":"usd","status":"succeeded"}"#

  /// A valid body in which one member has another value or is left out.
  static func body(_ name: String = "", _ value: String? = nil) -> String {
    let written = members.compactMap { member -> String? in
      if member.0 != name { return "\"\(member.0)\":\(member.1)" }
      return value.map { "\"\(name)\":\($0)" }
    }
    return "{" + written.joined(separator: ",") + "}"
  }

  static func texts(of dialect: any Dialect, framing: Framing = .webSocket) -> String {
    let update = PaymentUpdate(
      payment: .number(123), amount: 1_000, currency: "usd", status: "succeeded")
    let event = Event(
      audience: .user("u"), body: .payment(update), timestamp: DialectTests.time)
    var frames = FrameWriter(epoch: nil, framing: framing)
    dialect.write(event, to: &frames)
    return frames.bytes.text
  }

  @Test func `typed and sse send a payment update as documented, the other dialects nothing`() {
    let message =
      #"{"type":"payment_update","data":\#(Self.data),"timestamp":"\#(DialectTests.timeText)"}"#
    #expect(Self.texts(of: TypedDialect()).hasSuffix(message))
    #expect(
      Self.texts(of: StreamDialect(), framing: .eventStream)
        == #"data: {"type":"payment_update","data":\#(Self.data)}"# + "\n\n")
    for dialect: any Dialect in [EventDialect(), FlatDialect(), InboxDialect()] {
      #expect(Self.texts(of: dialect) == "", "\(dialect.name)")
    }
  }

  @Test(
    "the values of the request reach the user's devices",
    arguments: [
      ("payment_id", "123", "123"), ("payment_id", "0", "0"), ("payment_id", "-1", "-1"),
      ("payment_id", "9007199254740991", "9007199254740991"),
      ("payment_id", #""123""#, #""123""#), ("payment_id", #""pi_3Nx""#, #""pi_3Nx""#),
      ("payment_id", #""a \"quoted\" \u00e4""#, #""a \"quoted\" ä""#),
      ("amount", "0", "0"), ("amount", "-500", "-500"),
      ("amount", "-9007199254740991", "-9007199254740991"),
      ("currency", #""USD""#, #""USD""#), ("status", #""requires_action""#, #""requires_action""#),
    ])
  func forwarded(name: String, said: String, heard: String) throws {
    let fixture = try ShardFixture()
    let device = try fixture.session("u", path: TypedDialect().path)
    let deaf = try fixture.session("u", path: FlatDialect().path)
    let stranger = try fixture.session("v", path: TypedDialect().path)
    let asking = try fixture.connect()
    let answer = try BroadcastFieldsTests.post(Self.path, Self.body(name, said), asking, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 200") && answer.body == #"{"success":true,"data":{}}"#)
    try fixture.turn(until: { device.receive().count > 0 })
    let frames = try fixture.frames(of: device)
    let field = try #require(Self.members.first { $0.0 == name })
    let data = Self.data.replacing("\"\(name)\":\(field.1)", with: "\"\(name)\":\(heard)")
    #expect(frames.count == 1)
    let frame = try #require(frames.first)
    #expect(frame.hasPrefix(#"{"type":"payment_update","data":\#(data),"timestamp":"#))
    #expect(try fixture.frames(of: deaf) == [] && fixture.frames(of: stranger) == [])
    #expect(fixture.core.metrics[0].value(.broadcasts) == 1)
    #expect(fixture.store.commands.isEmpty)
  }

  @Test("a missing member is named in the 422", arguments: members.map(\.0))
  func missing(name: String) throws {
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    for value in [nil, "null"] {
      let answer = try BroadcastFieldsTests.post(
        Self.path, Self.body(name, value), asking, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 422"))
      #expect(answer.body.contains("\"\(name): missing\""), "\(answer.body)")
    }
    #expect(fixture.core.metrics[0].value(.broadcasts) == 0)
  }

  // Case 33
  @Test(
    "an invalid value is named in the 422, and no number traps",
    arguments: [
      (
        ["payment_id"],
        ["true", "[]", "{}", #""""#, #""a\nb""#, #""\#(String(repeating: "x", count: 129))""#]
      ),
      (["amount"], ["true", "[]", "{}", #""1000""#, #""""#]),
      (
        ["payment_id", "amount"],
        [
          "1.5", "1.0", "1e3", "1e400", "-1e308", "9007199254740992", "-9007199254740992",
          "9223372036854775807", "9223372036854775808", "-9223372036854775808",
          "-9223372036854775809", String(repeating: "9", count: 400),
          "-" + String(repeating: "9", count: 60_000),
        ]
      ),
      (
        ["currency", "status"],
        ["7", "true", "[]", "{}", #""""#, #""a b""#, #""\#(String(repeating: "x", count: 65))""#]
      ),
      (["user_id"], ["7", #""""#, #""a\u0000""#]),
    ])
  func wrong(names: [String], values: [String]) throws {
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    for name in names {
      let good = try #require(Self.members.first { $0.0 == name }).1
      for value in values + ["\(good),\"\(name)\":\(good)"] {
        let answer = try BroadcastFieldsTests.post(
          Self.path, Self.body(name, value), asking, fixture)
        #expect(answer.head.hasPrefix("HTTP/1.1 422"), "\(value.prefix(80))")
        #expect(answer.body.contains("\"\(name): "), "\(answer.body)")
      }
      for value in ["01", "+1", "0x10", "NaN", "1.", "-", #""\ud800""#] {
        let answer = try BroadcastFieldsTests.post(
          Self.path, Self.body(name, value), asking, fixture)
        #expect(answer.head.hasPrefix("HTTP/1.1 400"), "\(value)")
      }
    }
    #expect(fixture.core.metrics[0].value(.broadcasts) == 0)
  }

  @Test func `values of the maximum length are accepted`() throws {
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    for (name, count) in [("payment_id", 128), ("currency", 64), ("status", 64)] {
      let value = "\"\(String(repeating: "x", count: count))\""
      let answer = try BroadcastFieldsTests.post(
        Self.path, Self.body(name, value), asking, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 200"), "\(name): \(answer.body)")
    }
  }

  @Test func `invalid JSON is 400 before any invalid member, and a body must be an object`() throws
  {
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    func status(_ body: String, fields: String = "") throws -> Substring {
      try BroadcastFieldsTests.post(Self.path, body, fields: fields, asking, fixture)
        .head.dropFirst(9).prefix(3)
    }
    let wrong = Self.body("amount", "1.5")
    for body in ["", "{", wrong + "x", wrong.dropLast() + #","unknown":{"#] {
      #expect(try status(body) == "400")
    }
    for body in ["[]", "null", "7"] { #expect(try status(body) == "422") }
    #expect(try status(Self.body(), fields: "Content-Type: text/plain\r\n") == "415")
    // The name of a field in this program is not its name in a body.
    for unknown in [#""unknown":[1.5]"#, #""paymentStatus":"succeeded""#] {
      #expect(try status(Self.body().dropLast() + ",\(unknown)}") == "422")
    }
  }

  @Test func `a presence status is not a payment status`() throws {
    let fixture = try ShardFixture()
    let asking = try fixture.connect()
    // The user is not connected, but the status is validated first.
    for (name, code) in [("succeeded", "422"), ("busy", "409")] {
      let answer = try BroadcastFieldsTests.post(
        "/api/v1/websocket/realtime/presence", #"{"status":"\#(name)"}"#, asking, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 \(code)"))
    }
  }
}
