// The URL of a request to another server: RFC 3986, and stricter.
//
// libcurl gets a URL that is built from the parsed parts, so it cannot read another host out of the
// text than the one that was checked. Every spelling of an IPv4 address but four decimal numbers is
// refused: `0x7f.1`, `2130706433` and `017700000001` are addresses to some resolvers.

package import Reactor

/// A URL that is no destination.
package enum DestinationError: Error, CaseIterable, CustomStringConvertible {
  case tooLong
  case scheme
  case character
  case userInformation
  case fragment
  case host
  case port

  /// The reason, as the predicate of a sentence about the URL.
  package var description: String {
    switch self {
    case .tooLong: "must be at most \(Destination.bytesLimit) bytes"
    case .scheme: "must begin with https:// or http://"
    case .character: "must have only the characters of a URL; encode others as %XX"
    case .userInformation: "must have no user or password"
    case .fragment: "must have no fragment"
    case .host: "must have a host: a name, four decimal numbers, or an IPv6 address in brackets"
    case .port: "must have a port from 1 to 65535"
    }
  }
}

/// Where a request goes: `http` or `https`, a host, a port and a path with its query.
///
/// Invariant: `host` is a lower-case name of letters, digits, `-`, `_` and `.`, or the canonical
/// text of `address`; `target` begins with `/`.
package struct Destination: Sendable {
  /// Bytes of a URL.
  package static let bytesLimit = 2_048
  private static let nameBytesLimit = 253
  private static let labelBytesLimit = 63
  private static let portDigitCountLimit = 5

  package let isSecure: Bool
  /// The name or address, without brackets.
  package let host: String
  /// The address, if the host is not a name.
  package let address: PeerAddress?
  package let port: UInt16
  /// The path and the query.
  package let target: String

  /// The URL in its canonical form, with the port.
  package var url: String { origin + target }

  /// The URL without the target: requests with the same origin share connections.
  package var origin: String { "\(isSecure ? "https" : "http")://\(hostInBrackets):\(port)" }

  private var hostInBrackets: String { address?.family == .ipv6 ? "[\(host)]" : host }

  /// Parses a URL; throws the first reason why it is none.
  package init(_ text: String) throws(DestinationError) {
    // Before the bytes are copied.
    guard text.utf8.count <= Destination.bytesLimit else { throw .tooLong }
    let bytes = Array(text.utf8)
    let schemes = [(Array("https://".utf8), true), (Array("http://".utf8), false)]
    let start = bytes.prefix(8).map(Destination.lowercased)
    guard let (scheme, isSecure) = schemes.first(where: { start.starts(with: $0.0) }) else {
      throw .scheme
    }
    self.isSecure = isSecure
    let rest = bytes[scheme.count...]
    // guard: no-fragment
    guard !rest.contains(UInt8(ascii: "#")) else { throw .fragment }
    let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }
    let authority = rest[..<(end ?? rest.endIndex)]
    // guard: no-user-information
    guard !authority.contains(UInt8(ascii: "@")) else { throw .userInformation }
    let (name, portText) = try Destination.split(authority)
    (host, address) = try Destination.parseHost(name)
    port = try Destination.parsePort(portText) ?? (isSecure ? 443 : 80)
    let target = rest[authority.endIndex...]
    // guard: target-characters
    guard Destination.isTarget(target) else { throw .character }
    let path = target.first == UInt8(ascii: "/") ? "" : "/"
    self.target = path + String(decoding: target, as: UTF8.self)
  }

  /// Splits `host:port`; the port is nil if there is no colon.
  private static func split(
    _ authority: ArraySlice<UInt8>
  ) throws(DestinationError) -> (ArraySlice<UInt8>, ArraySlice<UInt8>?) {
    var hostEnd = authority.firstIndex(of: UInt8(ascii: ":")) ?? authority.endIndex
    if authority.first == UInt8(ascii: "[") {
      guard let bracket = authority.firstIndex(of: UInt8(ascii: "]")) else { throw .host }
      hostEnd = bracket + 1
    }
    guard hostEnd < authority.endIndex else { return (authority, nil) }
    guard authority[hostEnd] == UInt8(ascii: ":") else { throw .host }
    return (authority[..<hostEnd], authority[(hostEnd + 1)...])
  }

  private static func parseHost(
    _ bytes: ArraySlice<UInt8>
  ) throws(DestinationError) -> (String, PeerAddress?) {
    if bytes.first == UInt8(ascii: "[") {
      let text = String(decoding: bytes.dropFirst().dropLast(), as: UTF8.self)
      // An IPv4-mapped address becomes that IPv4 address. A zone (`%eth0`) is refused.
      guard text.utf8.contains(UInt8(ascii: ":")), let address = PeerAddress(text) else {
        throw .host
      }
      return (address.text, address)
    }
    guard (1...nameBytesLimit).contains(bytes.count) else { throw .host }
    let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    // guard: host-labels
    guard labels.allSatisfy(isLabel), let last = labels.last else { throw .host }
    let name = String(decoding: bytes.map(lowercased), as: UTF8.self)
    // guard: strict-ipv4
    guard isNumeric(last) else { return (name, nil) }
    guard let address = PeerAddress(name) else { throw .host }
    return (address.text, address)
  }

  private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
    let hyphen = UInt8(ascii: "-")
    return (1...labelBytesLimit).contains(label.count) && label.first != hyphen
      && label.last != hyphen
      && label.allSatisfy { isLetterOrDigit($0) || $0 == hyphen || $0 == UInt8(ascii: "_") }
  }

  /// Whether a last label makes its host an IPv4 address in some spelling: digits, or `0x` and
  /// hexadecimal digits (URL Standard, "ends in a number").
  private static func isNumeric(_ label: ArraySlice<UInt8>) -> Bool {
    if label.allSatisfy(isDigit) { return true }
    return label.prefix(2).map(lowercased) == Array("0x".utf8)
      && label.dropFirst(2).allSatisfy(isHexadecimal)
  }

  private static func parsePort(
    _ digits: ArraySlice<UInt8>?
  ) throws(DestinationError) -> UInt16? {
    guard let digits else { return nil }
    // guard: port-range
    guard (1...portDigitCountLimit).contains(digits.count), digits.allSatisfy(isDigit),
      digits.first != UInt8(ascii: "0"),
      let port = UInt16(String(decoding: digits, as: UTF8.self))
    else { throw .port }
    return port
  }

  /// Whether all bytes may be in a path or a query (RFC 3986, sections 3.3 and 3.4).
  private static func isTarget(_ bytes: ArraySlice<UInt8>) -> Bool {
    var index = bytes.startIndex
    while index < bytes.endIndex {
      if bytes[index] == UInt8(ascii: "%") {
        guard index + 2 < bytes.endIndex, isHexadecimal(bytes[index + 1]),
          isHexadecimal(bytes[index + 2])
        else { return false }
        index += 3
      } else {
        guard isLetterOrDigit(bytes[index]) || punctuation.contains(bytes[index]) else {
          return false
        }
        index += 1
      }
    }
    return true
  }

  private static let punctuation = Set("-._~!$&'()*+,;=:@/?".utf8)

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  private static func isHexadecimal(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(lowercased(byte))
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lowercased(byte))
  }

  private static func lowercased(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
  }
}
