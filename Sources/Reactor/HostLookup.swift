// Resolves host names to numeric addresses with the system's name service.

internal import Glibc

/// The name service.
package enum HostLookup {
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
