// Bytes as hexadecimal digits, the way that standards print them.

extension [UInt8] {
  /// The bytes in lower-case hexadecimal digits.
  var hex: String {
    map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}

/// The bytes of an even number of hexadecimal digits.
func bytes(hex: String) -> [UInt8] {
  let digits = Array(hex.utf8).map { UInt8(String(UnicodeScalar($0)), radix: 16)! }
  return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}
