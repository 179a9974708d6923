// Parsing in place: runs a parser on received bytes and returns its result or throws its error.

internal import Reactor

extension ScratchBuffer {
  /// Calls `body` with the bytes [offset, end) and returns its result.
  ///
  /// Defined in this module and not beside the buffer, so that the compiler specialises it for each
  /// parser.
  func withSpan<R, E: Error>(
    from offset: Int, to end: Int, _ body: (borrowing Span<UInt8>) throws(E) -> R
  ) throws(E) -> R {
    var outcome: Result<R, E>?
    read(from: offset, to: end) { bytes in
      do throws(E) {
        outcome = .success(try body(bytes))
      } catch {
        outcome = .failure(error)
      }
    }
    guard let outcome else { preconditionFailure("the buffer did not call its reader") }
    return try outcome.get()
  }
}
