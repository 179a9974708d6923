// A client without a token, which a forwarding header makes one of the network.

internal import BenchmarkSupport

/// A client without a token that keeps its connection.
struct Stranger {
  /// The bytes of a body that the server takes from a session, or took before it bounded them.
  static let largestBodyBytes = 1_000_000
  private static let smallBodyBytes = 65_536
  /// Clients with the same address: fewer than the server admits, with a session for each.
  private static let clientsPerAddress = 40
  private static let fields = "Host: x\r\nX-Forwarded-For: 203.0.113.9\r\n"

  private let socket: HostileSocket

  private init(_ port: UInt16, _ number: Int) throws {
    let address = 0x7F00_0100 + UInt32(number / Self.clientsPerAddress)
    socket = try HostileSocket(port: port, receiveBytes: nil, source: address)
  }

  /// Connects, sends a request and then nothing more.
  init(idlingOn port: UInt16, _ number: Int) throws {
    try self.init(port, number)
    send("GET /healthz HTTP/1.1\r\n\(Self.fields)\r\n")
  }

  /// Opens a session and posts all but the last byte of a body of `byteCount` bytes.
  ///
  /// If the server refuses that many, `byteCount` becomes as many as it takes.
  init(holdingBodyOn port: UInt16, _ number: Int, _ byteCount: inout Int) throws {
    try self.init(port, number)
    let path = "/socket.io/?EIO=4&transport=polling"
    send("GET \(path) HTTP/1.1\r\n\(Self.fields)\r\n")
    let opening = answer(waits: true) ?? ""
    guard let mark = opening.firstRange(of: #""sid":""#) else { return }
    let sid = opening[mark.upperBound...].prefix { $0 != "\"" }
    send(
      "POST \(path)&sid=\(sid) HTTP/1.1\r\n\(Self.fields)Content-Length: \(byteCount)\r\n\r\n")
    // A refusal comes at once.
    if byteCount > Self.smallBodyBytes, let answer = answer(waits: true),
      answer.hasPrefix("HTTP/1.1 413")
    {
      byteCount = Self.smallBodyBytes
      return
    }
    let body = [UInt8](repeating: 0x34, count: byteCount - 1)
    var rest = body[...]
    while !rest.isEmpty, let count = socket.send(rest), count > 0 { rest = rest.dropFirst(count) }
    // Without room for one of this size, the next ones fill the rest.
    if let answer = answer(waits: false), answer.hasPrefix("HTTP/1.1 503") {
      byteCount = max(16, byteCount / 4)
    }
  }

  private func send(_ text: String) { _ = socket.send(Array(text.utf8)[...]) }

  /// Text that the server has sent; nil once it has ended the connection.
  private func answer(waits: Bool) -> String? {
    socket.receive(waits: waits).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Whether the server has ended the connection.
  var hasEnded: Bool {
    while let text = answer(waits: false) {
      if text.isEmpty { return false }
    }
    return true
  }
}
