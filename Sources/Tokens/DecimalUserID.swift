// User ids that a token gives as integers.

internal import Wire

extension UserIDs {
  /// An integer's decimal digits as they were sent, or nil if the number is not written as an
  /// integer.
  ///
  /// The text is kept and not converted: ids of 64 bits and more are exact, and nothing can
  /// overflow. `-0`, `1.0` and `1e3` would be second spellings of an id and are refused.
  static func decimal(_ number: ArraySlice<UInt8>) -> String? {
    let digits = number.first == UInt8(ascii: "-") ? number.dropFirst() : number
    guard (1...byteCountLimit).contains(number.count),
      digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      digits.count == number.count || digits.first != UInt8(ascii: "0")
    else { return nil }
    return String(decoding: number, as: UTF8.self)
  }
}
