// Writing packets of Socket.IO: protocol version 5, "Packet encoding".
//
// Each packet is appended to the bytes already present, such as the type of the Engine.IO message
// that carries it; so a packet is written once and serves any number of connections. Names and
// numbers are the server's own or were checked by the parser, so none can break a packet.

extension SocketIOPacket {
  /// Appends the answer to a client that is accepted.
  ///
  /// `privateSessionID` is for clients that may recover their state: they send it when they
  /// reconnect.
  package static func appendConnected(
    sessionID: String, privateSessionID: String? = nil, namespace: String = mainNamespace,
    into bytes: inout [UInt8]
  ) {
    appendHeader(.connect, namespace: namespace, into: &bytes)
    bytes.openObject()
    bytes.member("sid", sessionID)
    if let privateSessionID { bytes.member("pid", privateSessionID) }
    bytes.closeObject()
  }

  /// Appends the answer to a client that is rejected; `data` is JSON.
  package static func appendConnectError(
    message: String, data: [UInt8]? = nil, namespace: String = mainNamespace,
    into bytes: inout [UInt8]
  ) {
    appendHeader(.connectError, namespace: namespace, into: &bytes)
    bytes.openObject()
    bytes.member("message", message)
    if let data { bytes.member("data", json: data) }
    bytes.closeObject()
  }

  /// Appends a packet that disconnects the client from the namespace.
  package static func appendDisconnect(
    namespace: String = mainNamespace, into bytes: inout [UInt8]
  ) {
    appendHeader(.disconnect, namespace: namespace, into: &bytes)
  }

  /// Appends an event; `arguments` writes its arguments as JSON, separated by commas.
  ///
  /// With an `attachmentCount` it is a binary event, and the arguments have a placeholder for each
  /// of the attachments, which follow as binary messages.
  package static func appendEvent(
    _ name: String, namespace: String = mainNamespace, acknowledgementID: UInt64? = nil,
    attachmentCount: Int? = nil, into bytes: inout [UInt8],
    arguments: (inout [UInt8]) -> Void = { _ in }
  ) {
    assert(!reservedEventNames.contains(name), "event: \(name)")
    appendHeader(
      attachmentCount == nil ? .event : .binaryEvent, attachmentCount: attachmentCount,
      namespace: namespace, acknowledgementID: acknowledgementID, into: &bytes)
    bytes.openArray()
    bytes.appendJSONString(name)
    bytes.beginElement()
    let start = bytes.count
    arguments(&bytes)
    if bytes.count == start { bytes.removeLast() }
    bytes.closeArray()
  }

  /// Appends the acknowledgement of an event; `arguments` writes its arguments as for an event.
  package static func appendAcknowledgement(
    _ id: UInt64, namespace: String = mainNamespace, attachmentCount: Int? = nil,
    into bytes: inout [UInt8], arguments: (inout [UInt8]) -> Void = { _ in }
  ) {
    appendHeader(
      attachmentCount == nil ? .acknowledgement : .binaryAcknowledgement,
      attachmentCount: attachmentCount, namespace: namespace, acknowledgementID: id, into: &bytes)
    bytes.openArray()
    arguments(&bytes)
    bytes.closeArray()
  }

  private static func appendHeader(
    _ type: SocketIOPacketType, attachmentCount: Int? = nil, namespace: String,
    acknowledgementID: UInt64? = nil, into bytes: inout [UInt8]
  ) {
    assert(namespace.utf8.first == UInt8(ascii: "/"), "namespace: \(namespace)")
    assert(!namespace.utf8.contains(UInt8(ascii: ",")), "namespace: \(namespace)")
    bytes.append(type.byte)
    if let attachmentCount {
      precondition(0...attachmentCountLimit ~= attachmentCount, "attachments: \(attachmentCount)")
      bytes.appendDecimal(attachmentCount)
      bytes.append(UInt8(ascii: "-"))
    }
    if namespace != mainNamespace {
      bytes.appendText(namespace)
      bytes.append(UInt8(ascii: ","))
    }
    if let acknowledgementID { bytes.appendDecimal(acknowledgementID) }
  }
}
