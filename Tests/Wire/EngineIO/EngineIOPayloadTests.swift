// Bodies of several packets, and of very many.

import TestSupport
import Testing

@testable import Wire

/// The packets of a body as texts, and the violation that ends them, if there is one.
private func packets(
  in bytes: [UInt8], _ range: Range<Int>? = nil
) -> (texts: [String], violation: ProtocolViolation?) {
  var texts: [String] = []
  var payload = EngineIOPayload(bytes, in: range)
  do throws(ProtocolViolation) {
    while let packet = try payload.next() {
      let text =
        packet.isBinary
        ? "\(try packet.binaryData(in: bytes))"
        : String(decoding: bytes[packet.payload], as: UTF8.self)
      texts.append("\(packet.type) \(text)")
    }
  } catch {
    return (texts, error)
  }
  return (texts, nil)
}

@Suite("Engine.IO 4: bodies of HTTP long-polling")
struct EngineIOPayloadTests {
  @Test(
    "packets are separated by U+001E",
    arguments: [
      ("4hello", ["message hello"]), ("2", ["ping "]),
      ("4hello\u{1E}2\u{1E}4world", ["message hello", "ping ", "message world"]),
      ("4€\u{1E}4😀", ["message €", "message 😀"]),
      ("4hello\u{1E}bAQIDBA==", ["message hello", "message [1, 2, 3, 4]"]),
      ("b\u{1E}bAQ==", ["message []", "message [1]"]), ("4\u{1E}4", ["message ", "message "]),
      (
        "451-[{\"_placeholder\":true,\"num\":0}]\u{1E}bAQID",
        ["message 51-[{\"_placeholder\":true,\"num\":0}]", "message [1, 2, 3]"]
      ),
    ])
  func table(body: String, expected: [String]) {
    let found = packets(in: Array(body.utf8))
    #expect(found.violation == nil)
    #expect(found.texts == expected)

    let around = Array("\u{1E}4x\(body)\u{1E}".utf8)
    let inside = packets(in: around, 3..<(around.count - 1))
    #expect(inside.violation == nil)
    #expect(inside.texts == expected)
  }

  @Test(
    "an invalid packet ends the body, after the packets before it",
    arguments: [
      ("", 0, ProtocolViolation.emptyPacket), ("\u{1E}", 0, .emptyPacket),
      ("\u{1E}4a", 0, .emptyPacket), ("4a\u{1E}", 1, .emptyPacket),
      ("4a\u{1E}\u{1E}4b", 1, .emptyPacket), ("4a\u{1E}7\u{1E}4b", 1, .unknownPacketType),
      ("4a\u{1E}4b\u{1E}b123", 2, .invalidBase64), ("abc", 0, .unknownPacketType),
      ("d=4a", 0, .unknownPacketType), ("\u{1}4a", 0, .unknownPacketType),
    ])
  func refused(body: String, count: Int, violation: ProtocolViolation) {
    let found = packets(in: Array(body.utf8))
    #expect(found.texts.count == count)
    #expect(found.violation == violation)
  }

