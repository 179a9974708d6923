// A WebSocket message that arrives in fragments.

internal import Reactor
internal import Wire

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
