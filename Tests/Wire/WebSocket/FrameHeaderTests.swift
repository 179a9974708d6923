// Single frame headers. Every vector runs whole, byte by byte and split at each point, and a
// violation must be thrown at the byte that shows it, not later.

import TestSupport
import Testing

@testable import Wire

/// The outcome of feeding a header, and the number of bytes fed before it.
enum HeaderOutcome: Equatable {
  case header(FrameHeader)
  case violation(ProtocolViolation)
  case incomplete
}

func feedHeader(
  _ feed: ByteFeed, from side: FrameHeader.Side = .client
) -> (outcome: HeaderOutcome, byteCount: Int) {
  var given = 0
  do {
    let found = try feed.accumulate { bytes throws(ProtocolViolation) in
      given = bytes.count
      return try FrameHeader.parse(bytes.span, from: side)
    }
    guard let found else { return (.incomplete, given) }
    return (.header(found.result), found.byteCount)
  } catch {
    return (.violation(error), given)
  }
}

@Suite("RFC 6455, 5.2: frame header")
struct FrameHeaderTests {
  struct Vector: Sendable, CustomTestStringConvertible {
    let wire: [UInt8]
    let isFinal: Bool
    let opcode: WebSocketOpcode
    let maskingKey: UInt32
    let payloadLength: Int
    var testDescription: String { "\(opcode) of \(payloadLength)" }
  }

  // The last four bytes of each are the key 37 fa 21 3d of section 5.7.
  static let vectors: [Vector] = [
    vector([0x81, 0x85], .text, 5), vector([0x81, 0x80], .text, 0),
    vector([0x01, 0x83], .text, 3, isFinal: false),
    vector([0x80, 0x82], .continuation, 2), vector([0x00, 0x80], .continuation, 0, isFinal: false),
    vector([0x82, 0xFD], .binary, 125), vector([0x89, 0x85], .ping, 5),
    vector([0x8A, 0xFD], .pong, 125), vector([0x88, 0x80], .close, 0),
    vector([0x82, 0xFE, 0x00, 0x7E], .binary, 126), vector([0x82, 0xFE, 0x01, 0x00], .binary, 256),
    vector([0x81, 0xFE, 0xFF, 0xFF], .text, 65_535),
    vector([0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0], .binary, 65_536),
    vector([0x82, 0xFF, 0, 0, 0, 0, 0x80, 0, 0, 0], .binary, 1 << 31),
    vector([0x82, 0xFF, 0, 0x20, 0, 0, 0, 0, 0, 0], .binary, 1 << 53),
    vector([0x82, 0xFF, 0x01, 2, 3, 4, 5, 6, 7, 8], .binary, 0x0102_0304_0506_0708),
    vector([0x82, 0xFF, 0x7F] + [UInt8](repeating: 0xFF, count: 7), .binary, Int.max),
  ]

  static func vector(
    _ start: [UInt8], _ opcode: WebSocketOpcode, _ length: Int, isFinal: Bool = true
  ) -> Vector {
    Vector(
      wire: start + [0x37, 0xFA, 0x21, 0x3D], isFinal: isFinal, opcode: opcode,
      maskingKey: 0x3D21_FA37, payloadLength: length)
  }

  @Test("a legal header is read however it is split, and the bytes after it are not touched")
  func legal() {
    for vector in Self.vectors {
      let expected = FrameHeader(
        isFinal: vector.isFinal, opcode: vector.opcode, isMasked: true,
        maskingKey: vector.maskingKey, payloadLength: vector.payloadLength,
        byteCount: vector.wire.count)
      for feed in ByteFeed.all(vector.wire) {
        #expect(feedHeader(feed).outcome == .header(expected), "\(vector.testDescription), \(feed)")
      }
      #expect(feedHeader(.whole(vector.wire + [1, 2, 3])).outcome == .header(expected))
    }
  }

