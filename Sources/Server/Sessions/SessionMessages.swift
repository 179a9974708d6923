// Messages to single sessions, in the encoding of each.

internal import Delivery
internal import Notifications

extension ShardComponent {
  /// Writes messages in the encoding of the session's group, and queues them for it.
  ///
  /// Like `send`, it does nothing once the session has ended or closes.
  func write(to slot: UInt32, _ body: (inout FrameWriter) -> Void) {
    guard table[slot].state == .session else { return }
    let encoder = encoder(of: slot)
    encoder.writer.removeAll()
    let replay = table[slot].activity.replay
    encoder.writer.opening = replay?.takeOpening()
    body(&encoder.writer)
    // No event was written, so the next one carries the opening.
    replay?.opening = encoder.writer.opening
    delivery.send(encoder.writer.bytes, to: slot)
  }

  /// Sends the client an error about its request, in dialects that have an error message.
  func sendError(_ code: String, _ message: String, at slot: UInt32) {
    let encoder = encoder(of: slot)
    encoder.writer.removeAll()
    encoder.dialect.writeError(code, message, time: wall, to: &encoder.writer)
    delivery.send(encoder.writer.bytes, to: slot)
  }
}
