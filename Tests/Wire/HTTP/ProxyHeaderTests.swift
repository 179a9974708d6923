import Testing

@testable import Wire

@Suite("The header of the PROXY protocol")
struct ProxyHeaderTests {
  private static let start: [UInt8] = [
    0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
  ]

  static func binary(command: UInt8 = 0x21, family: UInt8, _ rest: [UInt8]) -> [UInt8] {
    start + [command, family, UInt8(rest.count >> 8), UInt8(rest.count & 0xFF)] + rest
  }

  private static func search(_ bytes: [UInt8]) throws -> ProxyHeader.Search {
    try ProxyHeader.search(bytes.span)
  }

  static let six = [UInt8](repeating: 0x20, count: 16)

  static let headers: [([UInt8], ProxyHeader.Source)] = [
    (Array("PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n".utf8), .text("203.0.113.9")),
    (Array("PROXY TCP6 2001:db8::7 ::1 4711 80\r\n".utf8), .text("2001:db8::7")),
    (Array("PROXY UNKNOWN\r\n".utf8), .unknown),
    (Array("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".utf8), .unknown),
    (binary(family: 0x11, [203, 0, 113, 9, 1, 2, 3, 4, 0, 1, 0, 2]), .bytes([203, 0, 113, 9])),
    (binary(family: 0x21, six + six + [0, 1, 0, 2, 9, 9]), .bytes(six)),
    (binary(command: 0x20, family: 0x00, []), .unknown),
    (binary(family: 0x31, [UInt8](repeating: 1, count: 216)), .unknown),
  ]

  @Test("a header is found whole, and each of its beginnings is incomplete", arguments: headers)
  func found(bytes: [UInt8], source: ProxyHeader.Source) throws {
    let request = bytes + Array("GET / HTTP/1.1\r\n\r\n".utf8)
    let header = ProxyHeader(source: source, byteCount: bytes.count)
    #expect(try Self.search(request) == .found(header))
    for end in 1..<bytes.count {
      #expect(try Self.search(Array(bytes[..<end])) == .incomplete, "\(end) bytes")
    }
  }

  @Test(
    "a request is no header",
    arguments: [
      "GET / HTTP/1.1", "POST /", "PUT /", "PROPFIND /", "PROXYING /", "\r\nGET /", "\r\n\r\nGET",
      "",
      "proxy TCP4", " PROXY ",
    ])
  func absent(text: String) throws {
    #expect(try Self.search(Array(text.utf8)) == .absent)
  }

  @Test("any length gets a result, and no address is read past it")
  func lengths() throws {
    for length in 0...UInt16.max {
      let head = Self.start + [0x21, 0x11, UInt8(length >> 8), UInt8(length & 0xFF)]
      let whole = head + [UInt8](repeating: 7, count: 4_096)
      guard length <= 4_096, length >= 12 else {
        #expect(throws: HTTPViolation.self) { try Self.search(whole) }
        continue
      }
      let header = ProxyHeader(source: .bytes([7, 7, 7, 7]), byteCount: 16 + Int(length))
      #expect(try Self.search(whole) == .found(header))
    }
  }

  @Test(
    "a malformed header is refused",
    arguments: [
      Array("PROXY \r\n".utf8), Array("PROXY TCP4\r\n".utf8), Array("PROXY TCP5 a b 1 2\r\n".utf8),
      Array("PROXY TCP4 a b 1\r\n".utf8), Array("PROXY TCP4 a b 1 2 3\r\n".utf8),
      Array("PROXY TCP4  a b 1 2\r\n".utf8), Array("PROXY TCP4 a b 1 2\n".utf8),
      Array("PROXY ".utf8) + [UInt8](repeating: 0x41, count: 200),
      binary(command: 0x22, family: 0x11, []), binary(command: 0x11, family: 0x11, []),
      binary(family: 0x11, [1, 2, 3, 4]), binary(family: 0x21, six),
      start + [0x21, 0x11, 0xFF, 0xFF],
    ])
  func refused(bytes: [UInt8]) {
    #expect(throws: HTTPViolation.self) { try Self.search(bytes) }
  }
}
