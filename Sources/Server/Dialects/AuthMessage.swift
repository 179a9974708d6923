// `{"type":"auth","token":"…"}`: a message that every WebSocket dialect accepts.
//
// It carries the first token of a client that connected without one, and later a fresh token before
// the current one expires.

/// The beginnings of `auth` messages; `InboundMessage` parses whole ones.
enum AuthMessage {
  /// How many bytes of a longer message are searched for `"auth"` or `"token"`.
  static let headByteCount = 512

  /// Decides whether a message that arrives in pieces can still turn out to be an `auth` message.
  ///
  /// It looks at each byte a bounded number of times, however many pieces there are: past the first
  /// `headByteCount` bytes the decision is final.
  struct Prefix {
    private var decision: Bool?
    /// White space before the message's first character.
    private var blankByteCount = 0

    /// Whether a message that begins with `bytes` can still be an `auth` message.
    ///
    /// `bytes` must begin with those of the previous call.
    mutating func canBegin(_ bytes: [UInt8]) -> Bool {
      // guard: auth-prefix-decided-once
      if let decision { return decision }
      while blankByteCount < bytes.count,
        [0x20, 0x09, 0x0A, 0x0D].contains(bytes[blankByteCount])
      {
        blankByteCount += 1
      }
      if blankByteCount < bytes.count, bytes[blankByteCount] != UInt8(ascii: "{") {
        decision = false
        return false
      }
      guard bytes.count > headByteCount else { return true }
      let head = bytes.prefix(headByteCount)
      let isFound = ["\"auth\"", "\"token\""].contains {
        head.firstRange(of: Array($0.utf8)) != nil
      }
      decision = isFound
      return isFound
    }
  }
}
