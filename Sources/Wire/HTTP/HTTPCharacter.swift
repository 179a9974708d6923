// The character classes of RFC 9110 and RFC 3986 that the parsers use.
//
// Each is a comparison or a bit of a constant word: no table in memory, nothing to initialise.

enum HTTPCharacter {
  static let tab: UInt8 = 0x09
  static let lineFeed: UInt8 = 0x0A
  static let carriageReturn: UInt8 = 0x0D
  static let space: UInt8 = 0x20
  static let quote: UInt8 = 0x22
  static let asterisk: UInt8 = 0x2A
  static let comma: UInt8 = 0x2C
  static let slash: UInt8 = 0x2F
  static let colon: UInt8 = 0x3A
  static let semicolon: UInt8 = 0x3B
  static let question: UInt8 = 0x3F

  /// Whether the byte may be in a token (RFC 9110, section 5.6.2): method and field names.
  @inline(__always) static func isToken(_ byte: UInt8) -> Bool {
    // One bit per character: "!#$%&'*+-." and the digits below 64, the letters and "^_`|~" above.
    let members: UInt64 = byte < 64 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
    // guard: token-is-ascii
    return byte < 128 && members >> UInt64(byte & 63) & 1 == 1
  }

  /// Whether the byte may be in a field value (RFC 9110, section 5.5): all but controls; tab is
  /// allowed.
  @inline(__always) static func isFieldValue(_ byte: UInt8) -> Bool {
    // guard: field-value-has-no-controls
    byte >= 0x20 && byte != 0x7F || byte == tab
  }

  /// Whether the byte may be in a request target: visible ASCII without "#", which begins a
  /// fragment.
  @inline(__always) static func isTarget(_ byte: UInt8) -> Bool {
    // guard: target-is-visible-ascii
    byte > 0x20 && byte < 0x7F && byte != 0x23
  }

  @inline(__always) static func isWhiteSpace(_ byte: UInt8) -> Bool {
    byte == space || byte == tab
  }

  @inline(__always) static func isDigit(_ byte: UInt8) -> Bool {
    byte &- 0x30 < 10
  }

  /// The value of a hexadecimal digit; nil for any other byte.
  @inline(__always) static func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte &- 0x30
    case 0x41...0x46: byte &- 0x37
    case 0x61...0x66: byte &- 0x57
    default: nil
    }
  }

  @inline(__always) static func lowercased(_ byte: UInt8) -> UInt8 {
    byte &- 0x41 < 26 ? byte | 0x20 : byte
  }

  /// Whether the byte may be in a host without brackets (RFC 3986, section 3.2.2), escapes aside.
  ///
  /// The comma is excluded although the grammar has it: a proxy that merges two Host fields into
  /// one joins them with a comma.
  static func isRegisteredName(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case 0x2D, 0x2E, 0x5F, 0x7E: true  // - . _ ~
    case 0x21, 0x24, 0x26...0x2B, 0x3B, 0x3D: true  // ! $ & ' ( ) * + ; =
    default: false
    }
  }
}
