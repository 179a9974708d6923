// The limits on a message head. Every limit is enforced while the bytes arrive, even inside a line
// that never ends, so a peer cannot make a connection hold more than `headBytes`.

/// The largest sizes of a message head that are accepted.
///
/// A value at a limit is accepted; the first byte past it is a violation.
package struct HTTPLimits: Sendable {
  /// The whole head, from the first byte of the request line to the empty line: 431 past it.
  package var headBytes: Int
  /// The request target: 414 past it.
  ///
  /// A token in the query may be 8 KiB long, and a path precedes it.
  package var targetBytes: Int
  /// The number of header fields: 431 past it.
  package var fieldCount: Int
  /// One field's name: 431 past it.
  package var fieldNameBytes: Int
  /// One field's value, without the white space before it: 431 past it.
  package var fieldValueBytes: Int

  package init(
    headBytes: Int = 16_384, targetBytes: Int = 9_216, fieldCount: Int = 64,
    fieldNameBytes: Int = 256, fieldValueBytes: Int = 8_192
  ) {
    self.headBytes = headBytes
    self.targetBytes = targetBytes
    self.fieldCount = fieldCount
    self.fieldNameBytes = fieldNameBytes
    self.fieldValueBytes = fieldValueBytes
  }
}
