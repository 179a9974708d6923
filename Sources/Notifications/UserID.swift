// User ids.
//
// A user id is text chosen by the token's issuer. Two ids are the same exactly when their bytes
// are: the store and the tokens compare bytes. Swift's own `==` on strings would also equate the
// composed and the decomposed spelling of one letter, which are two users.

/// The id of a user: 1 to 128 bytes of UTF-8 without control characters.
package typealias UserID = String

/// Validation rules for user ids.
package enum UserIDs {
  package static let byteCountLimit = 128

  /// Whether `id` is a valid user id.
  package static func isValid(_ id: UserID) -> Bool {
    let count = id.utf8.count
    guard count >= 1, count <= byteCountLimit else { return false }
    return !id.hasControlCharacter
  }
}

extension String {
  /// Whether the text has a control character (category Cc: U+0000-001F and U+007F-009F).
  package var hasControlCharacter: Bool {
    var previous: UInt8 = 0
    for byte in utf8 {
      if byte < 0x20 || byte == 0x7F { return true }
      // U+0080-009F are C2 80 to C2 9F.
      if previous == 0xC2 && byte < 0xA0 { return true }
      previous = byte
    }
    return false
  }
}
