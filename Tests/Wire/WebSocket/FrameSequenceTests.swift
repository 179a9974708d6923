// Sequences of frames: the meaning of a header depends on the headers before it.

import TestSupport
import Testing

@testable import Wire

@Suite("RFC 6455, 5.4: fragmentation")
struct FrameSequenceTests {
  static func header(
    _ opcode: WebSocketOpcode, _ length: Int = 0, isFinal: Bool = true
  ) -> FrameHeader {
    FrameHeader(
      isFinal: isFinal, opcode: opcode, isMasked: true, maskingKey: 0, payloadLength: length,
      byteCount: 6)
  }

  /// The number (from 1) of the refused frame and its violation; nil if all are accepted.
  static func firstViolation(
    _ headers: [FrameHeader], limit: Int
  ) -> (frame: Int, violation: ProtocolViolation)? {
    var sequence = FrameSequence(messageBytesLimit: limit)
    for (index, header) in headers.enumerated() {
      do { _ = try sequence.accept(header) } catch { return (index + 1, error) }
    }
    return nil
  }

  @Test("roles mark a message's start and end, and control frames do not interrupt it")
  func roles() throws {
    var sequence = FrameSequence(messageBytesLimit: 100)
    let steps: [(FrameHeader, FrameRole, isInside: Bool)] = [
      (Self.header(.text, 5), .data(isText: true, startsMessage: true, endsMessage: true), false),
      (
        Self.header(.binary, 5, isFinal: false),
        .data(isText: false, startsMessage: true, endsMessage: false), true
      ),
      (Self.header(.ping, 125), .control(.ping), true),
      (
        Self.header(.continuation, 5, isFinal: false),
        .data(isText: false, startsMessage: false, endsMessage: false), true
      ),
      (Self.header(.close, 2), .control(.close), true),
      (
        Self.header(.continuation, 90),
        .data(isText: false, startsMessage: false, endsMessage: true), false
      ),
      (Self.header(.pong), .control(.pong), false),
      (
        Self.header(.text, 0, isFinal: false),
        .data(isText: true, startsMessage: true, endsMessage: false), true
      ),
      (
        Self.header(.continuation, 100),
        .data(isText: true, startsMessage: false, endsMessage: true), false
      ),
    ]
    for (index, (header, role, isInside)) in steps.enumerated() {
      #expect(try sequence.accept(header) == role, "step \(index)")
      #expect(sequence.isInsideMessage == isInside, "step \(index)")
    }
  }

