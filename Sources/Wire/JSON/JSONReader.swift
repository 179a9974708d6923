// Reads JSON: RFC 8259, strictly, without extensions.
//
// A pull reader over bytes: the caller asks for the kind of value that it expects next, and the
// reader takes it or throws. It builds no tree and hashes nothing, so hostile documents (many keys,
// equal hashes, depth) cost no more than their length. It reads forward once; only white space is
// examined twice.

/// An error in a document, and the byte at which it was found.
package struct JSONViolation: Error, Equatable, Sendable {
  /// Constant text and numbers, never a part of the document.
  package let reason: String
  /// The byte's index in the array that the reader was given.
  package let position: Int

  package init(reason: String, position: Int) {
    self.reason = reason
    self.position = position
  }

  /// The reason with its place in the document that begins at `start`: line and column from 1.
  ///
  /// A column is a character, not a byte. The only line of a document that `isLine` has no number.
  package func located(in bytes: [UInt8], from start: Int = 0, isLine: Bool = false) -> String {
    let before = bytes[start..<min(max(start, position), bytes.count)]
    let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? start
    // Of a character's bytes all but the first are 10xxxxxx.
    let column = 1 + before[lineStart...].count { $0 & 0xC0 != 0x80 }
    if isLine { return "\(reason) at column \(column)" }
    // guard: json-error-has-line
    let line = 1 + before.count { $0 == 0x0A }
    return "\(reason) at line \(line), column \(column)"
  }
}

/// The kind of a value.
package enum JSONKind: Sendable, Equatable {
  case object, array, string, number, boolean, null
}

