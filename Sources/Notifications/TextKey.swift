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

  /// Hashes the text, not the bytes.
  ///
  /// That is faster for short text, and valid: equal bytes are equal text.
  package func hash(into hasher: inout Hasher) {
    text.hash(into: &hasher)
  }
}
