// Assembly of a Socket.IO packet and its attachments: protocol version 5, "Packet encoding".
//
// A packet that announces attachments is followed by exactly that many binary messages, and nothing
// may come between them. The caller limits the time that a client may take for them.

/// A packet with its attachments.
package struct SocketIOMessage: Equatable, Sendable {
  package fileprivate(set) var packet: SocketIOPacket
  /// The bytes that the packet's ranges index.
  package let bytes: [UInt8]
  /// As many as the packet announced, in the order of arrival.
  package fileprivate(set) var attachments: [[UInt8]] = []
}

/// Assembles one client's packets, message by message.
///
/// Invariant: a packet is pending only while attachments are missing, and then its bytes and those
/// of its attachments are at most `bytesLimit`.
package struct SocketIOAssembly: Sendable {
  /// The most bytes of one packet, including its attachments.
  package let bytesLimit: Int
  private(set) var pending: SocketIOMessage?
  private var byteCount = 0

  package init(bytesLimit: Int) {
    precondition(bytesLimit >= 0, "bytesLimit: \(bytesLimit)")
    self.bytesLimit = bytesLimit
  }

  /// The number of attachments that must arrive before anything else may.
  package var missingCount: Int {
    pending.map { $0.packet.attachmentCount - $0.attachments.count } ?? 0
  }

  /// Accepts a packet's text; nil while attachments are due.
  ///
  /// A complete packet keeps the caller's array. One that may have to wait copies its own part, so
  /// that it does not retain a large body of which it is a small piece. After a violation nothing
  /// is pending, and the caller must close the connection.
  package mutating func accept(
    text bytes: [UInt8], in range: Range<Int>? = nil
  ) throws(ProtocolViolation) -> SocketIOMessage? {
    let range = range ?? 0..<bytes.count
    // guard: attachments-follow-packet
    guard pending == nil else {
      abandon()
      throw .missingAttachments
    }
    // guard: packet-text-limit
    guard range.count <= bytesLimit else { throw .messageTooBig }
    let type = range.first.flatMap { SocketIOPacketType(byte: bytes[$0]) }
    guard let type, type.isBinary else {
      return SocketIOMessage(packet: try SocketIOPacket.decode(bytes, in: range), bytes: bytes)
    }
    // guard: pending-packet-copies-own-bytes
    let own = Array(bytes[range])
    var message = SocketIOMessage(packet: try SocketIOPacket.decode(own), bytes: own)
    guard message.packet.attachmentCount > 0 else { return message }
    // The ranges of small arguments need eight times their bytes. So a packet that waits keeps
    // none, and is read again once it is complete.
    // guard: pending-packet-keeps-no-ranges
    message.packet.arguments = []
    pending = message
    byteCount = own.count
    checkInvariants()
    return nil
  }

  /// Accepts an attachment; nil while more are due.
  package mutating func accept(
    binary data: [UInt8]
  ) throws(ProtocolViolation) -> SocketIOMessage? {
    guard var message = pending else { throw .unexpectedAttachment }
    // Moved out of the assembly, so that it has one owner and the append copies nothing.
    pending = nil
    let (sum, overflow) = byteCount.addingReportingOverflow(data.count)
    // guard: packet-sum-limit
    guard !overflow, sum <= bytesLimit else {
      abandon()
      throw .messageTooBig
    }
    message.attachments.append(data)
    guard message.attachments.count < message.packet.attachmentCount else {
      abandon()
      message.packet = try SocketIOPacket.decode(message.bytes)
      return message
    }
    pending = message
    byteCount = sum
    checkInvariants()
    return nil
  }

  /// Discards the pending packet.
  package mutating func abandon() {
    pending = nil
    byteCount = 0
  }

  private func checkInvariants() {
    assert(byteCount <= bytesLimit)
    assert((pending == nil) == (missingCount == 0))
  }
}
