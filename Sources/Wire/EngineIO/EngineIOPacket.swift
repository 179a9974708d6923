// One packet of Engine.IO: protocol version 4, "Packet encoding".
//
// A packet is a digit for its type, and its payload. Binary data has no digit: it is always a
// message, sent unchanged in a binary WebSocket message, or as "b" and base 64 where the transport
// carries only text. Reading copies nothing: a packet holds the range of its payload in the bytes
// that it was read from.

/// The type of a packet.
package enum EngineIOPacketType: UInt8, Sendable, CaseIterable {
  case open = 0
  case close = 1
  case ping = 2
  case pong = 3
  case message = 4
  case upgrade = 5
  case noop = 6

  /// The digit that the packet begins with.
  package var byte: UInt8 { UInt8(ascii: "0") + rawValue }

  init?(byte: UInt8) {
    guard byte >= UInt8(ascii: "0") else { return nil }
    self.init(rawValue: byte - UInt8(ascii: "0"))
  }
}

/// A parsed packet; its payload is a range of the bytes that it was read from.
package struct EngineIOPacket: Equatable, Sendable {
  /// How the payload is written.
  package enum Form: Sendable { case text, base64, binary }

  package let type: EngineIOPacketType
  package let form: Form
  /// The payload's range in the bytes that the packet was read from, without type and "b".
  package let payload: Range<Int>

  /// Whether it is a message of binary data, in either form.
  package var isBinary: Bool { form != .text }

  /// Reads the packet that fills `range`: a text message of a WebSocket.
  ///
  /// The WebSocket has already checked that it is UTF-8. Base 64 comes from clients that are
  /// configured to send no binary messages; `binaryData` checks it.
  package static func decode(
    text bytes: [UInt8], in range: Range<Int>? = nil
  ) throws(ProtocolViolation) -> EngineIOPacket {
    let range = range ?? 0..<bytes.count
    guard let first = range.first else { throw .emptyPacket }
    let payload = (first + 1)..<range.upperBound
    if bytes[first] == base64Mark {
      return EngineIOPacket(type: .message, form: .base64, payload: payload)
    }
    guard let type = EngineIOPacketType(byte: bytes[first]) else { throw .unknownPacketType }
    return EngineIOPacket(type: type, form: .text, payload: payload)
  }

  /// The packet in a binary message of a WebSocket: all of its bytes are a message's data.
  package static func decode(binary bytes: [UInt8]) -> EngineIOPacket {
    EngineIOPacket(type: .message, form: .binary, payload: 0..<bytes.count)
  }

  /// The data of a binary message, read from the bytes that the packet was read from.
  ///
  /// Base 64 has one accepted spelling for each value (see `Base64`), the one that encoders write.
  package func binaryData(in bytes: [UInt8]) throws(ProtocolViolation) -> [UInt8] {
    guard form == .base64 else { return Array(bytes[payload]) }
    guard let data = Base64.decode(bytes.span.extracting(payload)) else {
      throw .invalidBase64
    }
    return data
  }

  /// Appends a packet, a text message of a WebSocket; `body` writes its payload.
  package static func append(
    _ type: EngineIOPacketType, into bytes: inout [UInt8],
    _ body: (inout [UInt8]) -> Void = { _ in }
  ) {
    bytes.append(type.byte)
    body(&bytes)
  }

  /// Appends binary data as text, for a transport that carries only text.
  package static func appendBase64(_ data: [UInt8], into bytes: inout [UInt8]) {
    bytes.append(base64Mark)
    Base64.append(data, into: &bytes)
  }

  private static let base64Mark = UInt8(ascii: "b")
}

// Violations by an Engine.IO peer. Polling has no close codes: there the answer is 400.
extension ProtocolViolation {
  package static var emptyPacket: Self { protocolError("empty packet") }
  package static var unknownPacketType: Self { protocolError("unknown packet type") }
  package static var invalidBase64: Self { protocolError("invalid base64") }
}
