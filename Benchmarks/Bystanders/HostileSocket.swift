// A client connection with blocking calls instead of a reactor: for a client that floods or never
// reads, a loop around one system call is the cheapest implementation.

internal import BenchmarkSupport
internal import Glibc
internal import LoadClient
internal import Reactor
internal import Wire

/// A blocking TCP connection to a server on this machine.
///
/// Confined to one thread; deinitialisation closes it.
final class HostileSocket {
  /// The longest wait of a call, so that its thread can check for signals in between.
  private static let waitMilliseconds = 100

  private let descriptor: Int32

  /// Connects; `receiveBytes` sets the receive buffer's size, nil keeps the kernel's default.
  ///
  /// `source` is the client's own address in 127.0.0.0/8, in host order, or nil for the kernel's
  /// choice.
  init(port: UInt16, receiveBytes: Int32?, source: UInt32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else {
      throw BenchmarkError("cannot open a socket: \(SystemError.message(of: errno))")
    }
    if var bytes = receiveBytes {
      // SAFETY: the option is an integer of that size.
      _ = unsafe setsockopt(
        descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }
    var wait = timeval(tv_sec: 0, tv_usec: Self.waitMilliseconds * 1_000)
    // SAFETY: the option is a timeval of that size.
    _ = unsafe setsockopt(
      descriptor, SOL_SOCKET, SO_SNDTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
    if let source {
      // SAFETY: the option is a timeval of that size.
      _ = unsafe setsockopt(
        descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
      try Self.bind(descriptor, to: source)
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    // SAFETY: the address is a sockaddr_in, and its size is given.
    let status = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        unsafe connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else {
      let code = errno
      _ = close(descriptor)
      throw BenchmarkError("cannot connect to port \(port): \(SystemError.message(of: code))")
    }
  }

  private static func bind(_ descriptor: Int32, to source: UInt32) throws {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = source.bigEndian
    // SAFETY: the address is a sockaddr_in, and its size is given.
    let status = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        unsafe Glibc.bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else {
      let code = errno
      _ = close(descriptor)
      throw BenchmarkError("cannot bind: \(SystemError.message(of: code))")
    }
  }

  deinit { _ = close(descriptor) }

  /// Requests a WebSocket upgrade and waits for the answer.
  func upgrade(_ target: String, on server: ServerURL, fields: [HTTPField] = []) throws {
    var request: [UInt8] = []
    HTTPRequest(
      "GET", target,
      fields: [
        HTTPField("Upgrade", "websocket"), HTTPField("Connection", "Upgrade"),
        HTTPField("Sec-WebSocket-Version", "13"),
        HTTPField("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
      ] + fields
    ).write(to: server, into: &request)
    guard send(request[...]) == request.count else {
      throw BenchmarkError("cannot send the upgrade request")
    }
    var answer = [UInt8](repeating: 0, count: 16)
    // SAFETY: `answer` is writable for its count.
    let count = unsafe recv(descriptor, &answer, answer.count, 0)
    guard count >= 12, String(decoding: answer[9..<12], as: UTF8.self) == "101" else {
      throw BenchmarkError("not upgraded: \(String(decoding: answer, as: UTF8.self))")
    }
  }

  /// Sends as many bytes as the kernel accepts and returns their number.
  ///
  /// Returns 0 when the send buffer stays full, and nil when the server has ended the connection.
  ///
  /// With `waits` false it does not wait for room.
  func send(_ bytes: ArraySlice<UInt8>, waits: Bool = true) -> Int? {
    let flags = Int32(MSG_NOSIGNAL) | (waits ? 0 : Int32(MSG_DONTWAIT))
    return unsafe bytes.withUnsafeBytes { buffer in
      guard let start = buffer.baseAddress else { return 0 }
      // SAFETY: the buffer is readable for its count.
      let count = unsafe Glibc.send(descriptor, start, buffer.count, flags)
      if count >= 0 { return count }
      return errno == EAGAIN || errno == EINTR ? 0 : nil
    }
  }

  /// Takes some of the bytes that have arrived, after a wait if `waits`.
  ///
  /// Empty when none have arrived, and nil at the connection's end.
  func receive(waits: Bool = false) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 16 << 10)
    // SAFETY: `bytes` is writable for its count.
    let count = unsafe recv(descriptor, &bytes, bytes.count, waits ? 0 : Int32(MSG_DONTWAIT))
    if count > 0 { return Array(bytes[..<count]) }
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? [] : nil
  }
}
