// Single packets: the table of the protocol's document, and every number in a packet.

import Testing

@testable import Wire

/// The violation from reading `text` as a packet, if there is one.
func packetViolation(_ text: String) -> ProtocolViolation? {
  do throws(ProtocolViolation) {
    _ = try SocketIOPacket.decode(Array(text.utf8))
    return nil
  } catch {
    return error
  }
}

/// Numbers at which readers may trap, in decimal.
private let hostileNumbers: [String] = {
  var numbers = [
    "-1", "1.5", "1e1", "1e400", "1e308", "0x1", "+1", "00", "01", "", " 1", "1 ", "NaN",
    "Infinity", "18446744073709551615", "18446744073709551616", "18446744073709551617",
    String(repeating: "9", count: 400), String(repeating: "0", count: 400),
  ]
  for power in [15, 16, 31, 32, 53, 63] {
    let number = UInt64(1) << UInt64(power)
    for neighbour in [number - 1, number, number + 1] { numbers.append("\(neighbour)") }
  }
  return numbers
}()

@Suite("Socket.IO 5: packet encoding")
struct SocketIOPacketTests {
  struct Row: Sendable, CustomTestStringConvertible {
    let text: String
    let type: SocketIOPacketType
    var namespace = "/"
    var id: UInt64?
    var data: String?
    var eventName: String?
    var attachmentCount = 0
    var placeholders: [String] = []
    var testDescription: String { text }
  }

  static let one = #"{"_placeholder":true,"num":0}"#
  static let two = #"{"_placeholder":true,"num":1}"#

