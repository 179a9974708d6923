// The rule for user ids, the same in a token, a body and a path.
//
// An id becomes a key of the store, a field of JSON and a word in a log line, so text that would be
// invisible or break the line there is not accepted.

/// Validation rules for user ids.
package enum UserIDs {
  package static let byteCountLimit = 128
  /// The rule in words, for the error of a field.
  package static let rule = "must be 1 to \(byteCountLimit) bytes without control characters"

  /// Whether `id` is a valid user id.
  package static func isValid(_ id: String) -> Bool { id.isName(byteCountLimit: byteCountLimit) }
}
