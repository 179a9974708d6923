// Addresses and ranges of addresses as text.

internal import Glibc

extension PeerAddress {
  /// Parses a numeric address; nil for any other text.
  ///
  /// An IPv4-mapped IPv6 address is IPv4, as it is for an accepted connection.
  package init?(_ text: String, port: UInt16 = 0) {
    // Longer text is no address, and a NUL would end the text before its end.
    guard text.utf8.count <= 45, !text.utf8.contains(0) else { return nil }
    var bytes = [UInt8](repeating: 0, count: 16)
    // SAFETY: the text is live and ends with NUL, and `inet_pton` writes 4 or 16 of the 16 bytes.
    let isFour = unsafe text.withCString { text in
      unsafe bytes.withUnsafeMutableBytes { unsafe inet_pton(AF_INET, text, $0.baseAddress!) == 1 }
    }
    if isFour {
      self.init(Array(bytes.prefix(4)), port: port)
      return
    }
    // SAFETY: as above.
    let isSix = unsafe text.withCString { text in
      unsafe bytes.withUnsafeMutableBytes { unsafe inet_pton(AF_INET6, text, $0.baseAddress!) == 1 }
    }
    guard isSix else { return nil }
    self.init(network: bytes, port: port)
  }

  /// An address of 4 bytes or 16, of which an IPv4-mapped one is IPv4.
  package init(network bytes: [UInt8], port: UInt16 = 0) {
    let isMapped =
      bytes.count == 16 && bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF
      && bytes[11] == 0xFF
    self.init(isMapped ? Array(bytes.suffix(4)) : bytes, port: port)
  }

  /// The 4 or 16 bytes of the address; none of an unknown one.
  package var allBytes: [UInt8] {
    let all = bytes
    let four = [all.0, all.1, all.2, all.3]
    switch family {
    case .unknown: return []
    case .ipv4: return four
    case .ipv6:
      return four + [all.4, all.5, all.6, all.7, all.8, all.9, all.10, all.11]
        + [all.12, all.13, all.14, all.15]
    }
  }
}

/// An address, or all addresses of a network (CIDR: RFC 4632, and RFC 4291, section 2.3).
package struct AddressRange: Sendable {
  private let bytes: [UInt8]
  /// Bits of the prefix that an address must share.
  private let bitCount: Int

  /// Parses `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`; nil for any other text.
  ///
  /// Bits after the prefix are refused, because such a range is probably a mistake.
  package init?(_ text: String) {
    let slash = text.utf8.firstIndex(of: UInt8(ascii: "/"))
    guard let address = PeerAddress(String(text[..<(slash ?? text.endIndex)])) else { return nil }
    let bytes = address.allBytes
    guard let slash else {
      self.bytes = bytes
      bitCount = bytes.count * 8
      return
    }
    let digits = text.utf8[slash...].dropFirst()
    guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
      digits.count == 1 || digits.first != 0x30,
      let count = Int(Substring(digits)), count <= bytes.count * 8,
      AddressRange.hasOnlyZeros(bytes, after: count)
    else { return nil }
    self.bytes = bytes
    bitCount = count
  }

  /// Whether the range has this address.
  package func contains(_ address: PeerAddress) -> Bool {
    let other = address.allBytes
    guard other.count == bytes.count else { return false }
    let whole = bitCount / 8
    guard other.prefix(whole).elementsEqual(bytes.prefix(whole)) else { return false }
    guard bitCount % 8 > 0 else { return true }
    // guard: range-ends-within-a-byte
    return (other[whole] ^ bytes[whole]) >> UInt8(8 - bitCount % 8) == 0
  }

  private static func hasOnlyZeros(_ bytes: [UInt8], after bitCount: Int) -> Bool {
    for (index, byte) in bytes.enumerated() {
      let kept = min(8, max(0, bitCount - index * 8))
      if kept < 8, byte << UInt8(kept) != 0 { return false }
    }
    return true
  }
}
