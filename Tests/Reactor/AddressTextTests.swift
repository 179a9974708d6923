// Addresses and networks as an operator or a proxy writes them.

import Reactor
import Testing

@Suite("Addresses as text")
struct AddressTextTests {
  @Test(
    "an address is read back as it is written, and an IPv4-mapped one is IPv4",
    arguments: [
      ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"), ("::", "::"),
      ("2001:DB8::1", "2001:db8::1"), ("::ffff:192.0.2.7", "192.0.2.7"),
      ("::ffff:c000:207", "192.0.2.7"),
    ])
  func addresses(text: String, shown: String) throws {
    #expect(try #require(PeerAddress(text)).text == shown)
  }

  @Test(
    "other text is no address",
    arguments: [
      "", " ", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4/8",
      "1.2.3.4:80", "[::1]", "::1%lo", "g::", "localhost", "1.2.3.4\0", "\u{661}.2.3.4",
      String(repeating: "1", count: 100_000), "0x7f.0.0.1", "127.1", "2130706433",
    ])
  func noAddresses(text: String) {
    #expect(PeerAddress(text) == nil)
  }

  @Test(
    "a network has the addresses that share its prefix, of its own family only",
    arguments: [
      ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.0", false),
      ("192.0.2.128/25", "192.0.2.200", true), ("192.0.2.128/25", "192.0.2.127", false),
      ("192.0.2.4/31", "192.0.2.5", true), ("192.0.2.4/31", "192.0.2.6", false),
      ("192.0.2.4", "192.0.2.4", true), ("192.0.2.4", "192.0.2.5", false),
      ("0.0.0.0/0", "203.0.113.9", true), ("0.0.0.0/0", "::1", false), ("::/0", "::1", true),
      ("::/0", "127.0.0.1", false), ("2001:db8::/33", "2001:db8:7fff::1", true),
      ("2001:db8::/33", "2001:db8:8000::1", false), ("::1", "::1", true),
      ("10.0.0.0/8", "::ffff:10.1.1.1", true),
    ])
  func ranges(range: String, address: String, isInside: Bool) throws {
    let range = try #require(AddressRange(range))
    #expect(range.contains(try #require(PeerAddress(address))) == isInside)
    #expect(!range.contains(PeerAddress()))
  }

  @Test(
    "other text is no network",
    arguments: [
      "", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.1/8", "2001:db8::1/64", "10.0.0.0/08",
      "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/1e1", "10.0.0.0/99999999999999999999",
      "10/8", "loopback",
    ])
  func noRanges(text: String) {
    #expect(AddressRange(text) == nil)
  }
}
