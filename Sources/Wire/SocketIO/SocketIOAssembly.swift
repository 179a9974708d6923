// How a packet of Socket.IO comes by its attachments: protocol version 5, "Packet encoding".
//
// A packet that announces attachments is followed by exactly so many binary messages, and nothing
// comes between. How long a client may take over them is for the caller's clock.

/// A packet with all that belongs to it.
package struct SocketIOMessage: Equatable, Sendable {
  package let packet: SocketIOPacket
  /// What the packet's ranges index.
  package let bytes: [UInt8]
  /// As many as the packet announced, in the order in which they came.
  package fileprivate(set) var attachments: [[UInt8]] = []
}

/// Puts one client's packets together, message by message.
///
/// Invariant: something is under way only while attachments are missing, and then its bytes and
/// those of its attachments are at most `bytesLimit`.
package struct SocketIOAssembly: Sendable {
  /// The most bytes of one packet, those of its attachments included.
  package let bytesLimit: Int
  private var pending: SocketIOMessage?
  private var byteCount = 0

  package init(bytesLimit: Int) {
    precondition(bytesLimit >= 0, "bytesLimit: \(bytesLimit)")
    self.bytesLimit = bytesLimit
  }

  /// How many attachments are due before anything else may come.
  package var missingCount: Int {
    pending.map { $0.packet.attachmentCount - $0.attachments.count } ?? 0
  }

  /// Takes a packet's text; nil while attachments are due.
  ///
  /// A packet that is whole keeps the caller's array; one that may wait has a copy of its own part,
  /// so that it does not hold on to a body of which it was the smallest piece. After a violation
  /// nothing is under way, and the connection is to be closed.
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
    let message = SocketIOMessage(packet: try SocketIOPacket.decode(own), bytes: own)
    guard message.packet.attachmentCount > 0 else { return message }
    pending = message
    byteCount = own.count
    checkInvariants()
    return nil
  }

  /// Takes an attachment; nil while more are due.
  package mutating func accept(
    binary data: [UInt8]
  ) throws(ProtocolViolation) -> SocketIOMessage? {
    guard var message = pending else { throw .unexpectedAttachment }
    // Out of the assembly, so that there is one owner and nothing is copied.
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
      return message
    }
    pending = message
    byteCount = sum
    checkInvariants()
    return nil
  }

  /// Forgets what is under way.
  package mutating func abandon() {
    pending = nil
    byteCount = 0
  }

  private func checkInvariants() {
    assert(byteCount <= bytesLimit)
    assert((pending == nil) == (missingCount == 0))
  }
}
