// User ids.
//
// A user id is text chosen by the token's issuer. Two ids are the same exactly when their bytes
// are: the store and the tokens compare bytes. Swift's own `==` on strings would also equate the
// composed and the decomposed spelling of one letter, which are two users.

internal import Wire

/// The id of a user: 1 to 128 bytes of UTF-8 without control characters.
package typealias UserID = String

/// Validation rules for user ids.
package enum UserIDs {
  package static let byteCountLimit = 128
  /// The rule in words, for the error of a field.
  package static let rule = "must be 1 to \(byteCountLimit) bytes without control characters"

  /// Whether `id` is a valid user id.
  package static func isValid(_ id: UserID) -> Bool {
    let count = id.utf8.count
    guard count >= 1, count <= byteCountLimit else { return false }
    return !id.hasControlCharacter
  }
}
