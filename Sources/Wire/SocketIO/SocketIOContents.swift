// The event name, arguments and placeholders in a Socket.IO packet's JSON: protocol version 5,
// "Packet encoding".
//
// One pass checks all of the JSON and finds the event's name, the ranges of the arguments and, in a
// packet with binary data, the objects `{"_placeholder":true,"num":N}` that stand for that data.

/// Reads the JSON and collects the name, the arguments and the placeholders.
struct SocketIOContents {
  private enum Name { case text(String), number, missing }

  /// An object with `"_placeholder":true`.
  struct PendingAuthentication {
    let range: Range<Int>
    /// The range of its number; nil if it has none, or has further members.
    let number: Range<Int>?
  }

  private let findsPlaceholders: Bool
  private var name = Name.missing
  /// The ranges of the arguments, which exclude an event's name.
  private(set) var arguments: [Range<Int>] = []
  /// At most one more than `attachmentCountLimit`.
  private(set) var candidates: [PendingAuthentication] = []

  init(findsPlaceholders: Bool) { self.findsPlaceholders = findsPlaceholders }

  /// Reads one JSON text to its end; for an event or an acknowledgement it must be an array.
  mutating func read(
    _ reader: inout JSONReader, of type: SocketIOPacketType
  ) throws(JSONViolation) {
    if type.isEvent || type.isAcknowledgement {
      var isName = type.isEvent
      try reader.readArray { (reader) throws(JSONViolation) in
        let start = reader.position
        if isName { try readName(&reader) } else { try readValue(&reader) }
        if !isName { arguments.append(start..<reader.position) }
        isName = false
      }
    } else {
      try readValue(&reader)
    }
    // guard: no-bytes-after-packet-json
    try reader.finish()
  }

  /// The name of the event that was read; nil if the name is a number.
  func checkedEventName() throws(ProtocolViolation) -> String? {
    switch name {
    case .text(let text):
      // guard: reserved-event-names
      guard !SocketIOPacket.reservedEventNames.contains(text) else { throw .reservedEventName }
      return text
    case .number: return nil
    // guard: event-has-name
    case .missing: throw .invalidPacketData
    }
  }

  /// The placeholders found; there must be exactly one for each attachment.
  ///
  /// The reference also accepts several placeholders for one attachment, or none. No encoder writes
  /// either, and with several a small message becomes a large one once the data is put in its
  /// places.
  func placeholders(
    for attachmentCount: Int, in bytes: [UInt8]
  ) throws(ProtocolViolation) -> [SocketIOPlaceholder] {
    // guard: placeholders-match-attachments
    guard candidates.count == attachmentCount else { throw .invalidPlaceholder }
    var placeholders: [SocketIOPlaceholder] = []
    for pending in candidates {
      // guard: placeholder-in-range
      // guard: placeholder-used-once
      guard let range = pending.number,
        let number = SocketIOContents.integer(at: range, in: bytes),
        0..<Int64(attachmentCount) ~= number,
        !placeholders.contains(where: { $0.attachment == number })
      else { throw .invalidPlaceholder }
      placeholders.append(
        SocketIOPlaceholder(range: pending.range, attachment: Int(number)))
    }
    return placeholders
  }

  private mutating func readName(_ reader: inout JSONReader) throws(JSONViolation) {
    switch try reader.nextKind() {
    case .string: name = .text(try reader.readString())
    case .number:
      name = .number
      _ = try reader.skipValue()
    case .object, .array, .boolean, .null: _ = try reader.skipValue()
    }
  }

  // Recurses into containers; the reader's depth limit bounds the recursion.
  private mutating func readValue(_ reader: inout JSONReader) throws(JSONViolation) {
    guard findsPlaceholders else {
      _ = try reader.skipValue()
      return
    }
    switch try reader.nextKind() {
    case .array:
      try reader.readArray { (reader) throws(JSONViolation) in try readValue(&reader) }
    case .object: try readObject(&reader)
    case .string, .number, .boolean, .null: _ = try reader.skipValue()
    }
  }

  private mutating func readObject(_ reader: inout JSONReader) throws(JSONViolation) {
    let start = reader.position
    var isPlaceholder = false
    var number: Range<Int>?
    var memberCount = 0
    try reader.readObject { (reader, name) throws(JSONViolation) in
      memberCount += 1
      switch (name, try reader.nextKind()) {
      case ("_placeholder", .boolean): isPlaceholder = try reader.readBool()
      case ("num", .number): number = try reader.skipValue()
      default: try readValue(&reader)
      }
    }
    // One more than allowed is enough to refuse the packet.
    // guard: placeholder-candidates-bounded
    guard isPlaceholder, candidates.count <= SocketIOPacket.attachmentCountLimit else { return }
    // guard: placeholder-has-two-members
    candidates.append(
      PendingAuthentication(range: start..<reader.position, number: memberCount == 2 ? number : nil)
    )
  }

  private static func integer(at range: Range<Int>, in bytes: [UInt8]) -> Int64? {
    var reader = JSONReader(bytes, in: range)
    do throws(JSONViolation) {
      return try reader.readInteger()
    } catch {
      return nil
    }
  }
}
