// WebSocket frame headers: RFC 6455, section 5.2.
//
// A pure function from bytes to a header. It owns no buffer, keeps no state and performs no input
// or output, so every test of it is a table of bytes. `FrameSequence` checks everything that
// depends on earlier frames (a continuation, the size of a whole message).
//
//      0               1               2 ...
//     +-+-+-+-+-------+-+-------------+-------------------+-----------------+
//     |F|R|R|R| opcode|M| length      | length of 126/127 | masking key     |
//     |I|S|S|S|  (4)  |A|  (7)        | (16 or 64 bits,   | (32 bits, if M) |
//     |N|1|2|3|       |S|             |  big-endian)      |                 |
//     +-+-+-+-+-------+-+-------------+-------------------+-----------------+

/// The kind of a frame.
package enum WebSocketOpcode: UInt8, Sendable, CaseIterable {
  case continuation = 0
  case text = 1
  case binary = 2
  case close = 8
  case ping = 9
  case pong = 10

  /// Whether it concerns the connection, and so may come between a message's fragments.
  package var isControl: Bool { rawValue & 0x8 != 0 }

  // For other modules: there `==` would be called by way of the protocol.
  package var isContinuation: Bool { if case .continuation = self { true } else { false } }
  package var isText: Bool { if case .text = self { true } else { false } }
  package var isBinary: Bool { if case .binary = self { true } else { false } }
  package var isClose: Bool { if case .close = self { true } else { false } }
}

/// One frame's header, with every check that needs only the header.
package struct FrameHeader: Equatable, Sendable {
  /// The side that sent the frame: clients must mask, servers must not (section 5.1).
  package enum Side: Sendable { case client, server }

  package let isFinal: Bool
  package let opcode: WebSocketOpcode
  package let isMasked: Bool
  /// The key, its first byte on the wire lowest; zero when the frame is not masked.
  package let maskingKey: UInt32
  package let payloadLength: Int
  /// The size of the header itself: 2 to 14.
  package let byteCount: Int

  package init(
    isFinal: Bool, opcode: WebSocketOpcode, isMasked: Bool, maskingKey: UInt32,
    payloadLength: Int, byteCount: Int
  ) {
    self.isFinal = isFinal
    self.opcode = opcode
    self.isMasked = isMasked
    self.maskingKey = maskingKey
    self.payloadLength = payloadLength
    self.byteCount = byteCount
  }

  /// Reads the header at the front of `bytes`; nil if they end before it does.
  ///
  /// A violation is thrown at the first byte that shows it, so that a peer cannot hold a connection
  /// open with an unfinished header that is already wrong. The checks follow the order of the wire:
  /// reserved bits, opcode, fragmented control; masking, length of a control frame; then the long
  /// lengths.
  package static func parse(
    _ bytes: borrowing Span<UInt8>, from side: Side = .client
  ) throws(ProtocolViolation) -> FrameHeader? {
    guard bytes.count >= 1 else { return nil }
    let first = bytes[0]
    // The server negotiates no extension, so these bits have no meaning.
    // guard: reserved-bits
    guard first & 0x70 == 0 else { throw .reservedBits }
    guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else { throw .reservedOpcode }
    let isFinal = first & 0x80 != 0
    // guard: control-frame-is-final
    guard isFinal || !opcode.isControl else { throw .fragmentedControl }

    guard bytes.count >= 2 else { return nil }
    let second = bytes[1]
    let isMasked = second & 0x80 != 0
    switch side {
    // guard: client-must-mask
    case .client: guard isMasked else { throw .unmasked }
    case .server: guard !isMasked else { throw .masked }
    }
    let shortLength = Int(second & 0x7F)
    // guard: control-frame-is-short
    guard shortLength <= WebSocketFrame.controlPayloadBytesLimit || !opcode.isControl else {
      throw .controlTooLong
    }

    let payloadLength: Int
    var byteCount = 2
    switch shortLength {
    case 126:
      guard let length = try parseLength16(bytes) else { return nil }
      payloadLength = length
      byteCount += 2
    case 127:
      guard let length = try parseLength64(bytes) else { return nil }
      payloadLength = length
      byteCount += 8
    default:
      payloadLength = shortLength
    }

    var maskingKey: UInt32 = 0
    if isMasked {
      guard bytes.count >= byteCount + 4 else { return nil }
      for index in (0..<4).reversed() {
        maskingKey = maskingKey << 8 | UInt32(bytes[byteCount + index])
      }
      byteCount += 4
    }
    return FrameHeader(
      isFinal: isFinal, opcode: opcode, isMasked: isMasked, maskingKey: maskingKey,
      payloadLength: payloadLength, byteCount: byteCount)
  }

  private static func parseLength16(
    _ bytes: borrowing Span<UInt8>
  ) throws(ProtocolViolation) -> Int? {
    guard bytes.count >= 4 else { return nil }
    let length = Int(bytes[2]) << 8 | Int(bytes[3])
    // guard: length-16-is-minimal
    guard length > 125 else { throw .nonMinimalLength }
    return length
  }

  private static func parseLength64(
    _ bytes: borrowing Span<UInt8>
  ) throws(ProtocolViolation) -> Int? {
    guard bytes.count >= 3 else { return nil }
    // guard: length-top-bit
    guard bytes[2] & 0x80 == 0 else { throw .lengthTopBit }
    // Six leading zero bytes mean a length that fits 16 bits: known two bytes before the end.
    guard bytes.count >= 8 else { return nil }
    var length = 0
    for index in 2..<8 { length = length << 8 | Int(bytes[index]) }
    // guard: length-64-is-minimal
    guard length > 0 else { throw .nonMinimalLength }
    guard bytes.count >= 10 else { return nil }
    // Cannot overflow: the top bit is clear, so eight bytes fit into 63 bits.
    return length << 16 | Int(bytes[8]) << 8 | Int(bytes[9])
  }
}
