// Bytes as hexadecimal digits, the way that standards print them.

extension [UInt8] {
  /// The bytes in lower-case hexadecimal digits.
  var hex: String {
    map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}