  @Test("every proper prefix of a legal header is incomplete, never an error")
  func prefixes() {
    for vector in Self.vectors {
      for prefix in properPrefixes(of: vector.wire) {
        #expect(feedHeader(.whole(prefix)).outcome == .incomplete, "\(prefix)")
      }
    }
  }

  // Case 5
  @Test("an unmasked client frame of any opcode is refused at its second byte")
  func unmasked() {
    for opcode in WebSocketOpcode.allCases {
      for length: UInt8 in [0, 5, 125, 126, 127] where !(opcode.isControl && length > 125) {
        let result = feedHeader(.byByte([0x80 | opcode.rawValue, length, 0, 0, 0, 0]))
        #expect(result.outcome == .violation(.unmasked), "\(opcode), \(length)")
        #expect(result.byteCount == 2)
      }
    }
  }

  // Case 5
  @Test("a masking key of zero is legal")
  func zeroKey() throws {
    let header = try #require(try FrameHeader.parse([0x81, 0x85, 0, 0, 0, 0].span))
    #expect(header.isMasked)
    #expect(header.maskingKey == 0)
    #expect(header.byteCount == 6)
  }

  @Test("a server's frames must be unmasked, and their headers are four bytes shorter")
  func fromServer() throws {
    for vector in Self.vectors {
      let masked = feedHeader(.byByte(vector.wire), from: .server)
      #expect(masked.outcome == .violation(.masked))
      #expect(masked.byteCount == 2)

      var wire = Array(vector.wire.dropLast(4))
      wire[1] &= 0x7F
      let expected = FrameHeader(
        isFinal: vector.isFinal, opcode: vector.opcode, isMasked: false, maskingKey: 0,
        payloadLength: vector.payloadLength, byteCount: wire.count)
      for feed in ByteFeed.all(wire) {
        #expect(feedHeader(feed, from: .server).outcome == .header(expected))
      }
    }
  }

  // Cases 1, 6, 7, 10
  static let violations: [(wire: [UInt8], violation: ProtocolViolation, byteCount: Int)] = [
    // Reserved bits are checked before everything else in the first byte (5.2).
    ([0xC1, 0x85], .reservedBits, 1), ([0xA1, 0x85], .reservedBits, 1),
    ([0x91, 0x85], .reservedBits, 1), ([0x40, 0x85], .reservedBits, 1),
    ([0xC3, 0x05], .reservedBits, 1), ([0x4B, 0x7F], .reservedBits, 1),
    ([0x79, 0x00], .reservedBits, 1),
    // Then the opcode, then fragmented control frames (5.5).
    ([0x83, 0x85], .reservedOpcode, 1), ([0x0B, 0x05], .reservedOpcode, 1),
    ([0x0F, 0x7F], .reservedOpcode, 1),
    ([0x08, 0x05], .fragmentedControl, 1), ([0x09, 0xFE], .fragmentedControl, 1),
    ([0x0A, 0x7F], .fragmentedControl, 1),
    // In the second byte, masking is checked before the length of control frames.
    ([0x89, 0x7E], .unmasked, 2), ([0x88, 0x7F], .unmasked, 2), ([0x81, 0x7E, 0, 0], .unmasked, 2),
    ([0x88, 0xFE, 0, 126], .controlTooLong, 2), ([0x89, 0xFF, 0x80], .controlTooLong, 2),
    ([0x8A, 0xFE, 0, 1], .controlTooLong, 2),
    // Lengths: the fewest bytes must be used, and the top bit is zero (5.2).
    ([0x81, 0xFE, 0, 0], .nonMinimalLength, 4), ([0x81, 0xFE, 0, 5], .nonMinimalLength, 4),
    ([0x81, 0xFE, 0, 125], .nonMinimalLength, 4),
    ([0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0], .nonMinimalLength, 8),
    ([0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 126], .nonMinimalLength, 8),
    ([0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], .nonMinimalLength, 8),
    ([0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], .lengthTopBit, 3),
    ([0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 1], .lengthTopBit, 3),
    ([0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], .lengthTopBit, 3),
  ]

