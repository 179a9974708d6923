// UTF-8 that arrives in pieces: RFC 3629.

internal import CReactor

/// The state of an incremental UTF-8 validation between two pieces.
///
/// Four bytes, trivially copyable.
package struct UTF8Validation: Sendable {
  private var state = cl_utf8()

  package init() {}

  /// Whether the bytes so far end at a character boundary.
  package var isComplete: Bool {
    var copy = state
    return unsafe cl_utf8_complete(&copy)
  }

  /// Validates the next piece; false once the bytes so far are not a prefix of valid UTF-8.
  mutating func feed(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let start = bytes.baseAddress else { return true }
    // SAFETY: the buffer is readable for its count.
    return unsafe cl_utf8_feed(
      &state, start.assumingMemoryBound(to: UInt8.self), bytes.count)
  }
}
