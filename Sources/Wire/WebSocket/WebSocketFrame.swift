// Writing WebSocket frames, and the payload of a close frame: RFC 6455, sections 5.2 and 5.5.1.
//
// A server never masks, so its frames are the header and the unchanged payload, and one frame
// serves any number of connections. The masked form is for clients: those of the command and the
// tests.

/// The payload of a close frame.
package struct ClosePayload: Equatable, Sendable {
  /// Nil when the frame had no payload: the peer gave no code (shown to users as 1005).
  package let code: UInt16?
  package let reason: String

  package init(code: UInt16?, reason: String) {
    self.code = code
    self.reason = reason
  }
}

/// Writes frames as bytes, and reads the payload of a close frame.
package enum WebSocketFrame {
  /// The most bytes that a control frame may carry (section 5.5).
  package static let controlPayloadBytesLimit = 125
  /// The most bytes of a close frame's reason: the code takes two.
  package static let closeReasonBytesLimit = controlPayloadBytesLimit - 2

  /// Appends the header of a frame; a payload of `payloadByteCount` bytes must follow it.
  ///
  /// With a `maskingKey` (first wire byte lowest) the payload must be appended masked.
  package static func appendHeader(
    _ opcode: WebSocketOpcode, payloadByteCount: Int, isFinal: Bool = true,
    maskingKey: UInt32? = nil, into bytes: inout [UInt8]
  ) {
    precondition(payloadByteCount >= 0, "payloadByteCount: \(payloadByteCount)")
    if opcode.isControl {
      precondition(isFinal, "a control frame is never fragmented")
      precondition(
        payloadByteCount <= controlPayloadBytesLimit, "payloadByteCount: \(payloadByteCount)")
    }
    bytes.append((isFinal ? 0x80 : 0) | opcode.rawValue)
    // guard: server-never-masks
    let maskBit: UInt8 = maskingKey == nil ? 0 : 0x80
    if payloadByteCount <= 125 {
      bytes.append(maskBit | UInt8(payloadByteCount))
    } else if payloadByteCount <= 0xFFFF {
      bytes.append(maskBit | 126)
      appendBigEndian(payloadByteCount, byteCount: 2, into: &bytes)
    } else {
      bytes.append(maskBit | 127)
      appendBigEndian(payloadByteCount, byteCount: 8, into: &bytes)
    }
    if let maskingKey {
      for index in 0..<4 { bytes.append(maskByte(maskingKey, at: index)) }
    }
  }

  /// Appends a whole frame.
  package static func append(
    _ opcode: WebSocketOpcode, payload: [UInt8], isFinal: Bool = true, maskingKey: UInt32? = nil,
    into bytes: inout [UInt8]
  ) {
    appendHeader(
      opcode, payloadByteCount: payload.count, isFinal: isFinal, maskingKey: maskingKey,
      into: &bytes)
    let start = bytes.count
    bytes.append(contentsOf: payload)
    if let maskingKey { applyMask(maskingKey, to: &bytes, from: start) }
  }

  /// Appends a close frame with a code and a reason.
  ///
  /// A reason over 123 bytes is cut before the first Unicode scalar that does not fit completely,
  /// so that the frame stays legal and its text valid UTF-8.
  package static func appendClose(
    code: UInt16, reason: String, maskingKey: UInt32? = nil, into bytes: inout [UInt8]
  ) {
    precondition(isValidCloseCode(Int(code)), "close code: \(code)")
    var payload: [UInt8] = [UInt8(code >> 8), UInt8(code & 0xFF)]
    payload.append(contentsOf: reason.utf8.prefix(closeReasonBytesLimit + 1))
    if payload.count > controlPayloadBytesLimit {
      // A continuation byte at the cut means that the cut would split a scalar.
      var end = controlPayloadBytesLimit
      // guard: reason-cut-between-scalars
      while payload[end] & 0xC0 == 0x80 { end -= 1 }
      payload.removeSubrange(end...)
    }
    append(.close, payload: payload, maskingKey: maskingKey, into: &bytes)
  }

  /// Appends a close frame without a payload: the answer to one that had none.
  package static func appendEmptyClose(maskingKey: UInt32? = nil, into bytes: inout [UInt8]) {
    append(.close, payload: [], maskingKey: maskingKey, into: &bytes)
  }

  /// Reads the (unmasked) payload of a close frame.
  package static func parseClose(_ payload: [UInt8]) throws(ProtocolViolation) -> ClosePayload {
    guard !payload.isEmpty else { return ClosePayload(code: nil, reason: "") }
    // guard: close-payload-of-one-byte
    guard payload.count >= 2 else { throw .closePayload }
    let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
    // guard: close-code-is-valid
    guard isValidCloseCode(Int(code)) else { throw .closeCode }
    // guard: close-reason-is-utf8
    guard let reason = String(validating: payload.dropFirst(2), as: UTF8.self) else {
      throw .invalidUTF8
    }
    return ClosePayload(code: code, reason: reason)
  }

  /// Whether a close frame may carry this code.
  ///
  /// RFC 6455, section 7.4, and its IANA registry: 1004 to 1006 and 1015 are never sent, 1016 to
  /// 2999 are reserved, 3000 to 4999 belong to libraries and applications.
  package static func isValidCloseCode(_ code: Int) -> Bool {
    switch code {
    // guard: close-code-gaps
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }

  /// Masks or unmasks all bytes from `start` on as one whole payload (section 5.3).
  package static func applyMask(_ key: UInt32, to bytes: inout [UInt8], from start: Int = 0) {
    guard key != 0 else { return }
    for index in start..<bytes.count {
      bytes[index] ^= maskByte(key, at: index - start)
    }
  }

  private static func maskByte(_ key: UInt32, at index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: key >> (8 * UInt32(truncatingIfNeeded: index & 3)))
  }

  private static func appendBigEndian(_ value: Int, byteCount: Int, into bytes: inout [UInt8]) {
    for index in (0..<byteCount).reversed() {
      bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index)))
    }
  }
}
