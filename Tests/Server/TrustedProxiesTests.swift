// The client's address in the forwarding headers of proxies: RFC 7239, and the older headers.

import Reactor
import Testing
import Wire

@testable import Server

@Suite("Clients of trusted proxies")
struct TrustedProxiesTests {
  private static let proxies = TrustedProxies(
    ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].compactMap { AddressRange($0) })

  private static func client(_ fields: String) throws -> String? {
    var parser = HTTPRequestHeadParser()
    let bytes = Array("GET / HTTP/1.1\r\nHost: x\r\n\(fields)\r\n".utf8)
    let parsed = try parser.parse(bytes.span)
    let head = try #require(parsed)
    return proxies.client(of: head)?.text
  }

  @Test(
    "the client is the rightmost address that is no trusted proxy",
    arguments: [
      ("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
      ("X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n", "203.0.113.9"),
      ("X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.1.1.1,127.0.0.1\r\n", "203.0.113.9"),
      (
        "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9, 10.0.0.1\r\n", "203.0.113.9"
      ),
      ("x-forwarded-for:\t203.0.113.9 \t\r\n", "203.0.113.9"),
      // Every hop is trusted: the first one began the request.
      ("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"),
      ("X-Forwarded-For: 203.0.113.9:4711\r\n", "203.0.113.9"),
      ("X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7"),
      ("X-Forwarded-For: [2001:db8::7]:4711\r\n", "2001:db8::7"),
      ("X-Forwarded-For: ::ffff:203.0.113.9\r\n", "203.0.113.9"),
      // An entry that no proxy of ours wrote ends the search.
      ("X-Forwarded-For: 203.0.113.9, unknown, 10.0.0.1\r\n", "10.0.0.1"),
      ("Forwarded: for=203.0.113.9\r\n", "203.0.113.9"),
      (
        "Forwarded: for=198.51.100.1;proto=https, For=\"203.0.113.9:80\";by=10.0.0.1\r\n",
        "203.0.113.9"
      ),
      ("Forwarded: proto=https;for=\"[2001:db8::7]:4711\", for=10.0.0.1\r\n", "2001:db8::7"),
      ("Forwarded: for=203.0.113.9, for=_hidden, for=10.0.0.1\r\n", "10.0.0.1"),
      ("X-Real-IP: 203.0.113.9\r\n", "203.0.113.9"),
      ("Forwarded: for=198.51.100.1\r\nX-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
      ("X-Real-IP: 198.51.100.1\r\nForwarded: for=203.0.113.9\r\n", "203.0.113.9"),
    ])
  func found(fields: String, client: String) throws {
    #expect(try Self.client(fields) == client)
  }

  @Test(
    "a header without an address names no client",
    arguments: [
      "", "Via: 1.1 x\r\n", "X-Forwarded-For: \r\n", "X-Forwarded-For: unknown\r\n",
      "X-Forwarded-For: 1.2.3\r\n", "X-Forwarded-For: [::1\r\n", "X-Forwarded-For: ,,, ,\r\n",
      "Forwarded: proto=https\r\n", "Forwarded: for\r\n", "Forwarded: for=\r\n",
      "Forwarded: for=\"\r\n", "Forwarded: for=unknown\r\n", "X-Real-IP: localhost\r\n",
      "X-Forwarded-For: 203.0.113.9, evil\r\n", "X-Forwarded-For: \u{661}.2.3.4\r\n",
    ])
  func missing(fields: String) throws {
    #expect(try Self.client(fields) == nil)
  }

  @Test("a header of eight kibibytes costs little")
  func long() throws {
    let list = String(repeating: "10.0.0.1,", count: 900) + "10.0.0.1"
    #expect(try Self.client("X-Forwarded-For: \(list)\r\n") == "10.0.0.1")
  }

  @Test(
    "a request is forwarded with any header of a proxy, in any spelling",
    arguments: [
      ("Forwarded: for=1.1.1.1", true), ("X-Forwarded-For: 1.1.1.1", true), ("X-REAL-IP: x", true),
      ("x-forwarded-proto: https", true), ("X-Forwarded-Host: a", true), ("Via: 1.1 a", true),
      ("X-Forwarded-Port: 1", true), ("X-Forwarded: x", false), ("Forwarded-For: x", false),
      ("X-Real-IPs: x", false), ("Accept: */*", false),
    ])
  func forwarded(field: String, isForwarded: Bool) throws {
    var parser = HTTPRequestHeadParser()
    let bytes = Array("GET / HTTP/1.1\r\nHost: x\r\n\(field)\r\n\r\n".utf8)
    let parsed = try parser.parse(bytes.span)
    #expect(try #require(parsed).isForwarded == isForwarded)
  }
}
