// The address of a connection's peer.

internal import CReactor

/// A peer's address and port, in 20 bytes.
///
/// Every connection has one, so it is trivially copyable and exactly as large as the C struct.
package struct PeerAddress: Sendable {
  /// The protocol of the address.
  package enum Family: UInt8, Sendable {
    case unknown = 0
    case ipv4 = 4
    case ipv6 = 6
  }

  /// The 16 bytes of an IPv6 address in network order; an IPv4 address uses the first four.
  package typealias Bytes = (
    UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
    UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
  )

  var raw = cl_address()

  /// An unknown address.
  package init() {}

  /// An address of 4 bytes or 16, in network order.
  package init(_ bytes: [UInt8], port: UInt16) {
    precondition(bytes.count == 4 || bytes.count == 16, "an address of \(bytes.count) bytes")
    raw.family = (bytes.count == 4 ? Family.ipv4 : Family.ipv6).rawValue
    raw.port = port
    // SAFETY: both ranges are live, and the source has no more bytes than the field.
    unsafe withUnsafeMutableBytes(of: &raw.bytes) { unsafe $0.copyBytes(from: bytes) }
  }

  package var family: Family { Family(rawValue: raw.family) ?? .unknown }
  package var port: UInt16 { raw.port }
  package var bytes: Bytes { raw.bytes }

  /// The address as text, without its port; "unknown" for an unknown address.
  package var text: String {
    var copy = raw
    // SAFETY: 64 bytes are more than the 46 that an address needs.
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      let count = unsafe cl_address_text(&copy, buffer.baseAddress!, buffer.count)
      let bytes = unsafe UnsafeRawBufferPointer(buffer).prefix(Int(max(0, count)))
      return unsafe String(decoding: bytes, as: UTF8.self)
    }
  }

  /// Whether this is a loopback address.
  package var isLoopback: Bool {
    switch family {
    case .unknown: false
    case .ipv4: raw.bytes.0 == 127
    case .ipv6: text == "::1"
    }
  }
}
