// Documents that the server fetches itself: their URLs, addresses and times.

import Reactor
import Testing

@testable import Channels

@Suite("Fetched documents")
struct DownloadURLTests {
  static let urls: [(text: String, isPlain: Bool?)] = [
    ("https://login.example/keys.json", false), ("HTTPS://login.example:8443/a?b=c", false),
    ("https://[2001:db8::1]/", false), ("https://10.0.0.1", false),
    ("http://127.0.0.1:8080/keys", true), ("http://localhost/keys", true),
    ("http://LOCALHOST:1/", true), ("http://[::1]/", true), ("http://[::1]:80/", true),
    ("http://login.example/", nil), ("http://10.0.0.1/", nil), ("http://127.0.0.2/", nil),
    ("http://127.0.0.1.example/", nil), ("http://localhost.example/", nil),
    ("http://127.0.0.1@login.example/", nil), ("http://[::1].example/", nil),
    ("http://[::1", nil), ("http://127.0.0.1\\@login.example/", nil),
    ("https://user:secret@login.example/", nil), ("https:///keys", nil), ("https://", nil),
    ("https:login.example", nil), ("//login.example", nil), ("", nil), ("keys.json", nil),
    ("file:///etc/passwd", nil), ("ftp://127.0.0.1/", nil), ("gopher://127.0.0.1/", nil),
    ("https://login.example/#keys", nil), ("https://login.example/ keys", nil),
    ("https://login.example/\r\nHost: a", nil), ("https://l\u{f6}gin.example/", nil),
    ("https://login.example/" + String(repeating: "a", count: 2_048), nil),
  ]

  @Test("a URL is https, or http to this machine", arguments: urls)
  func url(text: String, isPlain: Bool?) {
    #expect(DownloadURL(text)?.isPlain == isPlain)
  }

  @Test("over plain http, the address of a name must be this machine's, too")
  func foreignAddress() throws {
    let plain = try #require(DownloadURL("http://localhost/")).policy
    for text in ["127.0.0.1", "127.255.1.9", "::1", "::ffff:127.0.0.1"] {
      #expect(plain.allows(try #require(PeerAddress(text))), "\(text)")
    }
    for text in ["0.0.0.0", "10.0.0.1", "128.0.0.1", "1.1.1.1", "::", "::2"] {
      #expect(!plain.allows(try #require(PeerAddress(text))), "\(text)")
    }
    let secured = try #require(DownloadURL("https://login.example/")).policy
    #expect(secured.allows(try #require(PeerAddress("10.0.0.1"))))
  }

  static let fields: [(line: String, seconds: Int64?)] = [
    ("Cache-Control: max-age=600\r\n", 600), ("cache-control:public, MAX-AGE=0", 0),
    ("CACHE-CONTROL: no-cache ,  max-age=31536000 , immutable\r\n", 31_536_000),
    ("Cache-Control: s-maxage=5", nil), ("Cache-Control: max-age", nil),
    ("Cache-Control: max-age=", nil), ("Cache-Control: max-age=-1", nil),
    ("Cache-Control: max-age=+1", nil), ("Cache-Control: max-age=1.5", nil),
    ("Cache-Control: max-age=0x10", nil), ("Cache-Control: max-age=\"60\"", nil),
    ("Cache-Control: max-age=\u{661}", nil), ("Cache-Control: no-store", nil),
    ("Cache-Control: max-age=9223372036854775807", 1_000_000_000),
    ("Cache-Control: max-age=9223372036854775808", 1_000_000_000),
    ("Cache-Control: max-age=" + String(repeating: "9", count: 4_096), 1_000_000_000),
    ("Cache-Control: max-age=" + String(repeating: "0", count: 4_096) + "7", 7),
    ("X-Cache-Control: max-age=5", nil), ("max-age=5", nil), ("", nil), ("\0", nil),
  ]

  @Test("max-age is read whatever its number", arguments: fields)
  func anyMaxAge(line: String, seconds: Int64?) {
    #expect(CacheControl.maxAgeSeconds(inLine: Array(line.utf8)) == seconds)
  }
}
