// The header of the PROXY protocol, versions 1 and 2: a proxy sends the address of its client
// before the first byte of the connection that it passes on.

/// The header at the start of a connection.
package struct ProxyHeader: Equatable, Sendable {
  /// The client's address.
  package enum Source: Equatable, Sendable {
    /// As text, which is not checked (version 1).
    case text(String)
    /// The 4 or 16 bytes in network order (version 2).
    case bytes([UInt8])
    /// The proxy's own connection, or an address that is no IP address.
    case unknown
  }

  package let source: Source
  package let byteCount: Int

  private static let textStart = Array("PROXY ".utf8)
  private static let binaryStart: [UInt8] = [
    0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
  ]
  /// The longest line of version 1.
  package static let lineBytesLimit = 107
  /// The longest addresses and extensions of version 2 that are accepted.
  package static let binaryBytesLimit = 4_096

  /// The result of looking for a header.
  package enum Search: Equatable, Sendable {
    case absent
    /// The bytes may be the beginning of a header.
    case incomplete
    case found(ProxyHeader)
  }

  /// Looks for a header at the beginning of a connection's first bytes.
  package static func search(
    _ bytes: borrowing Span<UInt8>
  ) throws(HTTPViolation) -> Search {
    if begins(bytes, with: textStart) {
      return bytes.count < textStart.count ? .incomplete : try line(bytes)
    }
    if begins(bytes, with: binaryStart) {
      return bytes.count < 16 ? .incomplete : try binary(bytes)
    }
    return .absent
  }

  /// Whether the bytes are a beginning of `start`, or begin with all of it.
  private static func begins(_ bytes: borrowing Span<UInt8>, with start: [UInt8]) -> Bool {
    guard bytes.count > 0 else { return false }
    for index in 0..<min(bytes.count, start.count) where bytes[index] != start[index] {
      return false
    }
    return true
  }

  private static func line(_ bytes: borrowing Span<UInt8>) throws(HTTPViolation) -> Search {
    var end = textStart.count
    while end < bytes.count, end < lineBytesLimit, bytes[end] != HTTPCharacter.lineFeed { end += 1 }
    guard end < bytes.count else {
      guard end < lineBytesLimit else { throw .malformed("PROXY header too long") }
      return .incomplete
    }
    guard bytes[end] == HTTPCharacter.lineFeed, bytes[end - 1] == HTTPCharacter.carriageReturn
    else { throw .malformed("malformed PROXY header") }
    var text: [UInt8] = []
    for index in textStart.count..<(end - 1) { text.append(bytes[index]) }
    let words = text.split(separator: HTTPCharacter.space, omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
    if words.first == "UNKNOWN" {
      return .found(ProxyHeader(source: .unknown, byteCount: end + 1))
    }
    guard words.count == 5, words[0] == "TCP4" || words[0] == "TCP6" else {
      throw .malformed("malformed PROXY header")
    }
    return .found(ProxyHeader(source: .text(words[1]), byteCount: end + 1))
  }

  private static func binary(_ bytes: borrowing Span<UInt8>) throws(HTTPViolation) -> Search {
    // Version 2, and the command LOCAL or PROXY.
    guard bytes[12] == 0x20 || bytes[12] == 0x21 else { throw .malformed("malformed PROXY header") }
    let length = Int(bytes[14]) << 8 | Int(bytes[15])
    guard length <= binaryBytesLimit else { throw .malformed("PROXY header too long") }
    guard bytes.count >= 16 + length else { return .incomplete }
    let end = 16 + length
    guard bytes[12] == 0x21 else {
      return .found(ProxyHeader(source: .unknown, byteCount: end))
    }
    let count: Int
    switch bytes[13] {
    case 0x11: count = 4
    case 0x21: count = 16
    default: return .found(ProxyHeader(source: .unknown, byteCount: end))
    }
    // Two addresses and two ports.
    guard length >= 2 * count + 4 else { throw .malformed("malformed PROXY header") }
    var source: [UInt8] = []
    for index in 16..<(16 + count) { source.append(bytes[index]) }
    return .found(ProxyHeader(source: .bytes(source), byteCount: end))
  }
}
