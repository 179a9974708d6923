// Reading packets of Socket.IO: protocol version 5, "Packet encoding".
//
// As strict as the reference's parser, and stricter about numbers: the reference accepts whatever
// JavaScript accepts as a number, this parser only decimal digits without a leading zero. Like the
// reference, it accepts an event that is named by a number; it refuses an acknowledgement without
// an id and an event without a name.

extension SocketIOPacket {
  /// Reads the packet that fills `range`.
  ///
  /// One pass over the bytes; the checks follow the order of the wire.
  package static func decode(
    _ bytes: [UInt8], in range: Range<Int>? = nil
  ) throws(ProtocolViolation) -> SocketIOPacket {
    var parser = SocketIOPacketParser(bytes: bytes, in: range ?? 0..<bytes.count)
    return try parser.parse()
  }
}

/// Parses one packet from front to back.
///
/// Invariant: `position <= end <= bytes.count`.
private struct SocketIOPacketParser {
  private let bytes: [UInt8]
  private let end: Int
  private var position: Int

  init(bytes: [UInt8], in range: Range<Int>) {
    precondition(range.upperBound <= bytes.count, "range: \(range) of \(bytes.count)")
    self.bytes = bytes
    end = range.upperBound
    position = range.lowerBound
  }

  mutating func parse() throws(ProtocolViolation) -> SocketIOPacket {
    guard let first = peek() else { throw .emptyPacket }
    guard let type = SocketIOPacketType(byte: first) else { throw .unknownPacketType }
    position += 1
    let attachmentCount = type.isBinary ? try takeAttachmentCount() : 0
    let namespace = try takeNamespace()
    let acknowledgementID = try takeAcknowledgementID(of: type)

    // Only JSON is left from here on.
    try checkKind(of: type)
    var contents = SocketIOContents(findsPlaceholders: type.isBinary)
    if position < end {
      var reader = JSONReader(
        bytes, in: position..<end, depthLimit: SocketIOPacket.depthLimit)
      do throws(JSONViolation) {
        try contents.read(&reader, of: type)
      } catch {
        // The reader's reasons are short constant texts, so this reason fits a close frame.
        throw .protocolError("packet data: \(error.reason)")
      }
    }
    return SocketIOPacket(
      type: type, namespace: namespace, acknowledgementID: acknowledgementID,
      data: position < end ? position..<end : nil,
      eventName: type.isEvent ? try contents.checkedEventName() : nil,
      arguments: contents.arguments,
      attachmentCount: attachmentCount,
      placeholders: try contents.placeholders(for: attachmentCount, in: bytes))
  }

  /// Takes the digits before "-"; missing digits, or anything else among them, are a violation.
  private mutating func takeAttachmentCount() throws(ProtocolViolation) -> Int {
    // guard: attachment-count-hyphen
    guard let count = takeDecimal(), peek() == UInt8(ascii: "-") else {
      throw .malformedAttachmentCount
    }
    position += 1
    // guard: attachment-count
    guard count <= UInt64(SocketIOPacket.attachmentCountLimit) else { throw .tooManyAttachments }
    return Int(count)
  }

  /// Takes a name that begins with "/", up to a comma or the end.
  ///
  /// The query that clients of earlier versions leave in a name is dropped, as python-socketio
  /// does: such a client means the same namespace. Control characters are refused, because an
  /// answer repeats the name, and a separator in it would end that packet.
  private mutating func takeNamespace() throws(ProtocolViolation) -> String {
    guard peek() == UInt8(ascii: "/") else { return SocketIOPacket.mainNamespace }
    let start = position
    var nameEnd: Int?
    while let byte = peek(), byte != UInt8(ascii: ",") {
      // guard: namespace-without-controls
      guard byte >= 0x20, byte != 0x7F else { throw .malformedNamespace }
      if byte == UInt8(ascii: "?"), nameEnd == nil { nameEnd = position }
      position += 1
    }
    let range = start..<(nameEnd ?? position)
    // guard: namespace-bytes
    guard range.count <= SocketIOPacket.namespaceBytesLimit,
      let name = String(validating: bytes[range], as: UTF8.self)
    else { throw .malformedNamespace }
    // Skip the comma, unless the packet ends here.
    if position < end { position += 1 }
    return name
  }

  private mutating func takeAcknowledgementID(
    of type: SocketIOPacketType
  ) throws(ProtocolViolation) -> UInt64? {
    guard let byte = peek(), UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte else {
      // guard: acknowledgement-id-required
      guard !type.isAcknowledgement else { throw .missingAcknowledgementID }
      return nil
    }
    // guard: acknowledgement-id-belongs
    guard type.isEvent || type.isAcknowledgement else { throw .misplacedAcknowledgementID }
    // guard: acknowledgement-id-limit
    guard let id = takeDecimal(), id <= SocketIOPacket.acknowledgementIDLimit else {
      throw .malformedAcknowledgementID
    }
    return id
  }

  /// Takes decimal digits without a leading zero; nil if there are none.
  ///
  /// A number that does not fit 64 bits is returned as the greatest, which is over every limit.
  private mutating func takeDecimal() -> UInt64? {
    let start = position
    var value: UInt64 = 0
    while let byte = peek(), UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte {
      let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = shifted.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
      // guard: socketio-number-overflow
      value = overflow || carry ? .max : sum
      position += 1
    }
    // guard: socketio-number-spelling
    guard position > start, position == start + 1 || bytes[start] != UInt8(ascii: "0") else {
      return nil
    }
    return value
  }

  /// Checks by its first byte that the data is of the kind that a packet of this type carries.
  ///
  /// Not even white space may precede the data: one reader could take a number after it for the id
  /// and another for the data.
  private func checkKind(of type: SocketIOPacketType) throws(ProtocolViolation) {
    let isRight =
      switch (type, peek()) {
      case (.connect, nil), (.connect, UInt8(ascii: "{")): true
      case (.disconnect, nil): true
      case (.event, UInt8(ascii: "[")), (.binaryEvent, UInt8(ascii: "[")): true
      case (.acknowledgement, UInt8(ascii: "[")): true
      case (.binaryAcknowledgement, UInt8(ascii: "[")): true
      case (.connectError, nil), (.connectError, UInt8(ascii: "\"")): true
      case (.connectError, UInt8(ascii: "{")): true
      default: false
      }
    // guard: packet-data-kind
    guard isRight else { throw .invalidPacketData }
  }

  private func peek() -> UInt8? {
    position < end ? bytes[position] : nil
  }
}
