// A WebSocket message: whole, or as it arrives in fragments.

internal import Reactor
internal import Wire

/// A whole message of a client.
struct ClientMessage {
  /// Whether its bytes are text, which is valid UTF-8.
  let isText: Bool
  let bytes: [UInt8]
}

/// A message with some fragments still to come.
final class MessageAssembly {
  var sequence: FrameSequence
  var isText = false
  var utf8 = UTF8Validation()
  var bytes: [UInt8] = []
  private var authPrefix = AuthMessage.Prefix()

  /// Whether the message can still turn out to be an `auth` message.
  var canBeAuth: Bool { authPrefix.canBegin(bytes) }

  init(sequence: FrameSequence) { self.sequence = sequence }
}
