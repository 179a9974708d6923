// User ids as tokens give them.
//
// The id becomes a key of the store, a field of JSON and a word in a log line, so text that would
// be invisible or break the line there is not accepted as an id.

/// Reads the user id from its claim.
package enum UserIdentifier {
  /// The most bytes of an id.
  package static let bytesLimit = 128

  /// 1 to 128 bytes without control characters: Unicode's category Cc, which is C0, DEL and C1.
  static func isValid(_ text: String) -> Bool {
    (1...bytesLimit).contains(text.utf8.count)
      && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
  }

  /// An integer's decimal digits as they were sent, or nil if the number is not written as an
  /// integer.
  ///
  /// The text is kept and not converted: ids of 64 bits and more are exact, and nothing can
  /// overflow. `-0`, `1.0` and `1e3` would be second spellings of an id and are refused.
  static func decimal(_ number: ArraySlice<UInt8>) -> String? {
    let digits = number.first == UInt8(ascii: "-") ? number.dropFirst() : number
    guard (1...bytesLimit).contains(number.count),
      digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      digits.count == number.count || digits.first != UInt8(ascii: "0")
    else { return nil }
    return String(decoding: number, as: UTF8.self)
  }
}