/// Reads one JSON text from an array of bytes.
///
/// After a violation the reader's position is unspecified: the caller must refuse the document.
///
/// Invariant: `0 <= position <= end <= bytes.count` and `0 <= depth <= depthLimit`.
package struct JSONReader {
  /// The caller's array, which contains the document: returned ranges index it.
  package let bytes: [UInt8]
  let end: Int
  /// The deepest nesting of containers, unless `init` names another.
  package static let standardDepthLimit = 32
  /// The most bytes of a number with a fraction or an exponent.
  ///
  /// Far more than needed to distinguish two Doubles, and they bound the conversion's work.
  package static let numberBytesLimit = 128

  /// The deepest nesting of containers: at most 64, because `skipValue` keeps a bit for each.
  package let depthLimit: Int
  /// The index of the next byte to read.
  package internal(set) var position: Int
  private var depth = 0

  /// Makes a reader of all of `bytes`, or of the part in `range`.
  package init(
    _ bytes: [UInt8], in range: Range<Int>? = nil, depthLimit: Int = JSONReader.standardDepthLimit
  ) {
    let range = range ?? 0..<bytes.count
    precondition(0 <= range.lowerBound, "range: \(range)")
    precondition(range.upperBound <= bytes.count, "range: \(range) of \(bytes.count)")
    precondition(0...64 ~= depthLimit, "depthLimit: \(depthLimit)")
    self.bytes = bytes
    self.end = range.upperBound
    self.position = range.lowerBound
    self.depthLimit = depthLimit
  }

  /// Returns the kind of the next value, by its first byte, without taking it.
  package mutating func nextKind() throws(JSONViolation) -> JSONKind {
    skipWhiteSpace()
    guard let byte = peek() else { throw violation("unexpected end") }
    switch byte {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "\""): return .string
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return .boolean
    case UInt8(ascii: "n"): return .null
    default: throw violation("value expected")
    }
  }

  /// Reads an object: calls the closure with each member's name and the reader at its value.
  ///
  /// The closure takes the value; one that it does not take is skipped (and checked). Names come in
  /// document order, duplicates included.
  package mutating func readObject(
    _ member: (inout JSONReader, String) throws(JSONViolation) -> Void
  ) throws(JSONViolation) {
    try open(UInt8(ascii: "{"), else: "object expected")
    skipWhiteSpace()
    if !take(UInt8(ascii: "}")) {
      repeat {
        let name = try readString(else: "member name expected")
        try takeColon()
        skipWhiteSpace()
        let valueStart = position
        try member(&self, name)
        if position == valueStart { _ = try skipValue() }
        skipWhiteSpace()
      } while take(UInt8(ascii: ","))
      guard take(UInt8(ascii: "}")) else { throw violation("',' or '}' expected") }
    }
    depth -= 1
  }

  /// Reads an array: calls the closure with the reader at each element.
  ///
  /// The closure takes the value; one that it does not take is skipped (and checked).
  package mutating func readArray(
    _ element: (inout JSONReader) throws(JSONViolation) -> Void
  ) throws(JSONViolation) {
    try open(UInt8(ascii: "["), else: "array expected")
    skipWhiteSpace()
    if !take(UInt8(ascii: "]")) {
      repeat {
        skipWhiteSpace()
        let valueStart = position
        try element(&self)
        if position == valueStart { _ = try skipValue() }
        skipWhiteSpace()
      } while take(UInt8(ascii: ","))
      guard take(UInt8(ascii: "]")) else { throw violation("',' or ']' expected") }
    }
    depth -= 1
  }

  /// Reads a string.
  package mutating func readString() throws(JSONViolation) -> String {
    try readString(else: "string expected")
  }

  /// Reads `true` or `false`.
  package mutating func readBool() throws(JSONViolation) -> Bool {
    skipWhiteSpace()
    switch peek() {
    case UInt8(ascii: "t"):
      try takeWord("true")
      return true
    case UInt8(ascii: "f"):
      try takeWord("false")
      return false
    default: throw violation("boolean expected")
    }
  }

  /// Reads `null`.
  package mutating func readNull() throws(JSONViolation) {
    skipWhiteSpace()
    guard peek() == UInt8(ascii: "n") else { throw violation("null expected") }
    try takeWord("null")
  }

  /// Reads a whole number that fits an `Int64`, written without fraction and exponent.
  ///
  /// `1.0` and `1e3` are refused: where an integer is meant, a second spelling is a mistake.
  package mutating func readInteger() throws(JSONViolation) -> Int64 {
    let number = try takeNumber()
    guard number.isInteger else {
      throw violation("integer expected", at: number.range.lowerBound)
    }
    var digits = number.range
    let isNegative = bytes[digits.lowerBound] == UInt8(ascii: "-")
    if isNegative { digits = (digits.lowerBound + 1)..<digits.upperBound }
    // A negative number is accumulated below zero, because the least Int64 has no positive
    // counterpart.
    var value: Int64 = 0
    for index in digits {
      let digit = Int64(bytes[index] - UInt8(ascii: "0"))
      let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = shifted.addingReportingOverflow(isNegative ? -digit : digit)
      // guard: json-integer-overflow
      guard !overflow, !carry else {
        throw violation("integer out of range", at: number.range.lowerBound)
      }
      value = sum
    }
    return value
  }

  /// Reads a number as the nearest `Double`; one beyond its range is refused, and so is one over
  /// `numberBytesLimit` bytes.
  package mutating func readDouble() throws(JSONViolation) -> Double {
    let range = try takeNumber().range
    guard range.count <= JSONReader.numberBytesLimit,
      let value = Double(String(decoding: bytes[range], as: UTF8.self)), value.isFinite
    else { throw violation("number out of range", at: range.lowerBound) }
    return value
  }

  /// Skips a whole value, checking all of it, and returns the range of its bytes.
  ///
  /// Without recursion: it keeps one bit for each open container, the container's kind.
  package mutating func skipValue() throws(JSONViolation) -> Range<Int> {
    skipWhiteSpace()
    let start = position
    var objects: UInt64 = 0  // the lowest bit is the innermost container; set for an object
    let outerDepth = depth
    repeat {
      // A value is due here. After opening a container that is not empty, its first value is due.
      switch try nextKind() {
      case .object:
        try open(UInt8(ascii: "{"), else: "object expected")
        objects = objects << 1 | 1
        skipWhiteSpace()
        if peek() != UInt8(ascii: "}") {
          try skipName()
          continue
        }
      case .array:
        try open(UInt8(ascii: "["), else: "array expected")
        objects = objects << 1
        skipWhiteSpace()
        if peek() != UInt8(ascii: "]") { continue }
      case .string: _ = try takeString()
      case .number: _ = try takeNumber()
      case .boolean: _ = try readBool()
      case .null: try readNull()
      }
      // A value is complete here, or the innermost container is empty and about to be closed.
      while depth > outerDepth {
        skipWhiteSpace()
        let isObject = objects & 1 != 0
        if take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
          objects >>= 1
          depth -= 1
        } else if take(UInt8(ascii: ",")) {
          if isObject {
            skipWhiteSpace()
            try skipName()
          }
          break
        } else {
          throw violation(isObject ? "',' or '}' expected" : "',' or ']' expected")
        }
      }
    } while depth > outerDepth
    return start..<position
  }

  /// Checks that nothing but white space is left.
  package mutating func finish() throws(JSONViolation) {
    skipWhiteSpace()
    guard position == end else { throw violation("end expected") }
  }

  func peek() -> UInt8? {
    position < end ? bytes[position] : nil
  }

  func violation(_ reason: String) -> JSONViolation {
    JSONViolation(reason: reason, position: position)
  }

  func violation(_ reason: String, at position: Int) -> JSONViolation {
    JSONViolation(reason: reason, position: position)
  }

  mutating func skipWhiteSpace() {
    while position < end {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  mutating func take(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    position += 1
    return true
  }

  private mutating func open(_ byte: UInt8, else reason: String) throws(JSONViolation) {
    skipWhiteSpace()
    guard peek() == byte else { throw violation(reason) }
    // guard: json-depth
    guard depth < depthLimit else { throw violation("nested deeper than \(depthLimit)") }
    depth += 1
    position += 1
  }

  private mutating func takeColon() throws(JSONViolation) {
    skipWhiteSpace()
    guard take(UInt8(ascii: ":")) else { throw violation("':' expected") }
  }

  private mutating func skipName() throws(JSONViolation) {
    guard peek() == UInt8(ascii: "\"") else { throw violation("member name expected") }
    _ = try takeString()
    try takeColon()
  }

  private mutating func takeWord(_ word: String) throws(JSONViolation) {
    for letter in word.utf8 {
      guard take(letter) else { throw violation("unknown word") }
    }
  }

  private mutating func readString(else reason: String) throws(JSONViolation) -> String {
    skipWhiteSpace()
    guard peek() == UInt8(ascii: "\"") else { throw violation(reason) }
    return text(of: try takeString())
  }

  /// Takes `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
  private mutating func takeNumber() throws(JSONViolation) -> (range: Range<Int>, isInteger: Bool) {
    skipWhiteSpace()
    let start = position
    guard let first = peek(), first == UInt8(ascii: "-") || isDigit(first) else {
      throw violation("number expected")
    }
    _ = take(UInt8(ascii: "-"))
    if !take(UInt8(ascii: "0")) {
      try takeDigits()
    } else if let next = peek(), isDigit(next) {
      throw violation("leading zero")
    }
    var isInteger = true
    if take(UInt8(ascii: ".")) {
      isInteger = false
      try takeDigits()
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      isInteger = false
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try takeDigits()
    }
    return (start..<position, isInteger)
  }

  private mutating func takeDigits() throws(JSONViolation) {
    let start = position
    while position < end, isDigit(bytes[position]) { position += 1 }
    guard position > start else { throw violation("digit expected") }
  }

  private func isDigit(_ byte: UInt8) -> Bool {
    UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
  }
}
