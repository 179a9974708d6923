// The addresses of the IANA registries of special-purpose addresses, and those next to them.

import Channels
import Reactor
import Testing

@Suite("The policy of addresses")
struct AddressPolicyTests {
  /// The first and last address of each special-purpose network of IPv4.
  static let refused4 = [
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.100.100.200",
    "100.127.255.255", "127.0.0.0", "127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.0.0",
    "169.254.169.254", "169.254.170.2", "169.254.255.255", "172.16.0.0", "172.31.255.255",
    "192.0.0.0", "192.0.0.170", "192.0.0.192", "192.0.0.255", "192.0.2.0", "192.0.2.255",
    "192.88.99.0", "192.88.99.255", "192.168.0.0", "192.168.255.255", "198.18.0.0",
    "198.19.255.255", "198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255",
    "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.254", "255.255.255.255",
  ]

  /// The addresses before and after those networks.
  static let allowed4 = [
    "1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255",
    "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0",
    "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
    "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
    "223.255.255.255",
  ]

  static let refused6 = [
    "::", "::1", "::2", "64:ff9b:1::", "64:ff9b:1::8.8.8.8", "64:ff9b:1:ffff::1", "100::",
    "100::ffff", "100:0:0:1::1", "200::1", "1fff:ffff::1", "2001::", "2001:1::1", "2001:2::1",
    "2001:3::1", "2001:4:112::1", "2001:20::1", "2001:30::1", "2001:1ff:ffff::1", "2001:db8::",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff::1", "4000::1", "5f00::1",
    "8000::1", "fc00::", "fcff::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::1", "fe80::", "fe80::1", "febf:ffff::1",
    "fec0::", "fec0::1", "feff::1", "ff00::", "ff02::1", "ff0e::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:0:8.8.8.8", "0:0:0:1::8.8.8.8",
    "64:ff9b::1:8.8.8.8", "64:ff9a::8.8.8.8", "fe80::5efe:8.8.8.8", "fc00::5efe:8.8.8.8",
  ]

  static let allowed6 = [
    "2000::", "2000::1", "2001:200::", "2001:db7:ffff::1", "2001:db9::1", "2003::1",
    "2606:4700:4700::1111", "2a00:1450:4001::1", "3ffe::1", "3fff:1000::1",
    "2606:4700::5efd:127.0.0.1",
  ]

  /// The IPv6 addresses that carry this IPv4 address, and are decided by it.
  static func carriers(of four: String) -> [String] {
    let bytes = four.split(separator: ".").compactMap { UInt8($0) }
    func group(_ high: UInt8, _ low: UInt8) -> String {
      String(Int(high) << 8 | Int(low), radix: 16)
    }
    let groups = "\(group(bytes[0], bytes[1])):\(group(bytes[2], bytes[3]))"
    let inverted = "\(group(~bytes[0], ~bytes[1])):\(group(~bytes[2], ~bytes[3]))"
    return [
      "::\(four)", "::ffff:\(four)", "64:ff9b::\(four)", "2002:\(groups)::1",
      "2001:0:808:808:0:0:\(inverted)", "2001:0:\(groups):0:0:f7f7:f7f7",
      "2606:4700::5efe:\(four)", "2606:4700::200:5efe:\(four)",
    ]
  }

  private func allows(_ text: String, _ policy: AddressPolicy = AddressPolicy()) throws -> Bool {
    policy.allows(try #require(PeerAddress(text), "\(text)"))
  }

  @Test("special-purpose addresses are refused", arguments: refused4 + refused6)
  func refused(address: String) throws {
    #expect(try !allows(address))
  }

  @Test("addresses next to them are allowed", arguments: allowed4 + allowed6)
  func allowed(address: String) throws {
    #expect(try allows(address))
  }

  @Test("an IPv4 address in an IPv6 address decides", arguments: refused4 + allowed4)
  func embedded(address: String) throws {
    for carrier in Self.carriers(of: address) {
      #expect(try allows(carrier) == Self.allowed4.contains(address), "\(carrier)")
    }
  }

  @Test("a mapped address is decided by its bytes, too")
  func mappedBytes() {
    let zeros = [UInt8](repeating: 0, count: 10)
    #expect(!AddressPolicy.isPublic(zeros + [0xFF, 0xFF, 127, 0, 0, 1]))
    #expect(AddressPolicy.isPublic(zeros + [0xFF, 0xFF, 8, 8, 8, 8]))
    #expect(!AddressPolicy().allows(PeerAddress(zeros + [0xFF, 0xFF, 10, 0, 0, 1], port: 80)))
  }

  @Test("no other number of bytes is an address", arguments: [0, 1, 3, 5, 15, 17])
  func sizes(count: Int) {
    #expect(!AddressPolicy.isPublic([UInt8](repeating: 8, count: count)))
  }

  @Test("with private destinations every address is allowed, and an unknown one is not")
  func privateDestinations() throws {
    let policy = AddressPolicy(allowsPrivateDestinations: true)
    for address in Self.refused4 + Self.refused6 + Self.allowed6 {
      #expect(try allows(address, policy), "\(address)")
    }
    #expect(!policy.allows(PeerAddress()))
  }

  @Test("a range can be allowed by itself")
  func ranges() throws {
    let policy = AddressPolicy(allowed: [try #require(AddressRange("10.1.0.0/16"))])
    #expect(try allows("10.1.255.255", policy))
    #expect(try !allows("10.2.0.0", policy))
    #expect(try allows("8.8.8.8", policy))
  }
}