  @Test("after a violation there are no more packets")
  func ended() throws {
    var payload = EngineIOPayload(Array("4a\u{1E}\u{1E}4b\u{1E}4c".utf8))
    #expect(try payload.next() != nil)
    #expect(throws: ProtocolViolation.emptyPacket) { try payload.next() }
    for _ in 0..<3 { #expect(try payload.next() == nil) }
    var empty = EngineIOPayload([])
    #expect(throws: ProtocolViolation.emptyPacket) { try empty.next() }
    #expect(try empty.next() == nil)
  }

  @Test(
    "text that is not UTF-8 is a violation, whole or cut by the separator",
    arguments: [
      [0x34, 0xFF], [0x34, 0xC3], [0x34, 0xED, 0xA0, 0x80], [0x34, 0xC0, 0xAF], [0x34, 0x80],
      [0x34, 0xC3, 0x1E, 0xA9], [0x34, 0xF4, 0x90, 0x80, 0x80], [0x62, 0xC3], [0xC3, 0xA9, 0xC3],
    ] as [[UInt8]])
  func invalidUTF8(bytes: [UInt8]) {
    #expect(packets(in: bytes).violation == .invalidUTF8)
    #expect(packets(in: Array("4é\u{1E}".utf8) + bytes).violation == .invalidUTF8)
  }

  @Test("packets written one by one are read back one by one")
  func roundTrip() throws {
    var generator = SeededGenerator.announced()
    let texts = ["", "hello", "€😀", "2[\"a\",{}]", "probe", "b", "\u{1F}"]
    for _ in 0..<500 {
      var written: [[UInt8]] = []
      var expected: [String] = []
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let type = EngineIOPacketType.allCases.randomElement(using: &generator)!
        let text = texts.randomElement(using: &generator)!
        var packet: [UInt8] = []
        if Bool.random(using: &generator) {
          EngineIOPacket.append(type, into: &packet) { $0.appendText(text) }
          expected.append("\(type) \(text)")
        } else {
          let data = generator.bytes(count: Int.random(in: 0...9, using: &generator))
          EngineIOPacket.appendBase64(data, into: &packet)
          expected.append("message \(data)")
        }
        written.append(packet)
      }
      let found = packets(in: Array(written.joined(separator: [EngineIOPayload.separator])))
      #expect(found.violation == nil)
      #expect(found.texts == expected)
    }
  }

  // Case 40
  @Test("a body of very many packets is read completely, in time linear in its length")
  func manyPackets() throws {
    let shapes = ["2\u{1E}", "4a\u{1E}", "4é\u{1E}", "b\u{1E}", "4aaaaaaaaaaaaaaaaaaaaaaa", "4é"]
    for (index, shape) in shapes.enumerated() {
      func cost(_ byteCount: Int) -> Duration {
        var body: [UInt8] = []
        while body.count < byteCount { body.appendText(shape) }
        if body.last == 0x1E { body.removeLast() }
        let separatorCount = body.count { $0 == 0x1E }
        return processorTime(rounds: 3) {
          var count = 0
          var payload = EngineIOPayload(body)
          while (try? payload.next()) != nil { count += 1 }
          #expect(count == separatorCount + 1)
        }
      }
      let small = cost(32_000)
      let large = cost(512_000)
      // Sixteen times the length; quadratic cost would be 256 times.
      #expect(large / small <= 64, "shape \(index): \(small), \(large)")
    }
  }

  // Case 40
  @Test("a megabyte of two-byte packets takes at most 20 ms in optimised code")
  func megabyte() {
    var body: [UInt8] = []
    while body.count < 1_000_000 { body.append(contentsOf: [0x32, 0x1E]) }
    body.removeLast()
    var count = 0
    let time = processorTime {
      count = 0
      var payload = EngineIOPayload(body)
      while (try? payload.next()) != nil { count += 1 }
    }
    #expect(count == 500_000)
    print("a megabyte of two-byte packets: \(time)")
    #if !DEBUG
      #expect(time <= .milliseconds(20))
    #endif
  }

  // Case 98
  @Test("mutated bodies never trap, and accepted packets are UTF-8 split at the separators")
  func fuzz() {
    var generator = SeededGenerator.announced()
    let bodies = [
      "4hello\u{1E}2\u{1E}4world", "4€\u{1E}bAQIDBA==", "0{}\u{1E}1\u{1E}3probe\u{1E}5\u{1E}6",
    ]
    var acceptedCount = 0
    var refusedCount = 0
    for round in 0..<size(100_000, full: 100_000_000) / 500 {
      let body = Array(bodies[round % bodies.count].utf8)
      for mutant in mutants(of: body, count: 500, using: &generator) {
        let found = packets(in: mutant)
        if found.violation == nil {
          acceptedCount += 1
          if String(validating: mutant, as: UTF8.self) == nil { Issue.record("\(mutant)") }
          if found.texts.count != 1 + mutant.count(where: { $0 == 0x1E }) {
            Issue.record("\(mutant)")
          }
        } else {
          refusedCount += 1
        }
      }
    }
    // Some mutants must be accepted and some refused, or the test proves nothing.
    #expect(acceptedCount > 5_000)
    #expect(refusedCount > 20_000)
  }
}
