// Origins of web pages: RFC 6454, and the host and port of a request.

internal import Wire

/// The origin of a page: scheme, host and port, with the port of the scheme filled in.
struct Origin: Equatable {
  let scheme: String
  /// Lower case; an IPv6 address has its brackets.
  let host: String
  /// Nil for a scheme without a default port, such as that of an application's own pages.
  let port: UInt16?

  /// Parses an origin as a browser writes it; nil for `null` and for anything else.
  init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), colon > 0,
      bytes[colon...].starts(with: Array("://".utf8)),
      bytes[..<colon].allSatisfy(Origin.isSchemeByte),
      let authority = Authority(bytes[(colon + 3)...])
    else { return nil }
    scheme = Origin.lowercased(bytes[..<colon])
    host = authority.host
    port = authority.port ?? Origin.defaultPort(of: scheme)
  }

  /// Whether a page of this origin was served under this host, by this scheme or the other one.
  ///
  /// `authority` is a host with or without a port, as in the field Host. The server does not know
  /// the scheme in front of a proxy that ends TLS, so a port that is absent is the default of the
  /// page's own scheme.
  func isServed(by authority: String) -> Bool {
    guard let port, Origin.defaultPort(of: scheme) != nil,
      let own = Authority(Array(authority.utf8)[...])
    else { return false }
    return own.host.hasSameBytes(as: host)
      && (own.port ?? Origin.defaultPort(of: scheme)) == port
  }

  static func == (one: Origin, other: Origin) -> Bool {
    one.scheme.hasSameBytes(as: other.scheme) && one.host.hasSameBytes(as: other.host)
      && one.port == other.port
  }

  static func defaultPort(of scheme: String) -> UInt16? {
    scheme == "http" ? 80 : scheme == "https" ? 443 : nil
  }

  private static func isSchemeByte(_ byte: UInt8) -> Bool {
    isLetterOrDigit(byte) || [0x2B, 0x2D, 0x2E].contains(byte)
  }

  fileprivate static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }

  /// The bytes as text, ASCII letters in lower case.
  fileprivate static func lowercased(_ bytes: ArraySlice<UInt8>) -> String {
    String(
      decoding: bytes.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
  }
}

/// A host with or without a port.
struct Authority {
  /// Lower case; an IPv6 address has its brackets.
  let host: String
  let port: UInt16?

  /// Parses the bytes; nil if they are no host of letters, digits, `-`, `.` and `_`, and no address
  /// in brackets, or if a colon is not followed by a port as a browser writes it.
  init?(_ bytes: ArraySlice<UInt8>) {
    var end = bytes.startIndex
    if bytes.first == UInt8(ascii: "[") {
      guard let bracket = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
      let address = bytes[(end + 1)..<bracket]
      guard !address.isEmpty,
        address.allSatisfy({ Origin.isLetterOrDigit($0) || [0x2E, 0x3A].contains($0) })
      else { return nil }
      end = bracket + 1
    } else {
      while end < bytes.endIndex, bytes[end] != UInt8(ascii: ":") {
        guard Origin.isLetterOrDigit(bytes[end]) || [0x2D, 0x2E, 0x5F].contains(bytes[end]) else {
          return nil
        }
        end += 1
      }
      guard end > bytes.startIndex else { return nil }
    }
    host = Origin.lowercased(bytes[..<end])
    guard end < bytes.endIndex else {
      port = nil
      return
    }
    let digits = bytes[(end + 1)...]
    // guard: origin-port-is-canonical
    guard bytes[end] == UInt8(ascii: ":"), let first = digits.first, first != 0x30,
      digits.count <= 5, digits.allSatisfy({ (0x30...0x39).contains($0) }),
      let number = UInt16(String(decoding: digits, as: UTF8.self))
    else { return nil }
    port = number
  }
}

/// The names of this machine for itself.
enum Loopback {
  /// Whether an authority, a host with or without a port, is one of this machine's own names.
  static func isNamed(by authority: String) -> Bool {
    guard let host = Authority(Array(authority.utf8)[...])?.host else { return false }
    return isName(host)
  }

  /// Whether a host in lower case is one of this machine's own names.
  static func isName(_ host: String) -> Bool {
    // guard: loopback-name-is-whole
    ["localhost", "127.0.0.1", "[::1]"].contains { $0.hasSameBytes(as: host) }
  }
}
