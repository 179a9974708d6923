// One packet of Socket.IO: protocol version 5, "Packet encoding".
//
//     <type> [<attachments> "-"] [<namespace> ","] [<acknowledgement id>] [<JSON>]
//
// It is the text of one Engine.IO message. Reading builds no tree: a packet says where its JSON is
// in the bytes that it was read from, all of it found correct, and keeps of it the event's name and
// the places that stand for attachments.

/// What a packet is for.
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

  /// Whether it announces how many attachments follow.
  package var isBinary: Bool { self == .binaryEvent || self == .binaryAcknowledgement }
  /// Whether its data is an array that begins with a name.
  package var isEvent: Bool { self == .event || self == .binaryEvent }
  /// Whether it answers an event of the other side.
  package var isAcknowledgement: Bool {
    self == .acknowledgement || self == .binaryAcknowledgement
  }

  init?(byte: UInt8) {
    guard byte >= UInt8(ascii: "0") else { return nil }
    self.init(rawValue: byte - UInt8(ascii: "0"))
  }
}

/// A place in a packet's JSON where an attachment belongs.
package struct SocketIOPlaceholder: Equatable, Sendable {
  /// The object `{"_placeholder":true,"num":…}` in the bytes that the packet was read from.
  package let range: Range<Int>
  /// Which of the attachments.
  package let attachment: Int
}

/// A packet as it was found in some bytes, checked as far as a packet by itself can be.
package struct SocketIOPacket: Equatable, Sendable {
  package static let mainNamespace = "/"
  /// The most attachments that a packet may announce: the reference's limit since 4.2.6.
  package static let attachmentCountLimit = 10
  /// The most bytes of a namespace's name; those in use have a dozen.
  package static let namespaceBytesLimit = 128
  /// The greatest id: what the clients' numbers hold exactly, so that each comes back as it was.
  package static let acknowledgementIDLimit: UInt64 = 1 << 53 - 1
  /// How deep the JSON may be nested, the array of the arguments included.
  package static let depthLimit = 32  // guard: socketio-json-depth
  /// Names of events that the libraries keep for themselves.
  package static let reservedEventNames = [
    "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
  ]

  package let type: SocketIOPacketType
  /// Without the query that some clients leave behind it.
  package let namespace: String
  /// The number that an event asks to be acknowledged with, or that an acknowledgement brings back.
  package let acknowledgementID: UInt64?
  /// The JSON in the bytes that the packet was read from.
  package let data: Range<Int>?
  /// Nil where the packet is no event, and for the rare event that is named by a number.
  package let eventName: String?
  /// How many binary messages follow.
  package let attachmentCount: Int
  /// Where they belong, in the order of the document: one place for each.
  package let placeholders: [SocketIOPlaceholder]

  /// Reads an event's arguments, or an acknowledgement's, from the bytes that the packet was read
  /// from.
  ///
  /// The closure gets the reader at each argument, and which it is; one that it leaves alone is
  /// skipped. A packet without arguments has none to read.
  package func readArguments(
    in bytes: [UInt8], _ argument: (inout JSONReader, Int) throws(JSONViolation) -> Void
  ) throws(JSONViolation) {
    guard type.isEvent || type.isAcknowledgement, let data else { return }
    // The first element of an event is its name.
    var index = type.isEvent ? -1 : 0
    var reader = JSONReader(bytes, in: data, depthLimit: SocketIOPacket.depthLimit)
    try reader.readArray { (reader) throws(JSONViolation) in
      if index >= 0 { try argument(&reader, index) }
      index += 1
    }
  }
}

// What a peer of Socket.IO does wrong.
extension ProtocolViolation {
  package static var malformedAttachmentCount: Self { protocolError("malformed attachment count") }
  package static var tooManyAttachments: Self { protocolError("too many attachments") }
  package static var malformedNamespace: Self { protocolError("malformed namespace") }
  package static var malformedAcknowledgementID: Self {
    protocolError("malformed acknowledgement id")
  }
  package static var misplacedAcknowledgementID: Self {
    protocolError("acknowledgement id where there is none")
  }
  package static var missingAcknowledgementID: Self { protocolError("no acknowledgement id") }
  package static var invalidPacketData: Self { protocolError("packet data of the wrong kind") }
  package static var reservedEventName: Self { protocolError("reserved event name") }
  package static var invalidPlaceholder: Self { protocolError("invalid placeholder") }
  package static var missingAttachments: Self { protocolError("text where an attachment is due") }
  package static var unexpectedAttachment: Self { protocolError("attachment that is not due") }
}