  @Test("a violation is thrown at the first byte that shows it, in a fixed order of checks")
  func violations() {
    for (wire, violation, byteCount) in Self.violations {
      #expect(violation.closeCode == 1002)
      let wire = wire + [1, 2, 3, 4]
      let result = feedHeader(.byByte(wire))
      #expect(result.outcome == .violation(violation), "\(wire)")
      #expect(result.byteCount == byteCount, "\(wire)")
      for feed in ByteFeed.all(wire) {
        #expect(feedHeader(feed).outcome == .violation(violation), "\(wire), \(feed)")
      }
    }
  }

  // Case 7
  @Test("every two-byte length that fits seven bits is refused, and no other")
  func nonMinimal16() throws {
    for length in 0...65_535 {
      let wire: [UInt8] = [0x82, 0xFE, UInt8(length >> 8), UInt8(length & 0xFF), 0, 0, 0, 0]
      if length <= 125 {
        #expect(throws: ProtocolViolation.nonMinimalLength) { try FrameHeader.parse(wire.span) }
      } else if try FrameHeader.parse(wire.span)?.payloadLength != length {
        Issue.record("length \(length)")
      }
    }
  }

  // Case 6
  @Test("all first bytes × lengths, inside a message and outside, agree with RFC 6455's table")
  func matrix() {
    // Written from sections 5.2, 5.4 and 5.5, not from the code: the legal first bytes, and those
    // that are legal only with a length of at most 125.
    let control: Set<UInt8> = [0x88, 0x89, 0x8A]
    let outside: Set<UInt8> = [0x01, 0x02, 0x81, 0x82]
    let inside: Set<UInt8> = [0x00, 0x80]
    var disagreements = 0
    var count = 0
    for first in UInt8.min...UInt8.max {
      for length in [0, 1, 125, 126, 65_536] {
        for isInside in [false, true] {
          let isLegal =
            control.contains(first) && length <= 125
            || (isInside ? inside : outside).contains(first)
          count += 1
          if accepts(first: first, length: length, isInside: isInside) != isLegal {
            disagreements += 1
            Issue.record("\(first), length \(length), inside: \(isInside)")
          }
        }
      }
    }
    #expect(disagreements == 0)
    #expect(count == 2_560)
  }

  private func accepts(first: UInt8, length: Int, isInside: Bool) -> Bool {
    var wire: [UInt8] = [first]
    switch length {
    case ...125: wire.append(0x80 | UInt8(length))
    case ...65_535: wire += [0xFE, UInt8(length >> 8), UInt8(length & 0xFF)]
    default: wire += [0xFF] + (0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * $0)) }
    }
    wire += [1, 2, 3, 4]
    do {
      var sequence = FrameSequence(messageBytesLimit: 1 << 30)
      if isInside {
        let start = try FrameHeader.parse([0x01, 0x80, 0, 0, 0, 0].span)
        _ = try sequence.accept(#require(start))
      }
      let header = try #require(try FrameHeader.parse(wire.span))
      _ = try sequence.accept(header)
      return true
    } catch let violation as ProtocolViolation {
      #expect(violation.closeCode == 1002, "\(first), \(length)")
      return false
    } catch {
      Issue.record(error)
      return false
    }
  }

  // Case 98
  @Test("random and mutated headers never trap, and have one outcome however they are split")
  func fuzz() {
    var generator = SeededGenerator.announced()
    for vector in Self.vectors {
      for mutant in mutants(of: vector.wire, count: 1_500, using: &generator) {
        for side in [FrameHeader.Side.client, .server] {
          let whole = feedHeader(.whole(mutant), from: side).outcome
          let bytewise = feedHeader(.byByte(mutant), from: side)
          if mutant.isEmpty { continue }
          #expect(bytewise.outcome == whole, "\(mutant)")
          if case .header(let header) = whole {
            #expect(header.payloadLength >= 0)
            #expect(header.byteCount == bytewise.byteCount)
          }
        }
      }
    }
  }
}
