// Mutated packets, and sequences of them: cases 43 and 98.

import TestSupport
import Testing

@testable import Wire

@Suite("Socket.IO 5: mutated packets")
struct SocketIOFuzzTests {
  // Case 43
  @Test("mutants never trap, and accepted packets are within every bound")
  func mutatedPackets() {
    var generator = SeededGenerator.announced()
    let rows = SocketIOPacketTests.table.map { Array($0.text.utf8) }
    var acceptedCount = 0
    var refusedCount = 0
    for round in 0..<size(100_000, full: 100_000_000) / 100 {
      for mutant in mutants(of: rows[round % rows.count], count: 100, using: &generator) {
        guard let packet = try? SocketIOPacket.decode(mutant) else {
          refusedCount += 1
          continue
        }
        acceptedCount += 1
        if !isSound(packet, in: mutant) { Issue.record("\(mutant)") }
      }
    }
    // Some mutants must be accepted and some refused, or the test proves nothing.
    #expect(acceptedCount > 10_000)
    #expect(refusedCount > 20_000)
  }

  private func isSound(_ packet: SocketIOPacket, in bytes: [UInt8]) -> Bool {
    // The reader alone must also accept the packet's JSON.
    if let data = packet.data {
      var reader = JSONReader(bytes, in: data)
      guard (try? reader.skipValue()) != nil, (try? reader.finish()) != nil else { return false }
    }
    for argument in packet.arguments {
      var reader = JSONReader(bytes, in: argument)
      guard (try? reader.skipValue()) == argument, (try? reader.finish()) != nil else {
        return false
      }
    }
    return packet.attachmentCount <= SocketIOPacket.attachmentCountLimit
      && packet.placeholders.map(\.attachment).sorted() == Array(0..<packet.attachmentCount)
      && packet.namespace.utf8.count <= SocketIOPacket.namespaceBytesLimit
      && packet.namespace.utf8.first == UInt8(ascii: "/")
      && (packet.acknowledgementID ?? 0) <= SocketIOPacket.acknowledgementIDLimit
      && (packet.acknowledgementID != nil || !packet.type.isAcknowledgement)
  }

  // Case 43
  @Test("a sequence of mutants never traps, and never holds more than its limit")
  func conversations() {
    var generator = SeededGenerator.announced()
    let rows = SocketIOPacketTests.table.map { Array($0.text.utf8) }
    let limit = 120
    var assembly = SocketIOAssembly(bytesLimit: limit)
    var wholeCount = 0
    var violations: Set<String> = []
    for _ in 0..<size(20_000, full: 20_000_000) {
      let isBinary = Int.random(in: 0..<3, using: &generator) == 0
      do throws(ProtocolViolation) {
        let message: SocketIOMessage?
        if isBinary || (assembly.missingCount > 0 && Bool.random(using: &generator)) {
          let count = Int.random(in: 0...40, using: &generator)
          message = try assembly.accept(binary: generator.bytes(count: count))
        } else {
          var text = rows.randomElement(using: &generator)!
          if Bool.random(using: &generator) {
            text = mutants(of: text, count: 1, using: &generator)[0]
          }
          message = try assembly.accept(text: text)
        }
        guard let message else { continue }
        if message.packet.attachmentCount > 0 { wholeCount += 1 }
        let byteCount = message.attachments.reduce(message.bytes.count) { $0 + $1.count }
        if byteCount > limit { Issue.record("\(byteCount) bytes") }
        if message.attachments.count != message.packet.attachmentCount {
          Issue.record("\(message)")
        }
      } catch {
        violations.insert(error.reason)
        if assembly.missingCount != 0 { Issue.record("pending after \(error)") }
      }
    }
    #expect(wholeCount > 100)
    let expected: [ProtocolViolation] = [
      .missingAttachments, .unexpectedAttachment, .messageTooBig, .unknownPacketType,
    ]
    #expect(violations.isSuperset(of: expected.map(\.reason)))
  }
}
