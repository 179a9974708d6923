// The decision on a body before its first byte is read: its size, and the share of its caller.

internal import Wire

extension HTTPConnections {
  /// The answer to a request whose body is too long, or has no room beside the bodies in flight of
  /// such callers.
  ///
  /// Nil when the body that `head` announces may be received: it is counted for `caller`. `limit`
  /// is in bytes.
  func refusal(
    ofBodyOf head: HTTPRequestHead, by caller: Caller, limit: Int, at slot: UInt32
  ) -> Answer? {
    guard head.hasBody else { return nil }
    if let length = head.contentLength, length > limit {
      return .failure(413, "too_large", "a body here has at most \(limit) bytes")
    }
    let holder = BodyHolder(caller, at: table[slot].peer)
    guard bodies.hasRoom(for: head, bodyLimit: limit, of: holder) else {
      return HTTPConnections.tooManyBodies
    }
    assert(exchange(at: slot).countedBytes == 0, "another body is counted at \(slot)")
    exchange(at: slot).bodyHolder = holder
    return nil
  }

  static let tooManyBodies = Answer.unavailable("busy", "too many request bodies at once")
}
