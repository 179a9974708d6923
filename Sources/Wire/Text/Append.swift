// Appends text and numbers to a byte array.
//
// Output is built as bytes from the start: an intermediate `String` would cost one more copy and
// one more allocation for each event and dialect.

extension [UInt8] {
  /// Appends a string's UTF-8 as it is.
  package mutating func appendText(_ text: String) {
    append(contentsOf: text.utf8)
  }

  /// Makes room for `additionalCount` more bytes.
  ///
  /// An empty array gets exactly this room. Any other at least doubles: `reserveCapacity` alone
  /// would move all bytes at each call.
  package mutating func makeRoom(for additionalCount: Int) {
    let needed = count + additionalCount
    guard needed > capacity else { return }
    // guard: room-doubles
    reserveCapacity(isEmpty ? needed : Swift.max(needed, 2 * capacity))
  }

  /// Appends a number in decimal digits.
  package mutating func appendDecimal(_ number: UInt64) {
    var width = 1
    var rest = number / 10
    while rest > 0 {
      width += 1
      rest /= 10
    }
    let start = count
    append(contentsOf: repeatElement(UInt8(ascii: "0"), count: width))
    setDigits(of: number, in: start..<(start + width))
  }

  /// Appends a number in decimal digits, after a minus sign when it is negative.
  package mutating func appendDecimal(_ number: Int64) {
    if number < 0 { append(UInt8(ascii: "-")) }
    appendDecimal(number.magnitude)
  }

  /// Appends a number in decimal digits, after a minus sign when it is negative.
  package mutating func appendDecimal(_ number: Int) {
    appendDecimal(Int64(number))
  }

  /// Appends a number of any integer type in decimal digits.
  ///
  /// The concrete forms above are for the hot paths: a generic call across modules is not
  /// specialised.
  package mutating func appendDecimal(_ number: some BinaryInteger) {
    if let small = Int64(exactly: number) {
      appendDecimal(small)
    } else {
      appendText(String(number))
    }
  }

  /// Overwrites a field with a number's lowest decimal digits, padded with zeros.
  mutating func setDigits(of number: UInt64, in field: Range<Int>) {
    var rest = number
    for index in field.reversed() {
      self[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
  }
}
