// One packet of Engine.IO: protocol version 4, "Packet encoding".
//
// A packet is a digit that says its type, and its payload. Binary data has no digit: it is always a
// message, and goes as it is in a binary WebSocket message, or as "b" and base 64 where only text
// can go. Reading copies nothing: a packet says where its payload is in the bytes it was read from.

/// What a packet is for.
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

/// A packet as it was found in some bytes.
package struct EngineIOPacket: Equatable, Sendable {
  /// How the payload is written.
  package enum Form: Sendable { case text, base64, binary }

  package let type: EngineIOPacketType
  package let form: Form
  /// Where the payload is in the bytes that the packet was read from, without type and "b".
  package let payload: Range<Int>

  /// Whether it is a message of binary data, however written.
  package var isBinary: Bool { form != .text }

  /// Reads the packet that is the whole of `range`: a text message of a WebSocket.
  ///
  /// That it is UTF-8 is for the WebSocket to see to. Base 64 comes from clients that were told to
  /// send no binary messages; it is checked by `binaryData`.
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

  /// The packet that a binary message of a WebSocket is: all of it is a message's data.
  package static func decode(binary bytes: [UInt8]) -> EngineIOPacket {
    EngineIOPacket(type: .message, form: .binary, payload: 0..<bytes.count)
  }

  /// The data of a binary message, read from the bytes that the packet was read from.
  ///
  /// Base 64 has one accepted spelling for each value (see `Base64`), which is what encoders write.
  package func binaryData(in bytes: [UInt8]) throws(ProtocolViolation) -> [UInt8] {
    guard form == .base64 else { return Array(bytes[payload]) }
    guard let data = Base64.decode(bytes.span.extracting(payload)) else {
      throw .invalidBase64
    }
    return data
  }

  /// Appends a packet whose payload `body` writes: a text message of a WebSocket.
  package static func append(
    _ type: EngineIOPacketType, into bytes: inout [UInt8],
    _ body: (inout [UInt8]) -> Void = { _ in }
  ) {
    bytes.append(type.byte)
    body(&bytes)
  }

  /// Appends binary data as text, for where only text can go.
  package static func appendBase64(_ data: [UInt8], into bytes: inout [UInt8]) {
    bytes.append(base64Mark)
    Base64.append(data, into: &bytes)
  }

  private static let base64Mark = UInt8(ascii: "b")
}

// What a peer of Engine.IO does wrong. Polling has no close codes: there the answer is 400.
extension ProtocolViolation {
  package static var emptyPacket: Self { protocolError("empty packet") }
  package static var unknownPacketType: Self { protocolError("unknown packet type") }
  package static var invalidBase64: Self { protocolError("invalid base64") }
}
