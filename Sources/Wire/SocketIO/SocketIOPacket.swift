// One packet of Socket.IO: protocol version 5, "Packet encoding".
//
//     <type> [<attachments> "-"] [<namespace> ","] [<acknowledgement id>] [<JSON>]
//
// It is the text of one Engine.IO message. Reading builds no tree: the JSON is validated in place,
// and a packet holds its range in the bytes that it was read from, the event's name and the ranges
// of its arguments and of the attachments' placeholders.

/// The type of a packet.
package enum SocketIOPacketType: UInt8, Sendable, CaseIterable {
  case connect = 0
  case disconnect = 1
  case event = 2
  case acknowledgement = 3
  case connectError = 4
  case binaryEvent = 5
  case binaryAcknowledgement = 6

  /// The digit that the packet begins with.
  package var byte: UInt8 { UInt8(ascii: "0") + rawValue }

  /// Whether it announces a number of attachments.
  package var isBinary: Bool { self == .binaryEvent || self == .binaryAcknowledgement }
  /// Whether its data is an array that begins with a name.
  package var isEvent: Bool { self == .event || self == .binaryEvent }
  /// Whether it acknowledges an event of the other side.
  package var isAcknowledgement: Bool {
    self == .acknowledgement || self == .binaryAcknowledgement
  }

  init?(byte: UInt8) {
    guard byte >= UInt8(ascii: "0") else { return nil }
    self.init(rawValue: byte - UInt8(ascii: "0"))
  }
}

/// A placeholder in a packet's JSON for an attachment.
package struct SocketIOPlaceholder: Equatable, Sendable {
  /// The range of the object `{"_placeholder":true,"num":…}` in the bytes that the packet was read
  /// from.
  package let range: Range<Int>
  /// The index of the attachment.
  package let attachment: Int
}

/// A parsed packet, with every check that needs only the packet itself.
package struct SocketIOPacket: Equatable, Sendable {
  package static let mainNamespace = "/"
  /// The most attachments that a packet may announce: the reference's limit since 4.2.6.
  package static let attachmentCountLimit = 10
  /// The most bytes of a namespace's name; those in use have a dozen.
  package static let namespaceBytesLimit = 128
  /// The greatest id: JavaScript numbers hold it exactly, so each id is returned unchanged.
  package static let acknowledgementIDLimit: UInt64 = 1 << 53 - 1
  /// The deepest nesting of the JSON, including the array of the arguments.
  package static let depthLimit = 32  // guard: socketio-json-depth
  /// Names of events that the libraries reserve.
  package static let reservedEventNames = [
    "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
  ]

  package let type: SocketIOPacketType
  /// Without the query that some clients append to it.
  package let namespace: String
  /// The id with which an event requests an acknowledgement, or which an acknowledgement returns.
  package let acknowledgementID: UInt64?
  /// The range of the JSON in the bytes that the packet was read from.
  package let data: Range<Int>?
  /// Nil if the packet is not an event, and for the rare event that is named by a number.
  package let eventName: String?
  /// The ranges of the arguments of an event, without its name, or of an acknowledgement.
  package internal(set) var arguments: [Range<Int>]
  /// The number of binary messages that follow.
  package let attachmentCount: Int
  /// The attachments' placeholders in document order, one for each attachment.
  package let placeholders: [SocketIOPlaceholder]
}

// Violations by a Socket.IO peer.
extension ProtocolViolation {
  package static var malformedAttachmentCount: Self { protocolError("malformed attachment count") }
  package static var tooManyAttachments: Self { protocolError("too many attachments") }
  package static var malformedNamespace: Self { protocolError("malformed namespace") }
  package static var malformedAcknowledgementID: Self {
    protocolError("malformed acknowledgement id")
  }
  package static var misplacedAcknowledgementID: Self {
    protocolError("acknowledgement id not allowed here")
  }
  package static var missingAcknowledgementID: Self { protocolError("missing acknowledgement id") }
  package static var invalidPacketData: Self { protocolError("packet data of the wrong kind") }
  package static var reservedEventName: Self { protocolError("reserved event name") }
  package static var invalidPlaceholder: Self { protocolError("invalid placeholder") }
  package static var missingAttachments: Self { protocolError("text instead of an attachment") }
  package static var unexpectedAttachment: Self { protocolError("unexpected attachment") }
}
