// The client of a request that came through proxies.
//
// A proxy appends the address that it got the request from to a forwarding header. Any client can
// send such a header too, so an entry counts only if a trusted proxy has written it: the entries
// are read from the right, and the first one that is no trusted proxy is the client.

package import Reactor
internal import Wire

/// The proxies that write forwarding headers.
package struct TrustedProxies: Sendable {
  private let ranges: [AddressRange]

  package init(_ ranges: [AddressRange] = []) { self.ranges = ranges }

  var isEmpty: Bool { ranges.isEmpty }

  func isTrusted(_ address: PeerAddress) -> Bool {
    ranges.contains { $0.contains(address) }
  }

  /// The client of a request that a trusted proxy sent; nil where no header names one.
  ///
  /// X-Forwarded-For comes first, because it is the one that proxies write most; then Forwarded
  /// (RFC 7239), then X-Real-IP, which has one address. A header that the proxy does not write may
  /// be the client's own, so a proxy must write the first of them that it lets through.
  func client(of head: HTTPRequestHead) -> PeerAddress? {
    let lines = head.values(of: "x-forwarded-for")
    if !lines.isEmpty { return client(in: lines, TrustedProxies.address) }
    let forwarded = head.values(of: "forwarded")
    if !forwarded.isEmpty { return client(in: forwarded, TrustedProxies.forwardedAddress) }
    let real = head.values(of: "x-real-ip")
    return client(in: real.suffix(1), TrustedProxies.address)
  }

  /// The rightmost entry that is no trusted proxy; the leftmost one if all of them are.
  ///
  /// An entry without an address (`unknown`, or a hidden one) ends the search, because no known
  /// proxy has written the entries on its left.
  private func client(
    in lines: some Sequence<String>, _ address: (Substring.UTF8View) -> PeerAddress?
  ) -> PeerAddress? {
    let entries = lines.flatMap { $0.utf8.split(separator: UInt8(ascii: ",")) }
    var client: PeerAddress?
    for entry in entries.reversed() {
      guard let hop = address(Substring(entry).utf8) else { return client }
      client = hop
      // guard: rightmost-untrusted-hop
      if !isTrusted(hop) { return hop }
    }
    return client
  }

  /// The address of an entry: with or without a port, an IPv6 address with or without brackets.
  private static func address(_ entry: Substring.UTF8View) -> PeerAddress? {
    let text = trimmed(entry)
    if text.first == UInt8(ascii: "[") {
      guard let end = text.firstIndex(of: UInt8(ascii: "]")) else { return nil }
      return PeerAddress(String(Substring(text[text.index(after: text.startIndex)..<end])))
    }
    let isFourWithPort = text.count { $0 == UInt8(ascii: ":") } == 1
    let end = isFourWithPort ? text.firstIndex(of: UInt8(ascii: ":")) : nil
    return PeerAddress(String(Substring(text[..<(end ?? text.endIndex)])))
  }

  /// The address in the parameter `for` of an entry of Forwarded.
  private static func forwardedAddress(_ entry: Substring.UTF8View) -> PeerAddress? {
    for pair in entry.split(separator: UInt8(ascii: ";")) {
      let pair = trimmed(Substring(pair).utf8)
      guard pair.count > 4, Substring(pair.prefix(4)).lowercased() == "for=" else { continue }
      let value = pair.dropFirst(4)
      let quote = UInt8(ascii: "\"")
      let isQuoted = value.count >= 2 && value.first == quote && value.last == quote
      return address(isQuoted ? value.dropFirst().dropLast() : value)
    }
    return nil
  }

  private static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
    var rest = text
    while let first = rest.first, first == 0x20 || first == 0x09 { rest = rest.dropFirst() }
    while let last = rest.last, last == 0x20 || last == 0x09 { rest = rest.dropLast() }
    return rest
  }
}
