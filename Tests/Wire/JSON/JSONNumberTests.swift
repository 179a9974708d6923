// Numbers from peers: none may trap, whatever its size.

import Testing

@testable import Wire

@Suite("RFC 8259, 6: numbers")
struct JSONNumberTests {
  static func integer(_ text: String) -> Int64? {
    var reader = JSONReader(Array(text.utf8))
    do {
      let value = try reader.readInteger()
      try reader.finish()
      return value
    } catch { return nil }
  }

  static func double(_ text: String) -> Double? {
    var reader = JSONReader(Array(text.utf8))
    do {
      let value = try reader.readDouble()
      try reader.finish()
      return value
    } catch { return nil }
  }

  // Case 33
  @Test("powers of two ± 1, of either sign, are read exactly or refused as out of range")
  func powersOfTwo() {
    for exponent in 0...130 {
      for delta in [-1, 0, 1] {
        for sign in ["", "-"] {
          let text = sign + Self.decimal(powerOfTwo: exponent, plus: delta)
          // The compiler's own conversion is the reference.
          #expect(Self.integer(text) == Int64(text), "\(text)")
          #expect(Self.double(text) == Double(text), "\(text)")
        }
      }
    }
    #expect(Self.integer("9223372036854775807") == Int64.max)
    #expect(Self.integer("9223372036854775808") == nil)
    #expect(Self.integer("-9223372036854775808") == Int64.min)
    #expect(Self.integer("-9223372036854775809") == nil)
  }

  // Case 33
  @Test("numbers of 400 digits are refused as values of either type, though they are JSON")
  func fourHundredDigits() {
    let numbers = [
      String(repeating: "9", count: 400), "-" + String(repeating: "1", count: 400),
      "1" + String(repeating: "0", count: 399), "0." + String(repeating: "0", count: 398) + "1",
      "1e" + String(repeating: "9", count: 398), "-1e-" + String(repeating: "9", count: 397),
    ]
    for text in numbers {
      #expect(Self.integer(text) == nil)
      #expect(Self.double(text) == nil)
      #expect(skipViolation(Array(text.utf8)) == nil)
    }
  }

  // Case 33
  @Test("an integer has neither fraction nor exponent, even if its value is whole")
  func integersOnly() {
    for text in ["1.0", "1e3", "1E0", "0.0", "-0.0", "0e0", "1e308", "1.5", "10e-1"] {
      #expect(Self.integer(text) == nil, "\(text)")
      #expect(Self.double(text) == Double(text), "\(text)")
    }
    let whole: [(String, Int64)] = [("0", 0), ("-0", 0), ("7", 7), (" -12 ", -12)]
    for (text, value) in whole { #expect(Self.integer(text) == value) }
    for text in ["", "-", "01", "+1", "0x1", "1_0", "\"1\"", "true", "null", "1 1", "٣"] {
      #expect(Self.integer(text) == nil, "\(text)")
      #expect(Self.double(text) == nil, "\(text)")
    }
  }

  // Case 33
  @Test("a double is finite or refused")
  func doubles() {
    let table: [(String, Double?)] = [
      ("1e308", 1e308), ("-1e308", -1e308), ("1.7976931348623157e308", .greatestFiniteMagnitude),
      ("1e309", nil), ("-1e309", nil), ("1e400", nil), ("1e999999999999999999999", nil),
      ("5e-324", .leastNonzeroMagnitude), ("1e-400", 0), ("0.1", 0.1),
      ("-0", -0.0), ("2.2250738585072011e-308", Double("2.2250738585072011e-308")),
      ("0." + String(repeating: "3", count: 126), 1.0 / 3),
      ("0." + String(repeating: "3", count: 127), nil),
    ]
    for (text, value) in table { #expect(Self.double(text) == value, "\(text)") }
  }

  /// 2^exponent + delta in decimal digits, digit by digit: no integer type here holds it.
  static func decimal(powerOfTwo exponent: Int, plus delta: Int) -> String {
    var digits = [1]  // the lowest first
    for _ in 0..<exponent {
      var carry = 0
      for index in digits.indices {
        let doubled = digits[index] * 2 + carry
        digits[index] = doubled % 10
        carry = doubled / 10
      }
      if carry > 0 { digits.append(carry) }
    }
    var carry = delta
    for index in digits.indices where carry != 0 {
      let sum = digits[index] + carry
      digits[index] = (sum + 10) % 10
      carry = sum < 0 ? -1 : sum / 10
    }
    if carry > 0 { digits.append(carry) }
    while digits.count > 1, digits.last == 0 { digits.removeLast() }
    return digits.reversed().map(String.init).joined()
  }
}