  @Test("a continuation without a message and a message inside a message are refused")
  func order() throws {
    var sequence = FrameSequence(messageBytesLimit: 100)
    for isFinal in [true, false] {
      #expect(throws: ProtocolViolation.strayContinuation) {
        try sequence.accept(Self.header(.continuation, 1, isFinal: isFinal))
      }
    }
    _ = try sequence.accept(Self.header(.text, 1))
    #expect(throws: ProtocolViolation.strayContinuation) {
      try sequence.accept(Self.header(.continuation, 1))
    }
    _ = try sequence.accept(Self.header(.text, 1, isFinal: false))
    for opcode in [WebSocketOpcode.text, .binary] {
      #expect(throws: ProtocolViolation.interleavedMessage) {
        try sequence.accept(Self.header(opcode, 1))
      }
    }
    #expect(ProtocolViolation.strayContinuation.closeCode == 1002)
    #expect(ProtocolViolation.interleavedMessage.closeCode == 1002)
  }

  // Case 2
  @Test("a message at the limit is accepted, and one byte more is refused at its header")
  func limitBySum() {
    let limit = 65_536
    typealias Table = [(headers: [FrameHeader], refused: Int?)]
    let table: Table = [
      ([Self.header(.binary, 65_536)], nil),
      ([Self.header(.binary, 65_537)], 1),
      ([Self.header(.text, 40_000, isFinal: false), Self.header(.continuation, 40_000)], 2),
      ([Self.header(.text, 40_000, isFinal: false), Self.header(.continuation, 25_536)], nil),
      ([Self.header(.text, 40_000, isFinal: false), Self.header(.continuation, 25_537)], 2),
      (
        [
          Self.header(.text, limit - 1, isFinal: false), Self.header(.ping, 125),
          Self.header(.continuation, 2),
        ], 3
      ),
      (
        [
          Self.header(.text, limit - 1, isFinal: false), Self.header(.ping, 125),
          Self.header(.continuation, 1),
        ], nil
      ),
      // Sums that wrap 64 bits, in one step and in several.
      ([Self.header(.text, 1, isFinal: false), Self.header(.continuation, Int.max)], 2),
      ([Self.header(.binary, Int.max)], 1),
      // Two messages in a row do not add up.
      ([Self.header(.text, limit), Self.header(.text, limit), Self.header(.text, limit)], nil),
      (
        [
          Self.header(.text, limit - 1, isFinal: false), Self.header(.continuation, 1),
          Self.header(.binary, 1, isFinal: false), Self.header(.continuation, limit - 1),
        ], nil
      ),
    ]
    for (index, row) in table.enumerated() {
      let result = Self.firstViolation(row.headers, limit: limit)
      #expect(result?.frame == row.refused, "row \(index)")
      if let result { #expect(result.violation == .messageTooBig, "row \(index)") }
    }
    #expect(ProtocolViolation.messageTooBig.closeCode == 1009)
  }

  // Case 2
  @Test("with the greatest possible limit, a sum past 63 bits is refused and does not trap")
  func sumOverflow() {
    let headers = [Self.header(.text, 1, isFinal: false), Self.header(.continuation, Int.max)]
    let result = Self.firstViolation(headers, limit: Int.max)
    #expect(result?.frame == 2)
    #expect(result?.violation == .messageTooBig)
    #expect(Self.firstViolation([Self.header(.text, Int.max)], limit: Int.max) == nil)
  }

  // Case 1
  @Test("false lengths are refused at the header")
  func claimedLengths() throws {
    for claimed in [Int.max, 1 << 53, 1 << 31, 1 << 31 - 1, 513] {
      let wire =
        [0x82, 0xFF] + (0..<8).map { UInt8(truncatingIfNeeded: claimed >> (56 - 8 * $0)) }
      let short: [UInt8] = [0x82, 0xFE, 0x02, 0x01]
      let header = try #require(
        try FrameHeader.parse(((claimed > 65_535 ? wire : short) + [0, 0, 0, 0]).span))
      var sequence = FrameSequence(messageBytesLimit: 512)
      #expect(throws: ProtocolViolation.messageTooBig) { try sequence.accept(header) }
    }
  }

  // Cases 3, 4
  @Test("the 1025th fragment is refused, empty or not", arguments: [0, 1])
  func fragmentCount(length: Int) {
    var headers = [Self.header(.text, length, isFinal: false)]
    while headers.count < 2_000 {
      headers.append(Self.header(.continuation, length, isFinal: false))
    }
    let result = Self.firstViolation(headers, limit: 1 << 20)
    #expect(result?.frame == 1_025)
    #expect(result?.violation == .tooManyFragments)
    #expect(result?.violation.closeCode == 1008)

    headers = Array(headers.prefix(1_023)) + [Self.header(.continuation, length)]
    #expect(Self.firstViolation(headers + headers, limit: 1 << 20) == nil)
  }

  @Test("pings between fragments are not counted")
  func pingsUncounted() {
    var headers: [FrameHeader] = [Self.header(.text, 0, isFinal: false)]
    for _ in 0..<5_000 { headers.append(Self.header(.ping, 125)) }
    headers.append(Self.header(.continuation))
    #expect(Self.firstViolation(headers, limit: 0) == nil)
  }

  @Test("sequence is checked before size, and size before the number of fragments")
  func orderOfChecks() throws {
    var sequence = FrameSequence(messageBytesLimit: 10, fragmentCountLimit: 1)
    #expect(throws: ProtocolViolation.strayContinuation) {
      try sequence.accept(Self.header(.continuation, 11))
    }
    _ = try sequence.accept(Self.header(.text, 10, isFinal: false))
    #expect(throws: ProtocolViolation.interleavedMessage) {
      try sequence.accept(Self.header(.text, 11))
    }
    #expect(throws: ProtocolViolation.messageTooBig) {
      try sequence.accept(Self.header(.continuation, 1))
    }
    #expect(throws: ProtocolViolation.tooManyFragments) {
      try sequence.accept(Self.header(.continuation, 0))
    }
  }

  @Test("a new limit holds from the next frame on, even for a message in progress")
  func changedLimit() throws {
    var sequence = FrameSequence(messageBytesLimit: 8_192)
    _ = try sequence.accept(Self.header(.text, 600, isFinal: false))
    sequence.messageBytesLimit = 512
    #expect(throws: ProtocolViolation.messageTooBig) {
      try sequence.accept(Self.header(.continuation, 0))
    }
    sequence.messageBytesLimit = 600
    _ = try sequence.accept(Self.header(.continuation, 0))
    #expect(throws: ProtocolViolation.messageTooBig) {
      try sequence.accept(Self.header(.text, 601))
    }
  }

  @Test("random frames get the result of a model that keeps a list of the message's frames")
  func againstModel() {
    var generator = SeededGenerator.announced()
    for _ in 0..<300 {
      let limit = Int.random(in: 0...200, using: &generator)
      let countLimit = Int.random(in: 1...6, using: &generator)
      var sequence = FrameSequence(messageBytesLimit: limit, fragmentCountLimit: countLimit)
      var message: [FrameHeader] = []
      for _ in 0..<100 {
        let opcode = WebSocketOpcode.allCases.randomElement(using: &generator)!
        let header = Self.header(
          opcode, Int.random(in: 0...80, using: &generator),
          isFinal: opcode.isControl || Bool.random(using: &generator))
        let expected = Self.judge(header, after: message, limit: limit, countLimit: countLimit)
        do {
          _ = try sequence.accept(header)
          #expect(expected == nil)
        } catch {
          #expect(error.closeCode == expected)
        }
        if expected == nil, !opcode.isControl {
          message = header.isFinal ? [] : message + [header]
        }
      }
    }
  }

  /// The close code that the rules require, from the whole list of the message's frames.
  private static func judge(
    _ header: FrameHeader, after message: [FrameHeader], limit: Int, countLimit: Int
  ) -> UInt16? {
    if header.opcode.isControl { return nil }
    if (header.opcode == .continuation) == message.isEmpty { return 1002 }
    let frames = message + [header]
    if frames.reduce(0, { $0 + $1.payloadLength }) > limit { return 1009 }
    return frames.count > countLimit ? 1008 : nil
  }
}
