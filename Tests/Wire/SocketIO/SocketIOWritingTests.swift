// Packets written and read back.

import TestSupport
import Testing

@testable import Wire

private func written(_ body: (inout [UInt8]) -> Void) -> String {
  var bytes: [UInt8] = []
  body(&bytes)
  return String(decoding: bytes, as: UTF8.self)
}

/// The placeholder for an attachment among the arguments.
private func placeholder(_ attachment: Int) -> String {
  #"{"_placeholder":true,"num":\#(attachment)}"#
}

@Suite("Socket.IO 5: written packets")
struct SocketIOWritingTests {
  @Test("a connecting client gets the protocol's answers")
  func connecting() {
    #expect(
      written { SocketIOPacket.appendConnected(sessionID: "oSO0", into: &$0) }
        == #"0{"sid":"oSO0"}"#)
    #expect(
      written {
        SocketIOPacket.appendConnected(
          sessionID: "oSO0", privateSessionID: "p\"", namespace: "/admin", into: &$0)
      } == #"0/admin,{"sid":"oSO0","pid":"p\""}"#)
    #expect(
      written { SocketIOPacket.appendConnectError(message: "unauthorized", into: &$0) }
        == #"4{"message":"unauthorized"}"#)
    #expect(
      written {
        SocketIOPacket.appendConnectError(
          message: "Not\n", data: Array("[1]".utf8), namespace: "/admin", into: &$0)
      } == #"4/admin,{"message":"Not\n","data":[1]}"#)
    #expect(written { SocketIOPacket.appendDisconnect(into: &$0) } == "1")
    #expect(written { SocketIOPacket.appendDisconnect(namespace: "/a", into: &$0) } == "1/a,")
  }

  @Test("events and acknowledgements are appended after their Engine.IO type")
  func events() {
    var bytes: [UInt8] = []
    EngineIOPacket.append(.message, into: &bytes) { bytes in
      SocketIOPacket.appendEvent("hello", into: &bytes)
    }
    #expect(String(decoding: bytes, as: UTF8.self) == #"42["hello"]"#)
    #expect(
      written {
        SocketIOPacket.appendEvent("a\"b", namespace: "/admin", acknowledgementID: 0, into: &$0) {
          $0.appendText("{},1")
        }
      } == #"2/admin,0["a\"b",{},1]"#)
    #expect(written { SocketIOPacket.appendAcknowledgement(13, into: &$0) } == "313[]")
    #expect(
      written {
        SocketIOPacket.appendAcknowledgement(9_007_199_254_740_991, namespace: "/a", into: &$0) {
          $0.appendText(#"{"success":true}"#)
        }
      } == #"3/a,9007199254740991[{"success":true}]"#)
    #expect(
      written {
        SocketIOPacket.appendEvent("baz", attachmentCount: 1, into: &$0) {
          $0.appendText(placeholder(0))
        }
      } == #"51-["baz",{"_placeholder":true,"num":0}]"#)
    #expect(
      written {
        SocketIOPacket.appendAcknowledgement(4, namespace: "/a", attachmentCount: 10, into: &$0)
      } == "610-/a,4[]")
  }

  @Test("every written packet is read back")
  func roundTrip() throws {
    var generator = SeededGenerator.announced()
    let namespaces = ["/", "/a", "/notifications", "/é b", "/\"[{"]
    let names = ["a", "", "mark_as_read", "é😀\n\"\\", "connect ", "\u{1E}"]
    for _ in 0..<2_000 {
      let namespace = namespaces.randomElement(using: &generator)!
      let name = names.randomElement(using: &generator)!
      let isEvent = Bool.random(using: &generator)
      let id = isEvent && Bool.random(using: &generator) ? nil : generator.next() >> 11
      let count = Bool.random(using: &generator) ? nil : Int.random(in: 0...10, using: &generator)
      let order = Array(0..<(count ?? 0)).shuffled(using: &generator)
      var bytes: [UInt8] = []
      func arguments(_ bytes: inout [UInt8]) {
        bytes.appendText("17")
        for attachment in order {
          bytes.appendText(",[")
          bytes.appendText(placeholder(attachment))
          bytes.appendText("]")
        }
      }
      if isEvent {
        SocketIOPacket.appendEvent(
          name, namespace: namespace, acknowledgementID: id, attachmentCount: count, into: &bytes,
          arguments: arguments)
      } else {
        SocketIOPacket.appendAcknowledgement(
          id!, namespace: namespace, attachmentCount: count, into: &bytes, arguments: arguments)
      }
      let packet = try SocketIOPacket.decode(bytes)
      #expect(packet.type.isEvent == isEvent)
      #expect(packet.type.isBinary == (count != nil))
      #expect(packet.namespace == namespace)
      #expect(packet.acknowledgementID == id)
      #expect(packet.eventName == (isEvent ? name : nil))
      #expect(packet.attachmentCount == count ?? 0)
      #expect(packet.placeholders.map(\.attachment) == order)
      #expect(!bytes.contains(EngineIOPayload.separator))
      #expect(packet.arguments.count == order.count + 1)
      #expect(packet.arguments.first.map { Array(bytes[$0]) } == Array("17".utf8))
    }
  }

  @Test("more attachments than the limit are a programming error")
  func tooMany() async {
    await #expect(processExitsWith: .failure) {
      var bytes: [UInt8] = []
      SocketIOPacket.appendEvent("a", attachmentCount: 11, into: &bytes)
    }
  }
}
