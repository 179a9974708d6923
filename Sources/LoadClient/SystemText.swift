// The two questions that a client asks the C library: what an errno means, and where a host is.

internal import Glibc

/// Answers of the C library, as Swift strings.
enum SystemText {
  /// The words for an errno.
  static func message(of code: Int32) -> String {
    var text = [CChar](repeating: 0, count: 128)
    // SAFETY: `text` is writable for its count, and strerror_r ends what it writes with a zero.
    guard unsafe strerror_r(code, &text, text.count) == 0 else { return "errno \(code)" }
    let written = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return written.isEmpty ? "errno \(code)" : String(decoding: written, as: UTF8.self)
  }

  /// The first address of a host, in numbers; nil when the name service knows none.
  static func resolve(_ host: String) -> String? {
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
