// The addresses that a request may be sent to.
//
// Users of the server choose the URLs, and the server stands inside a network that they do not
// reach. So requests to it, to the machine itself and to the metadata service of a cloud are
// refused. The tables follow the IANA registries of special-purpose addresses (RFC 6890, of IPv4
// and IPv6). An IPv6 address that carries an IPv4 address through a tunnel or a translator is
// decided by that one.

package import Reactor

/// Decides whether an address may be connected to; pure.
package struct AddressPolicy: Sendable {
  private let allowsPrivateDestinations: Bool
  private let allowed: [AddressRange]
  private var isLoopbackOnly = false

  /// Refuses private and reserved addresses but those in `allowed`, or no address at all.
  package init(allowsPrivateDestinations: Bool = false, allowed: [AddressRange] = []) {
    self.allowsPrivateDestinations = allowsPrivateDestinations
    self.allowed = allowed
  }

  /// Allows the addresses of this machine alone: 127.0.0.0/8 and ::1.
  package static let loopbackOnly = AddressPolicy(isLoopbackOnly: true)

  private init(isLoopbackOnly: Bool) {
    self.init(allowsPrivateDestinations: true)
    self.isLoopbackOnly = isLoopbackOnly
  }

  /// Whether the address may be connected to.
  package func allows(_ address: PeerAddress) -> Bool {
    let bytes = address.allBytes
    guard !bytes.isEmpty else { return false }
    // guard: plain-http-loopback-address
    if isLoopbackOnly { return address.isLoopback }
    if allowsPrivateDestinations || AddressPolicy.isPublic(bytes) { return true }
    return allowed.contains { $0.contains(address) }
  }

  /// Whether 4 or 16 bytes in network order are an address of the public internet.
  package static func isPublic(_ bytes: [UInt8]) -> Bool {
    switch bytes.count {
    case 4: isPublic4(bytes[...])
    case 16: isPublic6(bytes)
    default: false
    }
  }

  // MARK: IPv4

  private static func isPublic4(_ bytes: ArraySlice<UInt8>) -> Bool {
    // guard: reserved-ipv4
    !reserved4.contains { $0.contains(bytes) }
  }

  private static let reserved4 = [
    Network([0], 8),  // this network, RFC 791
    Network([10], 8),  // private, RFC 1918
    Network([100, 64], 10),  // shared by a provider, RFC 6598; Alibaba's metadata
    Network([127], 8),  // loopback, RFC 1122
    Network([168, 63, 129, 16], 32),  // Azure's platform service
    Network([169, 254], 16),  // link-local, RFC 3927; the metadata of most clouds
    Network([172, 16], 12),  // private, RFC 1918
    Network([192, 0, 0], 24),  // protocol assignments, RFC 6890; Oracle's metadata
    Network([192, 0, 2], 24),  // documentation, RFC 5737
    Network([192, 88, 99], 24),  // 6to4 relays, RFC 7526
    Network([192, 168], 16),  // private, RFC 1918
    Network([198, 18], 15),  // benchmarks, RFC 2544
    Network([198, 51, 100], 24),  // documentation, RFC 5737
    Network([203, 0, 113], 24),  // documentation, RFC 5737
    Network([224], 4),  // multicast, RFC 5771
    Network([240], 4),  // reserved, RFC 1112; broadcast
  ]

  // MARK: IPv6

  private static func isPublic6(_ bytes: [UInt8]) -> Bool {
    // guard: embedded-ipv4
    if let embedded = embeddedAddress(in: bytes) { return isPublic4(embedded) }
    // Only these are assigned to the internet: loopback, fc00::/7, fe80::/10, fec0::/10, ff00::/8
    // and 64:ff9b:1::/48 are outside.
    // guard: global-unicast
    guard Network([0x20], 3).contains(bytes[...]) else { return false }
    if teredo.contains(bytes[...]) {
      let client = bytes[12...].map { ~$0 }
      // guard: teredo-addresses
      return isPublic4(bytes[4..<8]) && isPublic4(client[...])
    }
    // guard: reserved-ipv6
    return !reserved6.contains { $0.contains(bytes[...]) }
  }

  /// The IPv4 address that decides about an IPv6 address; nil if it carries none.
  private static func embeddedAddress(in bytes: [UInt8]) -> ArraySlice<UInt8>? {
    let last = bytes[12...]
    let zeros = [UInt8](repeating: 0, count: 10)
    // Mapped, ::ffff:0:0/96, RFC 4291.
    if bytes.starts(with: zeros + [0xFF, 0xFF]) { return last }
    // Compatible, ::/96, RFC 4291; `::` and `::1` are 0.0.0.0 and 0.0.0.1 here, in 0/8.
    if bytes.starts(with: zeros + [0, 0]) { return last }
    // NAT64, 64:ff9b::/96, RFC 6052.
    if bytes.starts(with: [0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]) { return last }
    // 6to4, 2002::/16, RFC 3056.
    if bytes.starts(with: [0x20, 0x02]) { return bytes[2..<6] }
    // ISATAP, RFC 5214: its interface identifiers, in any network.
    if bytes[8] & 0xFD == 0, bytes[9...].starts(with: [0x00, 0x5E, 0xFE]) {
      return Network([0x20], 3).contains(bytes[...]) ? last : nil
    }
    return nil
  }

  private static let teredo = Network([0x20, 0x01, 0, 0], 32)  // RFC 4380

  private static let reserved6 = [
    Network([0x20, 0x01, 0x00], 23),  // protocol assignments, RFC 2928
    Network([0x20, 0x01, 0x0D, 0xB8], 32),  // documentation, RFC 3849
    Network([0x3F, 0xFF, 0x00], 20),  // documentation, RFC 9637
  ]
}

/// The addresses that share their first bits.
private struct Network {
  let prefix: [UInt8]
  let bitCount: Int

  init(_ prefix: [UInt8], _ bitCount: Int) {
    self.prefix = prefix + [UInt8](repeating: 0, count: max(0, (bitCount + 7) / 8 - prefix.count))
    self.bitCount = bitCount
  }

  func contains(_ address: ArraySlice<UInt8>) -> Bool {
    var rest = bitCount
    for (byte, expected) in zip(address, prefix) {
      guard rest > 0 else { break }
      let mask: UInt8 = rest >= 8 ? 0xFF : ~(0xFF >> UInt8(rest))
      guard byte & mask == expected & mask else { return false }
      rest -= 8
    }
    return true
  }
}
