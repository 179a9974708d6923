// The sequence of frames that makes up messages: RFC 6455, section 5.4.
//
// It sees headers only, before their payloads have arrived. So a message that would exceed the
// limit is refused at the header of the frame that exceeds it, and nothing is allocated or read for
// a payload that will not be kept.

/// A frame's role in the message it belongs to.
package enum FrameRole: Equatable, Sendable {
  case control(WebSocketOpcode)
  case data(isText: Bool, startsMessage: Bool, endsMessage: Bool)
}

/// Tracks one direction of one connection, header by header.
///
/// Invariant: between messages both counts are zero; inside one, `1 <= fragmentCount <=
/// fragmentCountLimit` and `0 <= messageByteCount`.
package struct FrameSequence: Sendable {
  /// The most bytes that the frames of one message may announce in total.
  ///
  /// It may change at any time (an unauthenticated client is allowed less); a message in progress
  /// is checked against the new value at its next frame.
  package var messageBytesLimit: Int
  /// The most frames of one message; empty ones count too, because they cost their sender nothing.
  package let fragmentCountLimit: Int

  private var isText = false
  private var fragmentCount = 0
  private var messageByteCount = 0

  /// The most frames of one message, unless `init` names a number.
  package static let standardFragmentCountLimit = 1_024

  package init(
    messageBytesLimit: Int, fragmentCountLimit: Int = FrameSequence.standardFragmentCountLimit
  ) {
    precondition(messageBytesLimit >= 0, "messageBytesLimit: \(messageBytesLimit)")
    precondition(fragmentCountLimit >= 1, "fragmentCountLimit: \(fragmentCountLimit)")
    self.messageBytesLimit = messageBytesLimit
    self.fragmentCountLimit = fragmentCountLimit
  }

  /// Whether a message has begun and not ended.
  package var isInsideMessage: Bool { fragmentCount > 0 }

  /// Checks the next frame's header and returns the frame's role.
  ///
  /// The order of checks: sequence (1002), then size (1009), then number of fragments (1008). After
  /// a violation the sequence is unchanged by the call; the caller must close the connection.
  package mutating func accept(_ header: FrameHeader) throws(ProtocolViolation) -> FrameRole {
    // guard: control-frame-inside-message
    if header.opcode.isControl { return .control(header.opcode) }

    let startsMessage = !header.opcode.isContinuation
    if startsMessage {
      // guard: messages-do-not-interleave
      guard !isInsideMessage else { throw .interleavedMessage }
    } else {
      // guard: continuation-needs-message
      guard isInsideMessage else { throw .strayContinuation }
    }
    // guard: message-sum-overflow
    let (byteCount, overflow) = messageByteCount.addingReportingOverflow(header.payloadLength)
    // guard: message-limit-is-a-sum
    guard !overflow, byteCount <= messageBytesLimit else { throw .messageTooBig }
    guard fragmentCount < fragmentCountLimit else { throw .tooManyFragments }

    if startsMessage { isText = header.opcode.isText }
    // guard: fragments-counted
    // guard: empty-fragments-counted
    fragmentCount = header.isFinal ? 0 : fragmentCount + 1
    messageByteCount = header.isFinal ? 0 : byteCount
    checkInvariants()
    return .data(isText: isText, startsMessage: startsMessage, endsMessage: header.isFinal)
  }

  private func checkInvariants() {
    assert(0 <= fragmentCount)
    assert(fragmentCount <= fragmentCountLimit)
    assert(0 <= messageByteCount)
    assert(fragmentCount > 0 || messageByteCount == 0)
  }
}
