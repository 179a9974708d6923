// A header or a claims set: one JSON object, with members looked up by name.
//
// RFC 7515, section 4, and RFC 7519, section 4, let a reader either refuse a duplicate name or take
// the last. Here it is refused, for every name and not only for those that are used: two readers
// that choose differently would see two different tokens under one valid signature.
//
// The whole text is checked once and each value's range is kept. A value is decoded from its own
// bytes on demand, and most never are.

internal import Wire

/// The members of one JSON object, each name once.
struct MemberTable {
  private let bytes: [UInt8]
  /// Each value's range, by the bytes of its name with the escapes decoded.
  ///
  /// Keyed by bytes and not by `String`, which normalises a name to hash it: for a header full of
  /// combining marks, which any client can send, that took 0.65 ms instead of 0.07.
  private let ranges: [[UInt8]: Range<Int>]

  /// Parses `bytes` as exactly one object, strictly and to the end.
  init(_ bytes: [UInt8]) throws(TokenError) {
    var ranges: [[UInt8]: Range<Int>] = [:]
    var hasDuplicate = false
    do throws(JSONViolation) {
      var reader = JSONReader(bytes)
      try reader.readObject { (reader, name) throws(JSONViolation) in
        let range = try reader.skipValue()
        hasDuplicate = ranges.updateValue(range, forKey: Array(name.utf8)) != nil || hasDuplicate
      }
      try reader.finish()
    } catch {
      throw .malformed
    }
    // guard: claim-given-once
    guard !hasDuplicate else { throw .malformed }
    self.bytes = bytes
    self.ranges = ranges
  }

  /// Whether `bytes` are exactly one object, in which a name may also repeat.
  static func isObject(_ bytes: [UInt8]) -> Bool {
    do throws(JSONViolation) {
      var reader = JSONReader(bytes)
      try reader.readObject { (reader, _) throws(JSONViolation) in _ = try reader.skipValue() }
      try reader.finish()
      return true
    } catch {
      return false
    }
  }

  /// Whether the object has this member, `null` included.
  func contains(_ name: String) -> Bool { ranges[Array(name.utf8)] != nil }

  /// The member's value, or nil when there is no such member.
  func value(of name: String) throws(TokenError) -> MemberValue? {
    guard let range = ranges[Array(name.utf8)] else { return nil }
    do throws(JSONViolation) {
      var reader = JSONReader(bytes, in: range)
      switch try reader.nextKind() {
      case .string: return .string(try reader.readString())
      case .number: return .number(bytes[range])
      case .array: return .array(try strings(&reader))
      case .object, .boolean, .null: return .other
      }
    } catch {
      // Not reached: the text was checked when the table was made. Refusing is the safe default.
      throw .malformed
    }
  }

  /// The strings of an array, and nil for each element that is not a string.
  private func strings(_ reader: inout JSONReader) throws(JSONViolation) -> [String?] {
    var strings: [String?] = []
    try reader.readArray { (reader) throws(JSONViolation) in
      if try reader.nextKind() == .string {
        strings.append(try reader.readString())
      } else {
        _ = try reader.skipValue()
        strings.append(nil)
      }
    }
    return strings
  }
}

/// A value, in the detail that tokens need.
enum MemberValue {
  case string(String)
  /// A number's text as it was sent, so that the caller decides about size and fraction.
  case number(ArraySlice<UInt8>)
  /// An array; nil stands for an element that is not a string.
  case array([String?])
  case other
}
