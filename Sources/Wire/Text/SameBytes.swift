// Equality of text where it is an identity.
//
// `==` treats canonically equivalent strings as equal: the composed and the decomposed é, or the
// Kelvin sign and the letter K. The ids of users, the names of rooms, keys, claims and origins are
// bytes (RFC 7515 and 7519 compare names without any transformation), so they are compared here, or
// as `TextKey` where they are keys of a collection.

extension String {
  /// Whether both are the same bytes of UTF-8.
  package func hasSameBytes(as other: String) -> Bool {
    let (one, another) = (utf8, other.utf8)
    return one.count == another.count && one.elementsEqual(another)
  }
}
