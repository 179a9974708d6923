// Malformed packets, one test for each kind.

import TestSupport
import Testing

@testable import Wire

@Suite("Socket.IO 5: malformed packets")
struct SocketIOViolationTests {
  @Test("an empty or untyped packet is refused", arguments: ["", "7", "9", "a", "-1", " 2[\"a\"]"])
  func types(text: String) {
    #expect(packetViolation(text) == (text.isEmpty ? .emptyPacket : .unknownPacketType))
  }

  @Test(
    "data of the wrong kind for its packet is refused",
    arguments: [
      "0[]", "0\"a\"", "0null", "01", "0true", "0 {}", "0/a,[]", "1{}", "1[]", "1 ", "1/a,{}",
      "2", "2{}", "2\"a\"", "2[]", "2[null]", "2[[\"a\"]]", "2[{}]", "2[true,\"a\"]", "2 [\"a\"]",
      "21", "2abc[\"a\"]", "2/a", "2/a,", "31", "31{}", "31null", "31\"a\"", "31 []", "4[]",
      "4null",
      "4true", "4 {}", "50-", "50-{}", "50-[]", "50-[null]", "50-[{\"_placeholder\":true}]", "60-1",
      "60-1{}",
    ])
  func kinds(text: String) {
    // A digit after these types is an id, which they must not have.
    #expect(
      packetViolation(text) == (text == "01" ? .misplacedAcknowledgementID : .invalidPacketData))
  }

  @Test(
    "invalid JSON is refused with the reader's reason",
    arguments: [
      ("2[\"a\"", "',' or ']' expected"), ("2[\"a\",]", "value expected"),
      ("2[\"a\"]x", "end expected"), ("2[\"a\"][]", "end expected"),
      ("2[\"a\",{'b':1}]", "member name expected"), ("2[\"a\",01]", "leading zero"),
      ("2[\"a\",\"\u{1}\"]", "control character in a string"),
      ("2[\"a\",\"\\ud800\"]", "lone surrogate"), ("2[\"a\",NaN]", "value expected"),
      ("0{\"a\"}", "':' expected"), ("0{}{}", "end expected"), ("0{", "member name expected"),
      ("31[1 2]", "',' or ']' expected"), ("4\"a", "unterminated string"),
      ("51-[\"a\",{\"_placeholder\":true,\"num\":0}", "',' or ']' expected"),
      ("51-[\"a\",{\"_placeholder\":true \"num\":0}]", "',' or '}' expected"),
      ("51-[\"a\",{\"_placeholder\":tru,\"num\":0}]", "unknown word"),
      ("60-1[[}]", "value expected"),
    ])
  func json(text: String, reason: String) {
    #expect(
      packetViolation(text) == ProtocolViolation(closeCode: 1002, reason: "packet data: \(reason)"))
  }

  @Test("event names that the libraries reserve are refused, even if spelled with escapes")
  func reservedNames() {
    let names = [
      "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
      "\\u0063onnect", "new\\u004cistener",
    ]
    for name in names {
      #expect(packetViolation("2[\"\(name)\"]") == .reservedEventName)
      #expect(packetViolation("2/a,5[\"\(name)\",1]") == .reservedEventName)
      #expect(packetViolation("50-[\"\(name)\"]") == .reservedEventName)
      #expect(packetViolation("2[\"\(name)x\"]") == nil)
      #expect(packetViolation("2[\"a\",\"\(name)\"]") == nil)
    }
    #expect(SocketIOPacket.reservedEventNames.count == 6)
  }

  @Test("only events and acknowledgements have ids, and every acknowledgement has one")
  func ids() {
    for text in ["00{}", "05", "11", "1/a,1", "41{}", "4/a,0"] {
      #expect(packetViolation(text) == .misplacedAcknowledgementID, "\(text)")
    }
    for text in ["3[]", "3/a,[]", "3", "3-1[]", "60-[]", "60-/a,[]"] {
      #expect(packetViolation(text) == .missingAcknowledgementID, "\(text)")
    }
    for text in ["29007199254740992[\"a\"]", "200[\"a\"]", "200", "301[]", "2/a,007[\"a\"]"] {
      #expect(packetViolation(text) == .malformedAcknowledgementID, "\(text)")
    }
  }

  @Test("a namespace is at most 128 bytes of UTF-8 without control characters")
  func namespaces() {
    let longest = "/" + String(repeating: "é", count: 63) + "a"
    for text in ["0\(longest)", "0\(longest),", "2\(longest),[\"a\"]", "0\(longest)?\(longest),"] {
      #expect(packetViolation(text) == nil)
    }
    for text in ["0\(longest)a", "0\(longest)a,", "2\(longest)a,[\"a\"]", "0\(longest)a?,"] {
      #expect(packetViolation(text) == .malformedNamespace)
    }
    for scalar: Unicode.Scalar in ["\0", "\n", "\u{1E}", "\u{1F}", "\u{7F}"] {
      #expect(packetViolation("0/a\(scalar),") == .malformedNamespace)
      #expect(packetViolation("0/a?\(scalar),") == .malformedNamespace)
    }
    #expect(packetViolation("0/a b,") == nil)
    for bytes: [UInt8] in [[0xFF], [0xC3], [0xED, 0xA0, 0x80]] {
      let packet = [0x30, 0x2F] + bytes + [0x2C]
      #expect(throws: ProtocolViolation.malformedNamespace) { try SocketIOPacket.decode(packet) }
    }
    #expect(packetViolation("0admin,") == .invalidPacketData)
  }

  // Case 39
  @Test(
    "each attachment has one placeholder, and each placeholder an attachment",
    arguments: [
      "51-[\"a\"]", "50-[\"a\",ONE]", "51-[\"a\",ONE,TWO]", "52-[\"a\",ONE]", "52-[\"a\",ONE,ONE]",
      "51-[\"a\",TWO]", "51-[\"a\",ONE,ONE]", "51-[\"a\",{\"_placeholder\":true}]",
      "51-[\"a\",{\"_placeholder\":true,\"num\":null}]",
      "51-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]",
      "51-[\"a\",{\"_placeholder\":true,\"num\":0.0}]",
      "51-[\"a\",{\"_placeholder\":true,\"num\":0,\"x\":1}]",
      "51-[\"a\",{\"_placeholder\":true,\"num\":-1}]", "51-[\"a\",{\"num\":0}]",
      "51-[\"a\",{\"_placeholder\":false,\"num\":0}]", "51-[\"a\",{\"_placeholder\":1,\"num\":0}]",
      "61-1[TWO]", "61-1[]", "60-1[ONE]",
    ])
  func placeholders(pattern: String) {
    let text = pattern.split(separator: "ONE", omittingEmptySubsequences: false)
      .joined(separator: SocketIOPacketTests.one)
      .split(separator: "TWO", omittingEmptySubsequences: false)
      .joined(separator: SocketIOPacketTests.two)
    #expect(packetViolation(text) == .invalidPlaceholder)
  }

  // Case 39
  @Test("of very many placeholders, at most one over the limit is kept")
  func manyPlaceholders() throws {
    let places = String(repeating: ",\(SocketIOPacketTests.one)", count: 10_000)
    #expect(packetViolation("510-[\"a\"\(places)]") == .invalidPlaceholder)
    var contents = SocketIOContents(findsPlaceholders: true)
    var reader = JSONReader(Array("[\"a\"\(places)]".utf8))
    try contents.read(&reader, of: .event)
    #expect(contents.candidates.count == 11)
  }

  // Case 34
  @Test("data is nested at most 32 deep, including the arguments' array")
  func depth() {
    for (depth, isAccepted) in [(1, true), (30, true), (31, true), (32, false), (100_000, false)] {
      let open = String(repeating: "[", count: depth)
      let close = String(repeating: "]", count: depth)
      for text in ["2[\"a\",\(open)\(close)]", "31[\(open)\(close)]", "50-[\"a\",\(open)\(close)]"]
      {
        let violation = packetViolation(text)
        #expect((violation == nil) == isAccepted)
        if !isAccepted { #expect(violation?.reason == "packet data: nested deeper than 32") }
      }
    }
  }

  // Case 34
  @Test("a stack of 256 KiB suffices for the deepest search for placeholders")
  func stack() async {
    await #expect(processExitsWith: .success) {
      onStack(byteCount: 256 * 1_024) {
        let open = String(repeating: "{\"a\":", count: 30)
        let close = String(repeating: "}", count: 30)
        let one = SocketIOPacketTests.one
        precondition(packetViolation("51-[\"a\",\(open)\(one)\(close)]") == nil)
        precondition(packetViolation("51-[\"a\",\(open)[\(one)]\(close)]") != nil)
      }
    }
  }

  @Test("every reason fits into a close frame")
  func reasons() {
    let violations: [ProtocolViolation] = [
      .emptyPacket, .unknownPacketType, .invalidBase64, .malformedAttachmentCount,
      .tooManyAttachments, .malformedNamespace, .malformedAcknowledgementID,
      .misplacedAcknowledgementID, .missingAcknowledgementID, .invalidPacketData,
      .reservedEventName, .invalidPlaceholder, .missingAttachments, .unexpectedAttachment,
    ]
    for violation in violations {
      #expect(violation.closeCode == 1002)
      #expect(violation.reason.utf8.count <= WebSocketFrame.closeReasonBytesLimit)
    }
    #expect(Set(violations.map(\.reason)).count == violations.count)
  }
}
