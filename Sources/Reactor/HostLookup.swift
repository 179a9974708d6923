// Resolves host names to numeric addresses with the system's name service.

internal import Glibc

/// The name service.
package enum HostLookup {
  /// The addresses that are kept of one name.
  package static let addressCountLimit = 16

  /// The addresses of a host in the order of preference, without port; none when the name does not
  /// resolve.
  ///
  /// It may block on the network: by default for 10 s with each server of `/etc/resolv.conf`.
  package static func addresses(of host: String) -> [PeerAddress] {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    // SAFETY: `hints` is zero but for the socket type; the list is freed below, once.
    guard unsafe getaddrinfo(host, nil, &hints, &found) == 0 else { return [] }
    defer { unsafe freeaddrinfo(found) }
    var addresses: [PeerAddress] = []
    var next = unsafe found
    while let entry = unsafe next, addresses.count < addressCountLimit {
      if let address = unsafe address(in: entry.pointee) { addresses.append(address) }
      unsafe next = entry.pointee.ai_next
    }
    return addresses
  }

  /// The address of an entry; nil for another family.
  private static func address(in entry: addrinfo) -> PeerAddress? {
    guard let raw = unsafe UnsafeRawPointer(entry.ai_addr) else { return nil }
    switch unsafe (entry.ai_family, Int(entry.ai_addrlen)) {
    case (AF_INET, MemoryLayout<sockaddr_in>.size):
      // SAFETY: getaddrinfo gives an address of the size of its family, checked above.
      let address = unsafe raw.loadUnaligned(as: sockaddr_in.self).sin_addr
      return unsafe withUnsafeBytes(of: address) { PeerAddress(network: unsafe Array($0)) }
    case (AF_INET6, MemoryLayout<sockaddr_in6>.size):
      // SAFETY: as above.
      let address = unsafe raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr
      return unsafe withUnsafeBytes(of: address) { PeerAddress(network: unsafe Array($0)) }
    default:
      return nil
    }
  }

  /// The first address of a host in numeric form; nil when the name does not resolve.
  ///
  /// It may block on the network.
  package static func numericAddress(of host: String) -> String? {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    // SAFETY: `hints` is zero but for the socket type; `found` is freed below, once.
    guard unsafe getaddrinfo(host, nil, &hints, &found) == 0, let first = unsafe found else {
      return nil
    }
    defer { unsafe freeaddrinfo(first) }
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    // SAFETY: the address and its length come from getaddrinfo, and `text` is writable for its
    // count.
    let status = unsafe getnameinfo(
      first.pointee.ai_addr, first.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0,
      NI_NUMERICHOST)
    guard status == 0 else { return nil }
    return String(
      decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
