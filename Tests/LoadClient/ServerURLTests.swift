// Parsing the URLs of servers.

import Testing

@testable import LoadClient

@Suite("Server URLs")
struct ServerURLTests {
  @Test(
    "a URL is parsed into address, port, Host field and base path",
    arguments: [
      ("http://127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080", ""),
      ("ws://127.0.0.1", "127.0.0.1", 80, "127.0.0.1", ""),
      ("HTTP://127.0.0.1:1/", "127.0.0.1", 1, "127.0.0.1:1", ""),
      ("http://[::1]:65535/a/b/", "::1", 65535, "[::1]:65535", "/a/b"),
      ("http://[::1]", "::1", 80, "[::1]", ""),
    ])
  func good(text: String, host: String, port: Int, field: String, base: String) throws {
    let url = try ServerURL(parsing: text)
    #expect(url.numericHost == host)
    #expect(Int(url.port) == port)
    #expect(url.hostField == field)
    #expect(url.basePath == base)
  }

  @Test(
    "an invalid server URL is rejected",
    arguments: [
      "", "127.0.0.1:8080", "ftp://127.0.0.1", "https://127.0.0.1", "http://", "http://:80",
      "http://127.0.0.1:0", "http://127.0.0.1:65536", "http://127.0.0.1:x", "http://[::1",
      "http://[::1]80", "http://user@127.0.0.1", "http://127.0.0.1/?a=b", "http://127.0.0.1/#a",
    ])
  func bad(text: String) {
    #expect(throws: ClientError.self) { try ServerURL(parsing: text) }
  }
}
