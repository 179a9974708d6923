// Single packets: the table of the protocol's document, and invalid packets.

import TestSupport
import Testing

@testable import Wire

/// The violation from reading `text` as a packet, if there is one.
private func violation(_ text: String) -> ProtocolViolation? {
  let bytes = Array(text.utf8)
  do throws(ProtocolViolation) {
    let packet = try EngineIOPacket.decode(text: bytes)
    if packet.isBinary { _ = try packet.binaryData(in: bytes) }
    return nil
  } catch {
    return error
  }
}

@Suite("Engine.IO 4: packet encoding")
struct EngineIOPacketTests {
  @Test(
    "each type has its digit, and the rest is the payload",
    arguments: [
      ("0{\"sid\":\"x\"}", EngineIOPacketType.open, "{\"sid\":\"x\"}"), ("1", .close, ""),
      ("2", .ping, ""), ("2probe", .ping, "probe"), ("3", .pong, ""), ("3probe", .pong, "probe"),
      ("4hello", .message, "hello"), ("4", .message, ""), ("4€", .message, "€"),
      ("44", .message, "4"),
      ("4b", .message, "b"), ("5", .upgrade, ""), ("6", .noop, ""),
    ])
  func table(text: String, type: EngineIOPacketType, payload: String) throws {
    // The packet is embedded in foreign bytes.
    let bytes = Array("xx\(text)7".utf8)
    let packet = try EngineIOPacket.decode(text: bytes, in: 2..<(bytes.count - 1))
    #expect(packet.type == type)
    #expect(packet.form == .text)
    #expect(!packet.isBinary)
    #expect(packet.payload.lowerBound == 3)
    #expect(Array(bytes[packet.payload]) == Array(payload.utf8))

    var written: [UInt8] = []
    EngineIOPacket.append(type, into: &written) { $0.appendText(payload) }
    #expect(written == Array(text.utf8))
  }

  @Test("only seven digits and the mark of base 64 begin a packet")
  func everyByte() {
    for byte in UInt8.min...UInt8.max {
      for bytes in [[byte], [byte, 0x41, 0x41, 0x3D, 0x3D]] {
        let packet = try? EngineIOPacket.decode(text: bytes)
        #expect((packet != nil) == (Array("0123456b".utf8).contains(byte)), "\(byte)")
      }
    }
  }

  @Test("an empty packet and one of an unknown type are violations")
  func refused() {
    #expect(violation("") == .emptyPacket)
    for text in ["7", "8", "9", "/", ":", "a", "B", "x4", " 4", "\u{1E}", "é", "{}", "-1"] {
      #expect(violation(text) == .unknownPacketType, "\(text)")
    }
    #expect(ProtocolViolation.emptyPacket.closeCode == 1002)
  }

  @Test("a binary message of a WebSocket is a message's data unchanged, whatever its first byte")
  func binaryMessage() throws {
    for data: [UInt8] in [[], [1, 2, 3], Array("2probe".utf8), Array("bAQID".utf8), [0xFF, 0x1E]] {
      let packet = EngineIOPacket.decode(binary: data)
      #expect(packet.type == .message)
      #expect(packet.isBinary)
      #expect(try packet.binaryData(in: data) == data)
    }
  }

  @Test("binary data as text is a message too")
  func base64() throws {
    for (text, data) in [("bAQID", [1, 2, 3]), ("b", []), ("bAQIDBA==", [1, 2, 3, 4])] {
      let bytes = Array("4\(text)4".utf8)
      let packet = try EngineIOPacket.decode(text: bytes, in: 1..<(bytes.count - 1))
      #expect(packet.type == .message)
      #expect(packet.form == .base64)
      #expect(packet.isBinary)
      #expect(try packet.binaryData(in: bytes) == data.map { UInt8($0) })
    }
  }

  @Test(
    "base 64 without its padding, with a foreign character or unused bits is a violation",
    arguments: [
      "bAQI", "bA", "bAQID=", "bAQIDBA", "bAQ=D", "b-_-_", "bAQ D", "b====", "bé", "bZh==",
    ])
  func invalidBase64(text: String) {
    #expect(violation(text) == .invalidBase64)
  }

  @Test("all written data is read back, as text and as a part of a body")
  func roundTrip() throws {
    var generator = SeededGenerator.announced()
    for count in 0..<100 {
      let data = generator.bytes(count: count)
      var text: [UInt8] = []
      EngineIOPacket.appendBase64(data, into: &text)
      #expect(try EngineIOPacket.decode(text: text).binaryData(in: text) == data)
    }
  }
}
