// A peer's address: its text, its parts and the loopback check.

import Reactor
import Testing

@Suite("Peer address")
struct PeerAddressTests {
  private static func v6(_ last: UInt8, first: UInt8 = 0) -> PeerAddress {
    PeerAddress([first] + [UInt8](repeating: 0, count: 14) + [last], port: 443)
  }

  @Test(
    "an address has its usual text, and the loopback addresses are recognised",
    arguments: [
      (PeerAddress(), "unknown", false),
      (PeerAddress([127, 0, 0, 1], port: 80), "127.0.0.1", true),
      (PeerAddress([127, 9, 9, 9], port: 80), "127.9.9.9", true),
      (PeerAddress([128, 0, 0, 1], port: 80), "128.0.0.1", false),
      (PeerAddress([192, 0, 2, 255], port: 80), "192.0.2.255", false),
      (v6(1), "::1", true), (v6(2), "::2", false), (v6(1, first: 0x20), "2000::1", false),
    ])
  func texts(address: PeerAddress, text: String, isLoopback: Bool) {
    #expect(address.text == text)
    #expect(address.isLoopback == isLoopback)
  }

  @Test("family, port and bytes are those of the initialiser")
  func parts() {
    let four = PeerAddress([10, 1, 2, 3], port: 9)
    #expect(four.family == .ipv4)
    #expect(four.port == 9)
    #expect((four.bytes.0, four.bytes.1, four.bytes.2, four.bytes.3) == (10, 1, 2, 3))
    #expect(Self.v6(5).family == .ipv6)
    #expect(Self.v6(5).bytes.15 == 5)
    #expect(PeerAddress().family == .unknown)
  }

  @Test("an address is trivially copyable and has 20 bytes, because every connection has one")
  func layout() {
    #expect(MemoryLayout<PeerAddress>.stride == 20)
    #expect(MemoryLayout<PeerAddress>.alignment == 2)
    #expect(_isPOD(PeerAddress.self))
  }

  @Test("an address of another length is a programming error")
  func length() async {
    await #expect(processExitsWith: .failure) { _ = PeerAddress([1, 2, 3], port: 0) }
  }
}
