// The distinguished encoding rules of ASN.1, as far as public keys and ECDSA signatures use them:
// X.690, section 10.
//
// A value is a tag, a length and contents. A length has one spelling: a byte below 128, or the
// count of the bytes that follow and then these without leading zeros.

/// The tags that occur in a public key.
enum DERTag: UInt8 {
  case integer = 0x02
  case bitString = 0x03
  case null = 0x05
  case objectIdentifier = 0x06
  case sequence = 0x30
}

/// Writes values.
enum DER {
  /// A value with these contents, which have fewer than 65,536 bytes.
  static func value(_ tag: DERTag, _ contents: [UInt8]) -> [UInt8] {
    let count = contents.count
    precondition(count < 1 << 16, "\(count) bytes")
    let length: [UInt8] =
      switch count {
      case ..<0x80: [UInt8(count)]
      case ..<0x100: [0x81, UInt8(count)]
      default: [0x82, UInt8(count >> 8), UInt8(count & 0xFF)]
      }
    return [tag.rawValue] + length + contents
  }

  /// A positive number or zero, from its big-endian bytes, which may have leading zeros.
  static func number(_ bytes: some Collection<UInt8>) -> [UInt8] {
    let digits = Array(bytes.drop { $0 == 0 })
    // The first bit is the sign.
    let needsZero = (digits.first ?? 0x80) >= 0x80
    return value(.integer, needsZero ? [0] + digits : digits)
  }
}

/// Reads values in their only spelling.
///
/// Invariant: `rest` is the part of the bytes that no value was taken from.
struct DERReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// Takes the contents of the next value, which has this tag.
  mutating func take(
    _ tag: DERTag, else fault: PublicKeyFault = .encoding
  ) throws(PublicKeyFault) -> ArraySlice<UInt8> {
    guard let first = rest.popFirst() else { throw .encoding }
    guard first == tag.rawValue else { throw fault }
    let count = try takeLength()
    // guard: der-length-within-input
    guard count <= rest.count else { throw .encoding }
    let contents = rest.prefix(count)
    rest = rest.dropFirst(count)
    return contents
  }

  /// Takes an integer over zero; its big-endian bytes without leading zeros.
  mutating func takeNumber() throws(PublicKeyFault) -> [UInt8] {
    let contents = try take(.integer)
    guard let first = contents.first else { throw .encoding }
    // A zero is there exactly where the number would be negative without it.
    guard first == 0 else {
      guard first < 0x80 else { throw .encoding }
      return Array(contents)
    }
    let digits = contents.dropFirst()
    guard let next = digits.first, next >= 0x80 else { throw .encoding }
    return Array(digits)
  }

  /// Checks that nothing is left.
  func finish() throws(PublicKeyFault) {
    guard rest.isEmpty else { throw .encoding }
  }

  private mutating func takeLength() throws(PublicKeyFault) -> Int {
    guard let first = rest.popFirst() else { throw .encoding }
    switch first {
    case ..<0x80:
      return Int(first)
    case 0x81:
      guard let count = rest.popFirst(), count >= 0x80 else { throw .encoding }
      return Int(count)
    case 0x82:
      guard let high = rest.popFirst(), let low = rest.popFirst(), high > 0 else {
        throw .encoding
      }
      return Int(high) * 256 + Int(low)
    default:
      throw .encoding
    }
  }
}
