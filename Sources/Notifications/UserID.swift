// User ids.
//
// A user id is text chosen by the token's issuer. Two ids are the same exactly when their bytes
// are: the store and the tokens compare bytes. Swift's own `==` on strings would also equate the
// composed and the decomposed spelling of one letter, which are two users.

/// The id of a user: 1 to 128 bytes of UTF-8 without control characters, as `UserIDs` checks.
package typealias UserID = String
