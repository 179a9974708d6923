// UTF-8 that arrives in pieces: RFC 3629.

internal import CReactor

/// How far an incremental UTF-8 validation is between two pieces.
///
/// Four bytes, trivially copyable.
package struct UTF8Validation: Sendable {
  private var state = cl_utf8()

  package init() {}

  /// Whether no character is left unfinished.
  package var isComplete: Bool {
    var copy = state
    return unsafe cl_utf8_complete(&copy)
  }

  /// Takes the next piece; false as soon as the bytes so far cannot begin valid UTF-8.
  mutating func feed(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let start = bytes.baseAddress else { return true }
    // SAFETY: the buffer is readable for its count.
    return unsafe cl_utf8_feed(
      &state, start.assumingMemoryBound(to: UInt8.self), bytes.count)
  }
}
