// Written frames, and the payloads of close frames.

import TestSupport
import Testing

@testable import Wire

@Suite("RFC 6455, 5.7: written frames")
struct WebSocketFrameTests {
  static func frame(
    _ opcode: WebSocketOpcode, _ payload: [UInt8], isFinal: Bool = true, key: UInt32? = nil
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    WebSocketFrame.append(opcode, payload: payload, isFinal: isFinal, maskingKey: key, into: &bytes)
    return bytes
  }

  @Test("the examples of section 5.7 are written exactly")
  func examples() {
    let hello = Array("Hello".utf8)
    #expect(Self.frame(.text, hello) == [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F])
    #expect(
      Self.frame(.text, hello, key: 0x3D21_FA37)
        == [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
    #expect(Self.frame(.text, Array("Hel".utf8), isFinal: false) == [0x01, 0x03, 0x48, 0x65, 0x6C])
    #expect(Self.frame(.continuation, Array("lo".utf8)) == [0x80, 0x02, 0x6C, 0x6F])
    #expect(Self.frame(.ping, hello) == [0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F])
    #expect(
      Array(Self.frame(.binary, .init(repeating: 7, count: 256)).prefix(4)) == [0x82, 0x7E, 1, 0])
    #expect(
      Array(Self.frame(.binary, .init(repeating: 7, count: 65_536)).prefix(10))
        == [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0])
  }

  // Case 5
  @Test("written frames are read back, and a server's frames are never masked")
  func roundTrip() throws {
    var generator = SeededGenerator.announced()
    for length in [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 255, 256, 65_535, 65_536, 70_001] {
      let payload = generator.bytes(count: length)
      for opcode in WebSocketOpcode.allCases where !(opcode.isControl && length > 125) {
        let plain = Self.frame(opcode, payload)
        let header = try #require(try FrameHeader.parse(plain.span, from: .server))
        #expect(header.opcode == opcode)
        #expect(header.isFinal)
        #expect(!header.isMasked)
        #expect(header.payloadLength == length)
        #expect(Array(plain[header.byteCount...]) == payload)

        let key = UInt32.random(in: 0...UInt32.max, using: &generator)
        let masked = Self.frame(opcode, payload, isFinal: opcode.isControl, key: key)
        let client = try #require(try FrameHeader.parse(masked.span))
        #expect(client.maskingKey == key)
        #expect(client.isFinal == opcode.isControl)
        var body = Array(masked[client.byteCount...])
        WebSocketFrame.applyMask(key, to: &body)
        #expect(body == payload)
      }
    }
  }

  @Test("a header written alone equals the start of the whole frame")
  func headerAlone() {
    for length in [0, 125, 126, 65_535, 65_536] {
      var header: [UInt8] = [0xAA]
      WebSocketFrame.appendHeader(.text, payloadByteCount: length, into: &header)
      let whole = Self.frame(.text, .init(repeating: 0x20, count: length))
      #expect(Array(header.dropFirst()) == Array(whole.dropLast(length)))
    }
  }

  // Case 11
  @Test("of all 65,536 close codes exactly the assigned, library and application ones are valid")
  func closeCodes() throws {
    // IANA's registry of section 11.7, and the ranges of section 7.4.2.
    let assigned: Set<Int> = [
      1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
    ]
    for code in 0...65_535 {
      let isValid = assigned.contains(code) || (code >= 3000 && code < 5000)
      #expect(WebSocketFrame.isValidCloseCode(code) == isValid, "\(code)")
      let payload = [UInt8(code >> 8), UInt8(code & 0xFF)] + Array("bye".utf8)
      do {
        let close = try WebSocketFrame.parseClose(payload)
        #expect(isValid, "\(code)")
        #expect(close == ClosePayload(code: UInt16(code), reason: "bye"))
      } catch {
        #expect(!isValid, "\(code)")
        #expect(error == .closeCode)
      }
    }
    for code in [-1, 65_536, 1000 + 65_536, Int.min, Int.max] {
      #expect(!WebSocketFrame.isValidCloseCode(code))
    }
  }

  // Case 11
  @Test("a close frame is empty, or a code and a reason in UTF-8")
  func closePayloads() throws {
    #expect(try WebSocketFrame.parseClose([]) == ClosePayload(code: nil, reason: ""))
    #expect(try WebSocketFrame.parseClose([3, 232]) == ClosePayload(code: 1000, reason: ""))
    for byte: UInt8 in [0, 3, 255] {
      #expect(throws: ProtocolViolation.closePayload) { try WebSocketFrame.parseClose([byte]) }
    }
    let reason = String(repeating: "é", count: 61) + "x"
    #expect(try WebSocketFrame.parseClose([3, 232] + Array(reason.utf8)).reason == reason)
    // Overlong, surrogate, past U+10FFFF, torn, stray: RFC 3629.
    let invalid: [[UInt8]] = [
      [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xC3],
      [0x80], [0xFF], [0x61, 0xE2, 0x82],
    ]
    for bytes in invalid {
      #expect(throws: ProtocolViolation.invalidUTF8) {
        try WebSocketFrame.parseClose([3, 232] + bytes)
      }
    }
    #expect(ProtocolViolation.invalidUTF8.closeCode == 1007)
    #expect(ProtocolViolation.closeCode.closeCode == 1002)
    #expect(ProtocolViolation.closePayload.closeCode == 1002)
    // The code is checked before the reason.
    #expect(throws: ProtocolViolation.closeCode) { try WebSocketFrame.parseClose([0, 0, 0xFF]) }
  }

  // Cases 11, 12
  @Test("reasons are written exactly, and long ones are cut between scalars at 123 bytes or less")
  func closeReasons() throws {
    for filler in ["x", "é", "€", "😀"] {
      for length in 0...260 {
        for lead in 0...3 {
          let reason =
            String(repeating: "-", count: lead) + String(repeating: filler, count: length)
          var bytes: [UInt8] = []
          WebSocketFrame.appendClose(code: 1013, reason: reason, into: &bytes)
          let header = try #require(try FrameHeader.parse(bytes.span, from: .server))
          #expect(header.opcode == .close)
          let close = try WebSocketFrame.parseClose(Array(bytes[header.byteCount...]))
          #expect(close.code == 1013)
          let size = filler.utf8.count
          let kept = min(length, (123 - lead) / size)
          #expect(close.reason.utf8.count == lead + kept * size, "\(filler) × \(length), \(lead)")
          #expect(reason.hasPrefix(close.reason))
        }
      }
    }
  }

  @Test("an empty close frame has no code")
  func emptyClose() throws {
    var bytes: [UInt8] = []
    WebSocketFrame.appendEmptyClose(into: &bytes)
    #expect(bytes == [0x88, 0x00])
    WebSocketFrame.appendClose(code: 1000, reason: "ok", maskingKey: 0x0403_0201, into: &bytes)
    // 1000 is 03 E8, "ok" is 6F 6B.
    let expected: [UInt8] = [0x88, 0x84, 1, 2, 3, 4, 0x02, 0xEA, 0x6C, 0x6F]
    #expect(Array(bytes[2...]) == expected)
  }

  @Test("violations' texts fit into a close frame")
  func violationTexts() {
    let all: [ProtocolViolation] = [
      .reservedBits, .reservedOpcode, .fragmentedControl, .unmasked, .masked, .controlTooLong,
      .nonMinimalLength, .lengthTopBit, .strayContinuation, .interleavedMessage, .closePayload,
      .closeCode, .invalidUTF8, .tooManyFragments, .messageTooBig,
    ]
    for violation in all {
      #expect(violation.reason.utf8.count <= WebSocketFrame.closeReasonBytesLimit)
      #expect(violation.reason.utf8.allSatisfy { 0x20...0x7E ~= $0 })
      #expect(WebSocketFrame.isValidCloseCode(Int(violation.closeCode)))
    }
    #expect(Set(all.map(\.reason)).count == all.count)
  }

  @Test func `a close code that must not be sent is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      var bytes: [UInt8] = []
      WebSocketFrame.appendClose(code: 1006, reason: "", into: &bytes)
    }
  }

  @Test func `a control frame over 125 bytes is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      var bytes: [UInt8] = []
      WebSocketFrame.append(.ping, payload: .init(repeating: 0, count: 126), into: &bytes)
    }
  }
}
