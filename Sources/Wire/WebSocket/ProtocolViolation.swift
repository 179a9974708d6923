// Violations by a WebSocket peer, with their close codes: RFC 6455, section 7.4.
//
// Protocols over a WebSocket end a connection in the same way, so they use the same type; each
// protocol lists its own violations beside its codec.
//
// A violation carries the close code for the connection and a constant text. It contains none of
// the peer's bytes, so it may go into a close frame and into a log unchanged.

/// A peer's violation of the WebSocket protocol, or of one over it, with its close code.
package struct ProtocolViolation: Error, Equatable, Sendable {
  package let closeCode: UInt16
  /// Constant text, ASCII of at most `WebSocketFrame.closeReasonBytesLimit` bytes.
  package let reason: String

  package init(closeCode: UInt16, reason: String) {
    self.closeCode = closeCode
    self.reason = reason
  }
}

// Computed, not stored: a stored constant of a type with a string is initialised once under a
// lock-like check, and a literal costs nothing to rebuild.
extension ProtocolViolation {
  package static var reservedBits: Self { protocolError("reserved bit set") }
  package static var reservedOpcode: Self { protocolError("reserved opcode") }
  package static var fragmentedControl: Self { protocolError("fragmented control frame") }
  package static var unmasked: Self { protocolError("client frame not masked") }
  package static var masked: Self { protocolError("server frame masked") }
  package static var controlTooLong: Self {
    protocolError("control frame over \(WebSocketFrame.controlPayloadBytesLimit) bytes")
  }
  package static var nonMinimalLength: Self { protocolError("length not minimally encoded") }
  package static var lengthTopBit: Self { protocolError("length over 63 bits") }
  package static var strayContinuation: Self { protocolError("continuation without a message") }
  package static var interleavedMessage: Self { protocolError("new message inside a message") }
  package static var closePayload: Self { protocolError("close payload of one byte") }
  package static var closeCode: Self { protocolError("invalid close code") }

  package static var invalidUTF8: Self { Self(closeCode: 1007, reason: "invalid UTF-8") }
  package static var tooManyFragments: Self { Self(closeCode: 1008, reason: "too many fragments") }
  package static var messageTooBig: Self { Self(closeCode: 1009, reason: "message too big") }

  static func protocolError(_ reason: String) -> Self {
    Self(closeCode: 1002, reason: reason)
  }
}
