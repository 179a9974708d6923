// External names as keys.
//
// Two names are the same exactly when their bytes are. `==` on strings would also equate the
// composed and the decomposed spelling of one letter, which are two users, or two rooms.

internal import Wire

/// Text as a key of a dictionary or set: equality and order are those of the bytes.
package struct TextKey: Hashable, Comparable, Sendable {
  package let text: String

  package init(_ text: String) {
    self.text = text
  }

  package static func == (left: TextKey, right: TextKey) -> Bool {
    // guard: text-key-bytes
    left.text.hasSameBytes(as: right.text)
  }

  package static func < (left: TextKey, right: TextKey) -> Bool {
    // Indexing the bytes takes half the time of the views' own comparison, which matters in
    // sorting.
    let (one, other) = (left.text.utf8.span, right.text.utf8.span)
    for index in 0..<min(one.count, other.count) where one[index] != other[index] {
      return one[index] < other[index]
    }
    return one.count < other.count
  }

  /// Hashes the bytes.
  ///
  /// The hash of a string is the same for all spellings of its letters, so a client could choose a
  /// million names of rooms with one hash.
  package func hash(into hasher: inout Hasher) {
    // guard: text-key-hashes-bytes
    TextKey.combine(text.utf8.span, into: &hasher)
  }

  /// Combines eight bytes at a time, which takes less time than single ones.
  private static func combine(_ bytes: borrowing Span<UInt8>, into hasher: inout Hasher) {
    var word: UInt64 = 0
    for index in 0..<bytes.count {
      word = word &* 256 &+ UInt64(bytes[index])
      guard index % 8 == 7 else { continue }
      hasher.combine(word)
      word = 0
    }
    hasher.combine(word)
    // Leading zeros, and keys that are hashed together, differ in their lengths.
    hasher.combine(UInt8(truncatingIfNeeded: bytes.count))
  }
}