  static let table: [Row] = [
    Row(text: "0", type: .connect),
    Row(text: "0{}", type: .connect, data: "{}"),
    Row(text: #"0{"token":"123"}"#, type: .connect, data: #"{"token":"123"}"#),
    Row(text: #"0/admin,{"sid":"x"}"#, type: .connect, namespace: "/admin", data: #"{"sid":"x"}"#),
    Row(text: "0/admin,", type: .connect, namespace: "/admin"),
    // The spelling of python-socketio.
    Row(text: "0/admin", type: .connect, namespace: "/admin"),
    Row(text: "0/,{}", type: .connect, data: "{}"),
    Row(text: "0/admin?token=1234,{}", type: .connect, namespace: "/admin", data: "{}"),
    Row(text: "0/admin?a=?&b", type: .connect, namespace: "/admin"),
    Row(text: "0/?a,", type: .connect),
    Row(text: "0/é/日本,", type: .connect, namespace: "/é/日本"),
    Row(text: "1", type: .disconnect),
    Row(text: "1/admin,", type: .disconnect, namespace: "/admin"),
    Row(text: #"2["foo"]"#, type: .event, data: #"["foo"]"#, eventName: "foo"),
    Row(
      text: #"2/admin,["bar"]"#, type: .event, namespace: "/admin", data: #"["bar"]"#,
      eventName: "bar"),
    Row(text: #"212["foo"]"#, type: .event, id: 12, data: #"["foo"]"#, eventName: "foo"),
    Row(
      text: #"2/admin,0["foo",1]"#, type: .event, namespace: "/admin", id: 0,
      data: #"["foo",1]"#, eventName: "foo"),
    Row(
      text: #"29007199254740991["foo"]"#, type: .event, id: 9_007_199_254_740_991,
      data: #"["foo"]"#, eventName: "foo"),
    Row(
      text: #"2["\u0066oo" , {"a":[1e400]}] "#, type: .event,
      data: #"["\u0066oo" , {"a":[1e400]}] "#, eventName: "foo"),
    Row(text: "2[1.5,null]", type: .event, data: "[1.5,null]"),
    Row(text: "2[\"\"]", type: .event, data: "[\"\"]", eventName: ""),
    Row(text: "2[\"foo\",\(one)]", type: .event, data: "[\"foo\",\(one)]", eventName: "foo"),
    Row(
      text: #"3/admin,13["bar"]"#, type: .acknowledgement, namespace: "/admin", id: 13,
      data: #"["bar"]"#),
    Row(text: "30[]", type: .acknowledgement, id: 0, data: "[]"),
    Row(text: #"31["connect"]"#, type: .acknowledgement, id: 1, data: #"["connect"]"#),
    Row(
      text: #"4{"message":"Not authorized"}"#, type: .connectError,
      data: #"{"message":"Not authorized"}"#),
    Row(
      text: #"4/admin,"Not authorized""#, type: .connectError, namespace: "/admin",
      data: #""Not authorized""#),
    Row(text: "4", type: .connectError),
    Row(
      text: "51-[\"baz\",\(one)]", type: .binaryEvent, data: "[\"baz\",\(one)]",
      eventName: "baz", attachmentCount: 1, placeholders: [one]),
    Row(
      text: "52-/admin,456[\"baz\",\(two),{\"a\":[\(one)]}]", type: .binaryEvent,
      namespace: "/admin", id: 456, data: "[\"baz\",\(two),{\"a\":[\(one)]}]", eventName: "baz",
      attachmentCount: 2, placeholders: [two, one]),
    Row(
      text: #"51-["baz",{"num":0,"_placeholder":true}]"#, type: .binaryEvent,
      data: #"["baz",{"num":0,"_placeholder":true}]"#, eventName: "baz", attachmentCount: 1,
      placeholders: [#"{"num":0,"_placeholder":true}"#]),
    Row(
      text: #"50-["baz",{"_placeholder":false,"num":7}]"#, type: .binaryEvent,
      data: #"["baz",{"_placeholder":false,"num":7}]"#, eventName: "baz"),
    Row(
      text: #"50-["baz",{"_placeholder":1,"num":7}]"#, type: .binaryEvent,
      data: #"["baz",{"_placeholder":1,"num":7}]"#, eventName: "baz"),
    Row(
      text: "61-/admin,456[\(one)]", type: .binaryAcknowledgement, namespace: "/admin", id: 456,
      data: "[\(one)]", attachmentCount: 1, placeholders: [one]),
  ]

  @Test("each packet of the table is read, part by part", arguments: table)
  func reading(row: Row) throws {
    // The packet is embedded in foreign bytes.
    let bytes = Array("4\(row.text)]7".utf8)
    let packet = try SocketIOPacket.decode(bytes, in: 1..<(bytes.count - 2))
    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
    #expect(packet.type == row.type)
    #expect(packet.namespace == row.namespace)
    #expect(packet.acknowledgementID == row.id)
    #expect(packet.data.map(text) == row.data)
    #expect(packet.eventName == row.eventName)
    #expect(packet.attachmentCount == row.attachmentCount)
    #expect(packet.placeholders.map { text($0.range) } == row.placeholders)
    #expect(
      packet.placeholders.map { text($0.range).contains("\"num\":\($0.attachment)") }
        == row.placeholders.map { _ in true })
  }

  @Test("arguments exclude the name, and are in document order")
  func arguments() throws {
    func numbers(_ text: String) throws -> [String] {
      let bytes = Array("x\(text)".utf8)
      let packet = try SocketIOPacket.decode(bytes, in: 1..<bytes.count)
      var found: [String] = []
      for (index, argument) in packet.arguments.enumerated() {
        var reader = JSONReader(bytes, in: argument)
        guard try reader.nextKind() == .number else { continue }
        found.append("\(index): \(try reader.readInteger())")
      }
      return found
    }
    #expect(try numbers(#"2["a",7,"b",8]"#) == ["0: 7", "2: 8"])
    #expect(try numbers(#"2["a"]"#) == [])
    #expect(try numbers("2[1,2]") == ["0: 2"])
    #expect(try numbers("35[1,2]") == ["0: 1", "1: 2"])
    #expect(try numbers("35[]") == [])
    #expect(try numbers("50-[\"a\",3]") == ["0: 3"])
    #expect(try numbers("60-1[3]") == ["0: 3"])
    #expect(try numbers("0{}") == [])
    #expect(try numbers("1") == [])
  }

  @Test("only seven digits begin a packet")
  func everyByte() {
    let rests = ["", "{}", "[\"a\"]", "1[]", "0-[\"a\"]", "0-1[]"]
    for byte in UInt8.min...UInt8.max {
      let isAccepted = rests.contains { rest in
        (try? SocketIOPacket.decode([byte] + Array(rest.utf8))) != nil
      }
      #expect(isAccepted == (UInt8(ascii: "0")...UInt8(ascii: "6") ~= byte), "\(byte)")
    }
  }

  // Case 33
  // Case 39
  @Test("a count of attachments is digits, and at most ten", arguments: hostileNumbers)
  func anyNumber(text: String) {
    // The placeholders are wrong in each, so a violation of the count must come first.
    let count = packetViolation("5\(text)-[\"a\"]")
    let id = packetViolation("2\(text)[\"a\"]")
    guard let number = UInt64(text), text == "\(number)" else {
      let isLarge = text.allSatisfy(\.isNumber) && text.first.map { $0 != "0" } == true
      #expect(count == (isLarge ? .tooManyAttachments : .malformedAttachmentCount))
      #expect(id != nil || text.isEmpty)
      if text.first?.isNumber == true, text.allSatisfy(\.isNumber) {
        #expect(id == .malformedAcknowledgementID)
      }
      return
    }
    #expect(count == .tooManyAttachments)
    #expect(id == (number < 1 << 53 ? nil : .malformedAcknowledgementID))
    let acknowledgement = packetViolation("3\(text)[]")
    #expect(acknowledgement == (number < 1 << 53 ? nil : .malformedAcknowledgementID))
    #expect(packetViolation("60-\(text)[]") == acknowledgement)
  }

  // Case 39
  @Test("ten attachments are accepted and eleven refused; the count ends with its hyphen")
  func attachmentCounts() throws {
    for count in 0...12 {
      let places = (0..<count).map { ",{\"_placeholder\":true,\"num\":\($0)}" }.joined()
      let text = "5\(count)-[\"a\"\(places)]"
      #expect(packetViolation(text) == (count <= 10 ? nil : .tooManyAttachments))
      guard count <= 10 else { continue }
      let packet = try SocketIOPacket.decode(Array(text.utf8))
      #expect(packet.attachmentCount == count)
      #expect(packet.placeholders.map(\.attachment) == Array(0..<count))
    }
    for text in [
      "5", "51", "5[\"a\"]", "51[\"a\"]", "5-[\"a\"]", "51 -[\"a\"]", "5/a,1-[\"a\"]",
      "6", "61[]", "6-1[]",
    ] {
      #expect(packetViolation(text) == .malformedAttachmentCount, "\(text)")
    }
  }

  // Case 33
  @Test("a placeholder's number must be that of an attachment", arguments: hostileNumbers)
  func placeholderNumber(text: String) {
    let violation = packetViolation("51-[\"a\",{\"_placeholder\":true,\"num\":\(text)}]")
    #expect(violation != nil)
    if UInt64(text).map({ "\($0)" == text }) == true || ["-1", "1.5", "1e400"].contains(text) {
      #expect(violation == .invalidPlaceholder)
    }
  }
}
